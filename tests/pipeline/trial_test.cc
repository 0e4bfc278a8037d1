// Trials and folds as task processes run them.
#include "pipeline/trial.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "engine/core/philox.h"
#include "engine/data/columnar.h"
#include "pipeline/csv_writer.h"
#include "pipeline/expand.h"
#include "pipeline/out_of_fold.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using testing::Bench;
using ::testing::HasSubstr;

constexpr char kDefinition[] = R"(
name: blobs
seed: 3
inputs: {points: {dataset: d}}
parameters:
  - {name: rate, path: steps.train.train.network.optimizer.adam.learning_rate}
steps:
  - name: train
    search:
      random: {trials: 2}
      objective: f1_macro
      space:
        rate: {choice: [0.01, 0.02]}
        train.network.layers.0.dense.units: {choice: [4, 8]}
    train:
      data:
        input: points
        target: label
        features: [x]
        split: {stratified: {validation: 0.2, test: 0.2}}
      network:
        layers:
          - dense: {units: 8, activation: relu}
          - dropout: {rate: 0.1}
          - dense: {}
        optimizer: {adam: {learning_rate: 0.05}}
        schedule: {cosine: {}}
        averaging: {exponential: {}}
        batch_size: 16
        epochs: 6
        early_stopping: {metric: auc, patience: 3}
)";

Table Points(int64_t rows) {
  const engine::Philox random(1, 2);
  std::vector<double> x;
  std::vector<std::string> label;
  for (int64_t i = 0; i < rows; ++i) {
    const auto k = static_cast<int>(i % 2);
    x.push_back(k + random.Normal(static_cast<uint64_t>(i)));
    label.push_back(k == 0 ? "a" : "b");
  }
  return Table({Column::Of("x", x), Column::OfStrings("label", label)});
}

v1::Trial MakeTrial(int epochs, int after_epochs, int fold = 0) {
  v1::Trial trial;
  trial.set_number(2);
  trial.set_epochs(epochs);
  trial.set_after_epochs(after_epochs);
  trial.set_fold(fold);
  (*trial.mutable_parameters())["rate"].set_number_value(0.02);
  (*trial.mutable_parameters())["train.network.layers.0.dense.units"].set_number_value(4);
  return trial;
}

// The attempt at a trial as the server makes it; `results` has the files of tasks before it.
v1::TaskEnd RunTrial(Bench& bench, const v1::Trial& trial,
                     std::map<std::string, std::string>* results) {
  v1::TaskStart start = bench.Start("train");
  v1::Attempt& attempt = *start.mutable_attempt();
  *attempt.mutable_trial() = trial;
  EXPECT_TRUE(ApplyTrial("train", trial, attempt.mutable_definition()).empty());
  const PlannedTask plan = PlanTask(bench.definition(), bench.definition().steps(0), trial);
  for (const PlannedTask::Artifact& artifact : plan.artifacts) {
    (*start.mutable_input_paths())[artifact.key()] = results->at(artifact.key());
  }
  const v1::TaskEnd end = bench.Run("train", start);
  EXPECT_EQ(end.result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED) << end.ShortDebugString();
  for (const auto& [name, path] : end.artifact_paths()) {
    (*results)[TaskIdOf("train", trial) + "/" + name] = path;
  }
  return end;
}

TEST(Trial, NamesTasks) {
  v1::Trial trial;
  EXPECT_EQ(TaskIdOf("tune", trial), "tune");
  trial.set_fold(2);
  EXPECT_EQ(TaskIdOf("tune", trial), "tune.f2");
  trial.set_number(3);
  EXPECT_EQ(TaskIdOf("tune", trial), "tune.3.f2");
  trial.set_epochs(9);
  trial.set_after_epochs(3);
  EXPECT_EQ(TaskIdOf("tune", trial), "tune.3.e9.f2");
}

TEST(Trial, KnowsWhichWayItsObjectiveIsUp) {
  v1::Step step;
  EXPECT_EQ(ObjectiveOf(step).metric(), "validation_loss");
  EXPECT_FALSE(ObjectiveOf(step).maximize);
  step.mutable_search()->set_objective("auc");
  EXPECT_TRUE(ObjectiveOf(step).maximize);
  step.mutable_search()->set_objective("rmse");
  EXPECT_FALSE(ObjectiveOf(step).maximize);
}

