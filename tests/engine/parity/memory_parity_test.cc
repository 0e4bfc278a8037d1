// Ten training steps of networks with a memory, step by step beside PyTorch's
// (make_memory_fixture.py).
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "engine/learners/network_runner.h"
#include "engine/optim/optimizer.h"
#include "tests/engine/parity/recording.h"

namespace beamline::engine {
namespace {

constexpr int64_t kRows = 12;
constexpr int64_t kSteps = 6;
constexpr int64_t kFeatures = 3;
constexpr int64_t kClasses = 3;
constexpr int64_t kBatch = 4;

using testing::Recording;

NetworkSpec SpecOf(MemoryKind kind) {
  NetworkSpec spec;
  spec.backend = testing::ParityBackend();
  spec.layers.resize(2);
  LayerSpec& memory = spec.layers[0];
  memory.kind = LayerKind::kMemory;
  memory.name = "memory";
  memory.memory = kind;
  memory.units = 5;
  memory.slots = 6;
  memory.width = 4;
  memory.heads = 2;
  memory.sequence = true;
  spec.layers[1].name = "head";
  spec.objective = Objective::kEachStep;
  spec.loss.kind = LossKind::kCrossEntropy;
  spec.optimizer.kind = OptimizerKind::kAdam;
  spec.optimizer.learning_rate = 0.01;
  return spec;
}

MemoryBatchSource SourceOf(const Recording& recording) {
  MemoryBatch batch;
  batch.rows = kRows;
  batch.layout.features = kSteps * kFeatures;
  batch.layout.steps = batch.layout.target_steps = kSteps;
  batch.layout.has_lengths = true;
  batch.layout.classes = kClasses;
  batch.features = recording.at("features");
  const std::vector<float>& labels = recording.at("labels");
  batch.labels.assign(labels.begin(), labels.end());
  const std::vector<float>& lengths = recording.at("lengths");
  batch.lengths.assign(lengths.begin(), lengths.end());
  return MemoryBatchSource(std::move(batch));
}

class MemoryParityTest : public ::testing::TestWithParam<MemoryKind> {};

TEST_P(MemoryParityTest, FollowsPyTorchForTenSteps) {
  static const std::map<std::string, Recording> kFixture =
      testing::ReadFixture("memory_fixture.txt");
  const Recording& recording = kFixture.at(std::string(Name(GetParam())));
  const NetworkSpec spec = SpecOf(GetParam());
  const MemoryBatchSource source = SourceOf(recording);
  EXPECT_EQ(
      testing::ExpectTenSteps(recording, spec, source, kBatch, 7, {.loss = 2e-6, .weights = 2e-5f}),
      7);
}

INSTANTIATE_TEST_SUITE_P(Kinds, MemoryParityTest,
                         ::testing::Values(MemoryKind::kNtm, MemoryKind::kDnc),
                         [](const auto& info) { return std::string(Name(info.param)); });

}  // namespace
}  // namespace beamline::engine
