// Windows, sequences, forecasts and text: from a table to predictions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/digest.h"
#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "pipeline/examples.h"
#include "pipeline/model_file.h"
#include "pipeline/predict.h"
#include "pipeline/sequence_source.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using testing::Bench;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Metric;
using testing::Rows;

v1::TrainingData Windows(int64_t steps, int64_t stride, v1::Objective objective) {
  v1::TrainingData data;
  data.set_objective(objective);
  data.mutable_windows()->set_steps(steps);
  data.mutable_windows()->set_stride(stride);
  data.mutable_split()->mutable_ordered()->set_validation(4);
  data.mutable_split()->mutable_ordered()->set_test(6);
  return data;
}

Table Numbers(int rows) {
  std::vector<double> x;
  for (int i = 0; i < rows; ++i) x.push_back(i);
  return Table({Column::Of("x", x)});
}

TEST(ExamplesTest, PredictedRowsOfAWindowLieInItsPart) {
  // Rows 0 to 9 train, 10 to 13 validate, 14 to 19 test.
  v1::TrainingData data = Windows(3, 2, v1::OBJECTIVE_FORECAST);
  data.mutable_windows()->set_horizon(2);
  SplitExamples parts = MakeExamples(Numbers(20), data, 1);
  EXPECT_THAT(parts.train.begins, ElementsAre(0, 2, 4));  // the last sees 4 to 6, forecasts 7, 8
  EXPECT_THAT(parts.validation.begins, ElementsAre(7, 8, 9));  // forecasts 10, 11 to 12, 13
  EXPECT_THAT(parts.test.begins, ElementsAre(11, 12, 13, 14, 15));
  EXPECT_EQ(parts.training_rows.size(), 10U);

  data = Windows(3, 0, v1::OBJECTIVE_NEXT_TOKEN);
  parts = MakeExamples(Numbers(20), data, 1);
  EXPECT_THAT(parts.train.begins, ElementsAre(0, 3, 6));  // tokens 1 to 9, each once
  EXPECT_THAT(parts.validation.begins, ElementsAre(9));   // tokens 10 to 12; 13 makes no window
  EXPECT_THAT(parts.test.begins, ElementsAre(13, 16));    // tokens 14 to 19

  data = Windows(3, 0, v1::OBJECTIVE_EACH_STEP);
  parts = MakeExamples(Numbers(20), data, 1);
  EXPECT_THAT(parts.train.begins, ElementsAre(0, 3, 6));
  EXPECT_THAT(parts.validation.begins, ElementsAre(10));  // rows 10 to 12, each once
  EXPECT_THAT(parts.test.begins, ElementsAre(14, 17));
  EXPECT_THAT(JudgedRows(parts.test, data), ElementsAre(14, 15, 16, 17, 18, 19));

  data = Windows(3, 0, v1::OBJECTIVE_PREDICT);
  parts = MakeExamples(Numbers(20), data, 1);
  EXPECT_EQ(parts.train.size(), 8);
  EXPECT_THAT(parts.validation.begins, ElementsAre(8, 9, 10, 11));
  EXPECT_THAT(parts.validation.heads, ElementsAre(10, 11, 12, 13));

  data.set_limit(5);
  parts = MakeExamples(Numbers(20), data, 1);
  EXPECT_EQ(parts.train.size(), 5);
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(parts.train.heads[i], parts.train.begins[i] + 2);

  data.mutable_windows()->set_steps(11);
  EXPECT_THROW(MakeExamples(Numbers(20), data, 1), engine::Error);
}

