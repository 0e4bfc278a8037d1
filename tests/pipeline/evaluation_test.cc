// Evaluation beside scikit-learn's, of the same models on the same rows
// (evaluation/make_fixture.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using testing::Bench;
using ::testing::HasSubstr;
using testing::SourceFile;

std::map<std::string, std::vector<double>> ReadExpected() {
  std::ifstream file(SourceFile("tests/pipeline/evaluation/expected.txt"));
  std::map<std::string, std::vector<double>> values;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    for (double x = 0; words >> x;) values[name].push_back(x);
  }
  return values;
}

// `data` and `learner` of the train step, what the evaluate step has beside the model.
std::string Definition(const std::string& data, const std::string& learner,
                       const std::string& evaluate) {
  return absl::StrCat(
      "name: measured\nseed: 3\ninputs: {rows: {file: rows.csv}}\nsteps:\n",
      "  - name: train\n    train:\n      data: {input: rows, ", data,
      ", features: [pt, eta, kind], split: {column: {column: part, test: [test]}}, ",
      "transforms: [{standardize: {}}, {one_hot: {}}]}\n      ", learner,
      "\n  - name: evaluate\n    evaluate: {model: train", evaluate, "}\n");
}

v1::Evaluation Evaluate(const std::string& definition, int threads = 2) {
  Bench bench(definition);
  bench.threads = threads;
  bench.AddFile("rows", SourceFile("tests/pipeline/evaluation/rows.csv"));
  const v1::TaskEnd end = bench.RunAll();
  EXPECT_EQ(end.result().failure().message(), "");
  return end.result().result().evaluation();
}

class EvaluationTest : public ::testing::Test {
 protected:
  void Near(const std::string& name, const std::vector<double>& values, double tolerance = 1e-6) {
    ASSERT_TRUE(expected_.contains(name)) << name;
    const std::vector<double>& expected = expected_.at(name);
    ASSERT_EQ(values.size(), expected.size()) << name;
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_NEAR(values[i], expected[i], tolerance * (1 + std::abs(expected[i]))) << name << i;
    }
  }
  void NearMetrics(const std::string& model, const v1::Evaluation& evaluation,
                   const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      // Of R squared the fixture has the interval only.
      if (name != "r2") Near("metric:" + model + ":" + name, {evaluation.metrics().at(name)});
      const v1::MetricInterval& interval = evaluation.intervals().at(name);
      Near("interval:" + model + ":" + name, {interval.low(), interval.high()});
    }
  }
  void NearImportance(const std::string& model, const v1::Evaluation& evaluation) {
    ASSERT_EQ(evaluation.importance_size(), 3);
    for (const v1::ColumnImportance& one : evaluation.importance()) {
      Near("importance:" + model + ":" + one.column(), {one.mean(), one.standard_deviation()},
           1e-5);
    }
    EXPECT_GE(evaluation.importance(0).mean(), evaluation.importance(1).mean());
    EXPECT_GE(evaluation.importance(1).mean(), evaluation.importance(2).mean());
  }
  void NearCurve(const std::string& name,
                 const google::protobuf::RepeatedPtrField<v1::CurvePoint>& curve) {
    std::vector<double> values;
    for (const v1::CurvePoint& point : curve) {
      values.push_back(point.x());
      values.push_back(point.y());
    }
    Near(name, values);
  }

  const std::map<std::string, std::vector<double>> expected_ = ReadExpected();
};

constexpr char kBayes[] = "naive_bayes: {}";
constexpr char kClasses[] = "target: label, weight: weight";
constexpr char kAll[] =
    ", bootstrap: {resamples: 200, confidence: 0.9}, importance: {repeats: 4}, "
    "histograms: [{column: pt, bins: 7, min: 5, max: 60}, {column: eta}]";

TEST_F(EvaluationTest, OfClassesIsThatOfScikitLearn) {
  const v1::Evaluation evaluation = Evaluate(Definition(kClasses, kBayes, kAll));
  NearMetrics("bayes", evaluation, {"accuracy", "auc", "pr_auc", "f1", "log_loss"});
  EXPECT_EQ(evaluation.confidence(), 0.9);
  EXPECT_FALSE(evaluation.intervals().contains("loss"));
  Near("confusion:bayes", {evaluation.confusion().begin(), evaluation.confusion().end()});
  NearCurve("roc:bayes", evaluation.roc());
  NearCurve("precision_recall:bayes", evaluation.precision_recall());
  std::vector<double> calibration;
  for (const v1::CalibrationBin& bin : evaluation.calibration()) {
    calibration.insert(calibration.end(), {bin.predicted(), bin.observed(), bin.weight()});
  }
  Near("calibration:bayes", calibration);
  NearImportance("bayes", evaluation);
  ASSERT_EQ(evaluation.histograms_size(), 2);
  for (const v1::ClassHistogram& histogram : evaluation.histograms()) {
    const std::string prefix = "histogram:" + histogram.column() + ":";
    Near(prefix + "edges", {histogram.edges().begin(), histogram.edges().end()});
    ASSERT_EQ(histogram.series_size(), 4);
    for (const v1::ClassHistogram::Series& series : histogram.series()) {
      Near(prefix + (series.predicted() ? "predicted:" : "true:") + series.class_(),
           {series.counts().begin(), series.counts().end()});
    }
  }
}

