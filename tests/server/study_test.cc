// Scaling studies, through a server and workers in this process. The worker does not train: how
// long a training takes is a function of its values.
#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "tests/server/played.h"

namespace beamline::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr char kStudy[] = R"(
  - name: study
    scaling_study:
      step: fit
      vary: {threads: [1, 2], train.network.batch_size: [2, 4]}
      repeats: 2
)";

class StudyTest : public PlayedTest {
 protected:
  absl::StatusOr<v1::Run> TryCreate(const std::string& steps) {
    v1::CreateRunRequest request;
    request.set_parent("projects/optics");
    request.mutable_source()->set_yaml(absl::StrCat(kHead, steps));
    (*request.mutable_inputs())["points"] = Upload("optics", kCsv);
    return Call(server_->runs(), &RunApi::CreateRun, User("ada"), request);
  }
  v1::Run Create(const std::string& steps) {
    const auto run = TryCreate(steps);
    EXPECT_TRUE(run.ok()) << run.status();
    return run.ok() ? *run : v1::Run();
  }

  // As a task process would. A batch of 4 is twice as fast as one of 2, and two threads by a half.
  v1::AttemptReport Trained(const v1::Attempt& attempt) override {
    v1::AttemptReport end = FakeWorker::Success(1);
    v1::TaskResult& result = *end.mutable_result()->mutable_result();
    const v1::Step* step = nullptr;
    for (const v1::Step& one : attempt.definition().steps()) {
      if (one.name() == attempt.step()) step = &one;
    }
    const int batch = step->train().network().batch_size();
    const double threads = attempt.resources().cpus();
    (*result.mutable_metrics())["validation_loss"] = batch;
    const auto blob = worker_->WriteBlob(
        *server_, attempt, absl::StrCat("model of batch ", batch, other_ ? other_(attempt) : ""));
    EXPECT_TRUE(blob.ok()) << blob.status();
    (*result.mutable_artifacts())["model"] = *blob;
    if (attempt.trial().number() == 0) return end;
    v1::ScalingStudy::Point& point = *result.mutable_scaling()->add_points();
    point.set_seconds(24.0 / batch / (threads == 2 ? 1.5 : 1));
    point.set_examples(8);
    point.set_epochs(9);
    point.set_threads(threads);
    (*point.mutable_metrics())["validation_loss"] = batch;
    return end;
  }

  std::function<std::string(const v1::Attempt&)> other_;
};

TEST_F(StudyTest, TrainsOneAfterTheOtherAndSaysHowItScales) {
  const v1::Run run = Create(kStudy);
  Play();
  EXPECT_EQ(GetRun(run.name()).state(), v1::RUN_STATE_SUCCEEDED)
      << GetRun(run.name()).ShortDebugString();
  // The studied step's own training is of no use to anybody.
  EXPECT_THAT(order_, ElementsAre("study.1", "study.2", "study.3", "study.4", "study.5", "study.6",
                                  "study.7", "study.8"));
  EXPECT_EQ(largest_, 1);
  const v1::Task task = GetTask(run.name(), "study");
  EXPECT_EQ(task.state(), v1::TASK_STATE_SUCCEEDED);
  const v1::ScalingStudy& study = task.result().scaling();
  EXPECT_THAT(study.keys(), ElementsAre("threads", "train.network.batch_size"));
  ASSERT_EQ(study.points_size(), 4);
  EXPECT_EQ(study.points(0).seconds(), 12);
  EXPECT_THAT(study.points(0).repeats(), SizeIs(2));
  EXPECT_EQ(study.points(0).examples_per_second(), 6);
  EXPECT_EQ(study.points(1).speed_up().at("train.network.batch_size"), 2);
  EXPECT_EQ(study.points(2).speed_up().at("threads"), 1.5);
  EXPECT_EQ(study.points(2).efficiency(), 0.75);
  EXPECT_EQ(study.points(3).metrics().at("validation_loss"), 4);
  EXPECT_EQ(task.result().metrics().at("compared_models"), 6);
  EXPECT_EQ(task.result().metrics().at("different_models"), 0);
  EXPECT_EQ(task.result().seconds(), 2 * (12 + 6 + 8 + 4));
}

