// Random streams of events on a cluster of GPUs with gangs, caps, guarantees and preemption, late
// and missing acknowledgements, and workers that come and go; after each event everything is
// checked.
#include <gtest/gtest.h>

#include <random>

#include "tests/scheduler/cluster_model.h"

namespace beamline::scheduler {
namespace {

constexpr int kWorkers = 5;

Options Preempting() {
  Options options;
  options.lease_ms = int64_t{1} << 40;
  options.gangs = true;
  options.preemption = true;
  options.round_ms = 30'000;
  options.grace_ms = 20'000;
  options.min_run_ms = 60'000;
  options.level_quantum_ms = 120'000;
  options.level_hours = {1, 2, 4, 8};
  options.express_burst_ms = 1'800'000;
  options.starvation_ms = 1'800'000;
  options.guard_quantum_ms = 300'000;
  options.max_attempts = 50;
  options.max_losses = 500;
  return options;
}

// One scheduler and the world around it. Same seed, same everything; `prefix` goes before all
// names.
class World {
 public:
  explicit World(uint64_t seed, std::string prefix = "")
      : random_(seed), prefix_(std::move(prefix)), scheduler_(options_), model_(options_) {
    Tell(Quota(0, 16, -1, 1000));
    Tell(Quota(1, 0, 12, 3000));
    for (int i = 0; i < kWorkers; ++i) Tell(Seen(i, false));
  }

  void Run(int events) {
    for (int i = 0; i < events && !testing::Test::HasFailure(); ++i) {
      Pass(Pick(4) == 0 ? Pick(120'000) : Pick(15'000));
      Tell(Draw());
      for (const Action& action : scheduler_.Step(Tick{}, now_ms_)) {
        ADD_FAILURE() << "a second Tick decides: " << ToString(action);
      }
    }
  }

