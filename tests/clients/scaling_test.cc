// Scaling studies as tables and pictures.
#include "clients/cli/scaling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "clients/cli/repetition_view.h"
#include "clients/cli/run_summary.h"
#include "clients/cli/run_view.h"

namespace beamline::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

v1::ScalingStudy::Point* AddPoint(double threads, const std::string& optimizer, double seconds,
                                  v1::ScalingStudy* study) {
  v1::ScalingStudy::Point* point = study->add_points();
  (*point->mutable_values())["threads"].set_number_value(threads);
  (*point->mutable_values())["train.network.optimizer"].set_string_value(optimizer);
  point->set_seconds(seconds);
  point->set_examples(1000);
  point->set_epochs(8);
  point->set_examples_per_second(8000 / seconds);
  point->set_parameters(57);
  point->set_threads(threads);
  (*point->mutable_metrics())["validation_loss"] = 0.625;
  (*point->mutable_metrics())["validation_accuracy"] = 0.75;
  (*point->mutable_metrics())["validation_precision"] = 0.5;
  return point;
}

v1::Task Studied() {
  v1::Task task;
  task.set_step("study");
  v1::ScalingStudy& study = *task.mutable_result()->mutable_scaling();
  study.add_keys("threads");
  study.add_keys("train.network.optimizer");
  for (const double threads : {1, 2}) {
    for (const char* optimizer : {"adam", "sgd"}) {
      v1::ScalingStudy::Point* point = AddPoint(threads, optimizer, 4 / threads, &study);
      (*point->mutable_speed_up())["threads"] = threads == 1 ? 1 : 1.5;
      point->set_efficiency(threads == 1 ? 1 : 0.75);
    }
  }
  v1::ScalingStudy::Point& failed = *study.mutable_points(3);
  const auto values = failed.values();
  failed.Clear();
  *failed.mutable_values() = values;
  failed.mutable_failure()->set_message("no memory, \"really\"");
  (*task.mutable_result()->mutable_metrics())["compared_models"] = 1;
  (*task.mutable_result()->mutable_metrics())["different_models"] = 0;
  return task;
}

TEST(Scaling, TheTableSaysAllThatMatters) {
  v1::Task task = Studied();
  EXPECT_EQ(
      StudyTable(task),
      "study: 4 combinations, trained one after the other\n"
      "threads  optimizer  SECONDS  EXAMPLES/S  SPEED-UP BY threads  SPEED-UP BY optimizer  "
      "EFFICIENCY  PARAMETERS     loss  accuracy\n"
      "      1       adam   4.0000      2.00 k                 1.00                         "
      "      100%          57  0.62500   0.75000\n"
      "      1        sgd   4.0000      2.00 k                 1.00                         "
      "      100%          57  0.62500   0.75000\n"
      "      2       adam   2.0000      4.00 k                 1.50                         "
      "       75%          57  0.62500   0.75000\n"
      "      2        sgd   failed\n"
      "failed with threads=2, optimizer=sgd: no memory, \"really\"\n"
      "1 model that differs from another in threads or repeat alone: the same, bit for bit\n");
  (*task.mutable_result()->mutable_metrics())["different_models"] = 1;
  EXPECT_THAT(StudyTable(task), HasSubstr("WARNING: 1 of 1 models"));
  EXPECT_EQ(StudyTable(v1::Task()), "");
  v1::Run run;
  run.set_state(v1::RUN_STATE_SUCCEEDED);
  EXPECT_THAT(RunSummary(run, {task}, {}, {}, {}), HasSubstr("SPEED-UP BY threads"));
}

TEST(Scaling, AMetricThatAPointLacksIsEmpty) {
  v1::Task task = Studied();
  task.mutable_result()->mutable_scaling()->mutable_points(2)->mutable_metrics()->erase(
      "validation_loss");
  EXPECT_THAT(StudyTable(task), HasSubstr("75%          57            0.75000\n"));
}

