#include "benchmarks/scheduler/auditor.h"

#include <cstdio>
#include <cstdlib>

namespace beamline::replay {

using scheduler::Action;
using scheduler::Placement;
using scheduler::TaskId;

void Auditor::Require(bool holds, const std::string& what) const {
  if (holds) return;
  std::fprintf(stderr, "at %lld ms: %s\n", static_cast<long long>(now_ms_), what.c_str());
  std::exit(1);
}

void Auditor::Before(const scheduler::Event& event, int64_t now_ms) {
  now_ms_ = now_ms;
  if (const auto* queued = std::get_if<scheduler::TaskQueued>(&event)) {
    tasks_[queued->task].places = queued->demand.min_workers * queued->demand.gpus;
  } else if (const auto* seen = std::get_if<scheduler::WorkerSeen>(&event)) {
    workers_[seen->worker].usable = !seen->draining;
  } else if (const auto* draining = std::get_if<scheduler::WorkerDraining>(&event)) {
    workers_[draining->worker].usable = false;
  } else if (const auto* gone = std::get_if<scheduler::WorkerGone>(&event)) {
    workers_[gone->worker].usable = false;
  }
}

void Auditor::After(const Action& action) {
  ++checked_;
  std::visit([this](const auto& a) { On(a); }, action);
}

Auditor::Task& Auditor::Known(const TaskId& id) {
  const auto task = tasks_.find(id);
  Require(task != tasks_.end(), id.value + " was never queued, or has ended");
  return task->second;
}

void Auditor::Free(const TaskId& id, Task& task) {
  for (const Placement& placement : task.placements) {
    for (const scheduler::DeviceId& device : placement.devices) {
      auto& holders = workers_[placement.worker].holders;
      Require(holders[device] == id, device.value + " was not held by " + id.value);
      holders.erase(device);
    }
  }
  task.placements.clear();
  task.live_attempt = 0;
  task.preempting = false;
}

void Auditor::On(const scheduler::Assign& action) {
  Task& task = Known(action.task);
  const std::string& name = action.task.value;
  Require(task.live_attempt == 0, name + " has two attempts");
  Require(action.attempt == task.last_attempt + 1, name + ": an epoch is not the next one");
  int32_t places = 0;
  for (const Placement& placement : action.placements) {
    Worker& worker = workers_[placement.worker];
    Require(worker.usable, name + " is sent to a worker that takes nothing");
    for (const scheduler::DeviceId& device : placement.devices) {
      Require(worker.holders.emplace(device, action.task).second,
              placement.worker.value + " " + device.value + " is held twice");
      ++places;
    }
  }
  Require(places == task.places, name + ": the gang is not whole");
  task.live_attempt = task.last_attempt = action.attempt;
  task.started_ms = now_ms_;
  task.placements = action.placements;
}

void Auditor::On(const scheduler::StopAttempt& action) {
  const Task& task = Known(action.task);
  Require(task.live_attempt == action.attempt, action.task.value + ": a dead attempt is stopped");
  Require(action.code != scheduler::StopCode::kGraceOver || now_ms_ >= task.deadline_ms,
          action.task.value + " is stopped within its grace");
}

void Auditor::On(const scheduler::Preempt& action) {
  Task& task = Known(action.task);
  const std::string& name = action.task.value;
  Require(task.live_attempt == action.attempt && !task.preempting, name + " cannot be preempted");
  Require(now_ms_ - task.started_ms >= options_.min_run_ms, name + " is preempted too young");
  const Task& beneficiary = Known(action.beneficiary);
  Require(beneficiary.live_attempt == 0, name + " makes room for one that runs");
  task.preempting = true;
  task.deadline_ms = action.deadline_ms;
}

void Auditor::On(const scheduler::Requeue& action) {
  Task& task = Known(action.task);
  Require(task.live_attempt == action.attempt, action.task.value + ": a dead attempt is requeued");
  Require(!task.preempting || now_ms_ <= task.deadline_ms,
          action.task.value + " stayed beyond its grace");
  Free(action.task, task);
}

void Auditor::On(const scheduler::EndTask& action) {
  Free(action.task, Known(action.task));
  tasks_.erase(action.task);
}

void Auditor::On(const scheduler::SetTimer& action) {
  Require(action.at_ms > now_ms_, "a timer is in the past");
}

void Auditor::Compare(const scheduler::Scheduler& scheduler) const {
  size_t live = 0;
  for (const auto& [id, task] : tasks_) {
    const auto attempt = scheduler.LiveAttempt(id);
    Require(attempt.has_value() == (task.live_attempt != 0), id.value + ": is it live?");
    Require(!attempt || attempt->attempt == task.live_attempt, id.value + ": which attempt?");
    live += task.live_attempt != 0;
  }
  Require(scheduler.LiveCount() == live, "live attempts are not conserved");
  Require(scheduler.PendingCount() == tasks_.size() - live, "pending tasks are not conserved");
  for (const scheduler::WorkerEntry& entry : scheduler.Workers()) {
    size_t held = 0;
    for (const scheduler::AttemptEntry& attempt : entry.attempts) {
      held += attempt.placement.devices.size();
    }
    Require(held == workers_.at(entry.worker).holders.size(),
            entry.worker.value + ": devices are not conserved");
  }
  for (const scheduler::ShareEntry& share : scheduler.Shares()) {
    Require(share.entitled >= 0 && share.entitled <= share.demand,
            share.project.value + " is owed what it does not want");
  }
}

}  // namespace beamline::replay
