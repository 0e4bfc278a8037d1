#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scheduler/run_history.h"
#include "tests/scheduler/replay.h"

namespace beamline::scheduler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class SchedulerStory : public testing::Test, protected Story {
 protected:
  PendingCode CodeOf(const char* task) { return scheduler.Why(TaskId(task)).value().code; }
  std::string TextOf(const char* task) { return Sentence(scheduler.Why(TaskId(task)).value()); }
};

TEST_F(SchedulerStory, ATaskRunsAndEnds) {
  Replay("t=0 queued a gpu=1 | t=0 seen w1 gpu=1 -> assign a w1 gpus=g0 attempt=1 lease=10000");
  Replay("t=1 started a#1 -> (nothing)");
  EXPECT_EQ(scheduler.StateOf(TaskId("a")), TaskState::kRunning);
  Replay("t=5 succeeded a#1 -> end a attempt=1 succeeded");
  EXPECT_EQ(scheduler.StateOf(TaskId("a")), std::nullopt);
  EXPECT_EQ(scheduler.LiveCount(), 0u);
}

TEST_F(SchedulerStory, ASilentWorkerLosesItsAttempts) {
  Replay("t=0 queued a gpu=1 | t=0 seen w1 gpu=1 -> assign a w1 ; timer 10001");
  Replay("t=10000 tick -> (nothing)");
  Replay("t=10001 tick -> stop a w1 lease_lost ; requeue a lost_worker losses=1 after=11001");
  Replay("t=10002 tick -> (nothing)");
  Replay("t=10003 succeeded a#1 -> ignored a stale_attempt");
  Replay("t=11001 tick -> park a no_workers");
  Replay("t=12000 heartbeat w1 -> assign a w1 attempt=2 lease=22000");
  Replay("t=12001 succeeded a#2 -> end a succeeded");
}

TEST_F(SchedulerStory, HeartbeatsExtendTheLeaseAndTheTimerFollows) {
  Replay("t=0 seen w1 -> timer 10001 | t=0 queued a -> assign a w1");
  Replay("t=9000 heartbeat w1 -> (nothing)");
  Replay("t=10001 tick -> timer 19001");
  Replay("t=10001 tick -> (nothing)");
  Replay("t=19001 tick -> stop a w1 ; requeue a lost_worker");
}

TEST_F(SchedulerStory, ASignOfLifeThatComesWithALateTickStillCounts) {
  Replay("t=0 seen w1 | t=0 queued a -> assign a w1");
  Replay("t=50000 heartbeat w1 -> (nothing)");
}

TEST_F(SchedulerStory, TimeNeverGoesBack) {
  Replay("t=5000 seen w1 | t=100 heartbeat w1 | t=200 queued a -> assign a w1 lease=15000");
}

TEST_F(SchedulerStory, FailuresBackOffAndEnd) {
  Replay("t=0 seen w1 | t=0 queued a max=3 -> assign a w1");
  Replay("t=10 failed a#1 -> requeue a failure failures=1 losses=0 after=1010");
  EXPECT_EQ(CodeOf("a"), PendingCode::kBackOff);
  EXPECT_EQ(scheduler.Why(TaskId("a"))->until_ms, 1010);
  Replay("t=1009 tick -> (nothing) | t=1010 tick -> assign a w1 attempt=2");
  Replay("t=1010 failed a#2 -> requeue a failure failures=2 after=3010");
  Replay("t=3010 tick -> assign a attempt=3 | t=3020 failed a#3 -> end a failed attempts_used_up");
}

TEST_F(SchedulerStory, PermanentFailuresAreNotRetried) {
  Replay("t=0 seen w1 | t=0 queued a -> assign a w1");
  Replay("t=10 broken a#1 -> end a failed failed_permanent");
}

TEST_F(SchedulerStory, ReleasesDoNotCountAgainstTheAttemptsButAreBounded) {
  Replay("t=0 seen w1 cpu=1 | t=0 queued a max=1 -> assign a w1");
  for (int i = 1; i < 20; ++i) {
    const std::string n = std::to_string(i);
    Replay("t=1 released a#" + n + " -> requeue a released failures=0 losses=" + n +
           " after=1 ; assign a w1 attempt=" + std::to_string(i + 1));
  }
  Replay("t=2 released a#20 -> end a failed lost_too_often");
}

TEST_F(SchedulerStory, BackOffDoublesUpToOneMinute) {
  Replay("t=0 seen w1 | t=0 queued a max=9 failures=6 attempt=6 -> assign a w1 attempt=7");
  Replay("t=0 failed a#7 -> requeue a failures=7 after=60000");
}

