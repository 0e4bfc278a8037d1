#include "tests/engine/learners/adversarial_data.h"

#include <cmath>

#include "engine/core/philox.h"

namespace beamline::engine::testing {
namespace {

// cos and sin of eighths of a turn.
constexpr float kCos[kModes] = {1, 0.70710678f, 0, -0.70710678f, -1, -0.70710678f, 0, 0.70710678f};

float CentreX(int mode) { return kRingRadius * kCos[mode]; }
float CentreY(int mode) { return kRingRadius * kCos[(mode + 6) % kModes]; }

}  // namespace

MemoryBatchSource Ring(int64_t rows, uint64_t seed) {
  MemoryBatch batch;
  batch.rows = rows;
  batch.layout.features = 2;
  const Philox random(seed, 1);
  for (int64_t i = 0; i < rows; ++i) {
    const int mode = static_cast<int>(i % kModes);
    const auto at = static_cast<uint64_t>(2 * i);
    batch.features.push_back(CentreX(mode) + kRingDeviation * random.Normal(at));
    batch.features.push_back(CentreY(mode) + kRingDeviation * random.Normal(at + 1));
  }
  return MemoryBatchSource(std::move(batch));
}

RingCover CoverOf(const Tensor& samples) {
  const std::span<const float> values = samples.values<float>();
  const int64_t rows = samples.shape().Rows();
  int64_t good_of[kModes] = {};
  int64_t good = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const float x = values[static_cast<size_t>(2 * i)];
    const float y = values[static_cast<size_t>(2 * i + 1)];
    for (int mode = 0; mode < kModes; ++mode) {
      if (std::hypot(x - CentreX(mode), y - CentreY(mode)) > 4 * kRingDeviation) continue;
      ++good_of[mode];
      ++good;
    }
  }
  RingCover cover;
  for (const int64_t count : good_of) {
    if (10 * kModes * count >= good && count > 0) ++cover.modes;
  }
  cover.good_share = static_cast<double>(good) / static_cast<double>(rows);
  return cover;
}

LayerSpec Dense(int64_t units, Activation activation) {
  LayerSpec layer;
  layer.units = units;
  layer.activation = activation;
  return layer;
}

AdversarialSpec DensePair(AdversarialLoss loss) {
  AdversarialSpec spec;
  spec.loss = loss;
  spec.gradient_penalty = loss == AdversarialLoss::kWasserstein ? 10 : 0;
  spec.latent = 8;
  spec.generator.layers = {Dense(32, Activation::kRelu), Dense(32, Activation::kRelu),
                           Dense(0, Activation::kLinear)};
  spec.discriminator.layers = {Dense(32, Activation::kLeakyRelu), Dense(32, Activation::kLeakyRelu),
                               Dense(0, Activation::kLinear)};
  for (NetworkSpec* network : {&spec.generator, &spec.discriminator}) {
    network->optimizer.kind = OptimizerKind::kAdam;
    network->optimizer.learning_rate = 0.001;
    network->optimizer.beta1 = 0.5;
  }
  spec.batch_size = 64;
  spec.epochs = 2;
  spec.seed = 3;
  return spec;
}

std::unique_ptr<Learner> Make(const AdversarialSpec& spec, const BatchSource& training,
                              const BatchSource* validation) {
  LearnerConfig config;
  config.adversarial = &spec;
  config.layout = training.layout();
  config.training = &training;
  config.validation = validation;
  return MakeLearner("adversarial", config);
}

std::unique_ptr<Learner> MakeGenerator(const AdversarialSpec& spec, const BatchLayout& layout) {
  LearnerConfig config;
  config.adversarial = &spec;
  config.layout = layout;
  return MakeLearner("adversarial", config);
}

}  // namespace beamline::engine::testing
