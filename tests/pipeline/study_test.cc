// Scaling studies: which trainings they have, how they run as task processes, and what they say.
#include "pipeline/study.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/file.h"
#include "engine/core/philox.h"
#include "pipeline/dependencies.h"
#include "pipeline/expand.h"
#include "pipeline/trial.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using testing::Bench;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kDefinition[] = R"(
name: blobs
seed: 3
inputs: {points: {dataset: d}}
parameters:
  - {name: width, path: steps.fit.train.network.layers.0.dense.units}
steps:
  - name: clean
    prepare: {input: points, operations: [{filter: {where: 'x > -100'}}]}
  - name: fit
    resources: {memory_bytes: 512 MiB}
    timeout_seconds: 77
    train:
      data: {input: clean, target: label, split: {stratified: {validation: 0.25}}}
      checkpoint: {every_steps: 1}
      network:
        layers:
          - dense: {units: 8, activation: relu}
          - dropout: {rate: 0.1}
          - dense: {}
        optimizer: {adam: {learning_rate: 0.02}}
        batch_size: 32
        epochs: 3
  - name: study
    scaling_study:
      step: fit
      vary: {threads: [1, 2, 3], rows: [64, 128], width: [4, 16]}
      repeats: 2
)";

Table Points(int64_t rows) {
  const engine::Philox random(1, 2);
  std::vector<double> x, y;
  std::vector<std::string> label;
  for (int64_t i = 0; i < rows; ++i) {
    const auto k = static_cast<int>(i % 2);
    x.push_back(k + random.Normal(static_cast<uint64_t>(2 * i)));
    y.push_back(k - random.Normal(static_cast<uint64_t>(2 * i + 1)));
    label.push_back(k == 0 ? "a" : "b");
  }
  return Table({Column::Of("x", x), Column::Of("y", y), Column::OfStrings("label", label)});
}

v1::PipelineDefinition Parse(std::string_view text) {
  ParsedDefinition parsed = ParseDefinition(text);
  EXPECT_EQ(FormatViolations(parsed.violations, ""), "");
  return parsed.definition;
}

std::vector<std::string> StepsOf(const v1::PipelineDefinition& definition) {
  std::vector<std::string> steps;
  for (const PlannedTask& task : Expand(definition)) steps.push_back(task.step);
  return steps;
}

// All trainings, if those of `failing` fail: "1: rows=64 threads=1 width=4".
std::vector<std::string> AllTrainings(const v1::ScalingStudyStep& study,
                                      const std::vector<int>& failing = {}) {
  std::vector<std::string> all;
  std::map<int, bool> known;
  for (v1::Trial trial = NextTraining(study, known); trial.number() > 0;
       trial = NextTraining(study, known)) {
    std::string text = std::to_string(trial.number()) + ":";
    for (const auto& [key, value] : std::map(trial.parameters().begin(), trial.parameters().end()))
      text += " " + key + "=" + std::to_string(static_cast<int>(value.number_value()));
    all.push_back(text);
    known[trial.number()] = std::ranges::find(failing, trial.number()) != failing.end();
  }
  return all;
}

TEST(Study, EveryCombinationTheFirstKeyChangingSlowest) {
  v1::ScalingStudyStep study = Parse(kDefinition).steps(2).scaling_study();
  EXPECT_EQ(CountPoints(study), 12);
  const std::vector<std::string> all = AllTrainings(study);
  ASSERT_EQ(all.size(), 24);
  EXPECT_EQ(all[0], "1: rows=64 threads=1 width=4");
  EXPECT_EQ(all[1], "2: rows=64 threads=1 width=4");
  EXPECT_EQ(all[2], "3: rows=64 threads=1 width=16");
  EXPECT_EQ(all[4], "5: rows=64 threads=2 width=4");
  EXPECT_EQ(all[12], "13: rows=128 threads=1 width=4");
  EXPECT_EQ(all[23], "24: rows=128 threads=3 width=16");
  // What failed is not repeated, and the others keep their numbers.
  study.mutable_vary()->erase("rows");
  study.mutable_vary()->erase("width");
  EXPECT_THAT(
      AllTrainings(study, {1, 4}),
      ElementsAre("1: threads=1", "3: threads=2", "4: threads=2", "5: threads=3", "6: threads=3"));
  study.clear_vary();
  EXPECT_EQ(CountPoints(study), 0);
  EXPECT_THAT(AllTrainings(study), IsEmpty());
}