TEST_F(SchedulerStory, PriorityThenTimeThenName) {
  Replay("t=0 queued b at=5 | t=0 queued a at=5 | t=0 queued old at=1 | t=0 queued high p=1 at=9");
  Replay("t=1 seen w1 cpu=4 -> assign high w1 ; assign old w1 ; assign a w1 ; assign b w1");
}

TEST_F(SchedulerStory, TheProjectThatHoldsLeastGoesFirst) {
  Replay("t=1 queued a1 project=a | t=2 queued a2 project=a | t=3 queued a3 project=a");
  Replay("t=4 queued b1 project=b | t=5 queued b2 project=b");
  Replay("t=9 seen w1 cpu=4 -> assign a1 ; assign b1 ; assign a2 ; assign b2");
}

TEST_F(SchedulerStory, ASmallTaskPassesOneThatDoesNotFit) {
  Replay("t=0 seen w1 cpu=4 | t=0 queued running cpu=3 -> assign running w1");
  Replay("t=1 queued big cpu=4 p=9 -> (nothing) | t=2 queued small cpu=1 -> assign small w1");
  EXPECT_EQ(CodeOf("big"), PendingCode::kWaitingForCapacity);
  Replay("t=3 succeeded running#1 -> end running");
  Replay("t=4 succeeded small#1 -> end small ; assign big w1");
}

TEST_F(SchedulerStory, BestFitKeepsLargePlacesFree) {
  Replay("t=0 seen large gpu=4 | t=0 seen small gpu=1 | t=0 seen plain cpu=16");
  Replay("t=1 queued cores cpu=2 -> assign cores plain gpus=");
  Replay("t=1 queued one gpu=1 -> assign one small gpus=g0");
  Replay("t=1 queued four gpu=4 -> assign four large gpus=g0,g1,g2,g3");
}

TEST_F(SchedulerStory, TheSmallestSufficientDeviceIsTaken) {
  Replay("t=0 seen w1 gpu=3 gpumem=80,10,40");
  Replay("t=1 queued a gpu=1 gpumem=20 -> assign a w1 gpus=g2");
  Replay("t=1 queued b gpu=1 -> assign b w1 gpus=g1");
  Replay("t=1 queued c gpu=1 gpumem=20 -> assign c w1 gpus=g0");
  Replay("t=1 queued d gpu=1 gpumem=20 -> (nothing)");
}

TEST_F(SchedulerStory, AnyDeviceTakesAFreeGpuOrElseCores) {
  Replay("t=0 seen w1 gpu=1 | t=0 seen w2");
  Replay("t=1 queued a any -> assign a w1 gpus=g0 | t=1 queued b any -> assign b w1 gpus= ");
}

TEST_F(SchedulerStory, PoolsAreKeptApart) {
  Replay("t=0 seen w1 pool=prod,night | t=0 queued a pool=dev -> park a no_worker_in_pool");
  EXPECT_THAT(TextOf("a"), HasSubstr("dev"));
  Replay("t=1 queued b pool=night -> assign b w1 | t=1 seen w2 pool=dev -> assign a w2");
}

TEST_F(SchedulerStory, DrainingWorkersGetNothingNew) {
  Replay("t=0 seen w1 | t=0 queued a -> assign a w1 | t=1 draining w1 -> (nothing)");
  Replay("t=2 queued b -> park b all_workers_draining");
  Replay("t=3 released a#1 -> requeue a released ; park a all_workers_draining");
  Replay("t=4 seen w2 -> assign a w2 attempt=2 ; assign b w2");
  Replay("t=5 seen w1 draining -> (nothing) | t=6 queued c cpu=8 -> (nothing)");
  Replay("t=7 seen w1 -> assign c w1");
}

TEST_F(SchedulerStory, CancellingAPendingTaskEndsItAtOnce) {
  Replay("t=0 queued a | t=0 cancel a -> end a attempt=0 cancelled");
  Replay("t=0 queued b after=500 | t=1 cancel b -> end b cancelled");
  Replay("t=1 seen w1 -> (nothing) | t=600 tick -> (nothing)");
  Replay("t=601 cancel a -> ignored a unknown_task");
}

TEST_F(SchedulerStory, CancellingARunningTaskKeepsItsPlaceUntilItHasStopped) {
  Replay("t=0 seen w1 cpu=1 | t=0 queued a -> assign a w1 | t=0 queued b -> (nothing)");
  Replay("t=1 cancel a -> stop a w1 attempt=1 cancelled | t=2 cancel a -> (nothing)");
  EXPECT_EQ(scheduler.StateOf(TaskId("a")), TaskState::kStopping);
  Replay("t=3 stopped a#1 -> end a cancelled ; assign b w1");
}

