// Intervals by resampled rows, beside scikit-learn's figures of the same resamples
// (make_fixture.py) and beside what the metrics say of the rows written out.
#include "engine/metrics/bootstrap.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>

#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "tests/engine/metrics/fixture.h"

namespace beamline::engine::metrics {
namespace {

// Rows of some outcome, drawn at random, with ties among the scores.
struct Rows {
  Rows(int64_t classes, size_t rows, bool weighted) : classes(classes) {
    const Philox random(7, static_cast<uint64_t>(classes));
    uint64_t at = 0;
    const size_t width = classes > 2 ? static_cast<size_t>(classes) : 1;
    for (size_t i = 0; i < rows; ++i) {
      labels.push_back(static_cast<int32_t>(
          random.Below(at++, static_cast<uint64_t>(std::max<int64_t>(classes, 1)))));
      targets.push_back(random.Normal(at++));
      for (size_t k = 0; k < width; ++k) said.push_back(std::round(random.Uniform(at++) * 50) / 50);
      if (weighted) weights.push_back(2 * random.Uniform(at++));
    }
  }
  Outcome ToOutcome() const {
    Outcome outcome;
    outcome.probabilities = said;
    outcome.labels = labels;
    outcome.targets = targets;
    outcome.classes = classes;
    outcome.weights = weights;
    return outcome;
  }
  // Each row as often as it counts.
  Rows WrittenOut(const std::vector<uint8_t>& counts) const {
    Rows out(classes, 0, false);
    const size_t width = said.size() / labels.size();
    for (size_t i = 0; i < counts.size(); ++i) {
      for (int k = 0; k < counts[i]; ++k) {
        out.labels.push_back(labels[i]);
        out.targets.push_back(targets[i]);
        for (size_t j = 0; j < width; ++j) out.said.push_back(said[i * width + j]);
        if (!weights.empty()) out.weights.push_back(weights[i]);
      }
    }
    return out;
  }

