// Predict steps: what they leave is what a call for the same rows answers, column by column.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "engine/core/philox.h"
#include "engine/data/columnar.h"
#include "pipeline/archive.h"
#include "pipeline/csv_writer.h"
#include "pipeline/dependencies.h"
#include "pipeline/model_file.h"
#include "pipeline/predict.h"
#include "pipeline/program_learner.h"
#include "pipeline/row_predictions.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::ColumnType;
using engine::data::Table;
using testing::Bench;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Rows;

constexpr char kDefinition[] = R"(
name: ask
seed: 3
inputs: {points: {dataset: d}, fresh: {dataset: e}}
steps:
  - name: train
    train:
      data: {input: points, target: label, features: [x, y], split: {random: {test: 0.25}}}
      network:
        layers: [{dense: {units: 4, activation: relu}}, {dense: {}}]
        epochs: 3
  - name: ask
    predict: {model: train}
)";

// Points of `classes` clouds; the label of one that stands alone is its number.
Table Points(int64_t rows, int classes) {
  const engine::Philox random(1, 2);
  std::vector<double> x;
  std::vector<float> y;
  std::vector<std::string> label;
  for (int64_t i = 0; i < rows; ++i) {
    const auto k = static_cast<int>(i % classes);
    x.push_back(2.0 * k + random.Normal(static_cast<uint64_t>(2 * i)));
    y.push_back(static_cast<float>(random.Normal(static_cast<uint64_t>(2 * i + 1)) - k));
    label.push_back(std::string(1, static_cast<char>('a' + k)));
  }
  return Table({Column::Of("x", x), Column::Of("y", y), Column::OfStrings("label", label)});
}

std::vector<std::string> Names(const Table& table) {
  std::vector<std::string> names;
  for (const Column& column : table.columns()) names.push_back(column.name());
  return names;
}

// The table that a step made.
Table MadeBy(Bench& bench, const std::string& step) {
  const v1::TaskEnd end = bench.Run(step);
  EXPECT_EQ(end.result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED) << end.DebugString();
  EXPECT_TRUE(end.artifact_paths().contains("table_csv"));
  EXPECT_GT(end.result().result().table().row_count(), 0);
  return engine::data::OpenColumnar(end.artifact_paths().at("table")).table;
}

std::string FailureOf(Bench& bench, const std::string& step) {
  return bench.Run(step).result().failure().message();
}

// What the trained model answers to row `row` of `table`.
v1::Prediction Answer(const Bench& bench, const Table& table, int64_t row) {
  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  const auto answer = predictor->Predict(Rows(absl::StrCat(
      "[{\"x\": ", table.Get("x").Text(row), ", \"y\": ", table.Get("y").Text(row), "}]")));
  EXPECT_TRUE(answer.ok()) << answer.status();
  return answer->front();
}

TEST(PredictStep, SaysOfTestRowsWhatACallSays) {
  for (const int classes : {2, 3}) {
    Bench bench(kDefinition);
    bench.AddTable("points", Points(200, classes));
    bench.Run("train");
    const Table table = MadeBy(bench, "ask");
    EXPECT_EQ(table.rows(), 50);
    EXPECT_THAT(Names(table),
                ::testing::IsSupersetOf({"x", "y", "label", "prediction", "probability_a"}));
    EXPECT_EQ(table.columns().size(), 4u + static_cast<size_t>(classes));
    for (const int64_t row : {0, 17, 49}) {
      const v1::Prediction answer = Answer(bench, table, row);
      EXPECT_EQ(table.Get("prediction").Text(row), answer.label());
      for (int k = 0; k < classes; ++k) {
        EXPECT_EQ(table.columns()[static_cast<size_t>(4 + k)].Number(row),
                  static_cast<float>(answer.probabilities(k)));
      }
    }
  }
}

