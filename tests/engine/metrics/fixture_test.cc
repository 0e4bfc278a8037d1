// Metrics beside scikit-learn's (make_fixture.py).
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "engine/core/error.h"
#include "engine/metrics/metrics.h"
#include "tests/engine/metrics/fixture.h"

namespace beamline::engine::metrics {
namespace {

class MetricsFixtureTest : public FixtureTest {
 protected:
  // All metrics of a case, by name.
  void Compare(const std::string& name, const Outcome& outcome, size_t at_least) {
    const std::string prefix = "metric:" + name + ":";
    size_t compared = 0;
    for (const auto& [key, value] : values_) {
      if (!key.starts_with(prefix) || key.ends_with("_at_0.6")) continue;
      const std::string metric = key.substr(prefix.size());
      EXPECT_NEAR(FindMetric(metric).compute(outcome), value[0], 1e-6 * (1 + std::abs(value[0])))
          << key;
      ++compared;
    }
    EXPECT_GE(compared, at_least) << name;
  }
};

TEST_F(MetricsFixtureTest, TwoClasses) {
  const Floats probabilities = Numbers("binary:probabilities");
  const Ints labels = Codes("binary:labels");
  const Floats weights = Numbers("weights");
  Outcome outcome;
  outcome.probabilities = probabilities;
  outcome.labels = labels;
  outcome.classes = 2;
  Compare("binary:plain", outcome, 14);
  EXPECT_NEAR(AmsAt(probabilities, labels, 0.6), values_.at("metric:binary:plain:ams_at_0.6")[0],
              1e-6);
  outcome.weights = weights;
  Compare("binary:weighted", outcome, 14);
  EXPECT_NEAR(AmsAt(probabilities, labels, 0.6, weights),
              values_.at("metric:binary:weighted:ams_at_0.6")[0], 1e-6);
}

TEST_F(MetricsFixtureTest, MoreClasses) {
  const Floats probabilities = Numbers("classes:probabilities");
  const Ints labels = Codes("classes:labels");
  const Floats weights = Numbers("weights");
  Outcome outcome;
  outcome.probabilities = probabilities;
  outcome.labels = labels;
  outcome.classes = 7;
  Compare("classes:plain", outcome, 13);
  outcome.weights = weights;
  Compare("classes:weighted", outcome, 13);
  const Ints chosen = ArgMax(probabilities, 7);
  const std::vector<double> confusion = ConfusionMatrix(chosen, labels, 7, weights);
  for (size_t i = 0; i < confusion.size(); ++i) {
    EXPECT_NEAR(confusion[i], values_.at("confusion:classes:weighted")[i], 1e-6);
  }
}

TEST_F(MetricsFixtureTest, Numbers) {
  const Floats predicted = Numbers("numbers:predicted");
  const Floats targets = Numbers("numbers:targets");
  const Floats weights = Numbers("weights");
  Outcome outcome;
  outcome.probabilities = predicted;
  outcome.targets = targets;
  Compare("numbers:plain", outcome, 4);
  outcome.weights = weights;
  Compare("numbers:weighted", outcome, 4);
}

// Points of a curve as the fixture has them: x, y.
template <typename Curve, typename X, typename Y>
void ExpectCurve(const Curve& curve, const std::vector<double>& expected, X x, Y y) {
  ASSERT_EQ(2 * curve.size(), expected.size());
  for (size_t i = 0; i < curve.size(); ++i) {
    EXPECT_NEAR(curve[i].*x, expected[2 * i], 1e-6) << i;
    EXPECT_NEAR(curve[i].*y, expected[2 * i + 1], 1e-6) << i;
  }
}

TEST_F(MetricsFixtureTest, Curves) {
  const Floats p = Numbers("binary:probabilities");
  const Ints labels = Codes("binary:labels");
  for (const std::string form : {"plain", "weighted"}) {
    const Floats weights = form == "plain" ? Floats{} : Numbers("weights");
    ExpectCurve(RocCurve(p, labels, weights), values_.at("roc:binary:" + form),
                &RocPoint::false_positive_rate, &RocPoint::true_positive_rate);
    ExpectCurve(PrCurve(p, labels, weights), values_.at("precision_recall:binary:" + form),
                &PrPoint::recall, &PrPoint::precision);
  }
  std::vector<ReliabilityBin> bins = Reliability(p, labels, kCalibrationBins);
  std::erase_if(bins, [](const ReliabilityBin& bin) { return bin.weight == 0; });
  ExpectCurve(bins, values_.at("calibration"), &ReliabilityBin::mean_probability,
              &ReliabilityBin::share);
}

TEST(PrCurveTest, Thinned) {
  Floats scores;
  Ints labels;
  for (int i = 0; i < 1000; ++i) {
    scores.push_back(static_cast<float>(i) / 1000);
    labels.push_back(i % 3 == 0 ? 1 : 0);
  }
  const auto curve = PrCurve(scores, labels);
  ASSERT_EQ(curve.size(), 1001u);
  const auto thin = ThinCurve(curve, 201);
  ASSERT_EQ(thin.size(), 201u);
  EXPECT_EQ(thin.front().recall, 0);
  EXPECT_EQ(thin.front().precision, 1);
  EXPECT_EQ(thin.back().recall, 1);
  EXPECT_NEAR(thin.back().precision, 0.334, 1e-12);
  EXPECT_THROW(PrCurve(scores, Ints(1000, 0)), Error);
}

TEST(SignificanceTest, ByHand) {
  // At 0.8: s = 4, b = 0; at 0.5: s = 4, b = 90; at 0.2: s = 7, b = 90.
  const Floats scores = {0.8f, 0.5f, 0.2f};
  const Ints labels = {1, 0, 1};
  const Floats weights = {4, 90, 3};
  const auto ams = [](double s, double b) {
    return std::sqrt(2 * ((s + b + 10) * std::log(1 + s / (b + 10)) - s));
  };
  EXPECT_NEAR(AmsAt(scores, labels, 0.5, weights), ams(4, 90), 1e-12);
  EXPECT_NEAR(AmsAt(scores, labels, 0.2, weights), ams(7, 90), 1e-12);
  EXPECT_EQ(AmsAt(scores, labels, 0.9, weights), 0);
  const Ams best = BestAms(scores, labels, weights);
  EXPECT_NEAR(best.value, ams(4, 0), 1e-12);
  EXPECT_FLOAT_EQ(static_cast<float>(best.threshold), 0.8f);
  EXPECT_TRUE(std::isnan(AmsAt(scores, labels, 0.5, Floats{1, -11, 0})));
  EXPECT_EQ(AmsAt(scores, labels, 0.5, Floats{-1, 3, 0}), 0);
}

TEST(CalibrationTest, BinsByHand) {
  const Floats probabilities = {0.1f, 0.2f, 0.6f, 1.0f};
  const Ints right = {0, 1, 1, 0};
  const auto bins = Reliability(probabilities, right, 2, Floats{1, 3, 1, 1});
  ASSERT_EQ(bins.size(), 2u);
  EXPECT_NEAR(bins[0].mean_probability, 0.7 / 4, 1e-7);
  EXPECT_NEAR(bins[0].share, 0.75, 1e-12);
  EXPECT_NEAR(bins[1].mean_probability, 0.8, 1e-7);
  EXPECT_EQ(bins[1].share, 0.5);
  EXPECT_NEAR(CalibrationError(bins), (4 * (0.75 - 0.175) + 2 * 0.3) / 6, 1e-7);
  EXPECT_TRUE(std::isnan(Reliability(probabilities, right, 7)[3].share));
  EXPECT_THROW(Reliability(Floats{1.5f}, Ints{1}, 3), Error);
}

TEST(TopKTest, TiesGoToTheFirst) {
  const Floats scores = {0.5f, 0.5f, 0.2f, 0.1f, 0.3f, 0.3f};
  const Ints labels = {1, 2};
  EXPECT_EQ(TopKAccuracy(scores, labels, 3, 1), 0);
  EXPECT_EQ(TopKAccuracy(scores, labels, 3, 2), 1);
  EXPECT_EQ(TopKAccuracy(scores, Ints{0, 0}, 3, 2, Floats{1, 3}), 0.25);
  EXPECT_THROW(TopKAccuracy(scores, labels, 3, 0), Error);
}

}  // namespace
}  // namespace beamline::engine::metrics
