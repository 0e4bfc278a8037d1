// Every loss trains a network to what it is for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/metrics/metrics.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

using testing::Circle;
using ::testing::HasSubstr;
using testing::Make;
using testing::RichNetwork;
using testing::Train;

// Rows in `classes` sectors of the unit disc, by angle.
MemoryBatch Sectors(int64_t rows, int64_t classes, uint64_t seed) {
  MemoryBatch batch;
  batch.rows = rows;
  batch.layout.features = 2;
  batch.layout.classes = classes;
  const Philox random(seed, 9);
  for (int64_t i = 0; i < rows; ++i) {
    const auto at = static_cast<uint64_t>(i);
    const float turn = random.Uniform(2 * at);
    const float radius = 0.3f + 0.7f * random.Uniform(2 * at + 1);
    batch.features.push_back(radius * math::CosTurn(turn));
    batch.features.push_back(radius * math::SinTurn(turn));
    batch.labels.push_back(static_cast<int32_t>(turn * static_cast<float>(classes)));
  }
  return batch;
}

NetworkSpec Plain(LossKind loss, int64_t outputs) {
  NetworkSpec spec;
  spec.layers.resize(3);
  for (LayerSpec& layer : spec.layers) layer.units = 32;
  spec.layers[0].activation = spec.layers[1].activation = Activation::kTanh;
  spec.layers[2].units = outputs;
  spec.loss.kind = loss;
  spec.optimizer.kind = OptimizerKind::kAdam;
  spec.optimizer.learning_rate = 0.01;
  spec.epochs = 20;
  spec.seed = 3;
  return spec;
}

TEST(LossesTest, OfTwoClassesSeparateACircle) {
  const MemoryBatchSource training = Circle(1000, 1);
  const MemoryBatchSource test = Circle(500, 2);
  std::vector<int32_t> labels(500);
  std::vector<int64_t> order(500);
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
  BatchView view;
  view.labels = labels.data();
  test.Gather(order, view);
  for (const LossKind kind : {LossKind::kHinge, LossKind::kFocal}) {
    NetworkSpec spec = RichNetwork();
    spec.epochs = 15;
    spec.loss.kind = kind;
    const auto learner = Make(spec, training);
    Train(learner.get());
    const Predictions predictions = learner->Predict(test);
    EXPECT_GT(metrics::RocAuc(predictions.probabilities.values<float>(), labels), 0.96)
        << Name(kind);
    // The score is above a half where the output is positive.
    for (size_t i = 0; i < 500; ++i) {
      EXPECT_EQ(predictions.probabilities.values<float>()[i] > 0.5f,
                predictions.outputs.values<float>()[i] > 0);
    }
  }
}

TEST(LossesTest, OfMoreClassesSeparateSectors) {
  const MemoryBatchSource training(Sectors(1500, 5, 1));
  const MemoryBatch test = Sectors(500, 5, 2);
  for (const LossKind kind : {LossKind::kMultiClassHinge, LossKind::kFocalCrossEntropy}) {
    const auto learner = Make(Plain(kind, 0), training);
    Train(learner.get());
    const Predictions predictions = learner->Predict(MemoryBatchSource(test));
    const std::vector<double> confusion = metrics::ConfusionMatrix(
        metrics::ArgMax(predictions.probabilities.values<float>(), 5), test.labels, 5);
    EXPECT_GT(metrics::Accuracy(confusion, 5), 0.93) << Name(kind);
  }
}

// A row's nearest neighbour is of its class: recall at 1 (row M28 of the requirements).
TEST(LossesTest, OfPairsEmbedClassesTogether) {
  const MemoryBatchSource training(Sectors(1500, 5, 1));
  const MemoryBatch test = Sectors(300, 5, 2);
  for (const LossKind kind : {LossKind::kTriplet, LossKind::kInfoNce}) {
    NetworkSpec spec = Plain(kind, 3);
    spec.batch_size = 64;
    const auto learner = Make(spec, training);
    const double before = learner->Evaluate(training).loss;
    Train(learner.get());
    // InfoNCE cannot fall below the logarithm of how many rows of the class there are.
    const double after = learner->Evaluate(training).loss;
    EXPECT_LT(after, kind == LossKind::kTriplet ? before / 2 : before - 0.5) << Name(kind);
    const Predictions predictions = learner->Predict(MemoryBatchSource(test));
    const std::span<const float> unit = predictions.probabilities.values<float>();
    int found = 0;
    for (size_t i = 0; i < 300; ++i) {
      EXPECT_NEAR(unit[3 * i] * unit[3 * i] + unit[3 * i + 1] * unit[3 * i + 1] +
                      unit[3 * i + 2] * unit[3 * i + 2],
                  1, 1e-5);
      size_t nearest = 0;
      float largest = -2;
      for (size_t k = 0; k < 300; ++k) {
        const float cosine = unit[3 * i] * unit[3 * k] + unit[3 * i + 1] * unit[3 * k + 1] +
                             unit[3 * i + 2] * unit[3 * k + 2];
        if (k == i || cosine <= largest) continue;
        largest = cosine;
        nearest = k;
      }
      found += test.labels[nearest] == test.labels[i] ? 1 : 0;
    }
    EXPECT_GT(found, 270) << Name(kind);
  }
}