TEST(ExamplesTest, RowsOfASequenceAreFoundWhereverTheyAre) {
  const Table table({Column::OfStrings("who", {"b", "a", "b", "c", "b", "a"}),
                     Column::Of("x", std::vector<double>{1, 2, 3, 4, 5, 6})});
  v1::TrainingData data;
  data.set_objective(v1::OBJECTIVE_PREDICT);
  data.set_target("x");
  data.mutable_sequences()->set_by("who");
  data.mutable_sequences()->set_max_steps(2);
  const SplitExamples parts = MakeExamples(table, data, 1);
  EXPECT_THAT(*parts.train.order, ElementsAre(0, 2, 4, 1, 5, 3));
  EXPECT_THAT(parts.train.heads, ElementsAre(4, 5, 3));
  EXPECT_THAT(parts.train.begins, ElementsAre(1, 3, 5));  // "b" keeps its last two rows
  EXPECT_THAT(parts.train.lengths, ElementsAre(2, 2, 1));
  EXPECT_THAT(parts.training_rows, ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(JudgedRows(parts.train, data), ElementsAre(4, 5, 3));
  data.set_objective(v1::OBJECTIVE_EACH_STEP);
  EXPECT_THAT(JudgedRows(parts.train, data), ElementsAre(2, 4, 1, 5, 3));
}

// What a learner is given of a sequence that is shorter than the longest, and of a forecast.
TEST(SequenceSourceTest, PadsBehindTheEndAndGivesWhatFollows) {
  const Table table({Column::Of("x", std::vector<double>{1, 2, 3, 4, 5, 6}),
                     Column::OfStrings("kind", {"a", "b", "a", "b", "b", "a"})});
  engine::data::TransformSpec ordinal;
  ordinal.kind = engine::data::TransformSpec::Kind::kOrdinal;
  ordinal.columns = {"kind"};
  const auto fitted = engine::data::FitTransforms(table, engine::data::AllRows(table), {ordinal});
  Examples examples;
  examples.order =
      std::make_shared<const std::vector<int64_t>>(std::vector<int64_t>{5, 0, 1, 2, 3, 4});
  examples.heads = {0, 4};
  examples.begins = {0, 2};
  examples.lengths = {2, 4};
  engine::BatchLayout layout;
  layout.features = layout.code_columns = layout.steps = 4;
  layout.has_lengths = true;
  for (const int64_t memory : {int64_t{1} << 20, int64_t{0}}) {
    const SequenceSource source(fitted, table, examples, {.steps = 4, .span = 4}, layout, {},
                                memory);
    std::vector<float> features(8, 7);
    std::vector<int32_t> codes(8, 7), lengths(2);
    source.Gather(std::vector<int64_t>{1, 0},
                  {.features = features.data(), .codes = codes.data(), .lengths = lengths.data()});
    EXPECT_THAT(features, ElementsAre(2, 3, 4, 5, 6, 1, 0, 0));
    EXPECT_THAT(codes, ElementsAre(2, 1, 2, 2, 1, 1, -1, -1));
    EXPECT_THAT(lengths, ElementsAre(4, 2));
  }

  // The truth of each step: one after the other, without those that pad.
  layout.target_steps = 4;
  layout.classes = 3;
  layout.has_weights = true;
  Truth truth;
  truth.labels = {1, 2, 0, 1, 2, 1};
  truth.weights = {1, 2, 3, 4, 5, 6};
  const SequenceSource steps(fitted, table, examples, {.steps = 4, .span = 4}, layout, truth, 0);
  std::vector<int32_t> labels(8, 7);
  std::vector<float> weights(8, 7);
  steps.Gather(std::vector<int64_t>{1, 0}, {.labels = labels.data(), .weights = weights.data()});
  EXPECT_THAT(labels, ElementsAre(0, 1, 2, 1, 1, 2, 0, 0));
  EXPECT_THAT(weights, ElementsAre(3, 4, 5, 6, 1, 2, 0, 0));

  engine::data::TransformSpec select;
  select.kind = engine::data::TransformSpec::Kind::kSelect;
  select.columns = {"x"};
  const auto numbers = engine::data::FitTransforms(table, engine::data::AllRows(table), {select});
  layout = {};
  layout.features = layout.steps = 2;
  layout.targets = 3;
  Examples windows;
  windows.heads = {1, 2};
  windows.begins = {0, 1};
  const SequenceSource source(numbers, table, windows, {.steps = 2, .span = 5, .horizon = 3},
                              layout, {}, 1 << 20);
  std::vector<float> features(2), targets(3);
  source.Gather(std::vector<int64_t>{1}, {.features = features.data(), .targets = targets.data()});
  EXPECT_THAT(features, ElementsAre(2, 3));
  EXPECT_THAT(targets, ElementsAre(4, 5, 6));
}

constexpr char kForecast[] = R"(
name: waves
seed: 1
inputs: {series: {dataset: d}}
steps:
  - name: train
    train:
      data:
        input: series
        objective: forecast
        windows: {steps: 16, horizon: 3}
        split: {ordered: {validation: 0.1, test: 0.2}}
      network:
        layers:
          - transpose: {}
          - dense: {units: 3}
          - transpose: {}
        optimizer: {adam: {learning_rate: 0.01}}
        epochs: 60
  - name: evaluate
    evaluate: {model: train}
)";

// Two waves of different scale: the future is a linear function of the past.
Table Waves(int rows) {
  std::vector<double> fast, slow;
  for (int i = 0; i < rows; ++i) {
    fast.push_back(std::sin(0.9 * i));
    slow.push_back(100 + 30 * std::sin(0.31 * i + 1));
  }
  return Table({Column::Of("fast", fast), Column::Of("slow", slow)});
}

