// Plans against what tasks then do and say.
#include "pipeline/plan/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "engine/core/philox.h"
#include "tests/pipeline/plan/plan_fixture.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using testing::AddRates;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kDefinition;
using testing::PlanTest;
using testing::Points;
using testing::WorkerWith;
using StepPlan = v1::PlanPipelineResponse::StepPlan;

TEST_F(PlanTest, IsWhatTheTaskDoes) {
  Use(kDefinition, Points(403));
  bench_->threads = 2;
  const StepPlan plan = Plan().steps(0);
  // Of 162 rows "in" and 241 "out" a fifth each to validate and to test.
  EXPECT_EQ(plan.examples(), 403 - 2 * 32 - 2 * 48);
  EXPECT_EQ(plan.batch_size(), 16);
  EXPECT_EQ(plan.optimizer_steps(), 6 * ((243 + 15) / 16));
  EXPECT_EQ(plan.parameters(), 4 * 8 + 8 + 8 + 1);
  EXPECT_EQ(plan.flops_per_step(), 2 * 16 * (2 * 4 * 8 + 3 * 8));
  EXPECT_EQ(plan.tasks(), 1);
  EXPECT_EQ(plan.memory_bytes(), int64_t{1} << 30);
  EXPECT_EQ(plan.fitting_workers(), 1);
  EXPECT_THAT(plan.advice(), IsEmpty());
  const std::string log = LogOf("train");
  EXPECT_THAT(log, HasSubstr("trains on 243 rows, validates on 80; 4 features"));
  const int64_t mebibytes = (plan.peak_memory_bytes() + (1 << 20) - 1) >> 20;
  EXPECT_THAT(log, HasSubstr(absl::StrCat("peak memory ", mebibytes, " MiB")));
  EXPECT_THAT(log, HasSubstr(absl::StrCat(" in ", plan.optimizer_steps(), " steps")));
}

// The figure in the log is in MiB: a network that has some.
TEST_F(PlanTest, NeedsTheMemoryThatTheTaskReserves) {
  Use(kDefinition, Points(4000));
  v1::NetworkLearner& network =
      *bench_->definition().mutable_steps(0)->mutable_train()->mutable_network();
  network.mutable_layers(0)->mutable_dense()->set_units(5000);
  network.set_batch_size(700);
  network.set_epochs(1);
  const StepPlan plan = Plan().steps(0);
  const int64_t mebibytes = (plan.peak_memory_bytes() + (1 << 20) - 1) >> 20;
  EXPECT_GT(mebibytes, 20);
  EXPECT_THAT(LogOf("train"), HasSubstr(absl::StrCat("peak memory ", mebibytes, " MiB")));
}