// Wherever the server is killed.
TEST_F(StudyTest, NothingDependsOnRestarts) {
  const v1::Run plain = Create(kStudy);
  Play();
  const std::string expected = GetTask(plain.name(), "study").result().scaling().ShortDebugString();
  const std::vector<std::string> order = order_;
  order_.clear();
  const v1::Run run = Create(kStudy);
  Restart();
  Take();
  Restart();
  Play([&](size_t) {
    Restart();
    return 0;
  });
  EXPECT_EQ(GetRun(run.name()).state(), v1::RUN_STATE_SUCCEEDED);
  EXPECT_EQ(GetTask(run.name(), "study").result().scaling().ShortDebugString(), expected);
  EXPECT_EQ(order_, order);
  const auto events = Watch(run.name());
  for (size_t i = 0; i < events.size(); ++i) {
    ASSERT_EQ(events[i].sequence(), static_cast<int64_t>(i) + 1);
  }
}

// Times are measured, whatever earlier runs have measured.
TEST_F(StudyTest, EarlierResultsNeverStandInForTimes) {
  const std::string used = std::string(kStudy) + "  - name: check\n    evaluate: {model: fit}\n";
  Create(used);
  Play();
  const std::vector<std::string> first = order_;
  EXPECT_THAT(first, SizeIs(10));
  order_.clear();
  const v1::Run again = Create(used);
  Play();
  EXPECT_EQ(GetRun(again.name()).state(), v1::RUN_STATE_SUCCEEDED);
  EXPECT_THAT(order_, SizeIs(8)) << "all but the studied step's own training and the evaluation";
  EXPECT_EQ(GetTask(again.name(), "study").result().taken_from(), "");
  EXPECT_NE(GetTask(again.name(), "fit").result().taken_from(), "");
}

TEST_F(StudyTest, AFailedPointIsAPointWithItsFailure) {
  fails_ = [](const v1::Attempt& attempt) { return attempt.trial().number() == 3; };
  const v1::Run run = Create(kStudy);
  Play();
  EXPECT_EQ(GetRun(run.name()).state(), v1::RUN_STATE_SUCCEEDED);
  EXPECT_THAT(order_, ElementsAre("study.1", "study.2", "study.3", "study.5", "study.6", "study.7",
                                  "study.8"));
  const v1::TaskResult result = GetTask(run.name(), "study").result();
  ASSERT_EQ(result.scaling().points_size(), 4);
  EXPECT_EQ(result.scaling().points(1).failure().message(), "because");
  EXPECT_EQ(result.scaling().points(1).values().at("threads").number_value(), 1);
  EXPECT_EQ(result.scaling().points(2).efficiency(), 0.75);
  EXPECT_FALSE(result.scaling().points(3).has_efficiency());
  EXPECT_EQ(result.metrics().at("failed_points"), 1);
}

TEST_F(StudyTest, FailsIfAllFail) {
  fails_ = [](const v1::Attempt&) { return true; };
  const v1::Run run = Create(kStudy);
  Play();
  EXPECT_EQ(GetRun(run.name()).state(), v1::RUN_STATE_FAILED);
  EXPECT_EQ(GetRun(run.name()).failure().message(),
            "step \"study\" failed: none of 4 combinations could be trained, the first of them: "
            "because");
  EXPECT_THAT(order_, SizeIs(4));
}