TEST(PredictStep, NeedsNoTargetOfAnotherInput) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(200, 2));
  // More rows than are asked of at once; another column, and one of the name of the answer.
  const Table points = Points(40'000, 2);
  const std::vector<float> noise(40'000, 0.5F);
  bench.AddTable("fresh",
                 Table({points.Get("x"), points.Get("y"), Column::Of("prediction", noise)}));
  bench.definition().mutable_steps(1)->mutable_predict()->set_input("fresh");
  bench.Run("train");
  const Table table = MadeBy(bench, "ask");
  EXPECT_THAT(Names(table),
              ElementsAre("x", "y", "prediction", "prediction_", "probability_a", "probability_b"));
  ASSERT_EQ(table.rows(), 40'000);
  for (const int64_t row : {0, 16'383, 16'384, 39'999}) {
    EXPECT_EQ(table.Get("x").Number(row), points.Get("x").Number(row));
    EXPECT_EQ(table.Get("prediction_").Text(row), Answer(bench, table, row).label());
  }
}

TEST(PredictStep, HasNumbersInTheScaleOfTheTarget) {
  Bench bench(R"(
name: ask
inputs: {points: {dataset: d}}
steps:
  - name: train
    train:
      data: {input: points, target: y, features: [x], split: {random: {test: 0.5}}}
      linear: {}
  - {name: ask, predict: {model: train, part: train}}
)");
  std::vector<double> x;
  std::vector<double> y;
  for (int i = 0; i < 40; ++i) {
    x.push_back(i);
    y.push_back(100 + 3 * i);
  }
  bench.AddTable("points", Table({Column::Of("x", x), Column::Of("y", y)}));
  bench.Run("train");
  const Table table = MadeBy(bench, "ask");
  ASSERT_EQ(table.rows(), 20);
  EXPECT_THAT(Names(table), ElementsAre("x", "y", "prediction"));
  for (int64_t row = 0; row < 20; ++row) {
    EXPECT_NEAR(table.Get("prediction").Number(row), table.Get("y").Number(row), 1e-3);
  }
}

TEST(PredictStep, HasErrorsClustersAndCodesOfModelsThatReconstruct) {
  Bench bench(R"(
name: ask
inputs: {points: {dataset: d}}
steps:
  - name: train
    train:
      data: {input: points, objective: reconstruct, features: [x, y]}
      k_means: {clusters: 3}
  - {name: ask, predict: {model: train, input: points}}
)");
  bench.AddTable("points", Points(300, 3));
  bench.Run("train");
  const Table table = MadeBy(bench, "ask");
  EXPECT_THAT(Names(table), ElementsAre("x", "y", "label", "reconstruction_error", "cluster",
                                        "embedding_1", "embedding_2", "embedding_3"));
  for (const int64_t row : {0, 299}) {
    const v1::Prediction answer = Answer(bench, table, row);
    EXPECT_EQ(table.Get("cluster").Text(row), answer.label());
    EXPECT_EQ(table.Get("embedding_3").Number(row), static_cast<float>(answer.embedding(2)));
  }
}

TEST(PredictStep, HasARowForEachWindowOrStep) {
  const std::string head = R"(
name: ask
inputs: {series: {dataset: d}}
steps:
  - name: ask
    predict: {model: train, part: test}
  - name: train
    train:
      data:
        input: series
        features: [v]
        split: {ordered: {test: 0.25}}
)";
  const std::string tail = "      network: {epochs: 1, layers: ";
  std::vector<double> v;
  std::vector<std::string> sign;
  for (int i = 0; i < 80; ++i) {
    v.push_back(std::sin(i));
    sign.push_back(std::sin(i) > 0 ? "up" : "down");
  }
  const Table series({Column::Of("v", v), Column::OfStrings("sign", sign)});
  Bench forecast(head + "        objective: forecast\n        windows: {steps: 8, horizon: 2}\n" +
                 tail + "[{transpose: {}}, {dense: {units: 2}}, {transpose: {}}]}\n");
  forecast.AddTable("series", series);
  ASSERT_EQ(FailureOf(forecast, "train"), "");
  const Table told = MadeBy(forecast, "ask");
  EXPECT_THAT(Names(told), ElementsAre("v", "sign", "forecast_1_v", "forecast_2_v"));

  Bench steps(head +
              "        target: sign\n        objective: each_step\n        windows: {steps: 5}\n" +
              tail + "[{gru: {units: 4, sequence: true}}, {dense: {}}]}\n");
  steps.AddTable("series", series);
  ASSERT_EQ(FailureOf(steps, "train"), "");
  const Table judged = MadeBy(steps, "ask");
  EXPECT_EQ(judged.rows(), 20) << "every row of the test part";
  EXPECT_NE(judged.Find("probability_up"), nullptr);
}

TEST(PredictStep, HasTheTextsOfModelsThatTranslate) {
  Bench bench(R"(
name: ask
inputs: {words: {dataset: d}, fresh: {dataset: e}}
steps:
  - name: train
    train:
      data:
        input: words
        objective: translate
        features: [text]
        target: same
        split: {random: {test: 0.1}}
      network:
        layers:
          - {name: read, embedding: {dimension: 8, tokens: true}}
          - {inputs: [target], embedding: {dimension: 8, tokens: true}}
          - {name: state, gru: {units: 8, sequence: true}}
          - {name: finds, inputs: [state, read], attention: {}}
          - {inputs: [state, finds], concat: {}}
          - dense: {}
        epochs: 1
  - {name: ask, predict: {model: train, input: fresh}}
)");
  std::vector<std::string> text;
  for (int i = 0; i < 40; ++i) text.emplace_back(i % 2 == 0 ? "12" : "345");
  const Column texts = Column::OfStrings("text", text);
  bench.AddTable("words", Table({texts, Column::OfStrings("same", text)}));
  std::vector<std::string> same(40, "longer than any");
  same[1] = "";  // What is to be written is not read.
  bench.AddTable("fresh", Table({texts, Column::OfStrings("same", same)}));
  ASSERT_EQ(FailureOf(bench, "train"), "");
  const Table table = MadeBy(bench, "ask");
  EXPECT_THAT(Names(table), ElementsAre("text", "same", "prediction", "probability"));
  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  const auto said = predictor->Predict(Rows(R"([{"text": "12"}, {"text": "345"}])")).value();
  for (const int64_t row : {0, 1, 39}) {
    const v1::Prediction& answer = said[static_cast<size_t>(row % 2)];
    EXPECT_EQ(table.Get("prediction").Text(row), answer.label());
    EXPECT_EQ(table.Get("probability").Number(row), static_cast<float>(answer.probabilities(0)));
  }
}

TEST(PredictStep, LeavesATableForLaterSteps) {
  Bench bench(absl::StrCat(kDefinition, R"(
  - name: sure
    prepare: {input: ask, operations: [{filter: {where: probability_b > 0.5}}]}
  - name: wrong
    train: {data: {input: ask, target: nobody}, naive_bayes: {}}
)"));
  EXPECT_THAT(DependenciesOf(bench.definition(), bench.definition().steps(2)), ElementsAre("ask"));
  bench.AddTable("points", Points(200, 2));
  bench.Run("train");
  bench.Run("ask");
  const v1::TaskEnd end = bench.Run("sure");
  ASSERT_EQ(end.result().failure().message(), "");
  const Table sure = engine::data::OpenColumnar(end.artifact_paths().at("table")).table;
  ASSERT_GT(sure.rows(), 0);
  EXPECT_EQ(sure.Get("prediction").Text(0), "b");
  EXPECT_THAT(FailureOf(bench, "wrong"), HasSubstr("the data has no column \"nobody\""));
}

TEST(PredictStep, SaysThatMemoryDoesNotSuffice) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(200, 2));
  bench.AddTable("fresh", Points(1'000'000, 2));
  bench.definition().mutable_steps(1)->mutable_predict()->set_input("fresh");
  bench.definition().mutable_steps(1)->mutable_resources()->set_memory_bytes(int64_t{16} << 20);
  bench.Run("train");
  v1::TaskStart start = bench.Start("ask");
  start.mutable_attempt()->mutable_resources()->set_memory_bytes(int64_t{8} << 20);
  const v1::TaskEnd end = bench.Run("ask", start);
  EXPECT_EQ(end.result().failure().field(), "steps.ask.resources.memory_bytes");
  EXPECT_THAT(end.result().failure().message(), HasSubstr("the predictions take 12 MiB"))
      << "a code and two probabilities, of 4 bytes each, for a million rows";
}

// Of part of a table the plain columns are copied: here 16 bytes a row beside 12 of predictions.
TEST(PredictStep, CountsTheRowsOfPartOfATable) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(200, 2));
  bench.Run("train");
  bench.AddTable("points", Points(240'000, 2));
  const auto ask = [&] {
    v1::TaskStart start = bench.Start("ask");
    start.mutable_attempt()->mutable_resources()->set_memory_bytes(int64_t{8} << 20);
    return bench.Run("ask", start).result().failure().message();
  };
  v1::PredictStep& predict = *bench.definition().mutable_steps(1)->mutable_predict();
  predict.set_part(v1::DATA_PART_TRAIN);
  EXPECT_THAT(ask(), HasSubstr("the predictions and their rows take 5 MiB"));
  predict.clear_part();
  predict.set_input("points");
  EXPECT_EQ(ask(), "") << "more rows, but nothing is copied";
}

// Known before the program runs, which this process could not start.
TEST(PredictStep, CountsWhatAProgramSays) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(200, 2));
  bench.AddTable("fresh", Points(400'000, 2));
  bench.definition().mutable_steps(0)->mutable_train()->mutable_naive_bayes();
  bench.definition().mutable_steps(1)->mutable_predict()->set_input("fresh");
  bench.Run("train");
  v1::ModelCard card = DecodeModel(bench.ModelBytes("train")).value().card;
  card.mutable_learner()->mutable_command()->mutable_program()->add_arguments("never");
  const TemporaryDirectory folder;
  const std::string model = folder.path() + "/model";
  ASSERT_TRUE(std::filesystem::create_directory(model));
  ASSERT_TRUE(WriteFileAtomically(model + "/weights", "1").ok());
  PackFolder(model, "model", model + ".tar", {}, kCardName, CardText(card));
  v1::TaskStart start = bench.Start("ask");
  (*start.mutable_input_paths())["train/model"] = model + ".tar";
  EXPECT_THAT(bench.Run("ask", start).result().failure().message(),
              HasSubstr("cannot start programs"));
  start.mutable_attempt()->mutable_resources()->set_memory_bytes(int64_t{8} << 20);
  EXPECT_THAT(bench.Run("ask", start).result().failure().message(),
              HasSubstr("the predictions take 7 MiB"));
}

TEST(PredictStep, StopsWhenAsked) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(200, 2));
  bench.AddTable("fresh", Points(100'000, 2));
  bench.definition().mutable_steps(1)->mutable_predict()->set_input("fresh");
  bench.Run("train");
  bench.sink().on_event = [&](const v1::Event& event) {
    if (event.progress().activity() == "predicting") bench.stop().Ask(StopToken::Request::kStop);
  };
  const v1::TaskEnd end = bench.Run("ask");
  EXPECT_EQ(end.result().outcome(), v1::AttemptResult::OUTCOME_CANCELLED);
  EXPECT_TRUE(end.artifact_paths().empty());
}

TEST(PredictStep, StopsWhileItWrites) {
  for (const auto request : {StopToken::Request::kStop, StopToken::Request::kCheckpointAndStop}) {
    Bench bench(kDefinition);
    bench.AddTable("points", Points(200, 2));
    bench.Run("train");
    bench.sink().on_event = [&](const v1::Event& event) {
      if (event.progress().activity() == "writing") bench.stop().Ask(request);
    };
    const v1::TaskEnd end = bench.Run("ask");
    EXPECT_EQ(end.result().outcome(), request == StopToken::Request::kStop
                                          ? v1::AttemptResult::OUTCOME_CANCELLED
                                          : v1::AttemptResult::OUTCOME_RELEASED);
    EXPECT_TRUE(end.artifact_paths().empty());
    EXPECT_FALSE(end.result().result().has_table());
  }
}

TEST(WriteCsv, CanBeLeftBetweenPieces) {
  const TemporaryDirectory folder;
  const std::string path = folder.path() + "/points.csv";
  const Table points = Points(100'000, 2);
  const size_t whole = ToCsv(points).size();
  struct Enough {};
  int pieces = 0;
  const auto between = [&] {
    if (++pieces == 3) throw Enough();
  };
  EXPECT_THROW(WriteCsv(points, path, between), Enough);
  EXPECT_GE(std::filesystem::file_size(path), size_t{2} << 20);
  EXPECT_LT(std::filesystem::file_size(path), whole);
}

TEST(Beside, NamesThingsApart) {
  const Table table({Column::Of("a", std::vector<float>{1, 2}),
                     Column::Of("a_", std::vector<float>{3, 4}),
                     Column::Of("image", std::vector<float>(4), {2})});
  const Table beside =
      Beside(table, {1},
             {Column::Of("a", std::vector<float>{5}), Column::Of("a___", std::vector<float>{6}),
              Column::Of("a_", std::vector<float>{7})});
  EXPECT_THAT(Names(beside), ElementsAre("a", "a_", "a__", "a___", "a____"));
  EXPECT_EQ(beside.Get("a_").Number(0), 4);
  EXPECT_EQ(beside.Get("a__").Number(0), 5);
}

}  // namespace
}  // namespace beamline::pipeline
