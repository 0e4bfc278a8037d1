#include "scheduler/core.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "scheduler/retry.h"

namespace beamline::scheduler {
namespace {

Options Sane(Options options) {
  options.lease_ms = std::max<int64_t>(options.lease_ms, 1);
  options.first_back_off_ms = std::max<int64_t>(options.first_back_off_ms, 1);
  options.max_back_off_ms = std::max(options.max_back_off_ms, options.first_back_off_ms);
  options.max_attempts = std::max(options.max_attempts, 1);
  options.max_losses = std::max(options.max_losses, 1);
  return options;
}

}  // namespace

Scheduler::Core::Core(const Options& options) : options_(Sane(options)) {}

std::vector<Action> Scheduler::Core::Step(const Event& event, int64_t now_ms) {
  now_ms_ = std::max(now_ms_, now_ms);
  became_due_.clear();
  std::visit([this](const auto& e) { On(e); }, event);
  ExpireLeases();
  WakeTasks();
  AssignWhatFits();
  ParkWhatCannotRun();
  ArmTimer();
  return std::exchange(actions_, {});
}

const Task* Scheduler::Core::Find(const TaskId& id) const {
  const auto found = tasks_.find(id);
  return found == tasks_.end() ? nullptr : found->second.get();
}

Task* Scheduler::Core::FindLive(const TaskId& id, int32_t attempt) {
  const auto found = tasks_.find(id);
  if (found == tasks_.end()) {
    Ignore(IgnoredCode::kUnknownTask, id, attempt, WorkerId());
    return nullptr;
  }
  Task& task = *found->second;
  if (task.state == TaskState::kPending || task.spec.last_attempt != attempt) {
    Ignore(IgnoredCode::kStaleAttempt, id, attempt, WorkerId());
    return nullptr;
  }
  return &task;
}

Task& Scheduler::Core::Add(const TaskQueued& event) {
  std::unique_ptr<Task>& owner = tasks_[event.task];
  owner = std::make_unique<Task>();
  Task& task = *owner;
  task.spec = event;
  if (task.spec.max_attempts <= 0) task.spec.max_attempts = options_.max_attempts;
  if (task.spec.queued_at_ms == 0) task.spec.queued_at_ms = now_ms_;
  queue_.Enroll(task);
  return task;
}

void Scheduler::Core::Wait(Task& task) {
  task.state = TaskState::kPending;
  if (task.spec.not_before_ms > now_ms_) {
    back_off_.Push(task);
    return;
  }
  queue_.Push(task);
  became_due_.push_back(&task);
}

void Scheduler::Core::Hold(Task& task, std::vector<Placement> placements) {
  task.placements = std::move(placements);
  int64_t units = 0;
  for (const Placement& placement : task.placements) {
    workers_.Book(workers_.FindOrAdd(placement.worker), task);
    units += ShareUnits(placement);
  }
  queue_.Charge(*task.project, units);
}

void Scheduler::Core::Free(Task& task) {
  int64_t units = 0;
  for (const Placement& placement : task.placements) {
    units += ShareUnits(placement);
    Worker* worker = workers_.Find(placement.worker);
    if (worker == nullptr) continue;
    workers_.Release(*worker, task);
    if (worker->usable()) {
      queue_.OpenWhere([worker](const Demand& demand) { return FitsFree(demand, *worker); });
    }
  }
  task.placements.clear();
  queue_.Charge(*task.project, -units);
}

void Scheduler::Core::Retry(Task& task, RequeueCode code) {
  const std::optional<EndCode> end = CountRetry(options_, code, now_ms_, task.spec);
  if (end.has_value()) {
    End(task, EndState::kFailed, *end);
    return;
  }
  actions_.push_back(Requeue{task.spec.task, task.spec.last_attempt, code, task.spec.failures,
                             task.spec.losses, task.spec.not_before_ms});
  Wait(task);
}

void Scheduler::Core::LoseAttempts(Worker& worker, StopCode code) {
  while (!worker.attempts.empty()) {
    Task& task = **worker.attempts.begin();
    const bool cancelling = task.state == TaskState::kStopping;
    for (const Placement& placement : task.placements) {
      actions_.push_back(
          StopAttempt{task.spec.task, task.spec.last_attempt, placement.worker, code});
    }
    Free(task);
    if (cancelling) {
      End(task, EndState::kCancelled, EndCode::kCancelled);
    } else {
      Retry(task, RequeueCode::kLostWorker);
    }
  }
}

void Scheduler::Core::End(Task& task, EndState state, EndCode code) {
  actions_.push_back(EndTask{task.spec.task, task.spec.last_attempt, state, code});
  queue_.Discharge(task);
  tasks_.erase(TaskId(task.spec.task));
}

void Scheduler::Core::Ignore(IgnoredCode code, TaskId task, int32_t attempt, WorkerId worker,
                             std::string text) {
  actions_.push_back(Ignored{code, std::move(task), attempt, std::move(worker), std::move(text)});
}

void Scheduler::Core::ExpireLeases() {
  while (Worker* worker = leases_.Expired(now_ms_)) {
    leases_.Drop(*worker);
    workers_.Update(*worker, [](Worker& w) { w.connected = false; });
    LoseAttempts(*worker, StopCode::kLeaseLost);
    if (!worker->registered) workers_.Erase(worker->id);
  }
}

void Scheduler::Core::WakeTasks() {
  while (Task* task = back_off_.Due(now_ms_)) {
    back_off_.Remove(*task);
    Wait(*task);
  }
}

void Scheduler::Core::AssignWhatFits() {
  while (Task* task = queue_.First()) {
    std::optional<Placement> place = workers_.FindPlace(task->spec.demand);
    if (!place.has_value()) {
      queue_.Close(*task->shape);
      continue;
    }
    const int64_t lease_until_ms = workers_.Find(place->worker)->lease_until_ms;
    queue_.Remove(*task);
    task->state = TaskState::kAssigned;
    ++task->spec.last_attempt;
    Hold(*task, {*std::move(place)});
    actions_.push_back(
        Assign{task->spec.task, task->spec.last_attempt, task->placements, lease_until_ms});
  }
}

void Scheduler::Core::ParkWhatCannotRun() {
  for (const Task* task : became_due_) {
    if (task->shape == nullptr) continue;
    Shape& shape = *task->shape;
    if (shape.checked_at != workers_.version()) {
      shape.feasible = workers_.Feasible(shape.demand);
      shape.checked_at = workers_.version();
    }
    if (!shape.feasible) {
      actions_.push_back(Park{task->spec.task, workers_.Explain(shape.demand)});
    }
  }
}

void Scheduler::Core::ArmTimer() {
  const int64_t lease_ms = leases_.NextMs();
  const int64_t wake_ms = back_off_.NextMs();
  int64_t next_ms = lease_ms;
  if (wake_ms != 0 && (next_ms == 0 || wake_ms < next_ms)) next_ms = wake_ms;
  if (next_ms == 0) return;
  const bool armed = timer_ms_ > now_ms_;
  if (armed && timer_ms_ <= next_ms) return;
  timer_ms_ = next_ms;
  actions_.push_back(SetTimer{next_ms});
}

}  // namespace beamline::scheduler