// Several numbers per row: learned together, and distributions by their divergence.
TEST(LossesTest, LearnSeveralTargets) {
  MemoryBatch batch = Sectors(1500, 3, 1);
  batch.layout.classes = 0;
  batch.layout.targets = 3;
  for (const int32_t label : batch.labels) {
    for (int32_t j = 0; j < 3; ++j) batch.targets.push_back(j == label ? 0.8f : 0.1f);
  }
  batch.labels.clear();
  const MemoryBatchSource training(batch);
  for (const LossKind kind : {LossKind::kMeanSquaredError, LossKind::kKullbackLeibler}) {
    const auto learner = Make(Plain(kind, 0), training);
    const double before = learner->Evaluate(training).loss;
    Train(learner.get());
    EXPECT_LT(learner->Evaluate(training).loss, before / 5) << Name(kind);
    const Predictions predictions = learner->Predict(training);
    ASSERT_EQ(predictions.probabilities.shape(), Shape({1500, 3}));
    double error = 0;
    for (size_t i = 0; i < batch.targets.size(); ++i) {
      error += std::abs(static_cast<double>(predictions.probabilities.values<float>()[i]) -
                        static_cast<double>(batch.targets[i]));
    }
    EXPECT_LT(error / static_cast<double>(batch.targets.size()), 0.1) << Name(kind);
  }
}

std::string ErrorOf(const NetworkSpec& spec, const BatchSource& source) {
  try {
    const auto learner = Make(spec, source);
    Train(learner.get());
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(LossesTest, SayWhatDoesNotFit) {
  const MemoryBatchSource sectors(Sectors(50, 5, 1));
  MemoryBatch images = Sectors(50, 5, 1);
  images.layout.classes = 0;
  images.labels.clear();
  const MemoryBatchSource features(images);
  NetworkSpec spec = Plain(LossKind::kMeanSquaredError, 0);
  spec.objective = Objective::kReconstruct;
  EXPECT_EQ(ErrorOf(spec, features), "");
  spec.layers[2].units = 3;
  EXPECT_THAT(ErrorOf(spec, features), HasSubstr("reconstructs 2 features: set its units to 2"));
  spec.layers[2].units = 0;
  spec.loss.kind = LossKind::kBinaryCrossEntropy;
  EXPECT_THAT(ErrorOf(spec, features), HasSubstr("reconstructs features from 0 to 1"));
  spec.loss.kind = LossKind::kHinge;
  EXPECT_THAT(ErrorOf(spec, features), HasSubstr("reconstructs its features: use mean squared"));
  EXPECT_THAT(ErrorOf(Plain(LossKind::kHinge, 0), sectors), HasSubstr("a target of two classes"));
  EXPECT_THAT(ErrorOf(Plain(LossKind::kTriplet, 3), features), HasSubstr("needs a class"));
  EXPECT_THAT(ErrorOf(Plain(LossKind::kTriplet, 0), sectors), HasSubstr("set units"));
  EXPECT_THAT(ErrorOf(Plain(LossKind::kKullbackLeibler, 0), sectors),
              HasSubstr("needs a numeric target"));
  spec = Plain(LossKind::kMeanSquaredError, 0);
  spec.objective = Objective::kReconstruct;
  spec.layers[1].kind = LayerKind::kActivityPenalty;
  spec.layers[1].sparsity_weight = 1;
  EXPECT_THAT(ErrorOf(spec, features), HasSubstr("give the layer before it a sigmoid"));
  spec.layers[1].kind = LayerKind::kLatent;
  spec.layers[0].units = 31;
  EXPECT_THAT(ErrorOf(spec, features), HasSubstr("an even number of units"));
}

}  // namespace
}  // namespace beamline::engine