  int64_t classes;
  Floats said, targets, weights;
  Ints labels;
};

// All metrics that fit.
std::vector<std::string> NamesFor(int64_t classes) {
  std::vector<std::string> names;
  for (const MetricInfo& metric : Metrics()) {
    if (metric.for_classes == (classes > 0) && (classes == 2 || !metric.binary_only)) {
      names.emplace_back(metric.name);
    }
  }
  return names;
}

TEST(CountedFiguresTest, AreThoseOfTheRowsWrittenOut) {
  for (const int64_t classes : {0, 2, 7}) {
    for (const bool weighted : {false, true}) {
      const Rows rows(classes, 300, weighted);
      const std::vector<std::string> names = NamesFor(classes);
      CountedFigures figures(300, rows.weights);
      figures.AddMetrics(rows.ToOutcome(), names);
      ASSERT_EQ(figures.names().size(), names.size());
      std::vector<uint8_t> counts(300);
      std::vector<double> values(names.size());
      for (int64_t resample = 0; resample < 5; ++resample) {
        DrawCounts(3, resample, counts);
        figures.Compute(counts, values);
        const Rows drawn = rows.WrittenOut(counts);
        ASSERT_EQ(drawn.targets.size(), 300u);
        for (size_t k = 0; k < values.size(); ++k) {
          const double expected = FindMetric(figures.names()[k]).compute(drawn.ToOutcome());
          EXPECT_NEAR(values[k], expected, 1e-9 * (1 + std::abs(expected)))
              << figures.names()[k] << " of " << classes << " classes, resample " << resample;
        }
      }
    }
  }
}

class BootstrapFixtureTest : public FixtureTest {
 protected:
  void Compare(const std::string& name, const Outcome& outcome, std::span<const int64_t> units) {
    std::vector<std::string> names;
    const std::string prefix = "interval:" + name + ":";
    for (const auto& [key, value] : values_) {
      if (key.starts_with(prefix)) names.push_back(key.substr(prefix.size()));
    }
    ASSERT_GE(names.size(), 4u) << name;
    CountedFigures figures(60, outcome.weights);
    figures.AddMetrics(outcome, names);
    const std::vector<Interval> intervals =
        Bootstrap(figures, units, {.seed = 11, .resamples = 150, .confidence = 0.9, .threads = 2});
    for (size_t k = 0; k < intervals.size(); ++k) {
      std::vector<double> expected = values_.at(prefix + figures.names()[k]);
      if (figures.names()[k] == "calibration_error" || figures.names()[k] == "ams") {
        const double figure = FindMetric(figures.names()[k]).compute(outcome);
        expected = {std::max(0.0, std::min(figure, 2 * figure - expected[1])),
                    std::max(figure, 2 * figure - expected[0])};
      }
      EXPECT_NEAR(intervals[k].low, expected[0], 1e-6) << prefix << figures.names()[k];
      EXPECT_NEAR(intervals[k].high, expected[1], 1e-6) << prefix << figures.names()[k];
    }
  }
};

TEST_F(BootstrapFixtureTest, IntervalsAreThoseOfScikitLearn) {
  std::vector<int64_t> groups(60);
  for (size_t i = 0; i < groups.size(); ++i) groups[i] = static_cast<int64_t>(i / 4);
  const Floats two = Numbers("binary:probabilities"), seven = Numbers("classes:probabilities");
  const Floats predicted = Numbers("numbers:predicted"), targets = Numbers("numbers:targets");
  const Ints labels = Codes("binary:labels"), classes = Codes("classes:labels");
  const Floats weights = Numbers("weights");
  for (const std::string form : {"plain", "weighted"}) {
    Outcome outcome;
    if (form == "weighted") outcome.weights = weights;
    outcome.probabilities = two;
    outcome.labels = labels;
    outcome.classes = 2;
    Compare("binary:" + form + ":rows", outcome, {});
    Compare("binary:" + form + ":groups", outcome, groups);
    outcome.probabilities = seven;
    outcome.labels = classes;
    outcome.classes = 7;
    Compare("classes:" + form + ":rows", outcome, {});
    outcome.probabilities = predicted;
    outcome.labels = {};
    outcome.targets = targets;
    outcome.classes = 0;
    Compare("numbers:" + form + ":rows", outcome, {});
  }
}

TEST(BootstrapTest, TheSameBitsForAnyNumberOfThreads) {
  const Rows rows(2, 5000, true);
  CountedFigures figures(5000, rows.weights);
  figures.AddMetrics(rows.ToOutcome(), NamesFor(2));
  const auto of = [&](int threads) {
    return Bootstrap(figures, {}, {.seed = 1, .resamples = 120, .threads = threads});
  };
  const std::vector<Interval> one = of(1);
  for (const int threads : {2, 3, 4, 8}) {
    const std::vector<Interval> many = of(threads);
    ASSERT_EQ(many.size(), one.size());
    EXPECT_EQ(std::memcmp(many.data(), one.data(), one.size() * sizeof(Interval)), 0) << threads;
  }
  const auto other = Bootstrap(figures, {}, {.seed = 2, .resamples = 120});
  EXPECT_NE(other[0].low, one[0].low);
}

// The mean of n normal numbers has the standard error s / sqrt(n).
TEST(BootstrapTest, MeanLiesWhereTheoryHasIt) {
  constexpr size_t kRows = 4000;
  const Philox random(3, 1);
  std::vector<double> values;
  for (size_t i = 0; i < kRows; ++i) values.push_back(random.Normal(i));
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / kRows;
  double square_sum = 0;
  for (const double value : values) square_sum += (value - mean) * (value - mean);
  const double error = std::sqrt(square_sum / kRows / kRows);
  CountedFigures figures(kRows, {});
  figures.AddRatio("mean", values);
  const auto intervals = Bootstrap(figures, {}, {.seed = 5, .resamples = 8000, .threads = 2});
  ASSERT_EQ(intervals.size(), 1u);
  EXPECT_NEAR(intervals[0].low, mean - 1.96 * error, 0.06 * error);
  EXPECT_NEAR(intervals[0].high, mean + 1.96 * error, 0.06 * error);
}

// Labels are drawn by what is said of them: what there is of an error is chance.
TEST(BootstrapTest, ErrorsOfCalibrationLieInTheirIntervals) {
  constexpr size_t kRows = 3000;
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const Philox random(seed, 1);
    Floats said;
    Ints labels;
    for (size_t i = 0; i < kRows; ++i) {
      said.push_back(random.Uniform(2 * i));
      labels.push_back(random.Uniform(2 * i + 1) < said.back() ? 1 : 0);
    }
    Outcome outcome;
    outcome.probabilities = said;
    outcome.labels = labels;
    outcome.classes = 2;
    CountedFigures figures(kRows, {});
    figures.AddMetrics(outcome, {"calibration_error", "ams"});
    const auto intervals = Bootstrap(figures, {}, {.seed = seed, .resamples = 400});
    for (size_t k = 0; k < intervals.size(); ++k) {
      const double figure = FindMetric(figures.names()[k]).compute(outcome);
      EXPECT_LE(intervals[k].low, figure) << figures.names()[k];
      EXPECT_GE(intervals[k].high, figure) << figures.names()[k];
      EXPECT_GE(intervals[k].low, 0);
    }
    // The truth is 0.
    EXPECT_LT(intervals[0].low, 0.01);
  }
}

TEST(BootstrapTest, DrawsAreEvenAndAsManyAsThereAreRows) {
  std::vector<uint8_t> counts(1001);
  std::vector<int64_t> sums(1001);
  int64_t never = 0;
  for (int64_t resample = 0; resample < 400; ++resample) {
    DrawCounts(9, resample, counts);
    EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), 0), 1001);
    for (size_t i = 0; i < counts.size(); ++i) {
      sums[i] += counts[i];
      never += counts[i] == 0 ? 1 : 0;
    }
  }
  // Chi-squared with 1000 degrees of freedom: 1000 +- 45.
  double chi = 0;
  for (const int64_t sum : sums) chi += std::pow(static_cast<double>(sum) - 400, 2) / 400;
  EXPECT_NEAR(chi, 1000, 180);
  EXPECT_NEAR(static_cast<double>(never) / (400 * 1001), std::pow(1 - 1.0 / 1001, 1001), 0.004);
}

