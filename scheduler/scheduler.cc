#include "scheduler/scheduler.h"

#include "scheduler/core.h"

namespace beamline::scheduler {

Scheduler::Scheduler(const Options& options) : core_(std::make_unique<Core>(options)) {}

Scheduler::~Scheduler() = default;

std::vector<Action> Scheduler::Step(const Event& event, int64_t now_ms) {
  return core_->Step(event, now_ms);
}

std::optional<PendingReason> Scheduler::Why(const TaskId& task) const { return core_->Why(task); }

std::optional<int64_t> Scheduler::Ahead(const TaskId& task) const { return core_->Ahead(task); }

std::optional<int64_t> Scheduler::EarliestFit(const TaskId& task,
                                              const std::map<TaskId, int64_t>& ends_ms) const {
  return core_->EarliestFit(task, ends_ms);
}

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

std::string Scheduler::Snapshot() const { return core_->Snapshot(); }

std::unique_ptr<Scheduler> Scheduler::Restore(const Options& options, std::string_view snapshot) {
  auto scheduler = std::make_unique<Scheduler>(options);
  if (!scheduler->core_->Restore(snapshot)) return nullptr;
  return scheduler;
}

size_t Scheduler::PendingCount() const { return core_->pending_count(); }

size_t Scheduler::LiveCount() const { return core_->live_count(); }

}  // namespace beamline::scheduler
