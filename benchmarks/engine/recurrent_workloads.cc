#include "benchmarks/engine/recurrent_workloads.h"

#include "engine/core/philox.h"

namespace beamline::engine {
namespace {

constexpr int64_t kRows = 2048;
constexpr int64_t kSteps = 64;
constexpr int64_t kFeatures = 64;
constexpr int64_t kClasses = 10;

}  // namespace

NetworkSpec LstmClassifier() {
  NetworkSpec spec;
  spec.layers.resize(3);
  spec.layers[0].kind = LayerKind::kReshape;
  spec.layers[0].shape = {kSteps, kFeatures};
  spec.layers[1].kind = LayerKind::kLstm;
  spec.layers[1].units = 256;
  spec.loss.kind = LossKind::kCrossEntropy;
  spec.optimizer.kind = OptimizerKind::kAdam;
  spec.optimizer.learning_rate = 0.001;
  spec.batch_size = 64;
  spec.epochs = 1'000'000;
  return spec;
}

MemoryBatch LstmRows() {
  MemoryBatch batch;
  batch.rows = kRows;
  batch.layout.features = kSteps * kFeatures;
  batch.layout.classes = kClasses;
  const Philox random(1, 2);
  const auto numbers = static_cast<uint64_t>(kRows * kSteps * kFeatures);
  for (uint64_t i = 0; i < numbers; ++i) batch.features.push_back(random.Normal(i));
  for (uint64_t i = 0; i < kRows; ++i) {
    batch.labels.push_back(static_cast<int32_t>(random.Below(numbers + i, kClasses)));
  }
  return batch;
}

}  // namespace beamline::engine