TEST(Study, ATrainingTakesItsPlace) {
  const v1::PipelineDefinition definition = Parse(kDefinition);
  v1::Trial trial;
  trial.set_number(5);
  (*trial.mutable_parameters())["rows"].set_number_value(64);
  (*trial.mutable_parameters())["threads"].set_number_value(3);
  (*trial.mutable_parameters())["width"].set_number_value(16);
  v1::PipelineDefinition variant = definition;
  EXPECT_THAT(ApplyTrial("study", trial, &variant), IsEmpty());
  const v1::Step& step = variant.steps(2);
  EXPECT_EQ(step.name(), "study");
  EXPECT_EQ(step.train().data().limit(), 64);
  EXPECT_EQ(step.train().network().layers(0).dense().units(), 16);
  EXPECT_EQ(step.resources().cpus(), 3);
  EXPECT_EQ(step.train().checkpoint().every_steps(), 0) << "checkpoints would take time";
  EXPECT_TRUE(IsStudied(step, trial));
  // The studied step stays as it is.
  EXPECT_EQ(variant.steps(1).SerializeAsString(), definition.steps(1).SerializeAsString());
  const PlannedTask task = PlanTask(definition, definition.steps(2), trial);
  EXPECT_EQ(task.step, "study");
  EXPECT_EQ(task.resources.cpus(), 3);
  EXPECT_EQ(task.resources.memory_bytes(), int64_t{512} << 20);
  EXPECT_EQ(task.timeout_seconds, 77);
  EXPECT_THAT(task.dependencies, ElementsAre("clean"));
  ASSERT_EQ(task.artifacts.size(), 1);
  EXPECT_EQ(task.artifacts[0].key(), "clean/table");
  // A value that fits nowhere is named by its key.
  (*trial.mutable_parameters())["width"].set_string_value("wide");
  variant = definition;
  const std::vector<v1::Violation> wrong = ApplyTrial("study", trial, &variant);
  ASSERT_EQ(wrong.size(), 1);
  EXPECT_EQ(wrong[0].field(), "width");
}

TEST(Study, TheStudiedStepTrainsItselfOnlyForOthers) {
  v1::PipelineDefinition definition = Parse(kDefinition);
  EXPECT_THAT(StepsOf(definition), ElementsAre("clean", "study"));
  v1::PipelineDefinition used = definition;
  v1::Step& evaluate = *used.add_steps();
  evaluate.set_name("check");
  evaluate.mutable_evaluate()->set_model("fit");
  EXPECT_THAT(StepsOf(used), ElementsAre("clean", "fit", "study", "check"));
  used.mutable_steps(3)->Clear();
  used.mutable_steps(3)->set_name("late");
  used.mutable_steps(3)->add_after("fit");
  EXPECT_THAT(StepsOf(used), ElementsAre("clean", "fit", "study", "late"));
  // A train step that no study names is trained, whether or not it is used.
  definition.mutable_steps()->RemoveLast();
  EXPECT_THAT(StepsOf(definition), ElementsAre("clean", "fit"));
}

TEST(Study, TrainingsMeasureThemselvesAndThreadsChangeNoBit) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(400));
  ASSERT_EQ(bench.Run("clean").result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED);
  std::vector<EndedTraining> trainings;
  std::map<int, bool> known;
  const v1::ScalingStudyStep study = bench.definition().steps(2).scaling_study();
  for (v1::Trial trial = NextTraining(study, known); trial.number() > 0;
       trial = NextTraining(study, known)) {
    known[trial.number()] = false;
    v1::TaskStart start = bench.Start("study");
    *start.mutable_attempt()->mutable_trial() = trial;
    start.set_threads(static_cast<int>(trial.parameters().at("threads").number_value()));
    ASSERT_THAT(ApplyTrial("study", trial, start.mutable_attempt()->mutable_definition()),
                IsEmpty());
    const v1::TaskEnd end = bench.Run("study", start);
    ASSERT_EQ(end.result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED)
        << end.ShortDebugString();
    ASSERT_EQ(end.result().result().scaling().points_size(), 1);
    trainings.push_back({.trial = trial,
                         .measured = end.result().result().scaling().points(0),
                         .digest = Sha256Hex(*ReadFile(end.artifact_paths().at("model"))),
                         .failed = false,
                         .failure = {}});
  }
  EXPECT_THAT(bench.sink().checkpoints, IsEmpty());
  const StudySummary summary = Summarize(study, trainings);
  ASSERT_EQ(summary.table.points_size(), 12);
  // 24 trainings of four models.
  EXPECT_EQ(summary.compared_models, 20);
  EXPECT_EQ(summary.different_models, 0);
  for (const v1::ScalingStudy::Point& point : summary.table.points()) {
    const double width = point.values().at("width").number_value();
    EXPECT_EQ(point.examples(), point.values().at("rows").number_value());
    EXPECT_EQ(point.epochs(), 3);
    EXPECT_EQ(point.threads(), point.values().at("threads").number_value());
    EXPECT_EQ(point.parameters(), 3 * width + width + 1);
    EXPECT_GT(point.metrics().at("validation_loss"), 0);
    EXPECT_EQ(point.repeats_size(), 2);
    EXPECT_GT(point.seconds(), 0);
  }
  EXPECT_NE(trainings[0].digest, trainings[2].digest);
  EXPECT_NE(summary.table.points(0).metrics().at("validation_loss"),
            summary.table.points(1).metrics().at("validation_loss"));
}

