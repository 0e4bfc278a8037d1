#include "scheduler/scheduler.h"

#include "scheduler/core.h"

namespace beamline::scheduler {

Scheduler::Scheduler(const Options& options) : core_(std::make_unique<Core>(options)) {}

Scheduler::~Scheduler() = default;

std::vector<Action> Scheduler::Step(const Event& event, int64_t now_ms) {
  return core_->Step(event, now_ms);
}

std::optional<PendingReason> Scheduler::Why(const TaskId& task) const { return core_->Why(task); }

std::optional<TaskState> Scheduler::StateOf(const TaskId& task) const {
  const Task* found = core_->Find(task);
  if (found == nullptr) return std::nullopt;
  return found->state;
}

std::optional<AttemptEntry> Scheduler::LiveAttempt(const TaskId& task) const {
  const Task* found = core_->Find(task);
  if (found == nullptr || !found->live()) return std::nullopt;
  return AttemptEntry{task, found->spec.last_attempt, found->state, found->placements.front()};
}

std::vector<QueueEntry> Scheduler::Queue(size_t limit) const { return core_->Queue(limit); }

std::vector<WorkerEntry> Scheduler::Workers() const { return core_->Workers(); }

std::vector<ShareEntry> Scheduler::Shares() const { return core_->Shares(); }

size_t Scheduler::PendingCount() const { return core_->pending_count(); }

size_t Scheduler::LiveCount() const { return core_->live_count(); }

}  // namespace beamline::scheduler
