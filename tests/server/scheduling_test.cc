// Who runs when, as users and operators see it: preemption, quotas, reasons, shares.
#include <set>

#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "server/names.h"
#include "store/runs.h"
#include "store/store.h"
#include "tests/server/harness.h"

namespace beamline::server {
namespace {

using ::testing::HasSubstr;

class SchedulingTest : public ServerTest {
 protected:
  ServerOptions Options() override {
    ServerOptions options = ServerTest::Options();
    options.scheduler.round_ms = 5'000;
    options.scheduler.min_run_ms = 10'000;
    options.scheduler.level_quantum_ms = 10'000;
    options.scheduler.grace_ms = 6'000;
    return options;
  }

  // A run of the small pipeline whose train step takes so many cores.
  std::string Run(const std::string& project, const std::string& cpus, int priority = 0) {
    v1::CreateRunRequest request = RunRequest("", project);
    request.set_fresh(true);
    request.set_priority(priority);
    request.mutable_source()->set_yaml(absl::StrReplaceAll(
        kPipeline, {{"name: fit", "name: fit\n    resources: {cpus: " + cpus + "}"}}));
    const auto run = Call(server_->runs(), &RunApi::CreateRun, User("ada"), request);
    EXPECT_TRUE(run.ok()) << run.status();
    return run.ok() ? run->name() : "";
  }
  v1::TaskState FitOf(const std::string& run) { return GetTask(run, "fit").state(); }
  // Time passes, and the worker says that it lives.
  v1::SynchronizeResponse Pass(FakeWorker& worker, int64_t ms) {
    v1::SynchronizeResponse last;
    for (; ms > 0; ms -= 2'000) {
      Advance(2'000);
      last = worker.Synchronize(*server_);
      if (last.stop_size() > 0 || last.start_size() > 0) break;
    }
    return last;
  }
  v1::Wait Why(const std::string& run) {
    v1::ExplainRunRequest request;
    request.set_name(run);
    const auto answer = Call(server_->runs(), &RunApi::ExplainRun, User("ada"), request);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() && answer->tasks_size() > 0 ? answer->tasks(0).wait() : v1::Wait();
  }
  void SetQuota(const std::string& project, const v1::Quota& quota) {
    v1::UpdateProjectRequest request;
    request.mutable_project()->set_name("projects/" + project);
    *request.mutable_project()->mutable_quota() = quota;
    request.mutable_update_mask()->add_paths("quota");
    const auto answer = Call(server_->projects(), &ProjectApi::UpdateProject, Operator(), request);
    ASSERT_TRUE(answer.ok()) << answer.status();
  }
  v1::ListSharesResponse Shares(const auth::Principal& caller) {
    const auto shares =
        Call(server_->cluster(), &ClusterApi::ListShares, caller, v1::ListSharesRequest());
    EXPECT_TRUE(shares.ok()) << shares.status();
    return *shares;
  }
};

TEST_F(SchedulingTest, AProjectWithMoreThanItsShareMakesRoomAndGoesOnLater) {
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  Run("optics", "1");
  Run("optics", "1");
  const auto work = worker.Synchronize(*server_);
  ASSERT_EQ(work.start_size(), 2);
  Pass(worker, 20'000);
  const std::string other = Run("acoustics", "1");
  EXPECT_EQ(Why(other).reason(), v1::WAIT_REASON_CAPACITY);

  const auto stopped = Pass(worker, 30'000);
  ASSERT_EQ(stopped.stop_size(), 1);
  EXPECT_TRUE(stopped.stop(0).checkpoint());
  EXPECT_FALSE(stopped.stop(0).forget());
  EXPECT_EQ(Why(other).reason(), v1::WAIT_REASON_RESERVED);
  const v1::Attempt& victim =
      work.start(0).task() == stopped.stop(0).task() ? work.start(0) : work.start(1);
  worker.Release(*server_, victim, "half way");
  const auto started = worker.Synchronize(*server_);
  ASSERT_EQ(started.start_size(), 1);
  EXPECT_EQ(FitOf(other), v1::TASK_STATE_RUNNING);

  const std::string preempted = victim.task().substr(0, victim.task().find("/tasks/"));
  EXPECT_EQ(FitOf(preempted), v1::TASK_STATE_QUEUED);
  worker.Train(*server_, started.start(0));
  const auto again = worker.Synchronize(*server_);
  ASSERT_GE(again.start_size(), 1);
  const v1::Task resumed = GetTask(preempted, "fit");
  EXPECT_EQ(resumed.state(), v1::TASK_STATE_RUNNING);
  EXPECT_EQ(resumed.attempt(), 2);
  for (const v1::Attempt& attempt : again.start()) {
    if (attempt.task() != victim.task()) continue;
    EXPECT_EQ(attempt.checkpoint().digest(), Sha256Hex("half way"));
    worker.Train(*server_, attempt);
  }
  EXPECT_EQ(FitOf(preempted), v1::TASK_STATE_SUCCEEDED);
}

TEST_F(SchedulingTest, OneThatDoesNotLeaveInTimeIsStoppedWithoutACheckpoint) {
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  Run("optics", "1");
  Run("optics", "1");
  const auto work = worker.Synchronize(*server_);
  Pass(worker, 20'000);
  const std::string other = Run("acoustics", "1");
  const auto told = Pass(worker, 30'000);
  ASSERT_EQ(told.stop_size(), 1);
  v1::SynchronizeResponse response;
  for (int i = 0; i < 10 && response.start_size() == 0; ++i) {
    Advance(2'000);
    response = worker.Synchronize(*server_);
  }
  EXPECT_EQ(FitOf(other), v1::TASK_STATE_RUNNING);
  v1::Attempt late = work.start(0);
  late.set_task(told.stop(0).task());
  EXPECT_TRUE(absl::IsNotFound(worker.Report(*server_, late, {FakeWorker::Success(1)}).status()));
}

TEST_F(SchedulingTest, APreemptionSurvivesARestartOfTheServer) {
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  Run("optics", "1");
  Run("optics", "1");
  const auto work = worker.Synchronize(*server_);
  Pass(worker, 20'000);
  const std::string other = Run("acoustics", "1");
  ASSERT_EQ(Pass(worker, 30'000).stop_size(), 1);
  Restart();
  // Told once more, until it says that it stops.
  const auto told = worker.Synchronize(*server_);
  ASSERT_EQ(told.stop_size(), 1);
  EXPECT_TRUE(told.stop(0).checkpoint());
  v1::Attempt victim = work.start(0);
  victim.set_task(told.stop(0).task());
  worker.Release(*server_, victim, "half way");
  Pass(worker, 4'000);
  EXPECT_EQ(FitOf(other), v1::TASK_STATE_RUNNING);
  EXPECT_EQ(FitOf(victim.task().substr(0, victim.task().find("/tasks/"))), v1::TASK_STATE_QUEUED);
}

TEST_F(SchedulingTest, WhatATaskHasHadCountsAfterARestartOfTheServer) {
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  Run("optics", "1");
  Run("optics", "1");
  const auto work = worker.Synchronize(*server_);
  Pass(worker, 20'000);
  Restart();
  worker.Synchronize(*server_);
  Run("acoustics", "1");
  // Both have run for longer than nobody is asked, although this server has not seen it.
  const auto told = Pass(worker, 8'000);
  ASSERT_EQ(told.stop_size(), 1);
  v1::Attempt victim = work.start(0);
  victim.set_task(told.stop(0).task());
  worker.Release(*server_, victim, "half way");
  server_.reset();
  const auto store = store::Store::Open(folder_.path() + "/state/beamline.db");
  ASSERT_TRUE(store.ok());
  const auto name = ParseTaskName("task", victim.task());
  const auto task = store::GetTask((*store)->writer(), name->run, name->task);
  // One core for 20 seconds and more. Unit: thousandths of a core times milliseconds.
  EXPECT_GE(task->attained, 20'000 * 1'000);
}

TEST_F(SchedulingTest, TheQueueCountsThoseAheadInOnesProject) {
  Run("optics", "1");
  Run("acoustics", "1");
  Advance(1'000);
  Run("optics", "1");
  const auto queue =
      Call(server_->cluster(), &ClusterApi::ListQueue, Operator(), v1::ListQueueRequest());
  std::multiset<int64_t> ahead;
  for (const auto& entry : queue->entries()) ahead.insert(entry.wait().ahead());
  EXPECT_EQ(ahead, (std::multiset<int64_t>{0, 0, 1}));
}

TEST_F(SchedulingTest, AQuotaIsNeverExceededAndMayBeRaised) {
  v1::Quota quota;
  quota.set_max_cpus(1);
  SetQuota("optics", quota);
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  Run("optics", "1");
  const std::string second = Run("optics", "1");
  EXPECT_EQ(worker.Synchronize(*server_).start_size(), 1);
  const v1::Wait wait = Why(second);
  EXPECT_EQ(wait.reason(), v1::WAIT_REASON_QUOTA);
  EXPECT_THAT(wait.remedy(), HasSubstr("larger quota"));
  Restart();
  Pass(worker, 4'000);
  EXPECT_EQ(FitOf(second), v1::TASK_STATE_QUEUED) << "the quota holds after a restart";
  quota.set_max_cpus(2);
  SetQuota("optics", quota);
  EXPECT_EQ(worker.Synchronize(*server_).start_size(), 1);
  EXPECT_EQ(FitOf(second), v1::TASK_STATE_RUNNING);
}

TEST_F(SchedulingTest, WhatNeverFitsIsRefusedWithTheNearestThatDoes) {
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  const auto refusal = [&](const std::string& resources) {
    v1::CreateRunRequest request = RunRequest();
    request.mutable_source()->set_yaml(
        absl::StrReplaceAll(kPipeline, {{"name: fit", "name: fit\n    resources: " + resources}}));
    const auto run = Call(server_->runs(), &RunApi::CreateRun, User("ada"), request);
    return run.ok() ? "accepted" : std::string(run.status().message());
  };
  EXPECT_EQ(refusal("{cpus: 2, memory_bytes: 8 GiB}"), "accepted");
  EXPECT_THAT(refusal("{cpus: 3}"), HasSubstr("steps.fit.resources.cpus: is 3 cores, and the "
                                              "largest worker has 2 cores: ask for at most that"));
  EXPECT_THAT(refusal("{memory_bytes: 9 GiB}"), HasSubstr("has 8192 MiB"));
  EXPECT_THAT(refusal("{pool: big}"), HasSubstr("no worker has ever joined pool big"));
  v1::Quota quota;
  quota.set_max_cpus(1.5);
  SetQuota("optics", quota);
  EXPECT_THAT(refusal("{cpus: 2}"), HasSubstr("the project may hold 1.5 cores"));
}

TEST_F(SchedulingTest, QuotasThatContradictThemselvesAreRefused) {
  v1::UpdateProjectRequest request;
  request.mutable_project()->set_name("projects/optics");
  request.mutable_project()->mutable_quota()->set_max_cpus(2);
  request.mutable_project()->mutable_quota()->set_guaranteed_cpus(3);
  EXPECT_TRUE(absl::IsInvalidArgument(
      Call(server_->projects(), &ProjectApi::UpdateProject, Operator(), request).status()));
  request.mutable_project()->mutable_quota()->set_guaranteed_cpus(1e300);
  EXPECT_TRUE(absl::IsInvalidArgument(
      Call(server_->projects(), &ProjectApi::UpdateProject, Operator(), request).status()));
}

TEST_F(SchedulingTest, ReasonsSayWhenItMayStartAndHowManyGoFirst) {
  EXPECT_EQ(Why(Run("optics", "1")).reason(), v1::WAIT_REASON_NO_WORKERS);
  Run("optics", "1");
  FakeWorker worker(*server_);
  const auto work = worker.Synchronize(*server_);
  ASSERT_EQ(work.start_size(), 2);
  Run("optics", "2");
  Pass(worker, 2'000);
  const std::string last = Run("optics", "2");
  EXPECT_FALSE(Why(last).has_earliest_start_time()) << "nothing is known of what runs";
  // Ten seconds from one fifth to three fifths, at the same pace: ten more to the end.
  const auto progress = [](int64_t number, int64_t step) {
    v1::AttemptReport report;
    report.set_number(number);
    report.mutable_event()->mutable_progress()->set_step(step);
    report.mutable_event()->mutable_progress()->set_total_steps(100);
    return report;
  };
  for (const v1::Attempt& attempt : work.start()) {
    ASSERT_TRUE(worker.Report(*server_, attempt, {progress(1, 20)}).ok());
  }
  Pass(worker, 10'000);
  for (const v1::Attempt& attempt : work.start()) {
    ASSERT_TRUE(worker.Report(*server_, attempt, {progress(2, 60)}).ok());
  }
  const v1::Wait wait = Why(last);
  EXPECT_EQ(wait.reason(), v1::WAIT_REASON_CAPACITY);
  EXPECT_EQ(wait.ahead(), 1);
  EXPECT_EQ(absl::FromUnixSeconds(wait.earliest_start_time().seconds()) - clock_.Now(),
            absl::Seconds(10));
  EXPECT_EQ(absl::FromUnixSeconds(wait.since_time().seconds()), clock_.Now() - absl::Seconds(10));
}

TEST_F(SchedulingTest, ASignOfLifeThatWaitedCountsBeforeLeasesAreLookedAt) {
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  const std::string run = Run("optics", "1");
  const auto work = worker.Synchronize(*server_);
  ASSERT_EQ(work.start_size(), 1);
  // Nobody has looked at the clock for longer than a lease: the server was busy, not the worker.
  clock_.AdvanceMillis(15'000);
  EXPECT_EQ(worker.Synchronize(*server_).stop_size(), 0);
  EXPECT_EQ(FitOf(run), v1::TASK_STATE_RUNNING);
  clock_.AdvanceMillis(15'000);
  EXPECT_TRUE(worker.Report(*server_, work.start(0), {FakeWorker::Metric(1, 0.5)}).ok());
  EXPECT_EQ(FitOf(run), v1::TASK_STATE_RUNNING);
  EXPECT_EQ(GetTask(run, "fit").attempt(), 1);
}

TEST_F(SchedulingTest, TheQueueShowsOnesOwnAndCountsTheOthers) {
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  Run("optics", "2");
  worker.Synchronize(*server_);
  Run("acoustics", "1", 7);
  const auto queue = [&](const auth::Principal& caller, const std::string& project) {
    v1::ListQueueRequest request;
    request.set_project(project);
    return Call(server_->cluster(), &ClusterApi::ListQueue, caller, request);
  };
  const auto mine = queue(Member("ada", "acoustics"), "");
  ASSERT_TRUE(mine.ok());
  EXPECT_EQ(mine->queued_tasks(), 1);
  EXPECT_EQ(mine->running_tasks(), 1);
  ASSERT_EQ(mine->entries_size(), 1);
  EXPECT_EQ(mine->entries(0).priority(), 7);
  EXPECT_EQ(mine->entries(0).wait().reason(), v1::WAIT_REASON_CAPACITY);
  EXPECT_EQ(mine->entries(0).wait().ahead(), 0);
  EXPECT_THAT(mine->entries(0).wait().ShortDebugString(), ::testing::Not(HasSubstr("optics")));
  const auto all = queue(Operator(), "");
  ASSERT_EQ(all->entries_size(), 2);
  EXPECT_TRUE(all->entries(0).running());
  EXPECT_TRUE(all->entries(0).has_start_time());
  EXPECT_EQ(queue(Operator(), "projects/optics")->entries_size(), 1);
  EXPECT_TRUE(absl::IsNotFound(queue(Member("ada", "acoustics"), "projects/optics").status()));
  EXPECT_TRUE(absl::IsNotFound(queue(Member("ada", "acoustics"), "projects/none").status()));
}

TEST_F(SchedulingTest, SharesFollowWeightsAndHideOtherProjects) {
  v1::Quota quota;
  quota.set_weight_milli(3000);
  SetQuota("acoustics", quota);
  for (int i = 0; i < 20; ++i) {
    Run("optics", "0.5");
    Run("acoustics", "0.5");
  }
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  const auto all = Shares(Operator());
  EXPECT_EQ(all.cpus(), 2);
  EXPECT_EQ(all.active_projects(), 2);
  ASSERT_EQ(all.shares_size(), 2);
  const auto& acoustics = all.shares(0);
  const auto& optics = all.shares(1);
  EXPECT_EQ(acoustics.project(), "projects/acoustics");
  EXPECT_EQ(acoustics.quota().weight_milli(), 3000);
  EXPECT_EQ(optics.quota().weight_milli(), 1000);
  EXPECT_EQ(acoustics.running_tasks() + optics.running_tasks(), 4);
  EXPECT_EQ(acoustics.running_tasks(), 3);
  EXPECT_DOUBLE_EQ(acoustics.held(), 0.75);
  EXPECT_DOUBLE_EQ(acoustics.cpus(), 1.5);
  EXPECT_NEAR(acoustics.entitled(), 0.75, 1e-6);
  EXPECT_EQ(acoustics.waiting_tasks(), 17);
  const auto mine = Shares(Member("ada", "optics"));
  ASSERT_EQ(mine.shares_size(), 1);
  EXPECT_EQ(mine.shares(0).project(), "projects/optics");
  EXPECT_EQ(mine.active_projects(), 2);
}

}  // namespace
}  // namespace beamline::server
