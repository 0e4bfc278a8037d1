// Random streams of events, true and absurd ones mixed; after each event everything is checked.
#include <gtest/gtest.h>

#include <random>

#include "tests/scheduler/model.h"

namespace beamline::scheduler {
namespace {

constexpr int64_t kGib = int64_t{1} << 30;

// One scheduler, its model, and a world that surprises both. Same seed, same everything.
class World {
 public:
  explicit World(uint64_t seed) : random_(seed), scheduler_(options_), model_(options_.lease_ms) {}

  void Run(int events) {
    for (int i = 0; i < events && !testing::Test::HasFailure(); ++i) {
      if (Pick(3) == 0) now_ms_ += Pick(10) == 0 ? Pick(15'000) : Pick(700);
      Tell(Draw());
      ExpectQuiescence();
      if (Pick(8) == 0) ReportStale();
    }
  }

  // No more surprises: workers stay and answer. All tasks that can run must end.
  void HealAndFinish() {
    for (int i = 0; i < 6; ++i) Tell(Seen(i, /*draining=*/false));
    for (int round = 0; round < 20'000 && !testing::Test::HasFailure(); ++round) {
      now_ms_ += 1'000;
      for (int i = 0; i < 6; ++i) Tell(WorkerHeartbeat{WorkerId("w" + std::to_string(i))});
      std::vector<AttemptFinished> done;
      bool waiting = false;
      for (const auto& [id, task] : model_.tasks()) {
        if (task.live_attempt != 0) done.push_back({id, task.live_attempt, Outcome::kSucceeded});
        waiting |= task.live_attempt == 0 && scheduler_.Why(id)->code == PendingCode::kBackOff;
      }
      if (done.empty() && !waiting) break;
      for (const AttemptFinished& finished : done) Tell(finished);
    }
    for (const auto& [id, task] : model_.tasks()) {
      const PendingCode code = scheduler_.Why(id).value().code;
      EXPECT_TRUE(code == PendingCode::kTooLarge || code == PendingCode::kGangsUnsupported ||
                  code == PendingCode::kNoWorkerInPool)
          << id.value << " never ended: " << scheduler_.Why(id)->text;
    }
  }

  const std::string& log() const { return log_; }
  const Model& model() const { return model_; }

 private:
  int64_t Pick(int64_t below) { return static_cast<int64_t>(random_() % below); }
  TaskId AnyTask() { return TaskId("t" + std::to_string(Pick(std::max(tasks_, 1)))); }
  WorkerId AnyWorker() { return WorkerId("w" + std::to_string(Pick(7))); }

  void Tell(const Event& event) {
    model_.Before(event, now_ms_);
    const std::vector<Action> actions = scheduler_.Step(event, now_ms_);
    for (const Action& action : actions) log_ += ToString(action) + "\n";
    model_.After(actions, scheduler_);
  }

  Event Seen(int64_t worker, bool draining) {
    WorkerSeen seen;
    seen.worker = WorkerId("w" + std::to_string(worker));
    seen.capacity.cpu_millis = 1000 * (1 + Pick(8));
    seen.capacity.memory_bytes = kGib * (1 + Pick(8));
    for (int64_t i = Pick(4) * (worker % 2); i > 0; --i) {
      seen.capacity.devices.push_back(
          {DeviceId("g" + std::to_string(i)), DeviceKind::kCuda, kGib * 10 * (1 + Pick(3))});
    }
    if (Pick(2) == 0) seen.labels = {"pool"};
    seen.draining = draining;
    return seen;
  }

  Event Queued() {
    TaskQueued queued;
    queued.task = TaskId("t" + std::to_string(tasks_++));
    queued.project = ProjectId("p" + std::to_string(Pick(4)));
    queued.priority = static_cast<int32_t>(Pick(3));
    queued.max_attempts = static_cast<int32_t>(Pick(4));
    if (Pick(4) == 0) queued.not_before_ms = now_ms_ + Pick(3'000);
    Demand& demand = queued.demand;
    demand.cpu_millis = 500 * Pick(7);
    demand.memory_bytes = kGib * Pick(4);
    if (Pick(3) == 0) {
      demand.device = Pick(2) == 0 ? DeviceKind::kCuda : DeviceKind::kAny;
      demand.gpus = static_cast<int32_t>(Pick(3));
      demand.gpu_memory_bytes = kGib * 10 * Pick(3);
    }
    if (Pick(5) == 0) demand.pool = "pool";
    if (Pick(40) == 0) demand.min_workers = demand.max_workers = 2;
    return queued;
  }

  Event Finished() {
    const TaskId id = AnyTask();
    const auto task = model_.tasks().find(id);
    const int32_t attempt = task == model_.tasks().end() ? 1 : task->second.live_attempt;
    const bool cancelling = task != model_.tasks().end() && task->second.cancelling;
    switch (Pick(5)) {
      case 0:
        return AttemptFinished{id, attempt, Outcome::kFailedRetryable};
      case 1:
        return AttemptFinished{id, attempt, Outcome::kReleased};
      case 2:
        return AttemptFinished{id, attempt,
                               cancelling ? Outcome::kCancelled : Outcome::kFailedPermanent};
      default:
        return AttemptFinished{id, attempt, Outcome::kSucceeded};
    }
  }

  Event Draw() {
    const int64_t kind = Pick(100);
    if (kind < 30) return Queued();
    if (kind < 60) return Finished();
    if (kind < 65) return TaskCancelled{AnyTask()};
    if (kind < 75) return Seen(Pick(6), Pick(6) == 0);
    if (kind < 90) return WorkerHeartbeat{AnyWorker()};
    if (kind < 92) return WorkerDraining{AnyWorker()};
    if (kind < 94) return WorkerGone{AnyWorker()};
    if (kind < 97) return AttemptStarted{AnyTask(), static_cast<int32_t>(1 + Pick(2))};
    return Tick{};
  }

  void ExpectQuiescence() {
    for (const Action& action : scheduler_.Step(Tick{}, now_ms_)) {
      ADD_FAILURE() << "a second Tick decides: " << ToString(action);
    }
  }

  // An old attempt speaks: exactly one Ignored, and nothing else.
  void ReportStale() {
    const TaskId id = AnyTask();
    const auto task = model_.tasks().find(id);
    const int32_t live = task == model_.tasks().end() ? 0 : task->second.live_attempt;
    const auto stale = static_cast<int32_t>(live > 1 ? 1 + Pick(live - 1) : live + 1 + Pick(3));
    const std::vector<Action> actions =
        scheduler_.Step(AttemptFinished{id, stale, Outcome::kSucceeded}, now_ms_);
    ASSERT_EQ(actions.size(), 1u);
    EXPECT_TRUE(std::holds_alternative<Ignored>(actions[0])) << ToString(actions[0]);
    model_.After({}, scheduler_);
  }

  std::mt19937_64 random_;
  const Options options_ = {10'000, 500, 4'000, 3, 6};
  Scheduler scheduler_;
  Model model_;
  int64_t now_ms_ = 1;
  int tasks_ = 0;
  std::string log_;
};

class SchedulerProperty : public testing::TestWithParam<int> {};

TEST_P(SchedulerProperty, HoldsOverRandomEvents) {
  for (int seed = GetParam() * 50; seed < GetParam() * 50 + 50; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(static_cast<uint64_t>(seed));
    world.Run(300);
    world.HealAndFinish();
    if (HasFailure()) break;
    World again(static_cast<uint64_t>(seed));
    again.Run(300);
    again.HealAndFinish();
    EXPECT_EQ(world.log(), again.log()) << "the same events gave other decisions";
    EXPECT_GT(world.model().ended().size(), 10u) << "the stream tests nothing";
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, SchedulerProperty, testing::Range(0, 2));

// A queue of many equal and unequal tasks is not walked for each event.
TEST(SchedulerSpeed, AHundredThousandWaitingTasksAreNotScannedPerEvent) {
  constexpr int kTasks = 100'000;
  Scheduler scheduler;
  for (int i = 0; i < kTasks; ++i) {
    TaskQueued queued;
    queued.task = TaskId("t" + std::to_string(i));
    queued.project = ProjectId("p" + std::to_string(i % 100));
    queued.priority = i % 3;
    queued.demand.cpu_millis = 1000 * (1 + i % 4);
    scheduler.Step(queued, i);
  }
  std::vector<Assign> live;
  const auto tell = [&](const Event& event) {
    for (Action& action : scheduler.Step(event, kTasks)) {
      if (auto* assign = std::get_if<Assign>(&action)) live.push_back(std::move(*assign));
    }
  };
  for (int i = 0; i < 100; ++i) {
    WorkerSeen seen;
    seen.worker = WorkerId("w" + std::to_string(i));
    seen.capacity.cpu_millis = 8000;
    tell(seen);
  }
  // Walking the queue for each of these would take minutes, not the test's time limit.
  int ended = 0;
  while (!live.empty()) {
    const Assign assign = std::move(live.back());
    live.pop_back();
    tell(AttemptFinished{assign.task, assign.attempt, Outcome::kSucceeded});
    ++ended;
  }
  EXPECT_EQ(ended, kTasks);
  EXPECT_EQ(scheduler.PendingCount(), 0u);
}

}  // namespace
}  // namespace beamline::scheduler
