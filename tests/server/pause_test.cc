// Runs that are paused, go on, and are tried again.
#include <unistd.h>

#include <cstdio>

#include "gmock/gmock.h"
#include "tests/server/harness.h"

namespace beamline::server {
namespace {

class PauseTest : public ServerTest {
 protected:
  template <class Request>
  absl::StatusOr<v1::Run> Steer(void (RunApi::*method)(const auth::Principal&, const Request&,
                                                       Done<v1::Run>),
                                const std::string& run) {
    Request request;
    request.set_name(run);
    return Call(server_->runs(), method, User("ada"), request);
  }
  void Pause(const std::string& run) {
    const auto paused = Steer(&RunApi::PauseRun, run);
    ASSERT_TRUE(paused.ok()) << paused.status();
    EXPECT_EQ(paused->state(), v1::RUN_STATE_PAUSED);
  }
  void Resume(const std::string& run) {
    const auto resumed = Steer(&RunApi::ResumeRun, run);
    ASSERT_TRUE(resumed.ok()) << resumed.status();
    EXPECT_NE(resumed->state(), v1::RUN_STATE_PAUSED);
  }
  void Cancel(const std::string& run) { ASSERT_TRUE(Steer(&RunApi::CancelRun, run).ok()); }
  // Finishes both steps of the run, whose train attempt this is.
  void Finish(FakeWorker& worker, const v1::Attempt& attempt) {
    worker.Train(*server_, attempt);
    const auto work = worker.Synchronize(*server_);
    ASSERT_EQ(work.start_size(), 1);
    ASSERT_TRUE(worker.Report(*server_, work.start(0), {FakeWorker::Success(1)}).ok());
    worker.Drop(work.start(0).task());
  }
  // One run whose train step runs.
  v1::Attempt Begin(FakeWorker& worker) {
    worker.Synchronize(*server_);
    EXPECT_TRUE(CreateRun().ok());
    const auto work = worker.Synchronize(*server_);
    EXPECT_EQ(work.start_size(), 1);
    return work.start_size() == 1 ? work.start(0) : v1::Attempt();
  }
  static std::string RunOf(const v1::Attempt& attempt) {
    return attempt.task().substr(0, attempt.task().find("/tasks/"));
  }
};

TEST_F(PauseTest, ARunStopsAtACheckpointAndGoesOnFromThere) {
  FakeWorker worker(*server_);
  const v1::Attempt first = Begin(worker);
  const std::string run = RunOf(first);
  Pause(run);
  const auto told = worker.Synchronize(*server_);
  ASSERT_EQ(told.stop_size(), 1);
  EXPECT_TRUE(told.stop(0).checkpoint());
  worker.Release(*server_, first, "half way");
  EXPECT_EQ(GetTask(run, "fit").state(), v1::TASK_STATE_PAUSED);
  EXPECT_EQ(worker.Synchronize(*server_).start_size(), 0);
  Restart();
  EXPECT_EQ(worker.Synchronize(*server_).start_size(), 0);
  EXPECT_EQ(GetRun(run).state(), v1::RUN_STATE_PAUSED);
  Pause(run);

  Resume(run);
  const auto work = worker.Synchronize(*server_);
  ASSERT_EQ(work.start_size(), 1);
  EXPECT_EQ(work.start(0).number(), 2);
  EXPECT_EQ(work.start(0).checkpoint().digest(), Sha256Hex("half way"));
  Finish(worker, work.start(0));
  EXPECT_EQ(GetRun(run).state(), v1::RUN_STATE_SUCCEEDED);
  std::vector<v1::RunState> states;
  for (const v1::Event& event : Watch(run)) {
    if (event.has_run_state()) states.push_back(event.run_state().state());
  }
  EXPECT_THAT(states, ::testing::ElementsAre(v1::RUN_STATE_QUEUED, v1::RUN_STATE_RUNNING,
                                             v1::RUN_STATE_PAUSED, v1::RUN_STATE_RUNNING,
                                             v1::RUN_STATE_SUCCEEDED));
  EXPECT_TRUE(absl::IsFailedPrecondition(Steer(&RunApi::PauseRun, run).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(Steer(&RunApi::ResumeRun, run).status()));
}

TEST_F(PauseTest, OneThatWaitsWaitsOnAndStartsNothing) {
  const auto run = CreateRun();
  ASSERT_TRUE(run.ok());
  Pause(run->name());
  Resume(run->name());
  EXPECT_EQ(GetRun(run->name()).state(), v1::RUN_STATE_QUEUED);
  Pause(run->name());
  FakeWorker worker(*server_);
  EXPECT_EQ(worker.Synchronize(*server_).start_size(), 0);
  v1::ExplainRunRequest explain;
  explain.set_name(run->name());
  const auto why = Call(server_->runs(), &RunApi::ExplainRun, User("ada"), explain);
  EXPECT_EQ(why->tasks(0).wait().reason(), v1::WAIT_REASON_PAUSED);
  Resume(run->name());
  EXPECT_EQ(worker.Synchronize(*server_).start_size(), 1);
}

TEST_F(PauseTest, ResumedBeforeItHasStoppedItGoesOnAllTheSame) {
  FakeWorker worker(*server_);
  const v1::Attempt first = Begin(worker);
  const std::string run = RunOf(first);
  Pause(run);
  ASSERT_EQ(worker.Synchronize(*server_).stop_size(), 1);
  Resume(run);
  Restart();
  worker.Synchronize(*server_);
  worker.Release(*server_, first, "half way");
  EXPECT_EQ(GetRun(run).state(), v1::RUN_STATE_RUNNING);
  const auto work = worker.Synchronize(*server_);
  ASSERT_EQ(work.start_size(), 1);
  EXPECT_EQ(work.start(0).checkpoint().digest(), Sha256Hex("half way"));
  Finish(worker, work.start(0));
  EXPECT_EQ(GetRun(run).state(), v1::RUN_STATE_SUCCEEDED);
}

TEST_F(PauseTest, AStepThatEndsMeanwhileHasEndedAndTheNextOneWaits) {
  FakeWorker worker(*server_);
  const v1::Attempt first = Begin(worker);
  const std::string run = RunOf(first);
  Pause(run);
  worker.Train(*server_, first);
  EXPECT_EQ(GetTask(run, "fit").state(), v1::TASK_STATE_SUCCEEDED);
  EXPECT_EQ(GetTask(run, "release").state(), v1::TASK_STATE_PAUSED);
  EXPECT_EQ(worker.Synchronize(*server_).start_size(), 0);
  Resume(run);
  EXPECT_EQ(worker.Synchronize(*server_).start_size(), 1);
}

TEST_F(PauseTest, APausedRunCanBeCancelled) {
  FakeWorker worker(*server_);
  const v1::Attempt first = Begin(worker);
  const std::string run = RunOf(first);
  Pause(run);
  Cancel(run);
  const auto told = worker.Synchronize(*server_);
  ASSERT_EQ(told.stop_size(), 1);
  EXPECT_FALSE(told.stop(0).checkpoint()) << "nothing is to be kept any more";
  v1::AttemptReport cancelled;
  cancelled.set_number(1);
  cancelled.mutable_result()->set_outcome(v1::AttemptResult::OUTCOME_CANCELLED);
  ASSERT_TRUE(worker.Report(*server_, first, {cancelled}).ok());
  worker.Drop(first.task());
  EXPECT_EQ(GetRun(run).state(), v1::RUN_STATE_CANCELLED);

  const auto second = CreateRun();
  Pause(second->name());
  Cancel(second->name());
  worker.Synchronize(*server_);
  EXPECT_EQ(GetRun(second->name()).state(), v1::RUN_STATE_CANCELLED);
}

TEST_F(PauseTest, CancelledWhileItStopsItNeedNotTakeTheCheckpoint) {
  FakeWorker worker(*server_);
  const v1::Attempt attempt = Begin(worker);
  const std::string run = RunOf(attempt);
  Pause(run);
  ASSERT_EQ(worker.Synchronize(*server_).stop_size(), 1);
  worker.StopAtCheckpoint(attempt.task());
  EXPECT_EQ(worker.Synchronize(*server_).stop_size(), 0) << "it knows";
  Cancel(run);
  const auto told = worker.Synchronize(*server_);
  ASSERT_EQ(told.stop_size(), 1);
  EXPECT_FALSE(told.stop(0).checkpoint());
  EXPECT_FALSE(told.stop(0).forget());
}

TEST_F(PauseTest, AWorkerThatIsLostWhileItStopsLosesNothing) {
  FakeWorker worker(*server_);
  const v1::Attempt first = Begin(worker);
  const std::string run = RunOf(first);
  Pause(run);
  worker.Drop(first.task());
  worker.SetSession("s2");
  worker.Synchronize(*server_);
  EXPECT_EQ(GetTask(run, "fit").state(), v1::TASK_STATE_PAUSED);
  Resume(run);
  const auto work = worker.Synchronize(*server_);
  ASSERT_EQ(work.start_size(), 1);
  Finish(worker, work.start(0));
  EXPECT_EQ(GetRun(run).state(), v1::RUN_STATE_SUCCEEDED);
}

TEST_F(PauseTest, PausedRunsCountAgainstTheBoundOfThoseThatWait) {
  v1::UpdateProjectRequest update;
  update.mutable_project()->set_name("projects/optics");
  update.mutable_project()->mutable_quota()->set_max_queued_runs(2);
  update.mutable_update_mask()->add_paths("quota.max_queued_runs");
  ASSERT_TRUE(Call(server_->projects(), &ProjectApi::UpdateProject, Operator(), update).ok());
  Pause(CreateRun()->name());
  Pause(CreateRun()->name());
  EXPECT_TRUE(absl::IsResourceExhausted(CreateRun().status()));
}

TEST_F(PauseTest, ARetryIsANewRunThatKeepsWhatSucceeded) {
  FakeWorker worker(*server_);
  const v1::Attempt first = Begin(worker);
  const std::string run = RunOf(first);
  EXPECT_TRUE(absl::IsFailedPrecondition(Steer(&RunApi::RetryRun, run).status()));
  worker.Train(*server_, first);
  const auto release = worker.Synchronize(*server_);
  ASSERT_EQ(release.start_size(), 1);
  ASSERT_TRUE(
      worker.Report(*server_, release.start(0), {FakeWorker::Failed(1, v1::FAILURE_KIND_USER)})
          .ok());
  worker.Drop(release.start(0).task());
  ASSERT_EQ(GetRun(run).state(), v1::RUN_STATE_FAILED);

  const auto retry = Steer(&RunApi::RetryRun, run);
  ASSERT_TRUE(retry.ok()) << retry.status();
  EXPECT_NE(retry->name(), run);
  EXPECT_EQ(retry->retry_of(), run);
  EXPECT_EQ(GetTask(retry->name(), "fit").state(), v1::TASK_STATE_SUCCEEDED);
  EXPECT_EQ(GetTask(retry->name(), "fit").result().taken_from(), first.task());
  const auto work = worker.Synchronize(*server_);
  ASSERT_EQ(work.start_size(), 1);
  EXPECT_EQ(work.start(0).step(), "release");
  ASSERT_TRUE(worker.Report(*server_, work.start(0), {FakeWorker::Success(1)}).ok());
  worker.Drop(work.start(0).task());
  EXPECT_EQ(GetRun(retry->name()).state(), v1::RUN_STATE_SUCCEEDED);
  EXPECT_EQ(GetRun(run).state(), v1::RUN_STATE_FAILED) << "what has ended stays so";
  EXPECT_TRUE(absl::IsFailedPrecondition(Steer(&RunApi::RetryRun, retry->name()).status()));
}

TEST_F(PauseTest, AClockThatIsSetBackDoesNotHoldUpTheNextAttempt) {
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  ASSERT_TRUE(CreateRun().ok());
  const auto work = worker.Synchronize(*server_);
  ASSERT_EQ(work.start_size(), 1);
  ASSERT_TRUE(
      worker.Report(*server_, work.start(0), {FakeWorker::Failed(1, v1::FAILURE_KIND_CRASH)}).ok());
  worker.Drop(work.start(0).task());
  EXPECT_EQ(worker.Synchronize(*server_).start_size(), 0) << "it waits a little";
  clock_.SetWallClockBy(-3'600'000);
  Restart();
  worker.Synchronize(*server_);
  Advance(61'000);
  EXPECT_EQ(worker.Synchronize(*server_).start_size(), 1);
}

TEST_F(PauseTest, ADiskThatDoesNotAnswerIsNoLostBlob) {
  FakeWorker worker(*server_);
  const v1::Attempt attempt = Begin(worker);
  const auto blob = worker.WriteBlob(*server_, attempt, "half way");
  ASSERT_TRUE(blob.ok()) << blob.status();
  v1::AttemptReport checkpoint;
  checkpoint.set_number(1);
  *checkpoint.mutable_event()->mutable_checkpoint()->mutable_blob() = *blob;
  const std::string folder = folder_.path() + "/state/blobs/" + blob->digest().substr(0, 2);
  ASSERT_EQ(rename(folder.c_str(), (folder + ".aside").c_str()), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(worker.Report(*server_, attempt, {checkpoint}).status()))
      << "there is none";
  ASSERT_TRUE(WriteFileAtomically(folder, "a file in the folder's place").ok());
  EXPECT_TRUE(absl::IsUnavailable(worker.Report(*server_, attempt, {checkpoint}).status()))
      << "who knows";
  ASSERT_EQ(unlink(folder.c_str()), 0);
  ASSERT_EQ(rename((folder + ".aside").c_str(), folder.c_str()), 0);
  EXPECT_TRUE(worker.Report(*server_, attempt, {checkpoint}).ok());
}

}  // namespace
}  // namespace beamline::server