// The promise: a trial's model is the one that a plain step with its values makes, however the
// training was cut into rounds.
TEST(Trial, GivesTheModelOfAPlainStepWithItsValues) {
  Bench plain(kDefinition);
  plain.AddTable("points", Points(300));
  v1::Step& step = *plain.definition().mutable_steps(0);
  step.clear_search();
  v1::NetworkLearner& network = *step.mutable_train()->mutable_network();
  network.mutable_optimizer()->mutable_adam()->set_learning_rate(0.02);
  network.mutable_layers(0)->mutable_dense()->set_units(4);
  ASSERT_EQ(plain.Run("train").result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED);

  for (const std::vector<int>& rounds :
       {std::vector<int>{0}, std::vector<int>{1, 0}, std::vector<int>{2, 4, 0}}) {
    Bench bench(kDefinition);
    bench.AddTable("points", Points(300));
    std::map<std::string, std::string> results;
    int before = 0;
    for (const int epochs : rounds) {
      const v1::TaskEnd end = RunTrial(bench, MakeTrial(epochs, before), &results);
      EXPECT_EQ(end.artifact_paths().contains("checkpoint"), epochs > 0);
      EXPECT_EQ(end.artifact_paths().contains("model"), epochs == 0);
      EXPECT_TRUE(end.result().result().metrics().contains("validation_f1_macro"));
      EXPECT_TRUE(end.result().result().metrics().contains("validation_auc"));
      before = epochs;
    }
    EXPECT_TRUE(bench.ModelBytes("train") == plain.ModelBytes("train")) << rounds.size();
  }
}

// A trial of a population takes over the weights, the optimiser's state and the place of another.
TEST(Trial, GoesOnFromTheStateOfAnother) {
  const auto model_after = [](int after_trial, double rate) {
    Bench bench(kDefinition);
    bench.AddTable("points", Points(300));
    bench.definition().mutable_steps(0)->mutable_train()->mutable_network()->clear_early_stopping();
    std::map<std::string, std::string> results;
    v1::Trial first = MakeTrial(2, 0);
    first.set_number(after_trial > 0 ? after_trial : 2);
    RunTrial(bench, first, &results);
    v1::Trial then = MakeTrial(0, 2);
    then.set_after_trial(after_trial);
    (*then.mutable_parameters())["rate"].set_number_value(rate);
    const v1::TaskEnd end = RunTrial(bench, then, &results);
    EXPECT_EQ(end.result().result().metrics().at("epochs"), 6);
    return bench.ModelBytes("train");
  };
  const std::string own = model_after(0, 0.02);
  EXPECT_TRUE(model_after(5, 0.02) == own) << "the same values: the same course";
  EXPECT_FALSE(model_after(5, 0.03) == own);
}

TEST(Trial, WithoutTheStateAPopulationDoesNotBeginAnew) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(300));
  bench.definition().mutable_steps(0)->mutable_search()->mutable_population()->set_population(2);
  std::map<std::string, std::string> results;
  RunTrial(bench, MakeTrial(2, 0), &results);
  const auto end_of = [&](const v1::Trial& trial) {
    v1::TaskStart start = bench.Start("train");
    *start.mutable_attempt()->mutable_trial() = trial;
    EXPECT_TRUE(ApplyTrial("train", trial, start.mutable_attempt()->mutable_definition()).empty());
    (*start.mutable_input_paths())["train.2.e2/checkpoint"] = results.at("train.2.e2/checkpoint");
    return bench.Run("train", start);
  };
  v1::Trial then = MakeTrial(0, 2);
  (*then.mutable_parameters())["rate"].set_number_value(0.03);
  const v1::TaskEnd other_rate = end_of(then);
  EXPECT_EQ(other_rate.result().outcome(), v1::AttemptResult::OUTCOME_FAILED);
  EXPECT_THAT(other_rate.result().failure().message(), HasSubstr("train.2.e2 cannot be used"));
  then.set_after_trial(2);
  EXPECT_EQ(end_of(then).result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED);
  (*then.mutable_parameters())["train.network.layers.0.dense.units"].set_number_value(5);
  EXPECT_EQ(end_of(then).result().outcome(), v1::AttemptResult::OUTCOME_FAILED);
}

TEST(Trial, StopsAtItsEpoch) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(300));
  std::map<std::string, std::string> results;
  const v1::TaskEnd one = RunTrial(bench, MakeTrial(1, 0), &results);
  EXPECT_EQ(one.result().result().metrics().at("epochs"), 1);
  const double steps = one.result().result().metrics().at("steps");
  const v1::TaskEnd three = RunTrial(bench, MakeTrial(3, 1), &results);
  EXPECT_EQ(three.result().result().metrics().at("epochs"), 3);
  EXPECT_EQ(three.result().result().metrics().at("steps"), 3 * steps);
  bool went_on = false;
  for (const v1::Event& event : bench.sink().events) {
    went_on = went_on || event.log().text().find("goes on from step") != std::string::npos;
  }
  EXPECT_TRUE(went_on);
}

