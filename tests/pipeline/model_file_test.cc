#include "pipeline/model_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "base/file.h"

namespace beamline::pipeline {
namespace {

using engine::Tensor;

v1::ModelCard Card() {
  v1::ModelCard card;
  card.set_format(1);
  card.set_target("a \"quoted\" name");
  card.set_target_scale(0.1);
  card.set_target_offset(-1e-17);
  card.set_seed(uint64_t{1} << 60);
  card.add_classes("naïve");
  for (int i = 0; i < 20; ++i) {
    (*card.mutable_network()->mutable_loss()->mutable_class_weights())[std::to_string(i)] = i;
  }
  return card;
}

ModelFile Model() {
  ModelFile model;
  model.card = Card();
  model.tensors.push_back({"b", Tensor::From<float>({2, 3}, {1, 2, 3, 4, 5, 6})});
  model.tensors.push_back({"a", Tensor::From<int64_t>({2}, {7, -8})});
  model.tensors.push_back({"empty", Tensor({0}, engine::DType::kFloat32)});
  return model;
}

std::string Encoded() { return EncodeModel(Model()).value(); }

TEST(ModelFile, GivesBackWhatWasWritten) {
  const absl::StatusOr<ModelFile> model = DecodeModel(Encoded());
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->card.SerializeAsString().size(), Card().SerializeAsString().size());
  EXPECT_EQ(model->card.target(), Card().target());
  EXPECT_EQ(model->card.target_offset(), -1e-17);
  EXPECT_EQ(model->card.seed(), uint64_t{1} << 60);
  ASSERT_EQ(model->tensors.size(), 3);
  EXPECT_EQ(model->tensors[0].name, "a");
  EXPECT_EQ(model->tensors[0].tensor.values<int64_t>()[1], -8);
  EXPECT_EQ(model->tensors[1].tensor.values<float>()[5], 6);
  EXPECT_EQ(model->tensors[1].tensor.shape(), engine::Shape({2, 3}));
}

TEST(ModelFile, BytesAreAFunctionOfTheContent) {
  ModelFile other = Model();
  std::swap(other.tensors[0], other.tensors[1]);
  // Another insertion order, hence another order in the hash map.
  other.card.mutable_network()->mutable_loss()->clear_class_weights();
  for (int i = 19; i >= 0; --i) {
    (*other.card.mutable_network()->mutable_loss()->mutable_class_weights())[std::to_string(i)] = i;
  }
  EXPECT_EQ(EncodeModel(other).value(), Encoded());
}

TEST(ModelFile, IsLaidOutAsSafetensors) {
  const std::string bytes = Encoded();
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  EXPECT_EQ(length % 8, 0);
  const std::string header = bytes.substr(8, length);
  EXPECT_EQ(header.substr(0, 34), R"({"__metadata__":{"beamline.card":")");
  EXPECT_NE(header.find(R"("a":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},)"
                        R"("b":{"dtype":"F32","shape":[2,3],"data_offsets":[16,40]})"),
            std::string::npos)
      << header;
  float last = 0;
  std::memcpy(&last, bytes.data() + bytes.size() - 4, 4);
  EXPECT_EQ(last, 6);
  EXPECT_EQ(bytes.size(), 8 + length + 40);
}

TEST(ModelFile, OtherReadersCanOpenIt) {
  // As the format is published: no line of this project's reader.
  const TemporaryDirectory folder;
  const std::string path = folder.path() + "/m.safetensors";
  ASSERT_TRUE(WriteFileAtomically(path, Encoded()).ok());
  const std::string script =
      "import json,struct,sys\n"
      "b=open(sys.argv[1],'rb').read()\n"
      "n=struct.unpack('<Q',b[:8])[0]\n"
      "h=json.loads(b[8:8+n])\n"
      "card=json.loads(h['__metadata__']['beamline.card'])\n"
      "assert card['classes']==['na\\u00efve'], card\n"
      "assert card['target_scale']==0.1\n"
      "s,e=h['b']['data_offsets']\n"
      "assert struct.unpack('<6f',b[8+n+s:8+n+e])==(1,2,3,4,5,6)\n"
      "try:\n"
      "  import safetensors\n"
      "except ImportError:\n"
      "  sys.exit(0)\n"
      "with safetensors.safe_open(sys.argv[1],'np') as f:\n"
      "  assert f.get_tensor('a').tolist()==[7,-8]\n";
  ASSERT_TRUE(WriteFileAtomically(folder.path() + "/check.py", script).ok());
  const std::string command = "/usr/bin/python3 " + folder.path() + "/check.py " + path;
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST(ModelFile, RefusesWhatItCannotWrite) {
  ModelFile model = Model();
  model.tensors[0].name = "a";
  EXPECT_FALSE(EncodeModel(model).ok());
  model = Model();
  model.tensors[0].name = "__metadata__";
  EXPECT_FALSE(EncodeModel(model).ok());
  model = Model();
  model.tensors[0].tensor = Tensor({1}, engine::DType::kUint8);
  EXPECT_FALSE(EncodeModel(model).ok());
}

// The file with `from` in its header replaced by `to`, padded back to its length.
std::string WithHeader(const std::string& from, const std::string& to) {
  std::string bytes = Encoded();
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  std::string header = bytes.substr(8, length);
  const size_t at = header.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  header.replace(at, from.size(), to);
  length = header.size();
  std::string out(8, '\0');
  std::memcpy(out.data(), &length, 8);
  return out + header + bytes.substr(bytes.size() - 40);
}

TEST(ModelFile, RefusesHostileBytes) {
  const std::string good = Encoded();
  ASSERT_TRUE(DecodeModel(good).ok());
  for (size_t size = 0; size < good.size(); size += 1 + size / 16) {
    EXPECT_FALSE(DecodeModel(good.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(DecodeModel(good + "x").ok());
  EXPECT_FALSE(DecodeModel(std::string(8, '\xff') + good).ok());
  EXPECT_FALSE(DecodeModel(WithHeader("[0,16]", "[0,17]")).ok());
  EXPECT_FALSE(DecodeModel(WithHeader("[0,16]", "[-8,8]")).ok());
  EXPECT_FALSE(DecodeModel(WithHeader("[0,16]", "[0,1e300]")).ok());
  EXPECT_FALSE(DecodeModel(WithHeader("[0,16]", "\"0\"")).ok());
  EXPECT_FALSE(DecodeModel(WithHeader("[16,40]", "[8,32]")).ok());
  EXPECT_FALSE(DecodeModel(WithHeader("[2,3]", "[2,4]")).ok());
  EXPECT_FALSE(DecodeModel(WithHeader("[2,3]", "[9007199254740992,9007199254740992]")).ok());
  EXPECT_FALSE(DecodeModel(WithHeader("F32", "F16")).ok());
  EXPECT_FALSE(DecodeModel(WithHeader("beamline.card", "beamline.cart")).ok());
  EXPECT_FALSE(DecodeModel(WithHeader("\\\"format\\\":1", "\\\"format\\\":2")).ok());
  EXPECT_FALSE(DecodeModel(WithHeader("\\\"format\\\":1", "\\\"formats\\\":1")).ok());
}

}  // namespace
}  // namespace beamline::pipeline