// The second training of each combination: what it says counts, not the first one's silence.
TEST_F(StudyTest, FailsAsTheFirstThatFailed) {
  fails_ = [](const v1::Attempt& attempt) { return attempt.trial().number() % 2 == 0; };
  failure_kind_ = v1::FAILURE_KIND_UNIMPLEMENTED;
  const v1::Run run = Create(kStudy);
  Play();
  const v1::Failure failure = GetTask(run.name(), "study").failure();
  EXPECT_EQ(failure.message(),
            "none of 4 combinations could be trained, the first of them: because");
  EXPECT_EQ(failure.kind(), v1::FAILURE_KIND_UNIMPLEMENTED);
  EXPECT_THAT(order_, SizeIs(8));
}

TEST_F(StudyTest, SaysWhenThreadsChangeTheModel) {
  other_ = [](const v1::Attempt& attempt) {
    return attempt.trial().number() == 7 ? " in another order" : "";
  };
  const v1::Run run = Create(kStudy);
  Play();
  const v1::Task task = GetTask(run.name(), "study");
  const auto& metrics = task.result().metrics();
  EXPECT_EQ(metrics.at("compared_models"), 6);
  EXPECT_EQ(metrics.at("different_models"), 1);
}

// A worker that was lost has done a part: the time is that of the whole.
TEST_F(StudyTest, ATrainingBeginsAnewAfterALoss) {
  const v1::Run run = Create(kStudy);
  ASSERT_THAT(Take(), SizeIs(1));
  const v1::Attempt attempt = held_.front();
  const auto blob = worker_->WriteBlob(*server_, attempt, "half");
  ASSERT_TRUE(blob.ok()) << blob.status();
  v1::AttemptReport checkpoint;
  checkpoint.set_number(1);
  *checkpoint.mutable_event()->mutable_checkpoint()->mutable_blob() = *blob;
  v1::AttemptReport released = FakeWorker::Success(2);
  released.mutable_result()->set_outcome(v1::AttemptResult::OUTCOME_RELEASED);
  ASSERT_TRUE(worker_->Report(*server_, attempt, {checkpoint, released}).ok());
  worker_->Drop(attempt.task());
  held_.clear();
  ASSERT_THAT(Take(), SizeIs(1));
  EXPECT_EQ(IdOf(held_[0]), "study.1");
  EXPECT_EQ(held_[0].number(), 2);
  EXPECT_FALSE(held_[0].has_checkpoint());
}

TEST_F(StudyTest, IsCancelledWhole) {
  const v1::Run run = Create(kStudy);
  ASSERT_THAT(Take(), SizeIs(1));
  v1::CancelRunRequest cancel;
  cancel.set_name(run.name());
  ASSERT_TRUE(Call(server_->runs(), &RunApi::CancelRun, User("ada"), cancel).ok());
  v1::AttemptReport stopped = FakeWorker::Success(1);
  stopped.mutable_result()->set_outcome(v1::AttemptResult::OUTCOME_CANCELLED);
  End(held_.front(), stopped);
  EXPECT_TRUE(Take().empty());
  EXPECT_EQ(GetRun(run.name()).state(), v1::RUN_STATE_CANCELLED);
  EXPECT_EQ(GetTask(run.name(), "study").state(), v1::TASK_STATE_CANCELLED);
}

TEST_F(StudyTest, MoreThreadsThanAnyWorkerHasAreRefusedAtOnce) {
  worker_->Synchronize(*server_);
  const absl::Status status =
      TryCreate("  - name: study\n    scaling_study: {step: fit, vary: {threads: [1, 2, 8, 4]}}\n")
          .status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("steps.study.scaling_study.vary.threads: is 8 cores, and the largest "
                        "worker has 2 cores"));
}

TEST_F(StudyTest, HasNoTrialsToCompare) {
  const v1::Run run = Create(kStudy);
  v1::ListTrialsRequest request;
  request.set_parent(run.name());
  request.set_step("study");
  EXPECT_TRUE(absl::IsFailedPrecondition(
      Call(server_->runs(), &RunApi::ListTrials, User("ada"), request).status()));
}

}  // namespace
}  // namespace beamline::server