TEST(Scaling, FiguresForEachKey) {
  const std::vector<Figure> figures = StudyFigures(Studied().result().scaling(), {.utf8 = true});
  std::vector<std::string> names;
  for (const Figure& figure : figures) {
    names.push_back(figure.name);
    EXPECT_THAT(figure.csv, Not(HasSubstr("nan"))) << figure.name;
    EXPECT_THAT(figure.svg, Not(HasSubstr("nan"))) << figure.name;
  }
  EXPECT_THAT(names, ElementsAre("scaling", "time.threads", "speed_up.threads",
                                 "efficiency.threads", "quality.threads.loss",
                                 "quality.threads.accuracy", "time.optimizer", "speed_up.optimizer",
                                 "quality.optimizer.loss", "quality.optimizer.accuracy"));
  EXPECT_EQ(figures[0].csv,
            "threads,train.network.optimizer,seconds,examples,epochs,examples_per_second,"
            "parameters,used_threads,speed_up.threads,speed_up.train.network.optimizer,efficiency,"
            "validation_accuracy,validation_loss,validation_precision,failure\r\n"
            "1,adam,4,1000,8,2000,57,1,1,,1,0.75,0.625,0.5,\r\n"
            "1,sgd,4,1000,8,2000,57,1,1,,1,0.75,0.625,0.5,\r\n"
            "2,adam,2,1000,8,4000,57,2,1.5,,0.75,0.75,0.625,0.5,\r\n"
            "2,sgd,,,,,,,,,,,,,\"no memory, \"\"really\"\"\"\r\n");
  EXPECT_EQ(
      figures[2].csv,
      "threads,others,speed-up\r\n1,optimizer=adam,1\r\n1,optimizer=sgd,1\r\n2,optimizer=adam,1.5"
      "\r\n");
  // The ideal line beside the measured ones.
  EXPECT_THAT(figures[2].svg, HasSubstr("ideal"));
  EXPECT_THAT(figures[2].svg, HasSubstr("optimizer=sgd"));
  EXPECT_THAT(figures[1].svg, Not(HasSubstr("ideal")));
  EXPECT_THAT(figures[1].svg, HasSubstr("<svg"));
  EXPECT_THAT(figures[2].text, HasSubstr("threads"));
}

v1::Event StateOf(const std::string& task, v1::TaskState state) {
  v1::Event event;
  event.set_step("study");
  event.set_task(task);
  event.mutable_task_state()->set_state(state);
  return event;
}

TEST(Scaling, AWatcherIsToldOfEachTraining) {
  v1::Step step;
  step.set_name("study");
  v1::ScalingStudyStep& study = *step.mutable_scaling_study();
  study.set_step("fit");
  study.set_repeats(3);
  for (const double threads : {1, 2}) {
    (*study.mutable_vary())["threads"].add_values()->set_number_value(threads);
  }
  RepetitionView view(step);
  EXPECT_EQ(view.Beginning(), "studying");
  EXPECT_EQ(view.Text(), "0/6 trainings");
  v1::Event queued = StateOf("study.1", v1::TASK_STATE_QUEUED);
  (*queued.mutable_task_state()->mutable_trial()->mutable_parameters())["threads"].set_number_value(
      1);
  EXPECT_EQ(view.Apply(queued), "");
  v1::Event ended = StateOf("study.1", v1::TASK_STATE_SUCCEEDED);
  ended.mutable_task_state()->mutable_result()->mutable_scaling()->add_points()->set_seconds(1.5);
  EXPECT_EQ(view.Apply(ended), "training 1 of 6 (threads=1): 1.5000 s");
  EXPECT_EQ(view.Text(), "1/6 trainings");
  EXPECT_DOUBLE_EQ(view.Fraction(), 1.0 / 6);
  v1::Event failed = StateOf("study.2", v1::TASK_STATE_FAILED);
  failed.mutable_task_state()->mutable_failure()->set_message("no memory");
  EXPECT_EQ(view.Apply(failed), "training 2 of 6 failed: no memory");
}

// Its own training may never come: nobody shall wait for it.
TEST(Scaling, TheStudiedStepIsShownOnceItTrains) {
  v1::PipelineDefinition definition;
  definition.add_steps()->set_name("fit");
  definition.mutable_steps(0)->mutable_train();
  definition.add_steps()->set_name("study");
  definition.mutable_steps(1)->mutable_scaling_study()->set_step("fit");
  RunView view(definition, {});
  ASSERT_EQ(view.Bars().size(), 1);
  EXPECT_THAT(view.Bars()[0], HasSubstr("study"));
  v1::Event queued;
  queued.set_sequence(1);
  queued.set_step("fit");
  queued.mutable_task_state()->set_state(v1::TASK_STATE_QUEUED);
  view.Apply(queued, false);
  EXPECT_EQ(view.Bars().size(), 2);
}

}  // namespace
}  // namespace beamline::cli