// A training of study {rows: [10, 20], threads: [2, 4]}.
EndedTraining Ended(int number, double seconds, int64_t examples, const std::string& digest) {
  EndedTraining training;
  training.trial.set_number(number);
  training.measured.set_seconds(seconds);
  training.measured.set_examples(examples);
  training.measured.set_epochs(3);
  training.digest = digest;
  return training;
}

TEST(Study, SpeedUpsAreOfExamplesAndMediansOfTimes) {
  const v1::ScalingStudyStep study =
      Parse(
          "name: x\nsteps: [{name: s, scaling_study: {step: t, vary: {rows: [10, 20], threads: "
          "[2, 4]}, repeats: 3}}]")
          .steps(0)
          .scaling_study();
  std::vector<EndedTraining> trainings = {
      Ended(1, 1, 10, "a"),    Ended(2, 9, 10, "a"), Ended(3, 2, 10, "a"),
      Ended(4, 1.25, 10, "a"), Ended(5, 1, 10, "b"), Ended(6, 5, 10, "a"),
      Ended(7, 3, 20, "c"),    Ended(8, 3, 20, "c"), Ended(9, 3, 20, "c"),
  };
  EndedTraining& failed = trainings.emplace_back(Ended(10, 0, 0, ""));
  failed.failed = true;
  failed.failure.set_message("no memory");
  const StudySummary summary = Summarize(study, trainings);
  const v1::ScalingStudy& table = summary.table;
  EXPECT_THAT(table.keys(), ElementsAre("rows", "threads"));
  ASSERT_EQ(table.points_size(), 4);
  const v1::ScalingStudy::Point& first = table.points(0);
  EXPECT_EQ(first.seconds(), 2);
  EXPECT_THAT(first.repeats(), ElementsAre(1, 9, 2));
  EXPECT_EQ(first.examples_per_second(), 15);
  EXPECT_EQ(first.speed_up().at("rows"), 1);
  EXPECT_EQ(first.speed_up().at("threads"), 1);
  EXPECT_EQ(first.efficiency(), 1);
  const v1::ScalingStudy::Point& faster = table.points(1);
  EXPECT_EQ(faster.values().at("rows").number_value(), 10);
  EXPECT_EQ(faster.values().at("threads").number_value(), 4);
  EXPECT_EQ(faster.speed_up().at("threads"), 1.6);
  EXPECT_EQ(faster.efficiency(), 0.8);
  EXPECT_EQ(faster.speed_up().at("rows"), 1);
  const v1::ScalingStudy::Point& larger = table.points(2);
  EXPECT_EQ(larger.examples_per_second(), 20);
  EXPECT_DOUBLE_EQ(larger.speed_up().at("rows"), 20.0 / 15);
  EXPECT_EQ(larger.speed_up().at("threads"), 1);
  const v1::ScalingStudy::Point& missing = table.points(3);
  EXPECT_EQ(missing.failure().message(), "no memory");
  EXPECT_EQ(missing.values().at("threads").number_value(), 4);
  EXPECT_FALSE(missing.has_efficiency());
  EXPECT_THAT(missing.speed_up(), IsEmpty());
  EXPECT_EQ(summary.failed_points, 1);
  // Of 10 rows five models must be the first's, of 20 rows two.
  EXPECT_EQ(summary.compared_models, 7);
  EXPECT_EQ(summary.different_models, 1);
  // Nothing is faster than what failed.
  trainings[0].failed = true;
  trainings.erase(trainings.begin() + 1, trainings.begin() + 3);
  EXPECT_FALSE(Summarize(study, trainings).table.points(1).has_efficiency());
}

}  // namespace
}  // namespace beamline::pipeline
