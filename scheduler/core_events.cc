// One method per kind of event; what follows from all of them is in core.cc.
#include <algorithm>
#include <string>
#include <utility>

#include "scheduler/core.h"

namespace beamline::scheduler {
namespace {

// Numbers of attempts stay far from the end of their type.
constexpr int32_t kMaxCount = 1'000'000'000;

// Empty: fine.
std::string CheckTask(const TaskQueued& event) {
  if (event.task.empty()) return "the task has no id";
  for (const int32_t count :
       {event.max_attempts, event.last_attempt, event.failures, event.losses}) {
    if (count < 0 || count > kMaxCount) {
      return "a count of attempts is " + std::to_string(count) + ": it must be from 0 to 10^9";
    }
  }
  if (event.predicted_ms < 0 || event.predicted_ms > kMaxAmount) {
    return "predicted_ms is " + std::to_string(event.predicted_ms) + ": it must be from 0 to 2^50";
  }
  return CheckDemand(event.demand);
}

std::string CheckPlacements(const AttemptRestored& event) {
  if (event.task.last_attempt < 1) return "a restored attempt has a number of at least 1";
  if (event.placements.empty()) return "a restored attempt has a worker";
  if (event.ran_ms < 0 || event.ran_ms > kMaxAmount) return "ran_ms must be from 0 to 2^50";
  for (const Placement& placement : event.placements) {
    if (placement.worker.empty()) return "the worker has no id";
    Demand demand;
    demand.cpu_millis = placement.cpu_millis;
    demand.memory_bytes = placement.memory_bytes;
    if (std::string wrong = CheckDemand(demand); !wrong.empty()) return wrong;
  }
  return "";
}

// Each label once, without the empty one, which stands for all workers.
std::vector<std::string> Distinct(std::vector<std::string> labels) {
  std::sort(labels.begin(), labels.end());
  labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
  if (!labels.empty() && labels.front().empty()) labels.erase(labels.begin());
  return labels;
}

}  // namespace

void Scheduler::Core::On(const TaskQueued& event) {
  if (std::string wrong = CheckTask(event); !wrong.empty()) {
    Ignore(IgnoredCode::kInvalid, event.task, 0, WorkerId(), std::move(wrong));
  } else if (Find(event.task) != nullptr) {
    Ignore(IgnoredCode::kDuplicateTask, event.task, 0, WorkerId());
  } else {
    Wait(Add(event));
  }
}

void Scheduler::Core::On(const TaskCancelled& event) {
  Task* found = tasks_.Find(event.task);
  if (found == nullptr) {
    Ignore(IgnoredCode::kUnknownTask, event.task, 0, WorkerId());
    return;
  }
  Task& task = *found;
  if (task.state == TaskState::kStopping) return;
  if (task.state == TaskState::kReserved) {
    DropReservation(task);
    ReleaseVictims(task);
    End(task, EndState::kCancelled, EndCode::kCancelled);
    return;
  }
  if (task.state == TaskState::kPending) {
    queue_.Remove(task);
    back_off_.Remove(task);
    End(task, EndState::kCancelled, EndCode::kCancelled);
    return;
  }
  task.state = TaskState::kStopping;
  for (const Placement& placement : task.placements) {
    actions_.push_back(StopAttempt{task.spec.task, task.spec.last_attempt, placement.worker,
                                   StopCode::kCancelled});
  }
}

void Scheduler::Core::On(const WorkerSeen& event) {
  std::string wrong = event.worker.empty() ? "the worker has no id" : CheckCapacity(event.capacity);
  if (!wrong.empty()) {
    Ignore(IgnoredCode::kInvalid, TaskId(), 0, event.worker, std::move(wrong));
    return;
  }
  Worker& worker = workers_.FindOrAdd(event.worker);
  std::vector<std::string> labels = Distinct(event.labels);
  const bool same = worker.usable() && !event.draining && worker.capacity == event.capacity &&
                    worker.labels == labels;
  leases_.Extend(worker, now_ms_ + options_.lease_ms);
  // Decides nothing but ties: nobody has to be told.
  worker.data = std::set<DataId>(event.data.begin(), event.data.end());
  if (same) return;
  DropReservations(worker);
  workers_.Update(worker, [&](Worker& w) {
    w.capacity = event.capacity;
    w.labels = std::move(labels);
    w.registered = true;
    w.connected = true;
    w.draining = event.draining;
  });
  Opened(worker);
}

void Scheduler::Core::On(const WorkerHeartbeat& event) {
  Worker* worker = workers_.Find(event.worker);
  if (worker == nullptr) {
    Ignore(IgnoredCode::kUnknownWorker, TaskId(), 0, event.worker);
    return;
  }
  leases_.Extend(*worker, now_ms_ + options_.lease_ms);
  if (worker->connected) return;
  workers_.Update(*worker, [](Worker& w) { w.connected = true; });
  Opened(*worker);
}

void Scheduler::Core::On(const WorkerDraining& event) {
  Worker* worker = workers_.Find(event.worker);
  if (worker == nullptr) {
    Ignore(IgnoredCode::kUnknownWorker, TaskId(), 0, event.worker);
    return;
  }
  if (worker->draining) return;
  DropReservations(*worker);
  workers_.Update(*worker, [](Worker& w) { w.draining = true; });
}

void Scheduler::Core::On(const WorkerGone& event) {
  Worker* worker = workers_.Find(event.worker);
  if (worker == nullptr) {
    Ignore(IgnoredCode::kUnknownWorker, TaskId(), 0, event.worker);
    return;
  }
  leases_.Drop(*worker);
  workers_.Update(*worker, [](Worker& w) { w.connected = false; });
  LoseAttempts(*worker, StopCode::kWorkerGone);
  workers_.Erase(event.worker);
}

void Scheduler::Core::On(const AttemptRestored& event) {
  const TaskQueued& spec = event.task;
  std::string wrong = CheckTask(spec);
  if (wrong.empty()) wrong = CheckPlacements(event);
  if (!wrong.empty()) {
    Ignore(IgnoredCode::kInvalid, spec.task, spec.last_attempt, WorkerId(), std::move(wrong));
    return;
  }
  if (Find(spec.task) != nullptr) {
    Ignore(IgnoredCode::kDuplicateTask, spec.task, spec.last_attempt, WorkerId());
    return;
  }
  Task& task = Add(event.task);
  task.state = event.cancelling ? TaskState::kStopping : TaskState::kAssigned;
  for (const Placement& placement : event.placements) {
    Worker& worker = workers_.FindOrAdd(placement.worker);
    if (!worker.connected) workers_.Update(worker, [](Worker& w) { w.connected = true; });
    leases_.Extend(worker, now_ms_ + options_.lease_ms);
    if (!event.cancelling) continue;
    actions_.push_back(
        StopAttempt{spec.task, spec.last_attempt, placement.worker, StopCode::kCancelled});
  }
  task.placements = event.placements;
  // Times count from 1: 0 means "not".
  task.started_ms = std::max<int64_t>(now_ms_ - event.ran_ms, 1);
  for (const Placement& placement : event.placements) {
    task.workers.push_back(&workers_.FindOrAdd(placement.worker));
    task.held = task.held + PlacementAmounts(placement, spec.demand);
  }
  Charge(task);
  workers_.Book(task);
  crossings_.Begin(options_, task, task.started_ms);
  for (Worker* worker : task.workers) Opened(*worker);
}

void Scheduler::Core::On(const AttemptStarted& event) {
  Task* task = FindLive(event.task, event.attempt);
  if (task == nullptr) return;
  if (task->state == TaskState::kAssigned) task->state = TaskState::kRunning;
  crossings_.Begin(options_, *task, now_ms_);
}

void Scheduler::Core::On(const AttemptCheckpointed& event) {
  Task* task = FindLive(event.task, event.attempt);
  if (task == nullptr || task->serves_since_ms == 0) return;
  task->attained = AttainedBy(*task, now_ms_);
  task->serves_since_ms = now_ms_;
}

void Scheduler::Core::On(const AttemptFinished& event) {
  Task* task = FindLive(event.task, event.attempt);
  if (task == nullptr) return;
  const bool cancelling = task->state == TaskState::kStopping;
  const bool gives_back =
      event.outcome == Outcome::kReleased || event.outcome == Outcome::kPreempted;
  if (task->state == TaskState::kPreempting && gives_back) {
    HasLeft(*task, /*keep=*/true);
    return;
  }
  Free(*task, gives_back);
  if (event.outcome == Outcome::kSucceeded) {
    End(*task, EndState::kSucceeded, EndCode::kSucceeded);
  } else if (cancelling || event.outcome == Outcome::kCancelled) {
    End(*task, EndState::kCancelled, EndCode::kCancelled);
  } else if (event.outcome == Outcome::kFailedPermanent) {
    End(*task, EndState::kFailed, EndCode::kFailedPermanent);
  } else {
    Retry(*task, gives_back ? RequeueCode::kReleased : RequeueCode::kFailure);
  }
}

void Scheduler::Core::On(const QuotaChanged& event) {
  if (event.project.empty()) {
    Ignore(IgnoredCode::kInvalid, TaskId(), 0, WorkerId(), "the project has no id");
    return;
  }
  Project& project = queue_.projects().FindOrAdd(event.project);
  std::string wrong;
  queue_.Reorder(project, [&] { wrong = queue_.projects().SetQuota(event); });
  if (!wrong.empty()) {
    Ignore(IgnoredCode::kInvalid, TaskId(), 0, WorkerId(), std::move(wrong));
    return;
  }
  queue_.SetTotal(queue_.total());
}

}  // namespace beamline::scheduler
