// Ten training steps of recurrent networks, step by step beside PyTorch's
// (make_recurrent_fixture.py).
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "engine/learners/network_runner.h"
#include "engine/optim/optimizer.h"
#include "tests/engine/parity/recording.h"

namespace beamline::engine {
namespace {

constexpr int64_t kRows = 24;
constexpr int64_t kSteps = 5;
constexpr int64_t kFeatures = 3;
constexpr int64_t kUnits = 4;
constexpr int64_t kClasses = 3;
constexpr int64_t kBatch = 8;

using testing::Recording;

struct Case {
  std::string name;
  LayerKind kind;
  int layers = 1;
  bool bidirectional = false;
};

void PrintTo(const Case& test, std::ostream* out) { *out << test.name; }

NetworkSpec SpecOf(const Case& test) {
  NetworkSpec spec;
  spec.backend = testing::ParityBackend();
  const auto add = [&](LayerKind kind, const std::string& name) -> LayerSpec& {
    spec.layers.emplace_back();
    spec.layers.back().kind = kind;
    spec.layers.back().name = name;
    return spec.layers.back();
  };
  add(LayerKind::kReshape, "steps").shape = {kSteps, kFeatures};
  for (int i = 0; i < test.layers; ++i) {
    LayerSpec& layer = add(test.kind, "cell" + std::to_string(i));
    layer.units = kUnits;
    layer.bidirectional = test.bidirectional;
    layer.sequence = i + 1 < test.layers;
  }
  add(LayerKind::kDense, "head");
  spec.loss.kind = LossKind::kCrossEntropy;
  spec.optimizer.kind = OptimizerKind::kAdam;
  if (test.kind == LayerKind::kRnn) {
    spec.optimizer.kind = OptimizerKind::kSgd;
    spec.optimizer.momentum = 0.9;
  }
  spec.optimizer.learning_rate = test.kind == LayerKind::kRnn ? 0.1 : 0.01;
  return spec;
}

MemoryBatchSource SourceOf(const Recording& recording) {
  MemoryBatch batch;
  batch.rows = kRows;
  batch.layout.features = kSteps * kFeatures;
  batch.layout.classes = kClasses;
  batch.features = recording.at("features");
  const std::vector<float>& labels = recording.at("labels");
  batch.labels.assign(labels.begin(), labels.end());
  const auto lengths = recording.find("lengths");
  if (lengths != recording.end()) {
    batch.layout.has_lengths = true;
    batch.lengths.assign(lengths->second.begin(), lengths->second.end());
  }
  return MemoryBatchSource(std::move(batch));
}

class RecurrentParityTest : public ::testing::TestWithParam<Case> {};

TEST_P(RecurrentParityTest, FollowsPyTorchForTenSteps) {
  static const std::map<std::string, Recording> kFixture =
      testing::ReadFixture("recurrent_fixture.txt");
  const Recording& recording = kFixture.at(GetParam().name);
  const NetworkSpec spec = SpecOf(GetParam());
  const MemoryBatchSource source = SourceOf(recording);
  testing::ExpectTenSteps(recording, spec, source, kBatch, 5, {.loss = 2e-6, .weights = 2e-5f});
}

INSTANTIATE_TEST_SUITE_P(
    Cases, RecurrentParityTest,
    ::testing::Values(Case{"rnn", LayerKind::kRnn}, Case{"lstm", LayerKind::kLstm},
                      Case{"gru", LayerKind::kGru}, Case{"gru_lengths", LayerKind::kGru},
                      Case{"lstm_two_layers_both_ways", LayerKind::kLstm, 2, true},
                      Case{"lstm_two_layers_both_ways_lengths", LayerKind::kLstm, 2, true}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace beamline::engine