TEST(SequencesTest, ForecastsWhatFollowsAWindow) {
  Bench bench(kForecast);
  bench.AddTable("series", Waves(400));
  const v1::TaskEnd end = bench.RunAll();
  EXPECT_LT(Metric(end, "mse"), 0.01);
  EXPECT_LT(Metric(end, "mae"), 0.1);
  EXPECT_EQ(end.result().result().evaluation().row_count(), 78);  // 80 rows, 3 forecast at once

  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  std::string fast = "[", slow = "[";
  for (int i = 0; i < 16; ++i) {
    fast += (i > 0 ? "," : "") + std::to_string(std::sin(0.9 * (i + 500)));
    slow += (i > 0 ? "," : "") + std::to_string(100 + 30 * std::sin(0.31 * (i + 500) + 1));
  }
  const std::string row = R"({"fast": )" + fast + R"(], "slow": )" + slow + "]}";
  const v1::Prediction prediction = predictor->Predict(Rows("[" + row + "]")).value()[0];
  ASSERT_EQ(prediction.forecast_size(), 6);
  for (int step = 0; step < 3; ++step) {
    EXPECT_NEAR(prediction.forecast(2 * step), std::sin(0.9 * (516 + step)), 0.3);
    EXPECT_NEAR(prediction.forecast(2 * step + 1), 100 + 30 * std::sin(0.31 * (516 + step) + 1), 8);
  }
  EXPECT_EQ(predictor->Predict(Rows(R"([{"fast": [1, 2], "slow": [3, 4]}])")).status().message(),
            "row 1: has 2 steps: the model sees 16 at once");
  EXPECT_EQ(predictor->Predict(Rows(R"([{"fast": [1, 2], "slow": [3]}])")).status().message(),
            "row 1, column \"slow\": has 1 steps, but column \"fast\" has 2");
  EXPECT_THAT(predictor->Predict(Rows(R"([{"fast": 1, "slow": [3]}])")).status().message(),
              HasSubstr("row 1, column \"fast\": expected a list with a value for each step"));
}

constexpr char kSequences[] = R"(
name: first
seed: 1
inputs: {table: {dataset: d}}
steps:
  - name: train
    train:
      data:
        input: table
        target: label
        sequences: {by: who, max_steps: 9}
        split: {stratified: {validation: 0.2, test: 0.2}}
      network:
        layers:
          - gru: {units: 12}
          - dense: {}
        optimizer: {adam: {learning_rate: 0.02}}
        epochs: 30
  - name: evaluate
    evaluate: {model: train}
)";

// Sequences of 3 to 9 rows, one step of each in turn; the class is the sign of the first step.
Table Signs(int sequences) {
  const engine::Philox random(5, 6);
  std::vector<double> x;
  std::vector<std::string> who, label, note;
  for (int step = 0; step < 9; ++step) {
    for (int i = 0; i < sequences; ++i) {
      if (step >= 3 + i % 7) continue;
      const float first = random.Normal(static_cast<uint64_t>(i));
      x.push_back(step == 0 ? first : random.Normal(static_cast<uint64_t>(1000 * step + i)));
      who.push_back("s" + std::to_string(i));
      label.push_back(first > 0 ? "up" : "down");
      note.push_back(i % 2 == 0 ? "even" : "odd");
    }
  }
  return Table({Column::Of("x", x), Column::OfStrings("who", who), Column::OfStrings("note", note),
                Column::OfStrings("label", label)});
}

TEST(SequencesTest, LearnsFromSequencesOfAnyLength) {
  Bench bench(kSequences);
  bench.AddTable("table", Signs(400));
  const v1::TaskEnd end = bench.RunAll();
  EXPECT_GT(Metric(end, "accuracy"), 0.93);
  EXPECT_EQ(end.result().result().evaluation().row_count(), 80);

  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  const auto predictions = predictor
                               ->Predict(Rows(
                                   R"([{"x": [2, 0.1, -1], "note": ["odd", "odd", "odd"], "who": 7},
          {"x": [-2, 1, 1, 0], "note": ["odd", "odd", "odd", "odd"]}])"))
                               .value();
  EXPECT_EQ(predictions[0].label(), "up");
  EXPECT_EQ(predictions[1].label(), "down");
  EXPECT_EQ(std::string(predictor->Predict(Rows(R"([{"x": [1, "y"], "note": ["odd", "odd"]}])"))
                            .status()
                            .message()),
            "row 1, step 2, column \"x\": expected a number");
  EXPECT_THAT(predictor->Predict(Rows(R"([{"x": [], "note": []}])")).status().message(),
              HasSubstr("row 1: has 0 steps: give at least one"));
}

