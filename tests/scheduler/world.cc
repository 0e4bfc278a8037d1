#include "tests/scheduler/world.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace beamline::scheduler {
namespace {

constexpr int kWorkers = 5;
// More would only make each check slower.
constexpr size_t kMostTasks = 80;

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

std::string Without(std::string text, const std::string& prefix) {
  for (size_t at = 0; !prefix.empty() && (at = text.find(prefix, at)) != std::string::npos;) {
    text.erase(at, prefix.size());
  }
  return text;
}

}  // namespace

World::World(const Config& config)
    : config_(config),
      options_(Preempting()),
      random_(config.seed),
      restore_random_(config.seed + 1),
      scheduler_(std::make_unique<Scheduler>(options_)),
      model_(options_) {
  Tell(Quota(0, 16, -1, 1000));
  Tell(Quota(1, 0, 12, 3000));
  for (int i = 0; i < kWorkers; ++i) Tell(Seen(i, false));
}

void World::Run(int events) {
  for (int i = 0; i < events && !testing::Test::HasFailure(); ++i) {
    Pass(Pick(4) == 0 ? Pick(120'000) : Pick(15'000));
    Tell(Draw());
    for (const Action& action : scheduler_->Step(Tick{}, now_ms_)) {
      ADD_FAILURE() << "a second Tick decides: " << ToString(action);
    }
    if (config_.restores && restore_random_() % 200 == 0) RestoreNow();
  }
}

void World::HealAndFinish() {
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

TaskId World::Name(int64_t task) const {
  return TaskId(config_.prefix + "t" + std::to_string(1'000'000 + task));
}

TaskId World::AnyTask() {
  // Mostly one that exists.
  if (model_.tasks().empty() || Pick(20) == 0) return Name(Pick(std::max(tasks_, 1)));
  auto task = model_.tasks().begin();
  std::advance(task, Pick(static_cast<int64_t>(model_.tasks().size())));
  return task->first;
}

void World::Pass(int64_t ms) {
  const int64_t until_ms = now_ms_ + ms;
  while (timer_ms_ > 0 && timer_ms_ <= until_ms) {
    now_ms_ = std::max(now_ms_, timer_ms_);
    timer_ms_ = 0;
    Tell(Tick{});
  }
  now_ms_ = until_ms;
}

void World::Tell(const Event& event) {
  model_.Before(event, now_ms_);
  const std::vector<Action> actions = scheduler_->Step(event, now_ms_);
  for (const Action& action : actions) {
    Log(action);
    if (const auto* timer = std::get_if<SetTimer>(&action)) timer_ms_ = timer->at_ms;
  }
  model_.After(actions, *scheduler_);
}

void World::Log(const Action& action) {
  for (const char c : Without(ToString(action) + "\n", config_.prefix)) {
    log_hash_ = (log_hash_ ^ static_cast<unsigned char>(c)) * 1099511628211ull;  // FNV-1a
  }
}

void World::RestoreNow() {
  const std::string snapshot = scheduler_->Snapshot();
  std::unique_ptr<Scheduler> restored = Scheduler::Restore(options_, snapshot);
  ASSERT_NE(restored, nullptr);
  EXPECT_EQ(restored->Snapshot(), snapshot) << "the state did not survive";
  scheduler_ = std::move(restored);
  ++restores_;
}

QuotaChanged World::Quota(int64_t project, int64_t guaranteed, int64_t most, int64_t weight) {
  QuotaChanged quota;
  quota.project = ProjectId(config_.prefix + "p" + std::to_string(project));
  quota.guaranteed_devices = guaranteed;
  quota.max_devices = most;
  quota.weight_millis = weight;
  return quota;
}

Event World::Seen(int64_t worker, bool draining) {
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

Event World::Queued() {
  static constexpr int32_t kSizes[] = {1, 1, 1, 1, 2, 2, 4, 8, 12, 16};
  TaskQueued queued;
  queued.task = Name(tasks_++);
  queued.project = ProjectId(config_.prefix + "p" + std::to_string(Pick(4)));
  queued.priority = static_cast<int32_t>(Pick(8) == 0);
  queued.preemptible = Pick(10) != 0;
  if (Pick(3) == 0) queued.predicted_ms = Pick(24) * 3'600'000;
  queued.demand.cpu_millis = 500 * Pick(4);
  queued.demand.device = DeviceKind::kCuda;
  queued.demand.gpus = 1;
  queued.demand.min_workers = queued.demand.max_workers = kSizes[Pick(10)];
  if (queued.project.value == config_.prefix + "p1") {
    queued.demand.min_workers = queued.demand.max_workers = 1 + static_cast<int32_t>(Pick(4));
  }
  return queued;
}

Event World::Report() {
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

Event World::Draw() {
  const int64_t kind = Pick(1000);
  if (kind < 330 && model_.tasks().size() < kMostTasks) return Queued();
  if (kind < 950) return Report();
  if (kind < 965) return TaskCancelled{AnyTask()};
  if (kind < 985) return Seen(Pick(kWorkers), Pick(4) == 0);
  if (kind < 988) return WorkerGone{Worker(Pick(kWorkers))};
  if (kind < 990) return WorkerDraining{Worker(Pick(kWorkers))};
  return Tick{};
}

}  // namespace beamline::scheduler
