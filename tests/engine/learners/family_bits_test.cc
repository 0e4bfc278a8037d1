// Families whose own tests stop at their ops: the same model for any number of threads and any
// instruction set, in one go or stopped and resumed at every step.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/core/philox.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

constexpr int64_t kSide = 12;

// Images of kSide x kSide shares in [0, 1), of two classes by their brightness.
MemoryBatchSource Images(bool labelled) {
  MemoryBatch batch;
  batch.rows = 150;
  batch.layout.features = kSide * kSide;
  batch.layout.classes = labelled ? 2 : 0;
  const Philox random(5, 5);
  for (int64_t i = 0; i < batch.rows; ++i) {
    for (int64_t j = 0; j < kSide * kSide; ++j) {
      const auto at = static_cast<uint64_t>(i * kSide * kSide + j);
      batch.features.push_back(random.Uniform(at) * (i % 2 == 0 ? 0.5f : 1.0f));
    }
    if (labelled) batch.labels.push_back(static_cast<int32_t>(i % 2));
  }
  return MemoryBatchSource(std::move(batch));
}

LayerSpec Layer(LayerKind kind, int64_t units, Activation activation = Activation::kLinear) {
  LayerSpec layer;
  layer.kind = kind;
  layer.units = units;
  layer.activation = activation;
  return layer;
}

LayerSpec Window(LayerKind kind, int64_t units, int64_t kernel, int64_t stride) {
  LayerSpec layer = Layer(kind, units, Activation::kRelu);
  layer.kernel = {kernel};
  layer.stride = {stride};
  layer.padding = Padding::kSame;
  return layer;
}

NetworkSpec Base(std::vector<LayerSpec> layers) {
  NetworkSpec spec;
  spec.layers = std::move(layers);
  spec.optimizer.kind = OptimizerKind::kAdam;
  spec.optimizer.learning_rate = 0.01;
  spec.batch_size = 64;
  spec.epochs = 2;
  spec.seed = 9;
  return spec;
}

// Large enough that loops are shared between threads.
NetworkSpec Convolutional() {
  LayerSpec image = Layer(LayerKind::kReshape, 0);
  image.shape = {kSide, kSide, 1};
  LayerSpec groups = Layer(LayerKind::kGroupNorm, 0);
  groups.groups = 4;
  NetworkSpec spec =
      Base({image, Window(LayerKind::kConv, 24, 3, 1), Layer(LayerKind::kBatchNorm, 0),
            Window(LayerKind::kMaxPool, 0, 2, 2), Window(LayerKind::kConv, 24, 3, 2), groups,
            Window(LayerKind::kConvTranspose, 16, 3, 2), Window(LayerKind::kAveragePool, 0, 2, 2),
            Layer(LayerKind::kGlobalPool, 0), Layer(LayerKind::kDense, 0)});
  spec.loss.kind = LossKind::kCrossEntropy;
  return spec;
}

NetworkSpec Variational() {
  LayerSpec noise = Layer(LayerKind::kNoise, 0);
  noise.deviation = 0.1;
  noise.rate = 0.2;
  LayerSpec penalty = Layer(LayerKind::kActivityPenalty, 0);
  penalty.sparsity_weight = 0.1;
  NetworkSpec spec =
      Base({noise, Layer(LayerKind::kDense, 200, Activation::kSigmoid), penalty,
            Layer(LayerKind::kDense, 16), Layer(LayerKind::kLatent, 0),
            Layer(LayerKind::kDense, 200, Activation::kRelu), Layer(LayerKind::kDense, 0)});
  spec.objective = Objective::kReconstruct;
  spec.loss.kind = LossKind::kBinaryCrossEntropy;
  return spec;
}

struct Family {
  const char* name;
  NetworkSpec (*network)();
  bool labelled;
};

class FamilyBitsTest : public ::testing::TestWithParam<Family> {};

TEST_P(FamilyBitsTest, DependOnNeitherThreadsNorInstructionSet) {
  const MemoryBatchSource data = Images(GetParam().labelled);
  NetworkSpec spec = GetParam().network();
  std::string expected;
  for (const std::string_view backend : AvailableBackends()) {
    if (backend == "reference") continue;
    for (const int threads : {1, 2, 3, 4, 8}) {
      spec.backend = backend;
      spec.threads = threads;
      const auto learner = testing::Make(spec, data);
      testing::Train(learner.get());
      if (expected.empty()) expected = testing::WeightBytes(*learner);
      EXPECT_EQ(testing::WeightBytes(*learner) == expected, true) << backend << ", " << threads;
    }
  }
}

TEST_P(FamilyBitsTest, AreTheSameHoweverOftenItIsResumed) {
  const MemoryBatchSource data = Images(GetParam().labelled);
  const NetworkSpec spec = GetParam().network();
  const auto whole = testing::Make(spec, data);
  testing::Train(whole.get());
  std::unique_ptr<Learner> learner = testing::Make(spec, data);
  while (!learner->done()) {
    testing::Train(learner.get(), 1);
    std::string checkpoint;
    learner->Save(&checkpoint);
    learner = testing::Make(spec, data);
    learner->Load(checkpoint);
  }
  EXPECT_EQ(learner->step(), whole->step());
  EXPECT_EQ(testing::WeightBytes(*learner) == testing::WeightBytes(*whole), true);
}

INSTANTIATE_TEST_SUITE_P(Families, FamilyBitsTest,
                         ::testing::Values(Family{"convolutional", Convolutional, true},
                                           Family{"variational", Variational, false}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace beamline::engine
