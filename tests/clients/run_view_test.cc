#include "clients/cli/run_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "clients/cli/run_summary.h"

namespace beamline::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Events of a run, numbered by themselves; time in seconds.
class RunViewTest : public ::testing::Test {
 protected:
  v1::Event At(double seconds, const std::string& step = "") {
    v1::Event event;
    event.set_sequence(++sequence_);
    event.mutable_time()->set_seconds(1'700'000'000 + static_cast<int64_t>(seconds));
    event.mutable_time()->set_nanos(
        static_cast<int32_t>((seconds - static_cast<int64_t>(seconds)) * 1e9));
    event.set_step(step);
    event.set_attempt(1);
    return event;
  }

  v1::Event RunIs(double seconds, v1::RunState state) {
    v1::Event event = At(seconds);
    event.mutable_run_state()->set_state(state);
    return event;
  }

  v1::Event TaskIs(double seconds, const std::string& step, v1::TaskState state) {
    v1::Event event = At(seconds, step);
    event.mutable_task_state()->set_state(state);
    event.mutable_task_state()->set_worker("workers/w-1");
    return event;
  }

  v1::Event ProgressIs(double seconds, int64_t step, double loss) {
    v1::Event event = At(seconds, "train");
    v1::Progress& progress = *event.mutable_progress();
    progress.set_step(step);
    progress.set_total_steps(1000);
    progress.set_epoch(static_cast<int32_t>(step / 100));
    progress.set_total_epochs(10);
    progress.set_loss(loss);
    progress.set_examples_per_second(120'000);
    return event;
  }

  static v1::PipelineDefinition Definition() {
    v1::PipelineDefinition definition;
    definition.add_steps()->set_name("train");
    definition.add_steps()->set_name("evaluate");
    return definition;
  }

  int64_t sequence_ = 0;
  RunView view_{Definition(), {}};
};

TEST_F(RunViewTest, TellsTheStoryOfARun) {
  EXPECT_THAT(view_.Apply(RunIs(0, v1::RUN_STATE_QUEUED), true),
              ElementsAre(HasSubstr("run       queued")));
  EXPECT_THAT(view_.Apply(TaskIs(0.5, "train", v1::TASK_STATE_RUNNING), true),
              ElementsAre(AllOf(HasSubstr("0.50 s"), HasSubstr("train     running on w-1"))));
  EXPECT_THAT(view_.Apply(ProgressIs(1, 100, 0.5), true),
              ElementsAre(HasSubstr("epoch 1/10  loss 0.5  120 k ex/s")));
  // Too soon after the last line of progress.
  EXPECT_THAT(view_.Apply(ProgressIs(2, 200, 0.4), true), IsEmpty());
  v1::Event metric = At(2.5, "train");
  metric.mutable_metric()->set_name("validation_auc");
  metric.mutable_metric()->set_value(0.8125);
  EXPECT_THAT(view_.Apply(metric, true), IsEmpty());
  // Says less, so it does not take its place.
  v1::Event recall = At(2.6, "train");
  recall.mutable_metric()->set_name("validation_recall");
  EXPECT_THAT(view_.Apply(recall, true), IsEmpty());
  EXPECT_THAT(view_.Apply(ProgressIs(5, 500, 0.3), true),
              ElementsAre(AllOf(HasSubstr("val auc 0.8125"), HasSubstr("ETA 5.0 s"))));
  view_.Apply(TaskIs(6, "train", v1::TASK_STATE_SUCCEEDED), true);
  EXPECT_FALSE(IsTerminal(view_.state()));
  view_.Apply(RunIs(7, v1::RUN_STATE_SUCCEEDED), true);
  EXPECT_TRUE(IsTerminal(view_.state()));
  EXPECT_EQ(view_.last_sequence(), sequence_);
}

TEST_F(RunViewTest, SeenEventsChangeNothing) {
  const v1::Event event = RunIs(0, v1::RUN_STATE_RUNNING);
  EXPECT_EQ(view_.Apply(event, true).size(), 1u);
  EXPECT_THAT(view_.Apply(event, true), IsEmpty());
}

TEST_F(RunViewTest, DrawsOneBarAStep) {
  view_.Apply(TaskIs(0, "train", v1::TASK_STATE_RUNNING), false);
  view_.Apply(ProgressIs(1, 250, 0.5), false);
  const std::vector<std::string> bars = view_.Bars();
  ASSERT_EQ(bars.size(), 2u);
  EXPECT_THAT(bars[0], AllOf(HasSubstr("train     [##--------]"), HasSubstr(" 25%")));
  EXPECT_THAT(bars[1], HasSubstr("evaluate  blocked"));
}

TEST_F(RunViewTest, WhatMattersFitsANarrowTerminal) {
  view_.Apply(TaskIs(0, "train", v1::TASK_STATE_RUNNING), false);
  view_.Apply(ProgressIs(1, 100, 0.51234), false);
  v1::Event metric = At(2, "train");
  metric.mutable_metric()->set_name("validation_auc");
  metric.mutable_metric()->set_value(0.812345);
  view_.Apply(metric, false);
  view_.Apply(ProgressIs(3, 990, 0.41234), false);
  const std::string bar = CutToWidth(view_.Bars()[0], 79);
  EXPECT_THAT(bar, AllOf(HasSubstr("99%"), HasSubstr("loss 0.4123"), HasSubstr("val auc 0.8123"),
                         HasSubstr("ETA 0.0 s")));
}

TEST_F(RunViewTest, RetriesAndFailuresSayWhy) {
  v1::Event queued = TaskIs(1, "train", v1::TASK_STATE_QUEUED);
  queued.mutable_task_state()->set_reason("the worker fell silent");
  EXPECT_THAT(view_.Apply(queued, true), ElementsAre(HasSubstr("the worker fell silent")));
  v1::Event failed = TaskIs(2, "train", v1::TASK_STATE_FAILED);
  failed.mutable_task_state()->mutable_failure()->set_message("no column \"y\"");
  failed.mutable_task_state()->mutable_failure()->set_field("data.target");
  EXPECT_THAT(view_.Apply(failed, true), ElementsAre(HasSubstr("data.target: no column \"y\"")));
  EXPECT_THAT(view_.Bars()[0], HasSubstr("data.target"));
}

TEST_F(RunViewTest, LogLinesCannotSteerTheTerminal) {
  v1::Event log = At(0, "train");
  log.mutable_log()->set_text("\x1b[2Jhello");
  EXPECT_THAT(view_.Apply(log, true), ElementsAre(HasSubstr("?[2Jhello")));
}

TEST(RunSummary, ShowsMetricsCurveAndModel) {
  v1::Run run;
  run.set_name("projects/p/runs/r-1");
  run.set_state(v1::RUN_STATE_SUCCEEDED);
  run.mutable_create_time()->set_seconds(100);
  run.mutable_end_time()->set_seconds(112);
  v1::Task task;
  task.set_step("evaluate");
  v1::Evaluation& evaluation = *task.mutable_result()->mutable_evaluation();
  evaluation.set_rows_of("events, test");
  evaluation.set_row_count(12'500);
  (*evaluation.mutable_metrics())["auc"] = 0.81234;
  (*evaluation.mutable_metrics())["accuracy"] = 0.75;
  for (const auto& [x, y] : {std::pair{0.0, 0.0}, {0.2, 0.7}, {1.0, 1.0}}) {
    v1::CurvePoint& point = *evaluation.add_roc();
    point.set_x(x);
    point.set_y(y);
  }
  v1::Model model;
  model.set_name("projects/p/models/m/versions/2");
  model.mutable_file()->set_digest("abc123");
  const std::string text = RunSummary(run, {task}, {}, {model}, {});
  EXPECT_THAT(text, HasSubstr("run r-1 succeeded after 12 s"));
  EXPECT_THAT(text, HasSubstr("evaluate  accuracy  0.75000  events, test (12.5 k rows)"));
  EXPECT_THAT(text, HasSubstr("evaluate  auc       0.81234"));
  EXPECT_THAT(text, HasSubstr("false positive rate"));
  EXPECT_THAT(text, HasSubstr("digest sha256:abc123"));
  EXPECT_EQ(RocOf({task}).size(), 3u);
}

TEST(RunSummary, ShowsTheSizeOfTablesThatWereMade) {
  v1::Task task;
  task.set_step("clean");
  task.mutable_result()->mutable_table()->set_row_count(3'100'000);
  task.mutable_result()->mutable_table()->add_columns()->set_name("pt");
  EXPECT_THAT(RunSummary({}, {task}, {}, {}, {}),
              HasSubstr("table of clean: 3.10 M rows x 1 column\n"));
}

TEST(RunView, ShowsWhatAPrepareStepDoes) {
  v1::PipelineDefinition definition;
  definition.add_steps()->set_name("clean");
  definition.mutable_steps(0)->mutable_prepare();
  RunView view(definition, {});
  v1::Event event;
  event.set_sequence(1);
  event.set_step("clean");
  event.mutable_task_state()->set_state(v1::TASK_STATE_RUNNING);
  view.Apply(event, false);
  event.set_sequence(2);
  event.mutable_progress()->set_step(1);
  event.mutable_progress()->set_total_steps(4);
  event.mutable_progress()->set_activity("filter: 3.1 M of 10 M rows");
  view.Apply(event, false);
  EXPECT_THAT(view.Bars()[0], AllOf(HasSubstr(" 25%"), HasSubstr("filter: 3.1 M of 10 M rows")));
  event.set_sequence(3);
  event.mutable_task_state()->set_state(v1::TASK_STATE_SUCCEEDED);
  v1::Dataset& table = *event.mutable_task_state()->mutable_result()->mutable_table();
  table.set_row_count(1200);
  table.add_columns();
  table.add_columns();
  EXPECT_THAT(view.Apply(event, false)[0], HasSubstr("succeeded: 1.20 k rows x 2 columns"));
  EXPECT_THAT(view.Bars()[0], HasSubstr("1.20 k rows x 2 columns"));
}

TEST(RunSummary, ShowsWhyARunFailed) {
  v1::Run run;
  run.set_name("projects/p/runs/r-1");
  run.set_state(v1::RUN_STATE_FAILED);
  run.mutable_failure()->set_message("no such column");
  run.mutable_failure()->set_field("steps.train");
  EXPECT_THAT(RunSummary(run, {}, {}, {}, {}),
              AllOf(HasSubstr("run r-1 failed"), HasSubstr("steps.train: no such column")));
}

}  // namespace
}  // namespace beamline::cli