// Each fold is trained and measured on rows of its own, and leaves no model behind.
TEST(Trial, FoldsAreMeasuredOnly) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(300));
  bench.definition().mutable_steps(0)->mutable_cross_validation()->mutable_k_fold()->set_folds(3);
  std::map<std::string, std::string> results;
  std::set<double> losses;
  for (int fold = 1; fold <= 3; ++fold) {
    const v1::TaskEnd end = RunTrial(bench, MakeTrial(0, 0, fold), &results);
    EXPECT_FALSE(end.artifact_paths().contains("model"));
    EXPECT_TRUE(end.artifact_paths().contains("predictions"));
    losses.insert(end.result().result().metrics().at("validation_loss"));
  }
  EXPECT_EQ(losses.size(), 3);
  std::string said;
  for (const v1::Event& event : bench.sink().events) said += event.log().text() + "\n";
  // 240 rows that are no test rows: 160 train, 80 are held out.
  EXPECT_THAT(said, HasSubstr("trains on 160 rows, validates on 80"));
}

// The step's own training puts together what the folds left.
TEST(Trial, ThePredictionsOfFoldsBecomeADataset) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(300));
  bench.definition().mutable_steps(0)->mutable_cross_validation()->mutable_k_fold()->set_folds(3);
  bench.definition().mutable_steps(0)->mutable_cross_validation()->mutable_k_fold()->set_repeats(2);
  std::map<std::string, std::string> results;
  std::vector<double> accuracy;
  for (int fold = 1; fold <= 6; ++fold) {
    const v1::TaskEnd end = RunTrial(bench, MakeTrial(0, 0, fold), &results);
    accuracy.push_back(end.result().result().metrics().at("validation_accuracy"));
  }
  const v1::TaskEnd own = RunTrial(bench, MakeTrial(0, 0), &results);
  EXPECT_TRUE(own.artifact_paths().contains("model"));
  const v1::Dataset& dataset = own.result().result().out_of_fold();
  EXPECT_EQ(dataset.row_count(), 480);
  const auto opened = engine::data::OpenColumnar(own.artifact_paths().at("out_of_fold_table"));
  std::string names;
  for (const Column& column : opened.table.columns()) names += column.name() + " ";
  EXPECT_EQ(names, "x label fold prediction probability_a probability_b ");
  ASSERT_EQ(dataset.columns_size(), 6);
  EXPECT_EQ(dataset.columns(4).statistics().count(), 480);
  // Each fold's rows are those that its metrics were computed from.
  std::vector<double> right(6);
  for (int64_t row = 0; row < 480; ++row) {
    const auto fold = static_cast<size_t>(opened.table.Get("fold").Integer(row) - 1);
    right[fold] += opened.table.Get("prediction").Text(row) == opened.table.Get("label").Text(row);
    EXPECT_NEAR(opened.table.Get("probability_a").Number(row) +
                    opened.table.Get("probability_b").Number(row),
                1, 1e-6);
  }
  for (size_t fold = 0; fold < 6; ++fold) EXPECT_NEAR(right[fold] / 80, accuracy[fold], 1e-9);
  const std::string csv = ReadFile(own.artifact_paths().at("out_of_fold")).value();
  EXPECT_EQ(csv.substr(0, csv.find('\n')), "x,label,fold,prediction,probability_a,probability_b");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 481);
}

TEST(OutOfFold, KeepsTheTablesColumnsAndQuotes) {
  v1::ModelCard card;
  card.add_classes("a, b");
  card.add_classes("c\"d");
  const Table table({Column::OfStrings("fold", {"x", "y", "z"}),
                     Column::Of("pixels", std::vector<float>{1, 2, 3, 4, 5, 6}, {2})});
  const Table first = HeldOut({.values = {0.25f}, .classes = 2}, {2}, card);
  const Table second = HeldOut({.values = {0.75f, 0.5f}, .classes = 2}, {1, 0}, card);
  EXPECT_EQ(ToCsv(OutOfFold(table, {first, second})),
            "fold,fold_,prediction,\"probability_a, b\",\"probability_c\"\"d\"\n"
            "x,2,\"c\"\"d\",0.5,0.5\n"
            "y,2,\"c\"\"d\",0.25,0.75\n"
            "z,1,\"a, b\",0.75,0.25\n");
  const Table numbers = HeldOut({.values = {1.5f}, .classes = 0}, {0}, card);
  EXPECT_EQ(ToCsv(OutOfFold(table, {numbers})), "fold,fold_,prediction\nx,1,1.5\n");
}

TEST(Trial, SaysWhichValueCannotBePut) {
  Bench bench(kDefinition);
  v1::Trial trial;
  (*trial.mutable_parameters())["train.network.layers.0.dense.units"].set_string_value("many");
  (*trial.mutable_parameters())["rate"].set_number_value(1);
  v1::PipelineDefinition definition = bench.definition();
  const std::vector<v1::Violation> violations = ApplyTrial("train", trial, &definition);
  ASSERT_EQ(violations.size(), 1);
  EXPECT_EQ(violations[0].field(), "train.network.layers.0.dense.units");
}

}  // namespace
}  // namespace beamline::pipeline