// As the task then says.
TEST_F(PlanTest, SaysWhenFeaturesAreStreamed) {
  const engine::Philox random(1, 2);
  std::vector<Column> columns;
  for (uint64_t c = 0; c < 200; ++c) {
    std::vector<float> values(20'000);
    for (size_t i = 0; i < values.size(); ++i) values[i] = random.Uniform(200 * i + c);
    columns.push_back(Column::Of(absl::StrCat("x", c), std::move(values)));
  }
  std::vector<int64_t> label(20'000);
  for (size_t i = 0; i < label.size(); ++i) label[i] = static_cast<int64_t>(i % 2);
  columns.push_back(Column::Of("label", std::move(label)));
  Use(kDefinition, Table(std::move(columns)));
  v1::Step& step = *bench_->definition().mutable_steps(0);
  step.mutable_train()->mutable_network()->set_epochs(1);
  // 12 thousand rows of 800 bytes.
  for (const auto& [mebibytes, place] :
       std::map<int, std::string>{{16, "features of 10 MiB in a file, streamed"}, {64, ""}}) {
    step.mutable_resources()->set_memory_bytes(int64_t{mebibytes} << 20);
    const StepPlan plan = Plan().steps(0);
    if (place.empty()) {
      EXPECT_THAT(plan.advice(), IsEmpty());
      EXPECT_GT(plan.devices(0).memory_bytes(), plan.devices(0).device_memory_bytes());
      continue;
    }
    ASSERT_EQ(plan.advice_size(), 1);
    EXPECT_THAT(plan.advice(0), HasSubstr(place));
    EXPECT_THAT(plan.advice(0), HasSubstr("of \"37 MiB\" holds them"));
    v1::TaskStart start = bench_->Start("train");
    *start.mutable_attempt()->mutable_resources() = step.resources();
    bench_->Run("train", start);
    std::string log;
    for (const v1::Event& event : bench_->sink().events) log += event.log().text();
    EXPECT_THAT(log, HasSubstr(place));
  }
}

TEST_F(PlanTest, NamesABatchThatFits) {
  Use(kDefinition, Points(20'000));
  v1::Step& step = *bench_->definition().mutable_steps(0);
  v1::NetworkLearner& network = *step.mutable_train()->mutable_network();
  network.mutable_layers(0)->mutable_dense()->set_units(2000);
  network.set_batch_size(12'000);
  step.mutable_resources()->set_memory_bytes(int64_t{64} << 20);
  const StepPlan plan = Plan().steps(0);
  ASSERT_THAT(plan.advice(),
              ElementsAre(HasSubstr("the step has 64 MiB: set resources.memory_bytes to \""),
                          HasSubstr("or set train.network.batch_size to 2048, which fits")));
  ASSERT_EQ(plan.devices_size(), 1);
  EXPECT_FALSE(plan.devices(0).fits());
  // As said: what it advises is accepted and fits, and the next size does not.
  network.set_batch_size(2048);
  EXPECT_THAT(Plan().steps(0).advice(), IsEmpty());
  EXPECT_TRUE(Plan().steps(0).devices(0).fits());
  network.set_batch_size(4096);
  EXPECT_FALSE(Plan().steps(0).devices(0).fits());
  // The same at submission.
  network.set_batch_size(12'000);
  ValidateOptions options;
  options.datasets = [this](std::string_view) { return &dataset_; };
  EXPECT_THAT(FormatViolations(Validate(bench_->definition(), options).violations, ""),
              HasSubstr("steps.train.train.network.batch_size: training needs "));
  EXPECT_THAT(FormatViolations(Validate(bench_->definition(), options).violations, ""),
              HasSubstr("but the step has 64 MiB: batches of 2048 fit; or use smaller layers"));
}

// What does not fit but for activations that are computed again is planned so, as the task does it.
TEST_F(PlanTest, ComputesAgainWhatDoesNotFit) {
  std::string deep = kDefinition;
  const std::string hidden = "          - dense: {units: 8, activation: relu}\n";
  std::string layers;
  for (int i = 0; i < 24; ++i) layers += "          - dense: {units: 64, activation: relu}\n";
  deep.replace(deep.find(hidden), hidden.size(), layers);
  deep.replace(deep.find("batch_size: 16"), 14, "batch_size: 3000");
  deep.replace(deep.find("{cpus: 2}"), 9, "{memory_bytes: 16 MiB}");
  Use(deep, Points(5000));
  const StepPlan train = Plan().steps(0);
  EXPECT_LE(train.peak_memory_bytes(), int64_t{16} << 20);
  ASSERT_EQ(train.advice_size(), 1);
  EXPECT_THAT(train.advice(0), HasSubstr("computed twice, in 2 parts"));
  const v1::TaskEnd end = bench_->Run("train");
  EXPECT_EQ(end.result().failure().message(), "");
}

TEST_F(PlanTest, KnowsTheTokensOfTexts) {
  std::vector<std::string> from, to;
  for (int i = 0; i < 60; ++i) {
    const std::string text = std::string(static_cast<size_t>(1 + i % 2), 'a') + "bc";
    from.push_back(text);
    to.emplace_back(text.rbegin(), text.rend());
  }
  Use(R"(
name: texts
seed: 1
inputs: {points: {dataset: d}}
steps:
  - name: train
    train:
      data: {input: points, objective: translate, features: [text], target: reversed}
      network:
        layers:
          - {name: read, embedding: {dimension: 2, tokens: true}}
          - {name: told, inputs: [target], embedding: {dimension: 2, tokens: true}}
          - {inputs: [told, read], attention: {}}
          - dense: {}
        epochs: 1
)",
      Table({Column::OfStrings("text", from), Column::OfStrings("reversed", to)}));
  // Three characters and the unknown one are read; the end is told too.
  EXPECT_EQ(Plan().steps(0).parameters(), 4 * 2 + 5 * 2 + 24 + 3 * 5);
  EXPECT_THAT(LogOf("train"), HasSubstr("trained 57 parameters"));
}

TEST_F(PlanTest, SaysWhichResourceNoWorkerHas) {
  Use(kDefinition, Points(100));
  bench_->definition().mutable_steps(0)->mutable_resources()->set_cpus(8);
  const StepPlan plan = Plan().steps(0);
  EXPECT_EQ(plan.fitting_workers(), 0);
  EXPECT_THAT(plan.advice(), ElementsAre("lower resources.cpus from 8 to 4 or less"));
  workers_.clear();
  EXPECT_THAT(Plan().steps(0).advice(), ElementsAre(HasSubstr("no worker is at hand")));
}

TEST_F(PlanTest, CountsTrialsAndFolds) {
  Use(kDefinition, Points(400));
  v1::Step& step = *bench_->definition().mutable_steps(0);
  step.mutable_cross_validation()->mutable_k_fold()->set_folds(4);
  EXPECT_EQ(Plan().steps(0).tasks(), 5);  // and the model on the step's own split
  // 320 rows are not test rows: three quarters of them train.
  EXPECT_EQ(Plan().steps(0).examples(), 240);
  v1::Search& search = *step.mutable_search();
  search.mutable_random()->set_trials(6);
  v1::Space& units = (*search.mutable_space())["train.network.layers.0.dense.units"];
  units.mutable_integer()->set_min(1000);
  units.mutable_integer()->set_max(2000);
  const StepPlan plan = Plan().steps(0);
  EXPECT_EQ(plan.tasks(), 6 * 4 + 1);
  // Of the trials that will be made, and not of the eight units that the step has itself.
  EXPECT_GT(plan.parameters(), 1000 * 5);
  EXPECT_GT(plan.peak_memory_bytes(), 1 << 20);
}

TEST_F(PlanTest, CountsTrainingsOfAPopulation) {
  Use(kDefinition, Points(400));
  AddRates(&workers_[0]);
  v1::Search& search = *bench_->definition().mutable_steps(0)->mutable_search();
  search.mutable_population()->set_population(8);
  search.mutable_population()->set_generations(3);
  v1::Space& rate = (*search.mutable_space())["train.network.optimizer.adam.learning_rate"];
  rate.mutable_log_uniform()->set_min(0.001);
  rate.mutable_log_uniform()->set_max(0.1);
  const StepPlan plan = Plan().steps(0);
  EXPECT_EQ(plan.tasks(), 8 * 3);
  EXPECT_TRUE(plan.has_expected_seconds());
}

TEST_F(PlanTest, CountsTrainingsOfAStudyAndNotItsStep) {
  Use(kDefinition, Points(400));
  v1::Step& step = *bench_->definition().add_steps();
  step.set_name("study");
  v1::ScalingStudyStep& study = *step.mutable_scaling_study();
  study.set_step("train");
  study.set_repeats(2);
  for (const int threads : {1, 2, 4}) {
    (*study.mutable_vary())["threads"].add_values()->set_number_value(threads);
  }
  v1::PlanPipelineResponse plan = Plan();
  ASSERT_EQ(plan.steps_size(), 3);
  const auto planned = std::find_if(plan.steps().begin(), plan.steps().end(),
                                    [](const StepPlan& one) { return one.step() == "study"; });
  ASSERT_NE(planned, plan.steps().end());
  EXPECT_EQ(planned->tasks(), 3 * 2);
  EXPECT_THAT(planned->basis(), HasSubstr("is what the study is to measure"));
  // Nobody but the study needs the step any more: it does not train by itself.
  bench_->definition().mutable_steps()->DeleteSubrange(1, 1);
  plan = Plan();
  ASSERT_EQ(plan.steps_size(), 1);
  EXPECT_EQ(plan.steps(0).step(), "study");
}

TEST_F(PlanTest, TellsTimeFromRates) {
  Use(kDefinition, Points(400));
  EXPECT_FALSE(Plan().steps(0).has_expected_seconds());
  EXPECT_FALSE(Plan().has_expected_seconds());
  EXPECT_THAT(Plan().steps(0).basis(), HasSubstr("no worker at hand has measured its speed"));
  AddRates(&workers_[0]);
  const v1::PlanPipelineResponse plan = Plan();
  ASSERT_TRUE(plan.steps(0).has_expected_seconds());
  EXPECT_THAT(plan.steps(0).basis(), HasSubstr("measured rates of Abacus with 2 threads"));
  EXPECT_TRUE(plan.steps(1).has_expected_seconds());
  EXPECT_GT(plan.expected_seconds(),
            plan.steps(0).expected_seconds() + plan.steps(1).expected_seconds());
  v1::NetworkLearner& network =
      *bench_->definition().mutable_steps(0)->mutable_train()->mutable_network();
  const double before = plan.steps(0).expected_seconds();
  // More epochs, more units and more rows never take less.
  network.set_epochs(12);
  const double longer = Plan().steps(0).expected_seconds();
  EXPECT_GT(longer, before * 1.5);
  EXPECT_LT(longer, before * 2);
  network.mutable_layers(0)->mutable_dense()->set_units(80);
  const double wider = Plan().steps(0).expected_seconds();
  EXPECT_GT(wider, longer);
  network.set_batch_size(1);
  EXPECT_GT(Plan().steps(0).expected_seconds(), wider);
}

TEST_F(PlanTest, WarnsOfATimeLimit) {
  Use(kDefinition, Points(400));
  AddRates(&workers_[0]);
  v1::Step& step = *bench_->definition().mutable_steps(0);
  step.mutable_train()->mutable_network()->set_epochs(1'000'000);
  step.set_timeout_seconds(1);
  EXPECT_THAT(Plan().steps(0).advice(0), HasSubstr("but timeout_seconds ends it after 1 s"));
}

TEST_F(PlanTest, MoreWorkersShortenASearch) {
  Use(kDefinition, Points(400));
  v1::Search& search = *bench_->definition().mutable_steps(0)->mutable_search();
  search.mutable_random()->set_trials(16);
  v1::Space& rate = (*search.mutable_space())["train.network.optimizer.adam.learning_rate"];
  rate.mutable_log_uniform()->set_min(0.001);
  rate.mutable_log_uniform()->set_max(0.1);
  AddRates(&workers_[0]);
  bench_->definition().mutable_steps()->RemoveLast();
  const double one = Plan().expected_seconds();
  workers_.push_back(workers_[0]);
  EXPECT_NEAR(Plan().expected_seconds(), one / 2, one / 20);
  search.set_max_parallel(2);
  EXPECT_NEAR(Plan().expected_seconds(), one, one / 20);
}

TEST_F(PlanTest, ALearnerWithoutAFormulaSaysSo) {
  Use(kDefinition, Points(400));
  bench_->definition().mutable_steps(0)->mutable_train()->mutable_random_forest();
  AddRates(&workers_[0]);
  const StepPlan plan = Plan().steps(0);
  EXPECT_FALSE(plan.has_expected_seconds());
  EXPECT_EQ(plan.basis(), "there is no formula for the learner random_forest");
  EXPECT_GT(plan.examples(), 0);
}

}  // namespace
}  // namespace beamline::pipeline