constexpr char kText[] = R"(
name: refrain
seed: 1
inputs: {text: {dataset: d}}
steps:
  - name: train
    train:
      data:
        input: text
        objective: next_token
        windows: {steps: 12}
        split: {ordered: {test: 0.1}}
      network:
        layers:
          - embedding: {dimension: 16, tokens: true}
          - lstm: {units: 24, sequence: true}
          - dense: {}
        optimizer: {adam: {learning_rate: 0.02}}
        batch_size: 16
        epochs: 30
  - name: evaluate
    evaluate: {model: train}
)";

constexpr char kRefrain[] = "row row row your boat, gently down the stream.\n";

Table Refrain(int times) {
  std::vector<std::string> characters;
  for (int i = 0; i < times; ++i) {
    for (const char c : std::string(kRefrain)) characters.emplace_back(1, c);
  }
  return Table({Column::OfStrings("character", characters)});
}

TEST(SequencesTest, LearnsToWriteATextOn) {
  Bench bench(kText);
  bench.AddTable("text", Refrain(40));
  const v1::TaskEnd end = bench.RunAll();
  EXPECT_LT(Metric(end, "log_loss"), 0.3);
  EXPECT_NEAR(Metric(end, "perplexity"), std::exp(Metric(end, "log_loss")), 1e-9);
  EXPECT_GT(Metric(end, "accuracy"), 0.9);
  EXPECT_NEAR(Metric(end, "loss"), Metric(end, "log_loss"), 1e-4);

  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  PredictOptions options;
  options.drawing.tokens = 20;
  options.drawing.temperature = 0;
  const auto rows = Rows(R"([{"character": "gently down "}, {"character": ["y", "o", "u"]}])");
  auto written = predictor->Predict(rows, options).value();
  std::string text;
  for (const std::string& token : written[0].tokens()) text += token;
  EXPECT_EQ(text, "the stream.\nrow row ");
  EXPECT_EQ(written[1].label(), "r");
  EXPECT_THAT(predictor->card().classes(), ::testing::Contains("\n"));

  // Drawn: the same seed the same text, whatever else is asked.
  options.drawing.temperature = 3;
  const auto once = predictor->Predict(rows, options).value();
  const auto again = predictor->Predict(rows, options).value();
  EXPECT_EQ(once[1].SerializeAsString(), again[1].SerializeAsString());
  options.drawing.seed = 1;
  EXPECT_NE(once[1].SerializeAsString(),
            predictor->Predict(rows, options).value()[1].SerializeAsString());
  for (const std::string& token : once[0].tokens()) EXPECT_NE(token, "");

  EXPECT_EQ(predictor->Predict(Rows(R"([{"character": ""}])")).status().message(),
            "row 1: has 0 steps: give at least one");
  options.drawing.tokens = 10'001;
  EXPECT_THAT(predictor->Predict(rows, options).status().message(), HasSubstr("at most 10000"));
  options = {.reconstruction = false, .drawing = {.tokens = 1, .temperature = -1}};
  EXPECT_THAT(predictor->Predict(rows, options).status().message(), HasSubstr("temperature"));
}

// Whether the rows fit in memory or not, and however many threads: the same model.
TEST(SequencesTest, GiveTheSameBitsFromMemoryAndFromTheTable) {
  for (const char* yaml : {kForecast, kSequences, kText}) {
    std::vector<std::string> digests;
    for (const bool in_memory : {true, false}) {
      Bench bench(yaml);
      bench.threads = in_memory ? 1 : 3;
      const std::string input = bench.definition().inputs().begin()->first;
      bench.AddTable(input, yaml == kText       ? Refrain(10)
                            : yaml == kForecast ? Waves(120)
                                                : Signs(60));
      bench.definition().mutable_steps(0)->mutable_train()->mutable_network()->set_epochs(2);
      v1::TaskStart start = bench.Start("train");
      if (!in_memory) start.mutable_attempt()->mutable_resources()->set_memory_bytes(1);
      const v1::TaskEnd end = bench.Run("train", start);
      EXPECT_EQ(end.result().failure().message(), "");
      digests.push_back(Sha256Hex(bench.ModelBytes("train")));
    }
    EXPECT_THAT(digests, Each(digests.front()));
  }
}

}  // namespace
}  // namespace beamline::pipeline