TEST_F(SchedulerStory, ACancelledTaskThatFailsOrIsLostIsNotRetried) {
  Replay("t=0 seen w1 | t=0 queued a -> assign a w1 | t=0 queued b -> assign b w1");
  Replay("t=1 cancel a | t=1 cancel b | t=2 failed a#1 -> end a cancelled");
  Replay("t=3 gone w1 -> stop b w1 worker_gone ; end b cancelled");
}

TEST_F(SchedulerStory, SuccessBeforeTheCancellationArrivedIsSuccess) {
  Replay("t=0 seen w1 | t=0 queued a | t=1 cancel a | t=2 succeeded a#1 -> end a succeeded");
}

TEST_F(SchedulerStory, AWorkerThatLeavesIsForgotten) {
  Replay("t=0 seen w1 | t=0 queued a -> assign a w1");
  Replay("t=1 gone w1 -> stop a w1 worker_gone ; requeue a lost_worker after=1001");
  Replay("t=2 heartbeat w1 -> ignored w1 unknown_worker | t=2 gone w1 -> ignored w1");
  EXPECT_TRUE(scheduler.Workers().empty());
}

TEST_F(SchedulerStory, ATooLargeTaskIsParkedAndRunsWhenALargerWorkerComes) {
  Replay("t=0 seen w1 mem=16 | t=0 queued a mem=32 -> park a too_large");
  EXPECT_EQ(TextOf("a"),
            "needs 32768 MiB of memory on one worker but the largest worker has 16384 MiB: ask for "
            "less, or add a larger worker");
  Replay("t=1 tick -> (nothing) | t=2 seen w2 mem=32 -> assign a w2");
}

TEST_F(SchedulerStory, AmountsThatNoSingleWorkerHasTogether) {
  Replay("t=0 seen w1 cpu=16 mem=1 | t=0 seen w2 cpu=1 mem=64");
  Replay("t=0 queued a cpu=16 mem=64 -> park a too_large");
  EXPECT_THAT(TextOf("a"), HasSubstr("no single worker has all of 16 cores, 65536 MiB"));
}

TEST_F(SchedulerStory, GangsAreParkedForNow) {
  Replay("t=0 seen w1 | t=0 queued a workers=2 -> park a gangs_unsupported");
}

TEST_F(SchedulerStory, CapacityThatShrinksUnderRunningTasksIsNotGivenTwice) {
  Replay("t=0 seen w1 cpu=4 gpu=2 | t=0 queued a gpu=1 cpu=3 -> assign a w1 gpus=g0");
  Replay("t=1 seen w1 cpu=2 gpu=2 -> (nothing) | t=1 queued b cpu=1 -> (nothing)");
  Replay("t=2 seen w1 cpu=4 gpu=2 -> assign b w1 | t=3 queued c gpu=1 cpu=0 -> assign c gpus=g1");
  Replay("t=4 succeeded a#1 -> end a | t=5 queued d gpu=1 -> assign d gpus=g0");
}

TEST_F(SchedulerStory, ARestartRestoresAttemptsWithNewLeases) {
  Replay("t=100 restored a#3 w1 gpu=1 gpus=g1 failures=1 -> timer 10101");
  Replay("t=100 queued b gpu=1 | t=200 seen w1 gpu=2 -> assign b w1 gpus=g0");
  Replay("t=300 failed a#2 -> ignored a stale_attempt");
  Replay("t=300 failed a#3 -> requeue a attempt=3 failures=2 after=2300");
  Replay("t=2300 tick -> assign a w1 gpus=g1 attempt=4");
}

TEST_F(SchedulerStory, ARestoredAttemptWhoseWorkerNeverComesIsLost) {
  Replay("t=100 restored a#1 w1 | t=10100 tick -> (nothing)");
  Replay("t=10101 tick -> stop a w1 lease_lost ; requeue a lost_worker after=11101");
  Replay("t=10102 heartbeat w1 -> ignored w1 unknown_worker");
  Replay("t=11101 tick -> park a no_workers");
}

TEST_F(SchedulerStory, ARestoredCancellationIsToldAgain) {
  Replay("t=1 restored a#1 w1 cancelling -> stop a w1 cancelled | t=2 seen w1");
  Replay("t=3 stopped a#1 -> end a cancelled");
}

TEST_F(SchedulerStory, NonsenseChangesNothing) {
  Replay("t=0 queued a cpu=-1 -> ignored a invalid | t=0 queued a mem=9000000 -> ignored invalid");
  Replay("t=0 queued a | t=0 queued a -> ignored a duplicate_task");
  Replay("t=0 restored a#1 w1 -> ignored a duplicate_task");
  Replay(
      "t=0 started x#1 -> ignored x unknown_task | t=0 succeeded a#1 -> ignored a stale_attempt");
  Replay("t=0 draining w9 -> ignored w9 unknown_worker | t=0 seen w1 cpu=-1 -> ignored w1 invalid");
  EXPECT_EQ(scheduler.PendingCount(), 1u);
}