TEST_F(EvaluationTest, OfNumbersIsThatOfScikitLearn) {
  const v1::Evaluation evaluation =
      Evaluate(Definition("target: mass, weight: weight", "linear: {}",
                          ", bootstrap: {resamples: 200, confidence: 0.9}, "
                          "importance: {repeats: 4, metric: rmse}"));
  NearMetrics("linear", evaluation, {"rmse", "r2"});
  NearImportance("linear", evaluation);
}

TEST_F(EvaluationTest, TheSameBitsForAnyNumberOfThreads) {
  const std::string definition = Definition(kClasses, kBayes, kAll);
  const std::string one = Evaluate(definition, 1).SerializeAsString();
  for (const int threads : {2, 3}) {
    // Maps have no order: as text they have.
    v1::Evaluation first;
    first.ParseFromString(one);
    EXPECT_EQ(Evaluate(definition, threads).DebugString(), first.DebugString()) << threads;
  }
}

TEST_F(EvaluationTest, AskedForNothingMore) {
  const v1::Evaluation evaluation = Evaluate(Definition(kClasses, kBayes, ""));
  EXPECT_TRUE(evaluation.intervals().empty());
  EXPECT_TRUE(evaluation.importance().empty());
  EXPECT_TRUE(evaluation.histograms().empty());
  EXPECT_EQ(evaluation.confidence(), 0);
  EXPECT_GT(evaluation.precision_recall_size(), 2);
  EXPECT_GT(evaluation.calibration_size(), 2);
}

// Every kind of learner has intervals and importance.
TEST_F(EvaluationTest, OfAnyLearner) {
  for (const std::string learner :
       {"random_forest: {trees: 20}", "nearest_neighbours: {}",
        "network: {layers: [{dense: {units: 1}}], loss: {binary_cross_entropy: {}}, "
        "optimizer: {adam: {learning_rate: 0.05}}, epochs: 10}"}) {
    const v1::Evaluation evaluation =
        Evaluate(Definition("target: label", learner,
                            ", bootstrap: {resamples: 100}, importance: {repeats: 2}, metrics: "
                            "[accuracy, auc_macro, f1_macro]"));
    ASSERT_EQ(evaluation.intervals_size(), 3) << learner;
    for (const auto& [name, interval] : evaluation.intervals()) {
      EXPECT_LT(interval.low(), evaluation.metrics().at(name)) << learner << name;
      EXPECT_GT(interval.high(), evaluation.metrics().at(name)) << learner << name;
    }
    ASSERT_EQ(evaluation.importance_size(), 3) << learner;
    EXPECT_GT(evaluation.importance(0).mean(), 0.02) << learner;
  }
}

TEST_F(EvaluationTest, OfReconstructions) {
  const v1::Evaluation evaluation =
      Evaluate(Definition("objective: reconstruct", "principal_components: {components: 2}",
                          ", anomaly: {column: label, values: [s]}, bootstrap: {resamples: 100}, "
                          "importance: {repeats: 2, metric: mse}"));
  for (const std::string name : {"mse", "mae", "auc", "pr_auc"}) {
    ASSERT_TRUE(evaluation.intervals().contains(name)) << name;
    EXPECT_LT(evaluation.intervals().at(name).low(), evaluation.metrics().at(name));
    EXPECT_GT(evaluation.intervals().at(name).high(), evaluation.metrics().at(name));
  }
  EXPECT_GT(evaluation.precision_recall_size(), 2);
  EXPECT_EQ(evaluation.importance_size(), 3);
}

TEST_F(EvaluationTest, TellsProgressNowAndThen) {
  Bench bench(Definition(kClasses, kBayes, ", importance: {repeats: 50}"));
  bench.AddFile("rows", SourceFile("tests/pipeline/evaluation/rows.csv"));
  bench.Run("train");
  int told = 0;
  bench.sink().on_event = [&](const v1::Event& event) {
    told += event.progress().activity() == "permuting columns" ? 1 : 0;
  };
  const SystemClock clock;
  const int64_t started_ms = clock.MonotonicMillis();
  EXPECT_EQ(bench.Run("evaluate").result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED);
  EXPECT_GE(told, 1);
  EXPECT_LE(told, 1 + (clock.MonotonicMillis() - started_ms) / 200);
}

TEST_F(EvaluationTest, StopsWhenAsked) {
  Bench bench(Definition(kClasses, kBayes, ", importance: {repeats: 50}"));
  bench.AddFile("rows", SourceFile("tests/pipeline/evaluation/rows.csv"));
  bench.Run("train");
  bench.sink().on_event = [&](const v1::Event& event) {
    if (event.progress().activity() == "permuting columns") {
      bench.stop().Ask(StopToken::Request::kStop);
    }
  };
  EXPECT_EQ(bench.Run("evaluate").result().outcome(), v1::AttemptResult::OUTCOME_CANCELLED);
}

}  // namespace
}  // namespace beamline::pipeline
