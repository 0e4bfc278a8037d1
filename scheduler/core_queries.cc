// What people ask; nothing here changes anything.
#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "scheduler/core.h"

namespace beamline::scheduler {
namespace {

bool StartsBefore(const Task* a, const Task* b) {
  if (a->spec.priority != b->spec.priority) return a->spec.priority > b->spec.priority;
  if (a->project->held_units != b->project->held_units) {
    return a->project->held_units < b->project->held_units;
  }
  return ByAge()(a, b);
}

PendingReason BackOffReason(const Task& task) {
  const int64_t until_ms = task.spec.not_before_ms;
  std::string text = "waits until its earliest start";
  if (task.spec.failures + task.spec.losses > 0) {
    text = "waits before its next attempt, after " + std::to_string(task.spec.failures) +
           (task.spec.failures == 1 ? " failure and " : " failures and ") +
           std::to_string(task.spec.losses) +
           (task.spec.losses == 1 ? " lost worker" : " lost workers");
  }
  return {PendingCode::kBackOff, std::move(text), until_ms};
}

}  // namespace

std::optional<PendingReason> Scheduler::Core::Why(const TaskId& id) const {
  const Task* task = Find(id);
  if (task == nullptr || task->state != TaskState::kPending) return std::nullopt;
  if (task->shape == nullptr) return BackOffReason(*task);
  return workers_.Explain(task->spec.demand);
}

std::vector<QueueEntry> Scheduler::Core::Queue(size_t limit) const {
  std::vector<const Task*> tasks = queue_.All();
  const size_t due = std::min(limit, tasks.size());
  std::partial_sort(tasks.begin(), tasks.begin() + static_cast<ptrdiff_t>(due), tasks.end(),
                    StartsBefore);
  tasks.resize(due);
  for (const Task* task : back_off_.all()) {
    if (tasks.size() >= limit) break;
    tasks.push_back(task);
  }
  std::map<Demand, PendingReason> explained;
  std::vector<QueueEntry> entries;
  for (const Task* task : tasks) {
    const TaskQueued& spec = task->spec;
    QueueEntry entry{spec.task, spec.run, spec.project, spec.priority, spec.queued_at_ms, {}};
    if (task->shape == nullptr) {
      entry.reason = BackOffReason(*task);
    } else {
      const auto [reason, is_new] = explained.try_emplace(spec.demand);
      if (is_new) reason->second = workers_.Explain(spec.demand);
      entry.reason = reason->second;
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::vector<WorkerEntry> Scheduler::Core::Workers() const {
  std::vector<WorkerEntry> entries;
  for (const auto& [id, worker] : workers_.all()) {
    WorkerEntry entry;
    entry.worker = id;
    entry.capacity = worker->capacity;
    entry.labels = worker->labels;
    entry.connected = worker->registered && worker->connected;
    entry.draining = worker->draining;
    entry.lease_until_ms = worker->lease_until_ms;
    entry.free_cpu_millis = worker->free_cpu_millis;
    entry.free_memory_bytes = worker->free_memory_bytes;
    for (const Task* task : worker->attempts) {
      for (const Placement& placement : task->placements) {
        if (placement.worker != id) continue;
        entry.attempts.push_back(
            {task->spec.task, task->spec.last_attempt, task->state, placement});
      }
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace beamline::scheduler
