// Gangs, quotas and preemption, told as stories.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/scheduler/replay.h"

namespace beamline::scheduler {
namespace {

Options Preempting() {
  Options options;
  options.lease_ms = int64_t{1} << 40;
  options.gangs = true;
  options.preemption = true;
  options.round_ms = 60'000;
  options.min_run_ms = 600'000;
  options.level_quantum_ms = 600'000;
  return options;
}

Options StrictFifo() {
  Options options;
  options.policy = Policy::kStrictFifo;
  return options;
}

class PreemptionStory : public testing::Test, protected Story {
 protected:
  PreemptionStory() : Story(Preempting()) {}
  // Project a fills the one worker, project b is owed half of it.
  void FillWorker() {
    Replay("t=0 seen w1 gpu=2 | t=1 queued a1 gpu=1 project=a -> assign a1 w1 gpus=g0");
    Replay("t=2 queued a2 gpu=1 project=a -> assign a2 w1 gpus=g1");
    Replay("t=700000 queued b1 gpu=1 project=b -> (nothing)");
  }
};

TEST_F(PreemptionStory, AProjectBelowItsShareGetsTheYoungestPlaceOfAnother) {
  FillWorker();
  Replay("t=720000 tick -> preempt a2 attempt=1 w1 express for=b1 deadline=780000");
  EXPECT_EQ(scheduler.StateOf(TaskId("a2")), TaskState::kPreempting);
  EXPECT_EQ(scheduler.StateOf(TaskId("b1")), TaskState::kReserved);
  EXPECT_EQ(scheduler.Why(TaskId("b1"))->code, PendingCode::kReserved);
  Replay("t=720000 tick -> (nothing)");
  Replay("t=720500 preempted a2#1 -> requeue a2 preempted failures=0 losses=0 ; assign b1 gpus=g1");
}

TEST_F(PreemptionStory, NobodyLeavesBeforeTheShortestRun) {
  Replay("t=0 seen w1 gpu=1 | t=500000 queued a1 gpu=1 project=a -> assign a1 w1");
  Replay("t=510000 queued b1 gpu=1 project=b p=9 -> (nothing)");
  Replay("t=1080000 tick -> (nothing)");
}

TEST_F(PreemptionStory, WhoDoesNotAnswerIsStoppedWhenItsGraceIsOver) {
  FillWorker();
  Replay("t=720000 tick -> preempt a2 | t=779999 tick -> (nothing)");
  Replay("t=780000 tick -> stop a2 w1 grace_over ; requeue a2 preempted ; assign b1 w1 gpus=g1");
  Replay("t=780001 preempted a2#1 -> ignored a2 stale_attempt");
}

TEST_F(PreemptionStory, WhoEndsBeforeItsCheckpointHasEnded) {
  FillWorker();
  Replay("t=720000 tick -> preempt a2");
  Replay("t=720100 succeeded a2#1 -> end a2 succeeded ; assign b1 w1");
}

TEST_F(PreemptionStory, TheVictimGoesOnIfItsBeneficiaryIsGone) {
  FillWorker();
  Replay("t=720000 tick -> preempt a2 | t=720050 cancel b1 -> end b1 cancelled");
  Replay("t=720060 queued c1 gpu=1 project=c -> (nothing)");
  Replay("t=720100 preempted a2#1 -> requeue a2 preempted ; assign a2 w1 attempt=2");
}

TEST_F(PreemptionStory, APlaceOnAWorkerThatLeavesIsGivenUp) {
  FillWorker();
  Replay("t=720000 tick -> preempt a2");
  Replay("t=720010 draining w1 -> park b1 all_workers_draining");
  Replay("t=720020 seen w2 gpu=1 -> assign b1 w2");
}

TEST_F(PreemptionStory, WhatMayNotBeStoppedIsNot) {
  Replay("t=0 seen w1 gpu=1 | t=1 queued a1 gpu=1 project=a fixed -> assign a1 w1");
  Replay("t=2 queued b1 gpu=1 project=b | t=7200000 tick -> (nothing)");
}

TEST_F(PreemptionStory, GangsTakeOneWorkerOrWholeOnesAndARemainder) {
  Replay("t=0 seen w1 gpu=4 | t=0 seen w2 gpu=4 | t=0 seen w3 gpu=4 cpu=32");
  Replay("t=1 queued one gpu=1 cpu=0 -> assign one w1 gpus=g0");
  Replay("t=2 queued three gpu=1 cpu=0 workers=3 -> assign three w1 gpus=g1,g2,g3");
  Replay("t=3 queued six gpu=1 cpu=0 workers=6 -> assign six w2 gpus=g0,g1,g2,g3 w3 gpus=g0,g1");
  Replay("t=4 queued four gpu=1 cpu=0 workers=4 -> (nothing)");
  Replay("t=5 queued huge gpu=1 cpu=0 workers=13 -> park huge too_large");
  Replay("t=6 succeeded six#1 -> end six ; assign four w2");
}

TEST_F(PreemptionStory, AGangThatFitsByCountMovesOthersAside) {
  Replay("t=0 seen w1 gpu=2 | t=1 queued a1 gpu=1 project=a -> assign a1 w1");
  Replay("t=2 draining w1 | t=3 seen w2 gpu=2 | t=4 queued a2 gpu=1 project=a -> assign a2 w2");
  Replay("t=5 seen w1 gpu=2 | t=6 queued b1 gpu=2 project=b -> (nothing)");
  Replay("t=660000 tick -> preempt a1 w1 displaced for=b1");
  Replay(
      "t=660100 preempted a1#1 -> requeue a1 preempted ; assign a1 w2 gpus=g1 attempt=2 ; "
      "assign b1 w1 gpus=g0,g1");
}

TEST_F(PreemptionStory, InsideAProjectTheTaskWithLessServiceGoesFirst) {
  Replay("t=0 seen w1 gpu=1 | t=1 queued long gpu=1 attained=9 -> assign long w1");
  Replay("t=2 queued short gpu=1 -> (nothing)");
  Replay("t=660000 tick -> preempt long level for=short");
}

TEST_F(PreemptionStory, CapsHoldAndGuaranteesComeFirst) {
  Replay("t=0 quota a maxgpu=1 | t=0 quota g gpu=1 | t=0 seen w1 gpu=2");
  Replay("t=1 queued a1 gpu=1 project=a -> assign a1 | t=2 queued a2 gpu=1 project=a -> (nothing)");
  EXPECT_EQ(scheduler.Why(TaskId("a2"))->code, PendingCode::kQuota);
  Replay("t=3 queued c1 gpu=1 project=c -> assign c1");
  Replay("t=4 queued c2 gpu=1 project=c | t=5 queued g1 gpu=1 project=g");
  Replay("t=6 succeeded c1#1 -> end c1 ; assign g1");
  Replay("t=7 quota a maxgpu=-1 -> (nothing)");
  EXPECT_NE(scheduler.Why(TaskId("a2"))->code, PendingCode::kQuota);
}

TEST_F(PreemptionStory, WeightsDecideWhoIsOwedWhat) {
  Replay("t=0 quota a weight=3 | t=0 quota b weight=1 | t=0 seen w1 gpu=4");
  for (int i = 0; i < 8; ++i) {
    const std::string n = std::to_string(i);
    Replay("t=1 queued a" + n + " gpu=1 project=a | t=1 queued b" + n + " gpu=1 project=b");
  }
  Replay("t=780000 tick");
  int64_t entitled_a = 0;
  for (const ShareEntry& entry : scheduler.Shares()) {
    if (entry.project == ProjectId("a")) entitled_a = entry.entitled;
  }
  EXPECT_NEAR(static_cast<double>(entitled_a), 0.75e9, 1e3);
}

// Small tasks that nobody may stop pass a large one, until it has starved.
class HoldStory : public testing::Test, protected Story {
 protected:
  HoldStory() : Story(Starving()) {
    Replay("t=0 seen w1 gpu=2 | t=1 queued a1 gpu=1 project=a fixed -> assign a1 w1");
    Replay("t=2 queued a2 gpu=1 project=a fixed -> assign a2 w1");
    Replay("t=3 queued big gpu=2 cpu=2 project=b fixed -> (nothing)");
    Replay("t=4 queued a3 gpu=1 project=a fixed -> (nothing)");
    Replay("t=5 queued a4 gpu=1 project=a fixed -> (nothing)");
    Replay("t=6 queued a5 gpu=1 project=a fixed -> (nothing)");
    Replay("t=3500000 succeeded a1#1 -> end a1 ; assign a3 w1");
  }
  static Options Starving() {
    Options options = Preempting();
    options.starvation_ms = 3'600'000;
    return options;
  }
};

TEST_F(HoldStory, WhatEndsIsKeptForIt) {
  Replay("t=3660000 tick -> (nothing)");
  EXPECT_EQ(scheduler.StateOf(TaskId("big")), TaskState::kReserved);
  EXPECT_EQ(scheduler.Why(TaskId("big"))->text,
            "has waited so long that what ends on w1 is kept for it, and starts there when enough "
            "is free");
  Replay("t=3700000 succeeded a2#1 -> end a2");
  Replay("t=3800000 tick -> (nothing)");
  Replay("t=3900000 succeeded a3#1 -> end a3 ; assign big w1 gpus=g0,g1");
  Replay("t=4000000 succeeded big#1 -> end big ; assign a4 w1 ; assign a5 w1");
}

TEST_F(HoldStory, ItEndsWithTheTask) {
  Replay("t=3660000 tick -> (nothing) | t=3700000 succeeded a2#1 -> end a2");
  Replay("t=3700001 cancel big -> end big cancelled ; assign a4 w1");
}

TEST_F(HoldStory, ItMovesToWhereLessIsMissing) {
  Replay("t=3660000 tick -> (nothing) | t=3700000 succeeded a2#1 -> end a2");
  Replay("t=3700001 seen w2 gpu=2 -> assign a4 w2 ; assign a5 w2");
  Replay("t=3700002 succeeded a4#1 -> end a4 | t=3720000 tick -> (nothing)");
  Replay("t=3720001 succeeded a5#1 -> end a5 | t=3780000 tick -> assign big w2");
  EXPECT_EQ(scheduler.StateOf(TaskId("a3")), TaskState::kAssigned);
}

TEST_F(HoldStory, WhatItLeavesGoesToOthersAtOnce) {
  Replay("t=3500001 seen w1 gpu=2 pool=x | t=3660000 tick -> (nothing)");
  Replay("t=3700000 succeeded a2#1 -> end a2");
  Replay("t=3700001 seen w2 gpu=2 -> assign a4 w2 ; assign a5 w2");
  Replay("t=3700002 queued a7 gpu=1 project=a pool=x fixed -> (nothing)");
  Replay("t=3720001 succeeded a4#1 -> end a4 | t=3720002 succeeded a5#1 -> end a5");
  Replay("t=3780000 tick -> assign a7 w1 ; assign big w2");
}

TEST_F(HoldStory, ItOutlivesItsWorker) {
  Replay("t=3660000 tick -> (nothing) | t=3700000 seen w2 gpu=2 -> assign a4 w2 ; assign a5 w2");
  Replay("t=3700001 draining w1 | t=3720000 tick -> (nothing)");
  EXPECT_EQ(scheduler.StateOf(TaskId("big")), TaskState::kReserved);
  Replay("t=3730000 succeeded a4#1 -> end a4 | t=3730001 queued a6 gpu=1 project=a -> (nothing)");
  Replay("t=3730002 succeeded a5#1 -> end a5 ; assign big w2");
}

TEST_F(HoldStory, OnePoolKeepsOnePlace) {
  Replay("t=3500001 queued huge gpu=2 project=c fixed -> (nothing)");
  Replay("t=3660000 tick -> (nothing) | t=3700000 seen w2 gpu=1 -> assign a4 w2");
  Replay("t=3700001 seen w2 gpu=2 -> assign a5 w2 | t=7140000 tick -> (nothing)");
  EXPECT_EQ(scheduler.StateOf(TaskId("huge")), TaskState::kPending) << "it has starved as well";
  Replay("t=7140001 cancel big -> end big cancelled | t=7200000 tick -> (nothing)");
  EXPECT_EQ(scheduler.StateOf(TaskId("huge")), TaskState::kReserved);
}

TEST_F(HoldStory, NothingIsKeptBeyondAQuota) {
  Replay("t=10 quota b maxgpu=1 | t=3660000 tick -> (nothing)");
  EXPECT_EQ(scheduler.StateOf(TaskId("big")), TaskState::kPending);
  Replay("t=3700000 succeeded a2#1 -> end a2 ; assign a4 w1");
  Replay("t=3710000 quota b maxgpu=2 | t=3720000 tick -> (nothing)");
  EXPECT_EQ(scheduler.StateOf(TaskId("big")), TaskState::kReserved);
}

TEST_F(HoldStory, ASmallerQuotaEndsIt) {
  Replay("t=3660000 tick -> (nothing) | t=3700000 quota b maxgpu=1 -> (nothing)");
  Replay("t=3700001 succeeded a2#1 -> end a2 | t=3700002 succeeded a3#1 -> end a3");
  Replay("t=3720000 tick -> assign a4 w1 ; assign a5 w1");
  EXPECT_EQ(scheduler.Why(TaskId("big"))->code, PendingCode::kQuota);
}

// What was too young to leave when the place was kept leaves later.
TEST(KeptPlace, IsNoReasonNotToPreempt) {
  Options options = Preempting();
  options.starvation_ms = 3'600'000;
  Story story(options);
  story.Replay("t=0 seen w1 gpu=2 | t=0 seen w2 gpu=2");
  story.Replay("t=1 queued a1 gpu=1 project=a fixed -> assign a1 w1");
  story.Replay("t=2 queued a2 gpu=1 project=a fixed -> assign a2 w1");
  story.Replay("t=3 queued x1 gpu=1 project=a fixed -> assign x1 w2");
  story.Replay("t=4 queued x2 gpu=1 project=a fixed -> assign x2 w2");
  story.Replay("t=5 queued big gpu=2 cpu=2 project=b fixed -> (nothing)");
  story.Replay(
      "t=6 queued y1 gpu=1 project=a attained=9 | t=7 queued y2 gpu=1 project=a attained=9");
  story.Replay("t=3500000 succeeded x1#1 -> end x1 ; assign y1 w2");
  story.Replay("t=3500001 succeeded x2#1 -> end x2 ; assign y2 w2");
  story.Replay("t=3660000 tick -> (nothing)");
  EXPECT_EQ(story.scheduler.StateOf(TaskId("big")), TaskState::kReserved);
  story.Replay("t=4140000 tick -> preempt y2 w2 for=big ; preempt y1 w2 for=big");
  story.Replay("t=4140001 preempted y1#1 -> requeue y1 | t=4140002 preempted y2#1");
  EXPECT_EQ(story.scheduler.StateOf(TaskId("big")), TaskState::kAssigned);
}

// Who wants to have room there clears as much as both need, and each starts when there is enough.
TEST(KeptPlace, CountsForThoseThatClearRoomBesideIt) {
  Options options = Preempting();
  options.starvation_ms = 3'600'000;
  Story story(options);
  story.Replay("t=0 quota a weight=20 | t=0 quota b weight=1");
  story.Replay("t=0 quota c weight=60 | t=0 quota d weight=60");
  story.Replay("t=0 seen w1 cpu=24 | t=1 queued x cpu=8 project=d fixed -> assign x w1");
  for (int i = 1; i <= 4; ++i) {
    const std::string task = "v" + std::to_string(i);
    story.Replay("t=" + std::to_string(i + 1) + " queued " + task + " cpu=4 project=a -> assign " +
                 task + " w1");
  }
  story.Replay("t=9 queued big cpu=4 project=b fixed | t=3660000 tick -> (nothing)");
  EXPECT_EQ(story.scheduler.StateOf(TaskId("big")), TaskState::kReserved);
  story.Replay("t=3700000 queued z cpu=4 project=c fixed -> (nothing)");
  story.Replay("t=3700001 queued wide cpu=8 project=c fixed -> (nothing)");
  story.Replay("t=3720000 tick -> preempt v4 w1 for=z ; preempt v3 w1 for=z");
  story.Replay("t=3720001 preempted v4#1 -> requeue v4 ; assign big w1");
  EXPECT_EQ(story.scheduler.StateOf(TaskId("z")), TaskState::kReserved);
  story.Replay("t=3720002 preempted v3#1 -> requeue v3 ; assign z w1");
}

// Of two whose pools share a worker one has its place there, whoever had it before.
TEST(KeptPlace, IsNotKeptTwice) {
  Options options = Preempting();
  options.starvation_ms = 3'600'000;
  Story story(options);
  for (const char n : std::string("12345678")) {
    const std::string worker(1, n);
    story.Replay("t=0 seen w" + worker + " gpu=2" + (n == '2' ? " pool=x" : ""));
    for (const char* each : {"a", "c"}) {
      const std::string task = each + worker;
      story.Replay("t=1 queued " + task + " gpu=1 project=a fixed -> assign " + task + " w" +
                   worker);
    }
  }
  story.Replay("t=2 queued all gpu=2 project=b fixed");
  story.Replay("t=3 queued some gpu=2 pool=x project=d fixed | t=3660000 tick -> (nothing)");
  EXPECT_EQ(story.scheduler.StateOf(TaskId("all")), TaskState::kReserved);
  EXPECT_EQ(story.scheduler.StateOf(TaskId("some")), TaskState::kReserved);
  story.Replay("t=3700000 succeeded a2#1 -> end a2 | t=3720000 tick -> (nothing)");
  EXPECT_EQ(story.scheduler.StateOf(TaskId("all")), TaskState::kReserved);
  EXPECT_EQ(story.scheduler.StateOf(TaskId("some")), TaskState::kPending);
  story.Replay("t=3730000 succeeded c2#1 -> end c2 ; assign all w2");
  story.Replay("t=3780000 tick -> (nothing)");
  EXPECT_EQ(story.scheduler.StateOf(TaskId("some")), TaskState::kReserved);
}

// Those that nothing could be kept for do not hide the one that something can.
TEST(KeptPlace, IsFoundBehindACrowd) {
  Options options = Preempting();
  options.starvation_ms = 3'600'000;
  Story story(options);
  story.Replay("t=0 seen w1 gpu=2 | t=0 quota c maxgpu=0");
  story.Replay("t=1 queued a1 gpu=1 project=a fixed -> assign a1 w1");
  story.Replay("t=2 queued a2 gpu=1 project=a fixed -> assign a2 w1");
  for (int i = 0; i < 1200; ++i) {
    story.Replay("t=3 queued c" + std::to_string(i) + " gpu=1 project=c fixed");
  }
  story.Replay("t=4 queued big gpu=2 project=b fixed | t=3660000 tick -> (nothing)");
  EXPECT_EQ(story.scheduler.StateOf(TaskId("big")), TaskState::kReserved);
}

// As the service runs it. Project a is owed a quarter, so that its bucket fills half as fast as the
// whole cluster drains it.
TEST(BucketStory, ShortTasksGoFirstWhileTheBucketLasts) {
  Options options;
  options.lease_ms = int64_t{1} << 40;
  options.express_burst_ms = 20 * 60'000;
  Story story(options);
  story.Replay("t=0 quota a weight=1 | t=0 quota b weight=3 | t=0 seen w1 gpu=2");
  story.Replay("t=1 queued a0 gpu=1 project=a -> assign a0");
  story.Replay("t=2 queued a1 gpu=1 project=a -> assign a1");
  story.Replay("t=3 queued long gpu=1 project=b attained=9 -> (nothing)");
  story.Replay("t=4 queued a2 gpu=1 project=a -> (nothing)");
  story.Replay("t=5 queued a3 gpu=1 project=a -> (nothing)");
  story.Replay("t=600000 succeeded a1#1 -> end a1 ; assign a2");
  story.Replay("t=1900000 succeeded a2#1 -> end a2 ; assign long");
}

TEST(StrictFifoStory, NothingPassesTheOldest) {
  Story story(StrictFifo());
  story.Replay("t=0 seen w1 cpu=4 | t=1 queued running cpu=3 -> assign running");
  story.Replay("t=2 queued big cpu=4 -> (nothing) | t=3 queued small cpu=1 p=9 -> (nothing)");
  EXPECT_EQ(story.scheduler.Why(TaskId("small"))->code, PendingCode::kBehindOthers);
  story.Replay("t=4 succeeded running#1 -> end running ; assign big");
  story.Replay("t=5 succeeded big#1 -> end big ; assign small");
}

}  // namespace
}  // namespace beamline::scheduler
