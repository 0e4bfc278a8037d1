#include "pipeline/model_file.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver_util.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "engine/core/error.h"
#include "google/protobuf/struct.pb.h"

namespace beamline::pipeline {
namespace {

using engine::DType;
using engine::NamedTensor;

constexpr char kCardKey[] = "beamline.card";
constexpr char kTypeUrl[] = "type.googleapis.com";
constexpr size_t kLengthBytes = 8;

// The card as JSON: a function of its content, because maps are serialised in the order of their
// keys and the printer keeps the order of the bytes.
absl::StatusOr<std::string> CardJson(const v1::ModelCard& card) {
  std::string binary;
  {
    google::protobuf::io::StringOutputStream stream(&binary);
    google::protobuf::io::CodedOutputStream out(&stream);
    out.SetSerializationDeterministic(true);
    if (!card.SerializeToCodedStream(&out)) return absl::InternalError("card not serialised");
  }
  const std::unique_ptr<google::protobuf::util::TypeResolver> types(
      google::protobuf::util::NewTypeResolverForDescriptorPool(
          kTypeUrl, google::protobuf::DescriptorPool::generated_pool()));
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::BinaryToJsonString(
      types.get(), absl::StrCat(kTypeUrl, "/", v1::ModelCard::descriptor()->full_name()), binary,
      &json, options);
  if (!status.ok()) return absl::InternalError(status.ToString());
  return json;
}

std::string JsonText(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&out, "\\u%04x", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

void AppendLength(uint64_t length, std::string* out) {
  for (size_t i = 0; i < kLengthBytes; ++i) out->push_back(static_cast<char>(length >> (8 * i)));
}

absl::Status Damaged(const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat("not a model file: ", why));
}

// What the header says of one tensor.
struct Entry {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<int64_t> extents;
  size_t begin = 0;
  size_t end = 0;
};

// A whole number in [0, 2^53], as JSON holds it.
bool ToSize(const google::protobuf::Value& value, int64_t* size) {
  constexpr double kExact = 9007199254740992.0;
  const double number = value.number_value();
  if (value.kind_case() != google::protobuf::Value::kNumberValue) return false;
  if (!(number >= 0 && number <= kExact) ||
      number != static_cast<double>(static_cast<int64_t>(number))) {
    return false;
  }
  *size = static_cast<int64_t>(number);
  return true;
}

const google::protobuf::Value& Member(const google::protobuf::Struct& object, const char* name) {
  const auto found = object.fields().find(name);
  return found == object.fields().end() ? google::protobuf::Value::default_instance()
                                        : found->second;
}

absl::StatusOr<Entry> ParseEntry(const std::string& name, const google::protobuf::Value& value) {
  Entry entry;
  entry.name = name;
  const google::protobuf::Struct& object = value.struct_value();
  const std::string& dtype = Member(object, "dtype").string_value();
  if (dtype != "F32" && dtype != "I64") {
    return Damaged(
        absl::StrCat("tensor \"", name, "\" has type \"", dtype, "\"; models have F32 and I64"));
  }
  entry.dtype = dtype == "F32" ? DType::kFloat32 : DType::kInt64;
  for (const auto& extent : Member(object, "shape").list_value().values()) {
    if (!ToSize(extent, &entry.extents.emplace_back())) {
      return Damaged(absl::StrCat("the shape of tensor \"", name, "\" is malformed"));
    }
  }
  const auto& offsets = Member(object, "data_offsets").list_value().values();
  int64_t begin = 0;
  int64_t end = 0;
  if (offsets.size() != 2 || !ToSize(offsets[0], &begin) || !ToSize(offsets[1], &end)) {
    return Damaged(absl::StrCat("the offsets of tensor \"", name, "\" are malformed"));
  }
  entry.begin = static_cast<size_t>(begin);
  entry.end = static_cast<size_t>(end);
  return entry;
}

absl::StatusOr<NamedTensor> ReadTensor(const Entry& entry, std::string_view data) {
  try {
    const engine::Shape shape{std::span<const int64_t>(entry.extents)};
    const auto size = static_cast<size_t>(shape.NumElements() * engine::SizeOf(entry.dtype));
    if (entry.end < entry.begin || entry.end > data.size() || entry.end - entry.begin != size) {
      return Damaged(absl::StrCat("tensor \"", entry.name, "\" of shape ", shape.ToString(),
                                  " does not fit its bytes"));
    }
    NamedTensor named{entry.name, engine::Tensor(shape, entry.dtype)};
    if (size > 0) std::memcpy(named.tensor.raw(), data.data() + entry.begin, size);
    return named;
  } catch (const engine::Error& error) {
    return Damaged(absl::StrCat("tensor \"", entry.name, "\": ", error.what()));
  }
}

absl::StatusOr<v1::ModelCard> ParseCard(const google::protobuf::Struct& header) {
  const auto& metadata = Member(header, "__metadata__").struct_value();
  v1::ModelCard card;
  const std::string& json = Member(metadata, kCardKey).string_value();
  if (json.empty()) return Damaged("it has no model card");
  const auto status = google::protobuf::util::JsonStringToMessage(json, &card);
  if (!status.ok()) {
    return Damaged(
        absl::StrCat("its model card is malformed or of a later version: ", status.ToString()));
  }
  if (card.format() != 1) {
    return Damaged(absl::StrCat("its format is ", card.format(), "; this version reads 1"));
  }
  return card;
}

}  // namespace

absl::StatusOr<std::string> EncodeModel(const ModelFile& model) {
  std::vector<const NamedTensor*> tensors;
  for (const NamedTensor& tensor : model.tensors) tensors.push_back(&tensor);
  std::sort(tensors.begin(), tensors.end(),
            [](const auto* a, const auto* b) { return a->name < b->name; });
  ASSIGN_OR_RETURN(const std::string card, CardJson(model.card));
  std::string header = absl::StrCat("{\"__metadata__\":{\"", kCardKey, "\":", JsonText(card),
                                    ",\"format\":\"beamline-model\"}");
  int64_t offset = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const NamedTensor& tensor = *tensors[i];
    if (tensor.name.empty() || tensor.name == "__metadata__" ||
        (i > 0 && tensor.name == tensors[i - 1]->name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("a tensor's name is empty, reserved or there twice: \"", tensor.name, "\""));
    }
    const DType dtype = tensor.tensor.dtype();
    if (dtype != DType::kFloat32 && dtype != DType::kInt64) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor \"", tensor.name, "\" is neither float32 nor int64"));
    }
    const int64_t end = offset + tensor.tensor.size_bytes();
    absl::StrAppend(&header, ",", JsonText(tensor.name), ":{\"dtype\":\"",
                    dtype == DType::kFloat32 ? "F32" : "I64", "\",\"shape\":[",
                    absl::StrJoin(tensor.tensor.shape().extents(), ","), "],\"data_offsets\":[",
                    offset, ",", end, "]}");
    offset = end;
  }
  header += "}";
  header.append((kLengthBytes - header.size() % kLengthBytes) % kLengthBytes, ' ');
  std::string bytes;
  bytes.reserve(kLengthBytes + header.size() + static_cast<size_t>(offset));
  AppendLength(header.size(), &bytes);
  bytes += header;
  for (const NamedTensor* tensor : tensors) {
    bytes.append(reinterpret_cast<const char*>(tensor->tensor.raw()),
                 static_cast<size_t>(tensor->tensor.size_bytes()));
  }
  return bytes;
}

