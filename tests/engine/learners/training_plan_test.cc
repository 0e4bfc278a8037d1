// A plan says what the learner then reserves, and counts what is known of published networks.
#include "engine/learners/training_plan.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/learners/network_learner.h"
#include "engine/learners/registry.h"
#include "engine/nn/network.h"
#include "tests/engine/learners/adversarial_data.h"
#include "tests/engine/learners/families.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

using testing::Family;

class PlannedFamilyTest : public ::testing::TestWithParam<Family> {};

// Validation rows, averages, early stopping, a last batch that is smaller, threads.
TEST_P(PlannedFamilyTest, ReservesWhatWasPlanned) {
  const MemoryBatchSource data = GetParam().data();
  for (const int64_t batch : {int64_t{3}, data.rows(), data.rows() * 2}) {
    for (const bool extras : {false, true}) {
      NetworkSpec spec = GetParam().network();
      spec.batch_size = batch;
      spec.threads = extras ? 3 : 1;
      if (extras) {
        spec.averaging.kind = AveragingKind::kExponential;
        spec.early_stopping.patience = 2;
      }
      const auto learner = testing::Make(spec, data, extras ? &data : nullptr);
      const TrainingPlan plan =
          PlanTraining(spec, data.layout(), data.rows(), extras ? data.rows() : 0);
      EXPECT_EQ(plan.peak_bytes, learner->PeakBytes()) << batch << ", " << extras;
      EXPECT_EQ(plan.steps, learner->total_steps());
      EXPECT_EQ(plan.batch_size, std::min(batch, data.rows()));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, PlannedFamilyTest, ::testing::ValuesIn(testing::Families()),
                         [](const auto& info) { return std::string(info.param.name); });

LayerSpec Layer(LayerKind kind, int64_t units = 0) {
  LayerSpec layer;
  layer.kind = kind;
  layer.units = units;
  return layer;
}

LayerSpec Conv(int64_t units, int64_t kernel, int64_t stride, Padding padding) {
  LayerSpec layer = Layer(LayerKind::kConv, units);
  layer.kernel = {kernel};
  layer.stride = {stride};
  layer.padding = padding;
  layer.bias = false;
  return layer;
}

LayerSpec Reshape(std::vector<int64_t> shape) {
  LayerSpec layer = Layer(LayerKind::kReshape);
  layer.shape = std::move(shape);
  return layer;
}

BatchLayout Images(int64_t features, int64_t classes) {
  BatchLayout layout;
  layout.features = features;
  layout.classes = classes;
  return layout;
}

NetworkSpec Classifier(std::vector<LayerSpec> layers) {
  NetworkSpec spec;
  spec.layers = std::move(layers);
  spec.loss.kind = LossKind::kCrossEntropy;
  spec.batch_size = 1;
  return spec;
}

// Multiply-adds of a prediction of one row.
int64_t MultiplyAdds(const NetworkSpec& spec, const BatchLayout& layout) {
  return EstimateCost(spec, layout).flops_per_row / 2;
}

TEST(TrainingPlanTest, CountsADenseNetworkByHand) {
  // 4 -> 8 -> 3, batches of 10: each weight is used in the product itself and in that of its
  // gradient, and but for the first layer in the gradient of its input.
  const NetworkSpec spec = [] {
    NetworkSpec s = Classifier({Layer(LayerKind::kDense, 8), Layer(LayerKind::kDense)});
    s.batch_size = 10;
    return s;
  }();
  const TrainingPlan plan = PlanTraining(spec, Images(4, 3), 25, 0);
  EXPECT_EQ(plan.parameters, 4 * 8 + 8 + 8 * 3 + 3);
  EXPECT_EQ(plan.flops_per_step, 2 * 10 * (2 * 4 * 8 + 3 * 8 * 3));
  EXPECT_EQ(plan.steps_per_epoch, 3);
  ASSERT_EQ(plan.runs.size(), 2U);  // of ten rows, and of the last five
  EXPECT_EQ(plan.runs[0].times, 2 * 10);
  EXPECT_EQ(plan.runs[1].times, 10);
}

// LeNet-5 (LeCun et al. 1998) with every map of the second convolution connected to all of the
// first: 61,706 parameters, and 0.42 M multiply-adds, as libraries count it.
TEST(TrainingPlanTest, CountsLeNet) {
  LayerSpec pool = Layer(LayerKind::kAveragePool);
  pool.kernel = {2};
  std::vector<LayerSpec> layers = {Reshape({28, 28, 1}),
                                   Conv(6, 5, 1, Padding::kSame),
                                   pool,
                                   Conv(16, 5, 1, Padding::kValid),
                                   pool,
                                   Reshape({}),
                                   Layer(LayerKind::kDense, 120),
                                   Layer(LayerKind::kDense, 84),
                                   Layer(LayerKind::kDense)};
  for (LayerSpec& layer : layers) layer.bias = true;
  const NetworkSpec spec = Classifier(layers);
  const int64_t convolutions = 28 * 28 * 25 * 6 + 10 * 10 * 25 * 6 * 16;
  const int64_t dense = 400 * 120 + 120 * 84 + 84 * 10;
  EXPECT_EQ(MultiplyAdds(spec, Images(784, 10)), convolutions + dense);
  EXPECT_EQ(convolutions + dense, 416'520);
  EXPECT_EQ(EstimateCost(spec, Images(784, 10)).parameters, 61'706);
}

// ResNet-20 for CIFAR-10 (He et al. 2016) has 0.27 M parameters; work on pruning it gives 40.55 M
// multiply-adds for an image.
TEST(TrainingPlanTest, CountsResNet20) {
  std::vector<LayerSpec> layers = {Reshape({32, 32, 3}), Conv(16, 3, 1, Padding::kSame),
                                   Layer(LayerKind::kBatchNorm)};
  layers.back().name = "block0";
  int number = 0;
  int64_t width = 16;
  for (const int64_t units : {16, 32, 64}) {
    for (int block = 0; block < 3; ++block) {
      const std::string before = "block" + std::to_string(number++);
      const int64_t stride = units != width ? 2 : 1;
      LayerSpec first = Conv(units, 3, stride, Padding::kSame);
      first.inputs = {before};
      layers.push_back(first);
      layers.push_back(Layer(LayerKind::kBatchNorm));
      layers.push_back(Conv(units, 3, 1, Padding::kSame));
      layers.push_back(Layer(LayerKind::kBatchNorm));
      layers.back().name = "second" + std::to_string(number);
      std::string shortcut = before;
      if (stride == 2) {
        // The paper pads with zeros; a projection has hardly more to do.
        LayerSpec narrow = Conv(units, 1, 2, Padding::kSame);
        narrow.inputs = {before};
        shortcut = narrow.name = "short" + std::to_string(number);
        layers.push_back(narrow);
      }
      LayerSpec sum = Layer(LayerKind::kAdd);
      sum.inputs = {"second" + std::to_string(number), shortcut};
      sum.name = "block" + std::to_string(number);
      layers.push_back(sum);
      width = units;
    }
  }
  layers.push_back(Layer(LayerKind::kGlobalPool));
  layers.push_back(Layer(LayerKind::kDense));
  const NetworkSpec spec = Classifier(layers);
  const int64_t projections = 16 * 16 * 16 * 32 + 8 * 8 * 32 * 64;
  EXPECT_EQ(MultiplyAdds(spec, Images(3072, 10)) - projections, 40'551'040);
  EXPECT_NEAR(static_cast<double>(EstimateCost(spec, Images(3072, 10)).parameters), 0.27e6, 0.01e6);
}

TEST(TrainingPlanTest, FindsTheBatchThatFits) {
  NetworkSpec spec = Classifier({Layer(LayerKind::kDense, 256), Layer(LayerKind::kDense)});
  spec.batch_size = 5000;
  const BatchLayout layout = Images(100, 10);
  const int64_t all = PlanTraining(spec, layout, 20'000, 1000).peak_bytes;
  const int64_t fitting = FittingBatch(spec, layout, 20'000, 1000, all / 3);
  ASSERT_GT(fitting, 0);
  EXPECT_LT(fitting, 5000);
  spec.batch_size = fitting;
  EXPECT_LE(PlanTraining(spec, layout, 20'000, 1000).peak_bytes, all / 3);
  spec.batch_size = fitting * 2;
  EXPECT_GT(PlanTraining(spec, layout, 20'000, 1000).peak_bytes, all / 3);
  EXPECT_EQ(FittingBatch(spec, layout, 20'000, 1000, 1000), 0);
}

TEST(TrainingPlanTest, ReservesWhatAnAdversarialPairDoes) {
  const MemoryBatchSource data = testing::Ring(70, 1);
  AdversarialSpec spec = testing::DensePair(AdversarialLoss::kNonSaturating);
  for (const int64_t batch : {int64_t{16}, int64_t{70}}) {
    spec.batch_size = batch;
    LearnerConfig config;
    config.adversarial = &spec;
    config.layout = data.layout();
    config.training = &data;
    config.validation = &data;
    const auto learner = MakeLearner("adversarial", config);
    const TrainingPlan plan = PlanTraining(spec, data.layout(), data.rows(), data.rows());
    EXPECT_EQ(plan.peak_bytes, learner->PeakBytes());
    EXPECT_EQ(plan.steps, learner->total_steps());
  }
}

}  // namespace
}  // namespace beamline::engine
