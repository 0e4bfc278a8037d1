// Ten steps of AdamW on transformers, beside PyTorch's (make_transformer_fixture.py).
#include "engine/learners/network_runner.h"
#include "engine/optim/optimizer.h"
#include "tests/engine/learners/transformer.h"
#include "tests/engine/parity/recording.h"

namespace beamline::engine {
namespace {

using testing::AddBlock;
using testing::AddLayer;
using testing::Recording;

constexpr int64_t kRows = 24;
constexpr int64_t kBatch = 6;

NetworkSpec CausalLm() { return testing::MakeLanguageModel({}); }

// An encoder over padded tokens; the first step is classified.
NetworkSpec Classifier() {
  NetworkSpec spec;
  LayerSpec& tokens = AddLayer(&spec, LayerKind::kEmbedding, "tokens");
  tokens.tokens = true;
  tokens.units = 8;
  tokens.categories = {11};
  LayerSpec attention;
  attention.heads = 2;
  attention.mask_padding = true;
  attention.rotary = true;
  AddBlock(&spec, "encoder", "tokens", 8, 16, attention);
  AddLayer(&spec, LayerKind::kReshape, "flat");
  AddLayer(&spec, LayerKind::kSlice, "first").units = 8;
  AddLayer(&spec, LayerKind::kDense, "head");
  spec.loss.kind = LossKind::kCrossEntropy;
  return spec;
}

struct Case {
  const char* name;
  NetworkSpec (*make)();
};

void PrintTo(const Case& test, std::ostream* out) { *out << test.name; }

MemoryBatchSource SourceOf(const std::string& name, const Recording& recording) {
  MemoryBatch batch;
  batch.rows = kRows;
  const std::vector<float>& codes = recording.at("codes");
  batch.codes.assign(codes.begin(), codes.end());
  batch.layout.code_columns = static_cast<int64_t>(codes.size()) / kRows;
  if (name == "translator") {
    batch.layout.target_codes = 4;
  } else if (name == "classifier") {
    const std::vector<float>& labels = recording.at("labels");
    batch.labels.assign(labels.begin(), labels.end());
    batch.layout.classes = 3;
  } else if (name == "encoder_decoder") {
    batch.features = recording.at("features");
    batch.layout.features = 12;
    batch.targets = recording.at("targets");
    batch.layout.targets = 1;
  }
  return MemoryBatchSource(std::move(batch));
}

class TransformerParityTest : public ::testing::TestWithParam<Case> {};

TEST_P(TransformerParityTest, FollowsPyTorchForTenSteps) {
  static const std::map<std::string, Recording> kFixture =
      testing::ReadFixture("transformer_fixture.txt");
  const Recording& recording = kFixture.at(GetParam().name);
  NetworkSpec spec = GetParam().make();
  spec.backend = testing::ParityBackend();
  spec.optimizer.kind = OptimizerKind::kAdamW;
  spec.optimizer.learning_rate = 0.01;
  spec.optimizer.weight_decay = 0.1;
  spec.optimizer.epsilon = 1e-5;
  const MemoryBatchSource source = SourceOf(GetParam().name, recording);
  testing::ExpectTenSteps(recording, spec, source, kBatch, 10);
}

INSTANTIATE_TEST_SUITE_P(Cases, TransformerParityTest,
                         ::testing::Values(Case{"causal_lm", CausalLm},
                                           Case{"classifier", Classifier},
                                           Case{"encoder_decoder", testing::EncoderDecoder},
                                           Case{"translator", testing::TranslationModel}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace beamline::engine
