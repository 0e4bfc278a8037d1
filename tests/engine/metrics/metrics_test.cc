#include "engine/metrics/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "engine/core/error.h"

namespace beamline::engine::metrics {
namespace {

using Floats = std::vector<float>;
using Ints = std::vector<int32_t>;

TEST(MetricsTest, ClassesByHand) {
  // label\predicted:  2 1 0 / 0 2 0 / 1 0 0
  const std::vector<double> confusion =
      ConfusionMatrix(Ints{0, 0, 1, 1, 1, 0}, Ints{0, 0, 0, 1, 1, 2}, 3);
  EXPECT_EQ(confusion, (std::vector<double>{2, 1, 0, 0, 2, 0, 1, 0, 0}));
  EXPECT_DOUBLE_EQ(Accuracy(confusion, 3), 4.0 / 6);
  EXPECT_DOUBLE_EQ(BalancedAccuracy(confusion, 3), (2.0 / 3 + 1 + 0) / 3);
  const ClassScores first = ScoresOf(confusion, 3, 0);
  EXPECT_DOUBLE_EQ(first.precision, 2.0 / 3);
  EXPECT_DOUBLE_EQ(first.recall, 2.0 / 3);
  EXPECT_DOUBLE_EQ(first.f1, 2.0 / 3);
  EXPECT_TRUE(std::isnan(ScoresOf(confusion, 3, 2).precision));
}

TEST(MetricsTest, WeightedConfusion) {
  const std::vector<double> confusion =
      ConfusionMatrix(Ints{1, 0, 1}, Ints{1, 1, 0}, 2, Floats{2, 1, -0.5f});
  EXPECT_EQ(confusion, (std::vector<double>{0, -0.5, 1, 2}));
  EXPECT_DOUBLE_EQ(Accuracy(confusion, 2), 2 / 2.5);
}

TEST(MetricsTest, RocAucByHand) {
  // Pairs (positive, negative): 0.8>0.6 yes, 0.8>0.4 yes, 0.4=0.4 half, 0.4<0.6 no.
  EXPECT_DOUBLE_EQ(RocAuc(Floats{0.8f, 0.4f, 0.6f, 0.4f}, Ints{1, 1, 0, 0}), 2.5 / 4);
  EXPECT_DOUBLE_EQ(RocAuc(Floats{1, 2, 3, 4}, Ints{0, 0, 1, 1}), 1);
  EXPECT_DOUBLE_EQ(RocAuc(Floats{1, 1, 1}, Ints{0, 1, 1}), 0.5);
  EXPECT_TRUE(std::isnan(RocAuc(Floats{1, 2}, Ints{1, 1})));
}

TEST(MetricsTest, WeightsCountAsRepetitions) {
  const Floats scores = {0.9f, 0.7f, 0.7f, 0.2f, 0.1f};
  const Ints labels = {1, 0, 1, 1, 0};
  const Floats weights = {1, 2, 3, 1, 2};
  Floats repeated_scores;
  Ints repeated_labels;
  for (size_t i = 0; i < scores.size(); ++i) {
    for (int k = 0; k < static_cast<int>(weights[i]); ++k) {
      repeated_scores.push_back(scores[i]);
      repeated_labels.push_back(labels[i]);
    }
  }
  EXPECT_DOUBLE_EQ(RocAuc(scores, labels, weights), RocAuc(repeated_scores, repeated_labels));
  EXPECT_DOUBLE_EQ(PrAuc(scores, labels, weights), PrAuc(repeated_scores, repeated_labels));
}

TEST(MetricsTest, NegativeWeightsCancel) {
  // The third row cancels the second: what is left is a perfect ranking.
  EXPECT_DOUBLE_EQ(RocAuc(Floats{3, 5, 5, 1}, Ints{1, 0, 0, 0}, Floats{1, 1, -1, 1}), 1);
}

TEST(MetricsTest, PrAucByHand) {
  // Thresholds 0.8: recall 1/2, precision 1; 0.4: recall 1, precision 2/3.
  EXPECT_DOUBLE_EQ(PrAuc(Floats{0.8f, 0.4f, 0.4f, 0.1f}, Ints{1, 1, 0, 0}), 0.5 + 0.5 * 2 / 3);
}

TEST(MetricsTest, RocCurveEndsAtItsCorners) {
  const auto curve = RocCurve(Floats{0.8f, 0.4f, 0.6f, 0.4f}, Ints{1, 1, 0, 0});
  ASSERT_EQ(curve.size(), 4u);
  EXPECT_EQ(curve.front().true_positive_rate, 0);
  EXPECT_TRUE(std::isinf(curve.front().threshold));
  EXPECT_EQ(curve[1].true_positive_rate, 0.5);
  EXPECT_EQ(curve[2].false_positive_rate, 0.5);
  EXPECT_EQ(curve.back().false_positive_rate, 1);
  EXPECT_EQ(curve.back().true_positive_rate, 1);
  const auto thin = ThinCurve(curve, 2);
  ASSERT_EQ(thin.size(), 2u);
  EXPECT_EQ(thin.back().false_positive_rate, 1);
}

TEST(MetricsTest, LogLossByHand) {
  EXPECT_NEAR(LogLoss(Floats{0.25f, 0.5f}, Ints{0, 1}, 2), -(std::log(0.75) + std::log(0.5)) / 2,
              1e-12);
  EXPECT_NEAR(LogLoss(Floats{0.25f, 0.75f, 0.5f, 0.5f}, Ints{0, 1}, 2),
              -(std::log(0.25) + std::log(0.5)) / 2, 1e-12);
  EXPECT_NEAR(LogLoss(Floats{0}, Ints{1}, 2), -std::log(1e-15), 1e-9);
}

TEST(MetricsTest, NumbersByHand) {
  const Floats predicted = {1, 2, 4};
  const Floats targets = {1, 3, 2};
  EXPECT_DOUBLE_EQ(MeanSquaredError(predicted, targets), 5.0 / 3);
  EXPECT_DOUBLE_EQ(RootMeanSquaredError(predicted, targets), std::sqrt(5.0 / 3));
  EXPECT_DOUBLE_EQ(MeanAbsoluteError(predicted, targets), 1);
  EXPECT_DOUBLE_EQ(R2(predicted, targets), 1 - 5.0 / 2);
  EXPECT_DOUBLE_EQ(MeanSquaredError(predicted, targets, Floats{1, 2, 0}), 2.0 / 3);
}

TEST(MetricsTest, ByName) {
  const Floats probabilities = {0.9f, 0.2f, 0.6f};
  const Ints labels = {1, 0, 0};
  Outcome outcome;
  outcome.probabilities = probabilities;
  outcome.labels = labels;
  outcome.classes = 2;
  EXPECT_DOUBLE_EQ(FindMetric("accuracy").compute(outcome), 2.0 / 3);
  EXPECT_DOUBLE_EQ(FindMetric("auc").compute(outcome), 1);
  EXPECT_DOUBLE_EQ(FindMetric("precision").compute(outcome), 0.5);
  EXPECT_THROW(FindMetric("acuracy"), Error);
  for (size_t i = 1; i < Metrics().size(); ++i) {
    EXPECT_LT(Metrics()[i - 1].name, Metrics()[i].name);
  }
}

TEST(MetricsTest, RefusesBadInput) {
  EXPECT_THROW(RocAuc(Floats{1}, Ints{1, 0}), Error);
  EXPECT_THROW(RocAuc(Floats{1}, Ints{2}), Error);
  EXPECT_THROW(RocAuc(Floats{std::nanf("")}, Ints{1}), Error);
  EXPECT_THROW(ConfusionMatrix(Ints{5}, Ints{0}, 2), Error);
  EXPECT_THROW(MeanSquaredError(Floats{}, Floats{}), Error);
  EXPECT_THROW(LogLoss(Floats{0.5f}, Ints{3}, 2), Error);
}

TEST(MetricsTest, RecallByHand) {
  // Angles on a circle: 0, 10, 20, 100, 105 degrees.
  Floats rows;
  for (const double degrees : {0.0, 10.0, 20.0, 100.0, 105.0}) {
    rows.push_back(static_cast<float>(std::cos(degrees * M_PI / 180)));
    rows.push_back(static_cast<float>(std::sin(degrees * M_PI / 180)));
  }
  const Ints labels = {0, 1, 1, 0, 0};
  EXPECT_DOUBLE_EQ(RecallAtK(rows, labels, 1), 3.0 / 5);  // not row 0; row 1 looks at row 0
  EXPECT_DOUBLE_EQ(RecallAtK(rows, labels, 2), 4.0 / 5);
  EXPECT_DOUBLE_EQ(RecallAtK(rows, labels, 3), 1);
  EXPECT_DOUBLE_EQ(RecallAtK(rows, labels, 99), 1);
  EXPECT_DOUBLE_EQ(RecallAtK(rows, labels, 1, Floats{5, 0, 1, 1, 1}), 3.0 / 8);
  EXPECT_THROW(RecallAtK(rows, Ints{1}, 1), Error);
}

}  // namespace
}  // namespace beamline::engine::metrics