  // Workers stay, tasks succeed: all that fits must end.
  void HealAndFinish() {
    for (int i = 0; i < kWorkers; ++i) Tell(Seen(i, false));
    for (int round = 0; round < 3000 && !model_.tasks().empty(); ++round) {
      if (testing::Test::HasFailure()) return;
      Pass(60'000);
      std::vector<AttemptFinished> done;
      for (const auto& [id, task] : model_.tasks()) {
        if (task.live_attempt != 0) done.push_back({id, task.live_attempt, Outcome::kSucceeded});
      }
      for (const AttemptFinished& finished : done) Tell(finished);
    }
    EXPECT_TRUE(model_.tasks().empty()) << model_.tasks().begin()->first.value << " never ended";
  }

  const std::string& log() const { return log_; }
  const ClusterModel& model() const { return model_; }

 private:
  int64_t Pick(int64_t below) { return static_cast<int64_t>(random_() % below); }
  TaskId Name(int64_t task) const { return TaskId(prefix_ + "t" + std::to_string(10'000 + task)); }
  TaskId AnyTask() { return Name(Pick(std::max(tasks_, 1))); }
  WorkerId Worker(int64_t worker) const { return WorkerId("w" + std::to_string(worker)); }

  // Time passes; timers fire on the way.
  void Pass(int64_t ms) {
    const int64_t until_ms = now_ms_ + ms;
    while (timer_ms_ > 0 && timer_ms_ <= until_ms) {
      now_ms_ = std::max(now_ms_, timer_ms_);
      timer_ms_ = 0;
      Tell(Tick{});
    }
    now_ms_ = until_ms;
  }

  void Tell(const Event& event) {
    model_.Before(event, now_ms_);
    const std::vector<Action> actions = scheduler_.Step(event, now_ms_);
    for (const Action& action : actions) {
      log_ += ToString(action) + "\n";
      if (const auto* timer = std::get_if<SetTimer>(&action)) timer_ms_ = timer->at_ms;
    }
    model_.After(actions, scheduler_);
  }

  QuotaChanged Quota(int64_t project, int64_t guaranteed, int64_t most, int64_t weight) {
    QuotaChanged quota;
    quota.project = ProjectId(prefix_ + "p" + std::to_string(project));
    quota.guaranteed_devices = guaranteed;
    quota.max_devices = most;
    quota.weight_millis = weight;
    return quota;
  }

  Event Seen(int64_t worker, bool draining) {
    WorkerSeen seen;
    seen.worker = Worker(worker);
    seen.capacity.cpu_millis = 16'000;
    for (int i = 0; i < 8; ++i) {
      seen.capacity.devices.push_back(
          {DeviceId("g" + std::to_string(i)), DeviceKind::kCuda, int64_t{80} << 30});
    }
    seen.draining = draining;
    return seen;
  }

  Event Queued() {
    static constexpr int32_t kSizes[] = {1, 1, 1, 1, 2, 2, 4, 8, 12, 16};
    TaskQueued queued;
    queued.task = Name(tasks_++);
    queued.project = ProjectId(prefix_ + "p" + std::to_string(Pick(4)));
    queued.priority = static_cast<int32_t>(Pick(8) == 0);
    queued.preemptible = Pick(10) != 0;
    queued.demand.cpu_millis = 500 * Pick(4);
    queued.demand.device = DeviceKind::kCuda;
    queued.demand.gpus = 1;
    queued.demand.min_workers = queued.demand.max_workers = kSizes[Pick(10)];
    if (queued.project.value == prefix_ + "p1") {
      queued.demand.min_workers = queued.demand.max_workers = 1 + static_cast<int32_t>(Pick(4));
    }
    return queued;
  }

  // What the worker of a task says: mostly the truth.
  Event Report() {
    const TaskId id = AnyTask();
    const auto task = model_.tasks().find(id);
    if (task == model_.tasks().end()) return AttemptFinished{id, 1, Outcome::kPreempted};
    const int32_t attempt = task->second.live_attempt;
    if (attempt == 0)
      return AttemptFinished{id, 1 + static_cast<int32_t>(Pick(2)), Outcome::kPreempted};
    if (task->second.preempting && Pick(5) != 0) {
      return AttemptFinished{id, attempt, Outcome::kPreempted};
    }
    switch (Pick(12)) {
      case 0:
        return AttemptFinished{id, attempt, Outcome::kFailedRetryable};
      case 1:
        return AttemptFinished{id, attempt, Outcome::kReleased};
      case 2:
      case 3:
        return AttemptFinished{id, attempt, Outcome::kSucceeded};
      case 4:
        return AttemptCheckpointed{id, attempt};
      default:
        return AttemptStarted{id, attempt};
    }
  }

  Event Draw() {
    const int64_t kind = Pick(1000);
    if (kind < 330) return Queued();
    if (kind < 950) return Report();
    if (kind < 965) return TaskCancelled{AnyTask()};
    if (kind < 985) return Seen(Pick(kWorkers), Pick(4) == 0);
    if (kind < 988) return WorkerGone{Worker(Pick(kWorkers))};
    if (kind < 990) return WorkerDraining{Worker(Pick(kWorkers))};
    return Tick{};
  }

  const Options options_ = Preempting();
  std::mt19937_64 random_;
  const std::string prefix_;
  Scheduler scheduler_;
  ClusterModel model_;
  int64_t now_ms_ = 1;
  int64_t timer_ms_ = 0;
  int tasks_ = 0;
  std::string log_;
};

std::string Without(std::string text, const std::string& prefix) {
  for (size_t at = text.find(prefix); at != std::string::npos; at = text.find(prefix, at)) {
    text.erase(at, prefix.size());
  }
  return text;
}

class PreemptionProperty : public testing::TestWithParam<int> {};

TEST_P(PreemptionProperty, HoldsOverRandomEvents) {
  int64_t preemptions = 0;
  int64_t gangs = 0;
  int64_t kept_promises = 0;
  for (int seed = GetParam() * 8; seed < GetParam() * 8 + 8; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(static_cast<uint64_t>(seed));
    world.Run(600);
    world.HealAndFinish();
    if (HasFailure()) return;
    preemptions += world.model().preemptions();
    gangs += world.model().gangs();
    kept_promises += world.model().kept_promises();
    World renamed(static_cast<uint64_t>(seed), "zz/");
    renamed.Run(600);
    renamed.HealAndFinish();
    EXPECT_EQ(world.log(), Without(renamed.log(), "zz/"))
        << "the same events under other names gave other decisions";
  }
  EXPECT_GT(preemptions, 50) << "the stream tests nothing";
  EXPECT_GT(gangs, 20);
  EXPECT_GT(kept_promises, 20);
}

INSTANTIATE_TEST_SUITE_P(Seeds, PreemptionProperty, testing::Range(0, 4));

}  // namespace
}  // namespace beamline::scheduler