absl::StatusOr<ModelFile> DecodeModel(std::string_view bytes) {
  if (bytes.size() < kLengthBytes) return Damaged("it is too short");
  uint64_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) {
    length |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  if (length > kMaxModelHeaderBytes || length > bytes.size() - kLengthBytes) {
    return Damaged("the length of its header is wrong");
  }
  google::protobuf::Struct header;
  const auto status = google::protobuf::util::JsonStringToMessage(
      {bytes.data() + kLengthBytes, static_cast<size_t>(length)}, &header);
  if (!status.ok()) return Damaged("its header is not JSON");
  ModelFile model;
  ASSIGN_OR_RETURN(model.card, ParseCard(header));
  if (header.fields().size() > kMaxModelTensors) return Damaged("it has too many tensors");
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.fields()) {
    if (name == "__metadata__") continue;
    ASSIGN_OR_RETURN(Entry entry, ParseEntry(name, value));
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
  const std::string_view data = bytes.substr(kLengthBytes + static_cast<size_t>(length));
  size_t at = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != at) return Damaged("its tensors overlap or leave gaps");
    ASSIGN_OR_RETURN(NamedTensor tensor, ReadTensor(entry, data));
    model.tensors.push_back(std::move(tensor));
    at = entry.end;
  }
  if (at != data.size()) return Damaged("bytes follow the last tensor");
  return model;
}

}  // namespace beamline::pipeline
