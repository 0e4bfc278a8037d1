#include "benchmarks/engine/autoencoder_workloads.h"

#include "engine/core/philox.h"

namespace beamline::engine::benchmark {
namespace {

constexpr int64_t kPixels = 784;

LayerSpec Dense(int64_t units, Activation activation) {
  LayerSpec layer;
  layer.units = units;
  layer.activation = activation;
  return layer;
}

NetworkSpec Reconstructing(std::vector<LayerSpec> layers) {
  NetworkSpec spec;
  spec.layers = std::move(layers);
  spec.objective = Objective::kReconstruct;
  spec.loss.kind = LossKind::kBinaryCrossEntropy;
  spec.optimizer.kind = OptimizerKind::kAdam;
  spec.optimizer.learning_rate = 0.001;
  spec.batch_size = 128;
  return spec;
}

}  // namespace

NetworkSpec Autoencoder() {
  return Reconstructing({Dense(256, Activation::kRelu), Dense(64, Activation::kRelu),
                         Dense(256, Activation::kRelu), Dense(kPixels, Activation::kLinear)});
}

NetworkSpec VariationalAutoencoder() {
  LayerSpec latent;
  latent.kind = LayerKind::kLatent;
  return Reconstructing({Dense(256, Activation::kRelu), Dense(2 * 64, Activation::kLinear), latent,
                         Dense(256, Activation::kRelu), Dense(kPixels, Activation::kLinear)});
}

MemoryBatch RandomImages() {
  MemoryBatch batch;
  batch.rows = 16'384;
  batch.layout.features = kPixels;
  const Philox random(1, 1);
  for (int64_t i = 0; i < batch.rows * kPixels; ++i) {
    batch.features.push_back(random.Uniform(static_cast<uint64_t>(i)));
  }
  return batch;
}

}  // namespace beamline::engine::benchmark