TEST_F(SchedulerStory, TheQueueAndTheWorkersCanBeSeen) {
  Replay("t=0 seen w1 cpu=2 | t=0 queued a cpu=2 -> assign a w1");
  Replay("t=1 queued b at=3 | t=1 queued c at=2 | t=1 queued d p=1 at=9 | t=1 queued e after=99");
  std::vector<std::string> names;
  for (const QueueEntry& entry : scheduler.Queue(10)) {
    names.push_back(entry.task.value + " " + std::string(ToString(entry.reason.code)));
  }
  EXPECT_THAT(names, ElementsAre("d waiting_for_capacity", "c waiting_for_capacity",
                                 "b waiting_for_capacity", "e back_off"));
  EXPECT_EQ(scheduler.Queue(2).size(), 2u);
  const std::vector<WorkerEntry> workers = scheduler.Workers();
  ASSERT_EQ(workers.size(), 1u);
  EXPECT_EQ(workers[0].free_cpu_millis, 0);
  ASSERT_EQ(workers[0].attempts.size(), 1u);
  EXPECT_EQ(workers[0].attempts[0].task, TaskId("a"));
  EXPECT_EQ(scheduler.LiveAttempt(TaskId("a"))->placement.worker, WorkerId("w1"));
  EXPECT_EQ(scheduler.Why(TaskId("a")), std::nullopt);
}

TEST_F(SchedulerStory, OfEqualWorkersTheOneThatHasTheDataGoesFirst) {
  const auto seen = [&](const char* name, int64_t cpu_millis, std::vector<DataId> data) {
    WorkerSeen event;
    event.worker = WorkerId(name);
    event.capacity.cpu_millis = cpu_millis;
    event.capacity.memory_bytes = int64_t{1} << 30;
    event.data = std::move(data);
    scheduler.Step(event, 0);
  };
  const auto place = [&](const char* name, std::vector<DataId> data) {
    TaskQueued event;
    event.task = TaskId(name);
    event.project = ProjectId("p");
    event.data = std::move(data);
    scheduler.Step(event, 0);
    return scheduler.LiveAttempt(TaskId(name)).value().placement.worker.value;
  };
  seen("w1", 4000, {});
  seen("w2", 4000, {DataId("a")});
  seen("w3", 4000, {DataId("a"), DataId("b")});
  seen("w4", 8000, {DataId("a"), DataId("b"), DataId("c")});
  EXPECT_EQ(place("none", {}), "w1");
  // w1 is the fullest now: what fits best comes before what has the data.
  EXPECT_EQ(place("fits", {DataId("a")}), "w1");
  EXPECT_EQ(place("large", {}), "w1");
  EXPECT_EQ(place("last", {}), "w1");
  EXPECT_EQ(place("both", {DataId("a"), DataId("b"), DataId("c")}), "w3");
  seen("w2", 3000, {DataId("c")});
  EXPECT_EQ(place("other", {DataId("c")}), "w2");
}

// In one project the one that is predicted to be done first goes first; unknown ones count as new,
// and one that has had more than was predicted by what it has had.
TEST(Prediction, OrdersTheTasksOfAProject) {
  Story story;
  story.Replay(
      "t=0 queued months gpu=1 predicted=900 | t=1 queued days gpu=1 predicted=100 |"
      "t=2 queued overdue gpu=1 predicted=2 attained=9 | t=3 queued hours gpu=1 predicted=5 |"
      "t=4 queued unknown gpu=1 | t=5 seen w1 gpu=1 -> assign unknown |"
      "t=6 succeeded unknown#1 -> end unknown ; assign hours |"
      "t=7 succeeded hours#1 -> end hours ; assign days |"
      "t=8 succeeded days#1 -> end days ; assign months |"
      "t=9 succeeded months#1 -> end months ; assign overdue");
}

TEST(Prediction, LearnsFromWhatHasEnded) {
  RunHistory history;
  history.Add("a", 10);
  history.Add("a", 20);
  EXPECT_EQ(history.Predict("a"), 0) << "two are too few";
  history.Add("a", 30);
  history.Add("a", 40);
  history.Add("a", 1000);
  EXPECT_EQ(history.Predict("a"), 40) << "the upper quartile";
  EXPECT_EQ(history.Predict("b"), 0);
  for (int i = 0; i < 100; ++i) history.Add("a", 7);
  EXPECT_EQ(history.Predict("a"), 7) << "the last hundred count";
}

}  // namespace
}  // namespace beamline::scheduler
