// What people ask; nothing here changes anything.
#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "scheduler/core.h"
#include "scheduler/entitlement.h"

namespace beamline::scheduler {
namespace {

PendingReason BackOffReason(const Task& task) {
  const int64_t until_ms = task.spec.not_before_ms;
  std::string text = "waits until its earliest start";
  if (task.spec.failures + task.spec.losses > 0) {
    text = "waits before its next attempt, after " + std::to_string(task.spec.failures) +
           (task.spec.failures == 1 ? " failure and " : " failures and ") +
           std::to_string(task.spec.losses) +
           (task.spec.losses == 1 ? " lost worker" : " lost workers");
  }
  return {PendingCode::kBackOff, std::move(text), "", until_ms};
}

PendingReason ReservedReason(const Task& task) {
  if (task.holds) {
    return {PendingCode::kReserved,
            "has waited so long that what ends on " + task.placements.front().worker.value +
                " is kept for it, and starts there when enough is free",
            ""};
  }
  return {PendingCode::kReserved,
          "has a place on " + task.placements.front().worker.value +
              (task.placements.size() > 1 ? " and others" : "") + ", which other tasks are leaving",
          ""};
}

}  // namespace

// Whether others hold or want anything.
bool Scheduler::Core::HasRivals(const Project& project) const {
  const auto& all = queue_.projects().all();
  return std::any_of(all.begin(), all.end(), [&](const auto& other) {
    return other.second.get() != &project && other.second->demand_share > 0;
  });
}

PendingReason Scheduler::Core::Explain(const Task& task) const {
  if (task.state == TaskState::kReserved) return ReservedReason(task);
  if (task.shape == nullptr) return BackOffReason(task);
  PendingReason reason = workers_.Explain(task.spec.demand);
  if (reason.code != PendingCode::kWaitingForCapacity) return reason;
  const Project& project = *task.project;
  if (!CapAllows(project, task.shape->amounts)) {
    return {PendingCode::kQuota, "project " + project.id.value + " holds all that its quota allows",
            "wait for one of its tasks to end, or ask an operator for a larger quota"};
  }
  if (options_.policy == Policy::kStrictFifo) {
    return {PendingCode::kBehindOthers, "older tasks go first: starts after they have started", ""};
  }
  Amounts open;
  for (const auto& [id, worker] : workers_.all()) {
    if (!worker->usable() || !HasLabel(*worker, task.spec.demand.pool)) continue;
    open = open + Amounts{{std::max<int64_t>(worker->open_cpu_millis(), 0),
                           std::max<int64_t>(worker->open_memory_bytes(), 0), worker->open_devices,
                           int64_t{1} << 60}};
  }
  const Demand& demand = task.spec.demand;
  const Amounts least = ProcessAmounts(demand, LeastDevices(demand)) * demand.min_workers;
  if (Within(least, open)) {
    reason.code = PendingCode::kFragmented;
    reason.text =
        "enough is free in all, but not together on one worker: starts when a large "
        "enough place is free";
    reason.remedy = "ask for less to start sooner";
  } else if (options_.preemption && project.held_share >= project.entitled && HasRivals(project)) {
    reason.code = PendingCode::kFairShare;
    reason.text = "project " + project.id.value +
                  " holds what it is owed: starts when one of its tasks ends or others need less";
  }
  return reason;
}

std::optional<PendingReason> Scheduler::Core::Why(const TaskId& id) const {
  const Task* task = Find(id);
  if (task == nullptr || task->live()) return std::nullopt;
  FindEntitlements();
  return Explain(*task);
}

std::optional<int64_t> Scheduler::Core::Ahead(const TaskId& id) const {
  const Task* task = Find(id);
  if (task == nullptr || task->shape == nullptr) return std::nullopt;
  const std::vector<const Task*> all = queue_.All();
  return std::count_if(all.begin(), all.end(), [&](const Task* other) {
    return other->project == task->project && other != task && StartsBefore(*other, *task);
  });
}

// Rounds find them out for themselves: what is owed now is for those who ask.
void Scheduler::Core::FindEntitlements() const {
  std::vector<Project*> top;
  for (const auto& [id, project] : queue_.projects().all()) {
    if (project->parent == nullptr) top.push_back(project.get());
  }
  ComputeEntitlements(queue_, top);
}

bool Scheduler::Core::StartsBefore(const Task& a, const Task& b) const {
  if (options_.policy == Policy::kStrictFifo) return ByAge()(&a, &b);
  const Class a_class = queue_.ClassOf(a);
  const Class b_class = queue_.ClassOf(b);
  if (a_class != b_class) return a_class < b_class;
  if (a.project != b.project) {
    if (HoldsLess(*a.project, *b.project)) return true;
    if (HoldsLess(*b.project, *a.project)) return false;
  }
  return RankBefore(a, b);
}

std::vector<QueueEntry> Scheduler::Core::Queue(size_t limit) const {
  FindEntitlements();
  std::vector<const Task*> tasks = queue_.All();
  std::vector<const Task*> reserved;
  for (const auto& [id, worker] : workers_.all()) {
    for (const Task* task : worker->reserved) {
      if (task->state == TaskState::kReserved && task->workers.front() == worker.get()) {
        reserved.push_back(task);
      }
    }
  }
  const size_t due = std::min(limit, tasks.size());
  std::partial_sort(tasks.begin(), tasks.begin() + static_cast<ptrdiff_t>(due), tasks.end(),
                    [this](const Task* a, const Task* b) { return StartsBefore(*a, *b); });
  tasks.resize(due);
  tasks.insert(tasks.begin(), reserved.begin(), reserved.end());
  for (const Task* task : back_off_.all()) {
    if (tasks.size() >= limit) break;
    tasks.push_back(task);
  }
  tasks.resize(std::min(tasks.size(), limit));
  std::map<std::pair<Demand, ProjectId>, PendingReason> explained;
  std::vector<QueueEntry> entries;
  for (const Task* task : tasks) {
    const TaskQueued& spec = task->spec;
    QueueEntry entry{spec.task, spec.run, spec.project, spec.priority, spec.queued_at_ms, {}};
    if (task->shape == nullptr) {
      entry.reason = Explain(*task);
    } else {
      const auto [reason, is_new] = explained.try_emplace({spec.demand, spec.project});
      if (is_new) reason->second = Explain(*task);
      entry.reason = reason->second;
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::vector<ShareEntry> Scheduler::Core::Shares() const {
  FindEntitlements();
  std::vector<ShareEntry> entries;
  for (const auto& [id, project] : queue_.projects().all()) {
    ShareEntry entry;
    entry.project = id;
    entry.weight_millis = project->weight_millis;
    entry.held = project->held_share;
    entry.demand = project->demand_share;
    entry.entitled = project->entitled;
    entry.express_bucket = project->bucket;
    entry.waiting = static_cast<size_t>(project->waiting);
    for (const BandSums& sums : project->bands) {
      entry.running += static_cast<int64_t>(sums.running.size());
      entry.cpu_millis += sums.running_amounts.cpu_millis();
      entry.memory_bytes += sums.running_amounts.memory_bytes();
      entry.devices += sums.running_amounts.devices();
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
    std::vector<Task*> attempts = worker->attempts;
    std::sort(attempts.begin(), attempts.end(), ByTaskId());
    for (const Task* task : attempts) {
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