TEST(BootstrapTest, EndsWhenAsked) {
  const Rows rows(2, 100, false);
  CountedFigures figures(100, {});
  figures.AddMetrics(rows.ToOutcome(), {"auc"});
  int asked = 0;
  const auto twice = [&] { return ++asked <= 2; };
  EXPECT_TRUE(Bootstrap(figures, {}, {.resamples = 100'000, .go_on = twice}).empty());
  EXPECT_EQ(asked, 3);
}

TEST(BootstrapTest, RefusesWhatItCannotDo) {
  EXPECT_THROW(CountedFigures(0, {}), Error);
  EXPECT_THROW(CountedFigures(3, Floats{1, 2}), Error);
  CountedFigures figures(3, {});
  EXPECT_THROW(figures.AddRatio("a", {1, 2}), Error);
  EXPECT_THROW(figures.AddRanks(Floats{1, 2}, Ints{1, 0}, {"auc"}), Error);
  figures.AddRanks(Floats{1, 2, 3}, Ints{1, 1, 1}, {"auc", "pr_auc"});
  EXPECT_THROW(Bootstrap(figures, {}, {.confidence = 1}), Error);
  EXPECT_THROW(Bootstrap(figures, {}, {.resamples = 0}), Error);
  EXPECT_THROW(Bootstrap(figures, std::vector<int64_t>{0, 3, 1}, {}), Error);
  const auto intervals = Bootstrap(figures, {}, {.resamples = 100});
  EXPECT_TRUE(std::isnan(intervals[0].low));  // one class only
  EXPECT_EQ(intervals[1].low, 1);
}

}  // namespace
}  // namespace beamline::engine::metrics
