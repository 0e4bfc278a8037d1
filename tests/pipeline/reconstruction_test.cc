// Models that reconstruct, from the definition to predictions; images as features.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "engine/core/philox.h"
#include "pipeline/examples.h"
#include "pipeline/predict.h"
#include "pipeline/training.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using testing::Bench;
using ::testing::HasSubstr;
using testing::Rows;

constexpr char kDefinition[] = R"(
name: line
inputs: {points: {dataset: d}}
steps:
  - name: train
    train:
      data:
        input: points
        objective: reconstruct
        exclude: [kind]
        train_on: {column: label, values: ["0"]}
        split: {random: {validation: 0.2, test: 0.3}}
      network:
        layers: [{dense: {units: 1}}, {dense: {}}]
        optimizer: {adam: {learning_rate: 0.02}}
        epochs: 40
        early_stopping: {metric: mse, patience: 20}
  - name: evaluate
    evaluate: {model: train, anomaly: {column: label}}
  - name: publish
    publish:
      model: train
      name: line
      requirements: [{evaluation: evaluate, metric: auc, at_least: 0.95}]
)";

// Points beside a line in three dimensions, every tenth away from it.
Table Points(int64_t rows) {
  const engine::Philox random(1, 2);
  std::vector<double> x, y, z;
  std::vector<int64_t> label;
  std::vector<std::string> kind;
  for (int64_t i = 0; i < rows; ++i) {
    const auto at = static_cast<uint64_t>(8 * i);
    const double along = 3 * random.Normal(at);
    const bool off = i % 10 == 7;
    x.push_back(10 + along + 0.1 * random.Normal(at + 1));
    y.push_back(2 * along + 0.1 * random.Normal(at + 2) + (off ? 9 : 0));
    z.push_back(5 - along + 0.1 * random.Normal(at + 3) - (off ? 6 : 0));
    label.push_back(off ? 1 : 0);
    kind.emplace_back(off ? "odd" : "even");
  }
  return Table({Column::Of("x", x), Column::Of("y", y), Column::Of("z", z),
                Column::Of("label", label), Column::OfStrings("kind", kind)});
}

v1::Evaluation Passed(const v1::TaskEnd& end) {
  EXPECT_EQ(end.result().failure().message(), "");
  EXPECT_EQ(end.result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED);
  return end.result().result().evaluation();
}

TEST(Reconstruction, FindsAnomalies) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(1000));
  const v1::TaskEnd trained = bench.Run("train");
  Passed(trained);
  const v1::ModelCard& card = trained.result().card();
  EXPECT_THAT(card.features(), ::testing::ElementsAre("x", "y", "z"));
  EXPECT_EQ(card.target(), "");
  EXPECT_EQ(card.network().layers(1).dense().units(), 3);
  EXPECT_TRUE(card.network().loss().has_mean_squared_error());
  const auto& metrics = trained.result().result().metrics();
  EXPECT_LT(metrics.at("validation_mse"), 0.1);
  // The loss of the engine is the error that is measured row by row.
  EXPECT_NEAR(metrics.at("validation_mse"), metrics.at("validation_loss"), 1e-6);
  EXPECT_GT(metrics.at("validation_mae"), 0);

  const v1::Evaluation evaluation = Passed(bench.Run("evaluate"));
  EXPECT_EQ(evaluation.row_count(), 300);  // Test rows are of both kinds.
  EXPECT_GT(evaluation.metrics().at("auc"), 0.95);
  EXPECT_GT(evaluation.metrics().at("pr_auc"), 0.8);
  EXPECT_GT(evaluation.roc_size(), 2);
  EXPECT_EQ(evaluation.confusion_size(), 0);
  Passed(bench.Run("publish"));
}

TEST(Reconstruction, LabelsAnomaliesByAnyColumn) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(1000));
  Passed(bench.Run("train"));
  const double auc = Passed(bench.Run("evaluate")).metrics().at("auc");
  v1::AnomalyLabels& anomaly =
      *bench.definition().mutable_steps(1)->mutable_evaluate()->mutable_anomaly();
  anomaly.set_column("kind");
  anomaly.add_values("odd");
  EXPECT_EQ(Passed(bench.Run("evaluate")).metrics().at("auc"), auc);
  anomaly.clear_values();
  EXPECT_THAT(bench.Run("evaluate").result().failure().message(),
              HasSubstr("is neither 0 nor 1: give the values of anomalies"));
  bench.definition().mutable_steps(1)->mutable_evaluate()->clear_anomaly();
  const v1::Evaluation plain = Passed(bench.Run("evaluate"));
  EXPECT_FALSE(plain.metrics().contains("auc"));
  EXPECT_TRUE(plain.metrics().contains("mse"));
}

TEST(Reconstruction, PredictsErrorsAndReconstructions) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(1000));
  Passed(bench.Run("train"));
  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  const auto rows = Rows(R"([{"x": 12, "y": 4, "z": 3}, {"x": 12, "y": 14, "z": -4, "label": 1}])");
  const auto errors = predictor->Predict(rows).value();
  EXPECT_LT(errors[0].reconstruction_error(), 0.1);
  EXPECT_GT(errors[1].reconstruction_error(), 0.5);
  EXPECT_EQ(errors[0].reconstruction_size(), 0);
  const auto whole = predictor->Predict(rows, {.reconstruction = true}).value();
  ASSERT_EQ(whole[0].reconstruction_size(), 3);
  EXPECT_EQ(whole[0].reconstruction_error(), errors[0].reconstruction_error());
  // In the scale of the columns.
  EXPECT_NEAR(whole[0].reconstruction(0), 12, 1);
  EXPECT_NEAR(whole[0].reconstruction(1), 4, 1.5);
  EXPECT_NEAR(whole[0].reconstruction(2), 3, 1);
}

