#include "clients/cli/repetition_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "clients/cli/run_view.h"

namespace beamline::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kUnits[] = "train.network.layers.0.dense.units";
constexpr char kRate[] = "train.network.optimizer.adam.learning_rate";

// A run with a search "tune" and cross-validation "check", and the events of both, numbered by
// themselves.
class RepetitionViewTest : public ::testing::Test {
 protected:
  static v1::PipelineDefinition Definition() {
    v1::PipelineDefinition definition;
    v1::Step& tune = *definition.add_steps();
    tune.set_name("tune");
    tune.mutable_search()->mutable_random()->set_trials(30);
    tune.mutable_search()->set_objective("auc");
    (*tune.mutable_search()->mutable_space())[kUnits].mutable_integer()->set_max(64);
    (*tune.mutable_search()->mutable_space())[kRate].mutable_uniform()->set_max(1);
    v1::Step& check = *definition.add_steps();
    check.set_name("check");
    check.mutable_cross_validation()->mutable_k_fold()->set_folds(3);
    return definition;
  }

  v1::Event At(const std::string& task, int attempt = 1) {
    v1::Event event;
    event.set_sequence(++sequence_);
    event.mutable_time()->set_seconds(1'700'000'000 + sequence_);
    event.set_step(task.substr(0, task.find('.')));
    if (task.find('.') != std::string::npos) event.set_task(task);
    event.set_attempt(attempt);
    return event;
  }

  v1::Event TaskIs(const std::string& task, v1::TaskState state, const std::string& reason = "") {
    v1::Event event = At(task, state == v1::TASK_STATE_QUEUED ? 0 : 1);
    event.mutable_task_state()->set_state(state);
    event.mutable_task_state()->set_worker("workers/w-1");
    event.mutable_task_state()->set_reason(reason);
    return event;
  }

  v1::Event Begins(const std::string& step) {
    v1::Event event = At(step, 0);
    event.mutable_task_state()->set_state(v1::TASK_STATE_RUNNING);
    return event;
  }

  v1::Event TrialEnds(int number, int ended, int best, double best_value) {
    v1::Event event = At("tune." + std::to_string(number), 0);
    v1::TrialEnded& trial = *event.mutable_trial_ended();
    trial.mutable_trial()->set_number(number);
    (*trial.mutable_trial()->mutable_parameters())[kUnits].set_number_value(64);
    (*trial.mutable_trial()->mutable_parameters())[kRate].set_number_value(0.0032);
    trial.set_value(0.9512);
    trial.set_ended(ended);
    trial.set_planned(30);
    trial.set_best(best);
    trial.set_best_value(best_value);
    return event;
  }

  v1::Task TaskOf(const std::string& id, v1::TaskState state) {
    v1::Task task;
    task.set_name("projects/p/runs/r/tasks/" + id);
    task.set_step(id.substr(0, id.find('.')));
    task.set_state(state);
    return task;
  }

  std::string Bar(RunView& view, const std::string& step) {
    return view.Bars()[step == "tune" ? 0 : 1];
  }

  int64_t sequence_ = 0;
  RunView view_{Definition(), {}};
};

TEST_F(RepetitionViewTest, TellsTrialsAndNotTheirTasks) {
  EXPECT_THAT(view_.Apply(Begins("tune"), true), ElementsAre(HasSubstr("tune   searching")));
  EXPECT_THAT(view_.Apply(TaskIs("tune.3", v1::TASK_STATE_QUEUED), true), IsEmpty());
  EXPECT_THAT(view_.Apply(TaskIs("tune.3", v1::TASK_STATE_RUNNING), true), IsEmpty());
  v1::Event log = At("tune.3");
  log.mutable_log()->set_text("trains");
  EXPECT_THAT(view_.Apply(log, true), IsEmpty());
  v1::Event progress = At("tune.3");
  progress.mutable_progress()->set_step(10);
  EXPECT_THAT(view_.Apply(progress, true), IsEmpty());
  v1::Event evaluation = At("tune.3");
  evaluation.mutable_evaluation()->set_row_count(10);
  EXPECT_THAT(view_.Apply(evaluation, true), IsEmpty());
  EXPECT_THAT(view_.Apply(TaskIs("tune.3", v1::TASK_STATE_SUCCEEDED), true), IsEmpty());
  v1::Event end = TrialEnds(3, 1, 2, 0.953);
  end.mutable_trial_ended()->set_standard_error(0.0021);
  EXPECT_THAT(view_.Apply(end, true),
              ElementsAre(HasSubstr("tune   trial 3 of 30: auc 0.95120 +- 0.00210 (units=64, "
                                    "learning_rate=0.0032); best trial 2, 0.95300")));
}

TEST_F(RepetitionViewTest, TellsPartsAndFailures) {
  v1::Event part = TrialEnds(3, 1, 0, 0);
  part.mutable_trial_ended()->mutable_trial()->set_epochs(9);
  EXPECT_THAT(view_.Apply(part, true),
              ElementsAre(AllOf(HasSubstr("trial 3 to epoch 9: auc 0.95120 (units=64"),
                                Not(HasSubstr("best")), Not(HasSubstr("+-")))));
  v1::Event failed = TrialEnds(4, 2, 3, 0.9512);
  failed.mutable_trial_ended()->clear_value();
  failed.mutable_trial_ended()->mutable_failure()->set_message("loss is no number\x1b");
  EXPECT_THAT(view_.Apply(failed, true),
              ElementsAre(HasSubstr(
                  "trial 4 of 30 failed (units=64, learning_rate=0.0032): loss is no number?; "
                  "best trial 3, 0.95120")));
  failed = TrialEnds(5, 3, 3, 0.9512);
  failed.mutable_trial_ended()->clear_value();
  EXPECT_THAT(view_.Apply(failed, true), ElementsAre(HasSubstr("): its objective is not")));
}

TEST_F(RepetitionViewTest, TellsOnceWhyATaskFailed) {
  EXPECT_THAT(view_.Apply(TaskIs("tune.3", v1::TASK_STATE_QUEUED, "the worker fell silent"), true),
              ElementsAre(HasSubstr("tune   tune.3 queued: the worker fell silent")));
  v1::Event failed = TaskIs("tune.3", v1::TASK_STATE_FAILED);
  failed.mutable_task_state()->mutable_failure()->set_message("no memory");
  // The trial's own end says it.
  EXPECT_THAT(view_.Apply(failed, true), IsEmpty());
  failed = TaskIs("check.f2", v1::TASK_STATE_FAILED);
  failed.mutable_task_state()->mutable_failure()->set_message("no memory");
  EXPECT_THAT(view_.Apply(failed, true),
              ElementsAre(HasSubstr("check  check.f2 failed: no memory")));
}

TEST_F(RepetitionViewTest, OneBarForAllTrials) {
  view_.Apply(Begins("tune"), false);
  EXPECT_THAT(Bar(view_, "tune"), HasSubstr("[----------]   0%  0/30 trials"));
  for (const char* task : {"tune.1.f1", "tune.1.f2", "tune.2.f1", "tune.2.f2", "tune.12.f1"}) {
    view_.Apply(TaskIs(task, v1::TASK_STATE_QUEUED), false);
    view_.Apply(TaskIs(task, v1::TASK_STATE_RUNNING), false);
  }
  view_.Apply(TaskIs("tune.1.f1", v1::TASK_STATE_SUCCEEDED), false);
  EXPECT_THAT(Bar(view_, "tune"), HasSubstr("0/30 trials  3 running"));
  view_.Apply(TaskIs("tune.1.f2", v1::TASK_STATE_SUCCEEDED), false);
  view_.Apply(TrialEnds(1, 15, 1, 0.9512), false);
  EXPECT_THAT(Bar(view_, "tune"),
              HasSubstr("[#####-----]  50%  15/30 trials  2 running  best auc 0.95120 (trial 1)"));
  // An attempt that is tried again does not run.
  view_.Apply(TaskIs("tune.12.f1", v1::TASK_STATE_QUEUED, "lost"), false);
  EXPECT_THAT(Bar(view_, "tune"), HasSubstr("1 running"));
  v1::Event end = At("tune", 0);
  end.mutable_task_state()->set_state(v1::TASK_STATE_SUCCEEDED);
  view_.Apply(end, false);
  EXPECT_THAT(Bar(view_, "tune"), HasSubstr("[##########] 100%  15/30 trials"));
}

TEST_F(RepetitionViewTest, ThePartsOfHalvingAreNoTrials) {
  v1::PipelineDefinition definition = Definition();
  definition.mutable_steps(0)->mutable_search()->mutable_successive_halving()->set_trials(9);
  RunView view(definition, {});
  view.Apply(Begins("tune"), false);
  // How many there will be is not known yet.
  EXPECT_THAT(Bar(view, "tune"), HasSubstr("  0%  0 trainings"));
  EXPECT_THAT(view.Apply(TrialEnds(1, 3, 1, 0.9512), true), ElementsAre(HasSubstr("trial 1: auc")));
  EXPECT_THAT(Bar(view, "tune"), HasSubstr(" 10%  3/30 trainings  best"));
}

TEST_F(RepetitionViewTest, OneBarForAllFolds) {
  EXPECT_THAT(view_.Apply(Begins("check"), true), ElementsAre(HasSubstr("cross-validating")));
  for (const char* task : {"check.f1", "check.f2", "check.f3"}) {
    view_.Apply(TaskIs(task, v1::TASK_STATE_QUEUED), false);
    view_.Apply(TaskIs(task, v1::TASK_STATE_RUNNING), false);
  }
  v1::Event done = TaskIs("check.f2", v1::TASK_STATE_SUCCEEDED);
  (*done.mutable_task_state()->mutable_result()->mutable_metrics())["validation_loss"] = 0.25;
  EXPECT_THAT(view_.Apply(done, true),
              ElementsAre(HasSubstr("check  fold 2: loss 0.25000; 1 of 3 folds")));
  EXPECT_THAT(Bar(view_, "check"), HasSubstr(" 33%  1/3 folds  2 running"));
}

TEST_F(RepetitionViewTest, TheLastTrainingHasABarOfItsOwn) {
  view_.Apply(Begins("tune"), false);
  view_.Apply(TrialEnds(2, 30, 2, 0.953), false);
  view_.Apply(TaskIs("tune", v1::TASK_STATE_QUEUED), false);
  EXPECT_THAT(view_.Apply(TaskIs("tune", v1::TASK_STATE_RUNNING), true),
              ElementsAre(HasSubstr("tune   running on w-1")));
  v1::Event progress = At("tune");
  progress.mutable_progress()->set_step(20);
  progress.mutable_progress()->set_total_steps(100);
  progress.mutable_progress()->set_epoch(1);
  progress.mutable_progress()->set_total_epochs(5);
  EXPECT_THAT(view_.Apply(progress, true), ElementsAre(HasSubstr("epoch 1/5")));
  EXPECT_THAT(Bar(view_, "tune"),
              AllOf(HasSubstr(" 20%  epoch 1/5"), HasSubstr("best auc 0.95300 (trial 2)"),
                    Not(HasSubstr("trials"))));
}

TEST_F(RepetitionViewTest, AWatchFromTheMiddleKnowsWhatItIsTold) {
  view_.Know(TaskOf("check", v1::TASK_STATE_RUNNING));
  view_.Know(TaskOf("check.f1", v1::TASK_STATE_SUCCEEDED));
  view_.Know(TaskOf("check.f2", v1::TASK_STATE_RUNNING));
  view_.Know(TaskOf("check.f3", v1::TASK_STATE_QUEUED));
  EXPECT_THAT(Bar(view_, "check"), HasSubstr(" 33%  1/3 folds  1 running"));
  // Older than what is known.
  view_.Apply(TaskIs("check.f1", v1::TASK_STATE_QUEUED), false);
  view_.Apply(TaskIs("check.f1", v1::TASK_STATE_RUNNING), false);
  v1::Event progress = At("check.f1");
  progress.mutable_progress()->set_step(1);
  view_.Apply(progress, false);
  view_.Apply(TaskIs("check.f1", v1::TASK_STATE_SUCCEEDED), false);
  EXPECT_THAT(Bar(view_, "check"), HasSubstr(" 33%  1/3 folds  1 running"));
  view_.Know(TaskOf("tune", v1::TASK_STATE_RUNNING));
  for (const char* task : {"tune.1", "tune.2"}) {
    view_.Know(TaskOf(task, v1::TASK_STATE_SUCCEEDED));
  }
  view_.Know(TaskOf("tune.3", v1::TASK_STATE_RUNNING));
  EXPECT_THAT(Bar(view_, "tune"), HasSubstr("2/30 trials  1 running"));
  v1::Task trains = TaskOf("tune", v1::TASK_STATE_RUNNING);
  trains.set_attempt(1);
  view_.Know(trains);
  EXPECT_THAT(Bar(view_, "tune"), Not(HasSubstr("trials")));
}

TEST_F(RepetitionViewTest, WhatReportsSomethingRuns) {
  view_.Apply(Begins("tune"), false);
  v1::Event metric = At("tune.7");
  metric.mutable_metric()->set_name("validation_auc");
  metric.mutable_metric()->set_value(0.5);
  view_.Apply(metric, false);
  EXPECT_THAT(Bar(view_, "tune"), AllOf(HasSubstr("1 running"), Not(HasSubstr("val auc"))));
  // Its beginning was not seen: it counts once.
  view_.Apply(TaskIs("tune.7", v1::TASK_STATE_SUCCEEDED), false);
  EXPECT_THAT(Bar(view_, "tune"), Not(HasSubstr("running")));
}

TEST_F(RepetitionViewTest, SeenEventsChangeNothing) {
  const v1::Event first = TrialEnds(1, 1, 1, 0.9);
  view_.Apply(first, true);
  view_.Apply(TrialEnds(2, 2, 2, 0.95), true);
  view_.Apply(Begins("tune"), true);
  EXPECT_THAT(view_.Apply(first, true), IsEmpty());
  EXPECT_THAT(Bar(view_, "tune"), HasSubstr("2/30 trials  best auc 0.95000 (trial 2)"));
}

}  // namespace
}  // namespace beamline::cli
