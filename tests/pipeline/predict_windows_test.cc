// Predict steps of windows: which rows they need, and what they leave for each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/data/columnar.h"
#include "pipeline/predict.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using testing::Bench;
using ::testing::HasSubstr;
using testing::Rows;

// A pipeline that trains a model of windows of "series" and asks it of "fresh".
std::string SeriesDefinition(const std::string& data, const std::string& layers) {
  return absl::StrCat(R"(
name: ask
seed: 3
inputs: {series: {dataset: d}, fresh: {dataset: e}}
steps:
  - name: train
    train:
      data: {input: series, features: [v], split: {ordered: {test: 0.25}}, )",
                      data, R"(}
      network: {epochs: 1, layers: )",
                      layers, R"(}
  - {name: ask, predict: {model: train, input: fresh}}
)");
}

Table Series(int64_t rows) {
  std::vector<double> v;
  std::vector<std::string> sign;
  for (int64_t i = 0; i < rows; ++i) {
    v.push_back(std::sin(static_cast<double>(i)));
    sign.push_back(v.back() > 0 ? "up" : "down");
  }
  return Table({Column::Of("v", v), Column::OfStrings("sign", sign)});
}

// What the trained model answers to those rows of `series`.
v1::Prediction AnswerToWindow(const Bench& bench, const Table& series, int64_t first,
                              int64_t count) {
  std::vector<std::string> values;
  for (int64_t row = first; row < first + count; ++row) {
    values.push_back(series.Get("v").Text(row));
  }
  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  const auto answer =
      predictor->Predict(Rows(absl::StrCat("[{\"v\": [", absl::StrJoin(values, ", "), "]}]")));
  EXPECT_TRUE(answer.ok()) << answer.status();
  return answer->front();
}

// The table that the step made.
Table MadeBy(Bench& bench) {
  const v1::TaskEnd end = bench.Run("ask");
  EXPECT_EQ(end.result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED) << end.DebugString();
  return engine::data::OpenColumnar(end.artifact_paths().at("table")).table;
}

std::string FailureOf(Bench& bench, const std::string& step) {
  return bench.Run(step).result().failure().message();
}

TEST(PredictWindows, ForecastsWhatFollowsTheNewestRows) {
  Bench bench(SeriesDefinition("objective: forecast, windows: {steps: 8, horizon: 2}",
                               "[{transpose: {}}, {dense: {units: 2}}, {transpose: {}}]"));
  const Table series = Series(80);
  bench.AddTable("series", series);
  ASSERT_EQ(FailureOf(bench, "train"), "");
  for (const int64_t rows : {8, 20}) {
    const Table fresh = Series(rows);
    bench.AddTable("fresh", fresh);
    const Table told = MadeBy(bench);
    ASSERT_EQ(told.rows(), rows - 7);
    for (int64_t row = 0; row < told.rows(); ++row) {
      EXPECT_EQ(told.Get("v").Number(row), fresh.Get("v").Number(row + 7)) << "the last one seen";
      const v1::Prediction answer = AnswerToWindow(bench, fresh, row, 8);
      ASSERT_EQ(answer.forecast_size(), 2);
      EXPECT_EQ(told.Get("forecast_1_v").Number(row), static_cast<float>(answer.forecast(0)));
      EXPECT_EQ(told.Get("forecast_2_v").Number(row), static_cast<float>(answer.forecast(1)));
    }
  }
  bench.AddTable("fresh", Series(7));
  EXPECT_THAT(FailureOf(bench, "ask"), HasSubstr("has 7 rows, too few for one window of 8"));
  // Of the model's own split a row is the last one seen too, and what follows is known: of rows 60
  // to 79 the first window predicts rows 60 and 61, the last one rows 78 and 79.
  bench.definition().mutable_steps(1)->mutable_predict()->clear_input();
  const Table own = MadeBy(bench);
  ASSERT_EQ(own.rows(), 19);
  EXPECT_EQ(own.Get("v").Number(0), series.Get("v").Number(59));
  EXPECT_EQ(own.Get("v").Number(18), series.Get("v").Number(77));
}

TEST(PredictWindows, JudgesTheStepsOfMoreWindowsThanAreAskedOfAtOnce) {
  Bench bench(SeriesDefinition("target: sign, objective: each_step, windows: {steps: 5}",
                               "[{gru: {units: 4, sequence: true}}, {dense: {}}]"));
  bench.AddTable("series", Series(80));
  ASSERT_EQ(FailureOf(bench, "train"), "");
  const Table fresh = Series(5 * 20'000);
  bench.AddTable("fresh", fresh);
  const Table judged = MadeBy(bench);
  ASSERT_EQ(judged.rows(), fresh.rows());
  for (const int64_t window : {0, 16'383, 16'384, 19'999}) {
    const v1::Prediction answer = AnswerToWindow(bench, fresh, 5 * window, 5);
    ASSERT_EQ(answer.steps_size(), 5);
    for (int step = 0; step < 5; ++step) {
      const int64_t row = 5 * window + step;
      EXPECT_EQ(judged.Get("v").Number(row), fresh.Get("v").Number(row));
      EXPECT_EQ(judged.Get("prediction").Text(row), answer.steps(step).label());
      EXPECT_EQ(judged.columns()[3].Number(row),
                static_cast<float>(answer.steps(step).probabilities(0)));
    }
  }
}

}  // namespace
}  // namespace beamline::pipeline