TEST(Reconstruction, SaysWhatLeavesNoRows) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(1000));
  v1::TrainingData& data = *bench.definition().mutable_steps(0)->mutable_train()->mutable_data();
  data.mutable_train_on()->set_values(0, "2");
  const v1::TaskEnd end = bench.Run("train");
  EXPECT_THAT(end.result().failure().message(), HasSubstr("train_on leaves no training rows"));
}

TEST(TrainingData, LimitDrawsRowsBySeed) {
  const Table table = Points(1000);
  v1::TrainingData data;
  data.mutable_split()->mutable_random()->set_test(0.2);
  const SplitExamples all = MakeExamples(table, data, 1);
  data.set_limit(50);
  const SplitExamples some = MakeExamples(table, data, 1);
  EXPECT_EQ(some.test.heads, all.test.heads);
  ASSERT_EQ(some.train.size(), 50);
  EXPECT_TRUE(std::is_sorted(some.train.heads.begin(), some.train.heads.end()));
  EXPECT_TRUE(std::includes(all.train.heads.begin(), all.train.heads.end(),
                            some.train.heads.begin(), some.train.heads.end()));
  EXPECT_EQ(MakeExamples(table, data, 1).train.heads, some.train.heads);
  data.mutable_split()->clear_kind();
  EXPECT_NE(MakeExamples(table, data, 1).train.heads, MakeExamples(table, data, 2).train.heads);
  data.set_limit(5000);
  EXPECT_EQ(MakeExamples(table, data, 1).train.size(), 1000);
}

constexpr char kImages[] = R"(
name: images
inputs: {images: {dataset: d}}
steps:
  - name: train
    train:
      data: {input: images, target: label}
      network:
        layers: [{dense: {units: 4, activation: relu}}, {dense: {}}]
        epochs: 3
)";

// Images of 5 x 4 bytes with a bright half, and a number beside them.
Table Images(int64_t rows) {
  const engine::Philox random(3, 4);
  std::vector<uint8_t> pixels, label;
  std::vector<double> size;
  for (int64_t i = 0; i < rows; ++i) {
    label.push_back(static_cast<uint8_t>(i % 3));
    size.push_back(random.Normal(static_cast<uint64_t>(i)));
    for (int64_t k = 0; k < 20; ++k) {
      const auto noise = random.Below(static_cast<uint64_t>(10'000 + 20 * i + k), 128);
      pixels.push_back(static_cast<uint8_t>(noise + (k % 3 == i % 3 ? 100 : 0)));
    }
  }
  return Table(
      {Column::Of("size", size), Column::Of("image", pixels, {5, 4}), Column::Of("label", label)});
}

TEST(Images, StayBytesAndBecomeNumbersWhenTheyAreGathered) {
  Bench bench(kImages);
  const v1::TrainStep& train = bench.definition().steps(0).train();
  const engine::data::Dataset dataset{Images(90), engine::data::Describe(Images(90)), {}};
  const Training training =
      PrepareTraining(dataset, nullptr, train, 1, "steps.train.train", {.memory_bytes = 1 << 30});
  EXPECT_EQ(training.layout.features, 21);
  ASSERT_EQ(training.card.feature_columns(1).steps_size(), 1);
  EXPECT_EQ(training.card.feature_columns(1).steps(0).b_size(), 1);  // One factor for all pixels.
  // The same numbers with and without memory for the others.
  const Training without = PrepareTraining(dataset, nullptr, train, 1, "steps.train.train", {});
  std::vector<float> held(21 * 3), read(21 * 3);
  const std::vector<int64_t> rows = {80, 0, 7};
  training.training->Gather(rows, {.features = held.data()});
  without.training->Gather(rows, {.features = read.data()});
  EXPECT_EQ(held, read);
  const auto pixels = dataset.table.Get("image").values<uint8_t>();
  for (size_t k = 0; k < 20; ++k) {
    EXPECT_FLOAT_EQ(held[21 + 1 + k], static_cast<float>(pixels[k]) / 255.0F);
  }
}

TEST(Images, ArePredictedFromListsFlatOrNested) {
  Bench bench(kImages);
  bench.AddTable("images", Images(90));
  Passed(bench.Run("train"));
  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  const auto flat = predictor->Predict(
      Rows(R"([{"size": 1, "image": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]}])"));
  const auto nested = predictor->Predict(Rows(
      R"([{"size": 1, "image": [[1,2,3,4],[5,6,7,8],[9,10,11,12],[13,14,15,16],[17,18,19,20]]}])"));
  ASSERT_TRUE(flat.ok() && nested.ok()) << flat.status() << nested.status();
  EXPECT_EQ((*flat)[0].probabilities(0), (*nested)[0].probabilities(0));
  for (const char* bad : {R"([{"size": 1, "image": [1,2]}])", R"([{"size": 1, "image": 3}])",
                          R"([{"size": 1, "image": [[1,2,3,4],[5,6,7,8]]}])"}) {
    EXPECT_EQ(predictor->Predict(Rows(bad)).status().message(),
              "row 1, column \"image\": expected a list of 20 numbers, or lists nested as 5 x 4");
  }
  EXPECT_THAT(predictor->Predict(Rows("[{}]"), {.reconstruction = true}).status().message(),
              HasSubstr("reconstructs nothing"));
}

}  // namespace
}  // namespace beamline::pipeline
