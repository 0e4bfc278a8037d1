// The state behind Scheduler: its tables, and one method per kind of event. Private to this folder.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "scheduler/leases.h"
#include "scheduler/placement.h"
#include "scheduler/queue.h"
#include "scheduler/scheduler.h"
#include "scheduler/task.h"

namespace beamline::scheduler {

// Not thread-safe. Invariant after Step: a task is in exactly one of the queue (kPending, due), the
// back-off (kPending, not due) and the attempts of its workers (all other states); every shape with
// queued tasks is closed, because no usable worker has room for it.
class Scheduler::Core {
 public:
  explicit Core(const Options& options);

  // See the methods of Scheduler.
  std::vector<Action> Step(const Event& event, int64_t now_ms);
  std::optional<PendingReason> Why(const TaskId& id) const;
  std::vector<QueueEntry> Queue(size_t limit) const;
  std::vector<WorkerEntry> Workers() const;
  const Task* Find(const TaskId& id) const;
  size_t pending_count() const { return queue_.size() + back_off_.all().size(); }
  size_t live_count() const { return tasks_.size() - pending_count(); }

 private:
  void On(const TaskQueued& event);
  void On(const TaskCancelled& event);
  void On(const WorkerSeen& event);
  void On(const WorkerHeartbeat& event);
  void On(const WorkerDraining& event);
  void On(const WorkerGone& event);
  void On(const AttemptRestored& event);
  void On(const AttemptStarted& event);
  void On(const AttemptFinished& event);
  void On(const Tick&) {}

  // What follows from an event, in this order.
  void ExpireLeases();
  void WakeTasks();
  void AssignWhatFits();
  void ParkWhatCannotRun();
  void ArmTimer();

  // The task whose live attempt is `attempt`; nullptr, and the event is ignored, if there is none.
  Task* FindLive(const TaskId& id, int32_t attempt);
  // A new task record with the defaults filled in.
  Task& Add(const TaskQueued& event);
  // Puts a pending task where it belongs: the queue, or the back-off.
  void Wait(Task& task);
  // Makes the task hold `placements`, as its live attempt.
  void Hold(Task& task, std::vector<Placement> placements);
  // The attempt ends: gives back what it held, and lets waiting tasks try for it.
  void Free(Task& task);
  // After Free: counts the end of the attempt, then queues the task again or ends it.
  void Retry(Task& task, RequeueCode code);
  // All attempts on the worker are lost.
  void LoseAttempts(Worker& worker, StopCode code);
  // After Free, or for a pending task: says so, and forgets it.
  void End(Task& task, EndState state, EndCode code);
  void Ignore(IgnoredCode code, TaskId task, int32_t attempt, WorkerId worker,
              std::string text = "");

  const Options options_;
  int64_t now_ms_ = 0;
  // The time of the last SetTimer; one that is not after now has fired. 0: none.
  int64_t timer_ms_ = 0;
  std::unordered_map<TaskId, std::unique_ptr<Task>, IdHash> tasks_;  // only looked up
  TaskQueue queue_;
  BackOff back_off_;
  WorkerTable workers_;
  Leases leases_;
  // Of the step in progress.
  std::vector<Action> actions_;
  std::vector<Task*> became_due_;
};

}  // namespace beamline::scheduler
