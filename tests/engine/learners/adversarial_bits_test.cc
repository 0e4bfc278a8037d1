// Adversarial training gives the same bits for any number of threads and any instruction set, in
// one go or stopped and resumed at every step.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "engine/backend/backend.h"
#include "engine/core/philox.h"
#include "tests/engine/learners/adversarial_data.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

constexpr int64_t kSide = 12;

MemoryBatchSource Images() {
  MemoryBatch batch;
  batch.rows = 150;
  batch.layout.features = kSide * kSide;
  batch.layout.has_weights = true;
  const Philox random(5, 5);
  for (int64_t i = 0; i < batch.rows; ++i) {
    batch.weights.push_back(i % 5 == 0 ? 0.5f : 1.0f);
    for (int64_t j = 0; j < kSide * kSide; ++j) {
      batch.features.push_back(random.Uniform(static_cast<uint64_t>(i * kSide * kSide + j)));
    }
  }
  return MemoryBatchSource(std::move(batch));
}

LayerSpec Layer(LayerKind kind, std::vector<int64_t> shape = {}) {
  LayerSpec layer;
  layer.kind = kind;
  layer.shape = std::move(shape);
  layer.rate = kind == LayerKind::kDropout ? 0.2 : 0;
  return layer;
}

LayerSpec Window(LayerKind kind, int64_t units, int64_t stride, Activation activation) {
  LayerSpec layer;
  layer.kind = kind;
  layer.units = units;
  layer.kernel = {3};
  layer.stride = {stride};
  layer.padding = Padding::kSame;
  layer.activation = activation;
  return layer;
}

// DCGAN (Radford et al. 2016) in small: batch norm in both, large enough that loops are shared.
AdversarialSpec Convolutional() {
  AdversarialSpec spec = testing::DensePair(AdversarialLoss::kNonSaturating);
  spec.generator.layers = {testing::Dense(6 * 6 * 16, Activation::kLinear),
                           Layer(LayerKind::kReshape, {6, 6, 16}),
                           Layer(LayerKind::kBatchNorm),
                           Layer(LayerKind::kActivation),
                           Window(LayerKind::kConvTranspose, 16, 2, Activation::kRelu),
                           Window(LayerKind::kConv, 1, 1, Activation::kSigmoid)};
  spec.generator.layers[3].activation = Activation::kRelu;
  spec.discriminator.layers = {Layer(LayerKind::kReshape, {kSide, kSide, 1}),
                               Window(LayerKind::kConv, 16, 2, Activation::kLeakyRelu),
                               Layer(LayerKind::kDropout),
                               Window(LayerKind::kConv, 24, 2, Activation::kLinear),
                               Layer(LayerKind::kBatchNorm),
                               Layer(LayerKind::kReshape),
                               testing::Dense(0, Activation::kLinear)};
  return spec;
}

// A critic with layer norm and a gradient penalty; a generator's update for every second of the
// critic's.
AdversarialSpec Penalised() {
  AdversarialSpec spec = testing::DensePair(AdversarialLoss::kWasserstein);
  spec.discriminator.layers = {Layer(LayerKind::kReshape, {kSide, kSide, 1}),
                               Window(LayerKind::kConv, 16, 2, Activation::kSilu),
                               Layer(LayerKind::kLayerNorm),
                               Window(LayerKind::kConv, 24, 2, Activation::kTanh),
                               Layer(LayerKind::kReshape),
                               testing::Dense(0, Activation::kLinear)};
  spec.discriminator_steps = 2;
  spec.generator.clip_norm = 1;
  spec.generator.schedule.kind = ScheduleKind::kCosine;
  return spec;
}

struct Family {
  const char* name;
  AdversarialSpec (*spec)();
};

class AdversarialBitsTest : public ::testing::TestWithParam<Family> {};

std::string Checkpoint(const Learner& learner) {
  std::string bytes;
  learner.Save(&bytes);
  return bytes;
}

TEST_P(AdversarialBitsTest, DependOnNeitherThreadsNorInstructionSet) {
  const MemoryBatchSource data = Images();
  AdversarialSpec spec = GetParam().spec();
  std::string expected;
  for (const std::string_view backend : AvailableBackends()) {
    if (!backend.starts_with("cpu")) continue;
    for (const int threads : {1, 2, 3, 4, 8}) {
      spec.backend = backend;
      spec.threads = threads;
      const auto learner = testing::Make(spec, data);
      testing::Train(learner.get());
      // Of both networks and optimisers.
      if (expected.empty()) expected = Checkpoint(*learner);
      EXPECT_EQ(Checkpoint(*learner) == expected, true) << backend << ", " << threads;
    }
  }
}

TEST_P(AdversarialBitsTest, AreTheSameHoweverOftenItIsResumed) {
  const MemoryBatchSource data = Images();
  const AdversarialSpec spec = GetParam().spec();
  const auto whole = testing::Make(spec, data);
  testing::Train(whole.get());
  std::unique_ptr<Learner> learner = testing::Make(spec, data);
  while (!learner->done()) {
    testing::Train(learner.get(), 1);
    const std::string checkpoint = Checkpoint(*learner);
    learner = testing::Make(spec, data);
    learner->Load(checkpoint);
  }
  EXPECT_EQ(learner->step(), whole->step());
  EXPECT_EQ(Checkpoint(*learner) == Checkpoint(*whole), true);
}

INSTANTIATE_TEST_SUITE_P(Pairs, AdversarialBitsTest,
                         ::testing::Values(Family{"convolutional", Convolutional},
                                           Family{"penalised", Penalised}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace beamline::engine
