// The state behind Scheduler: its tables, and one method per kind of event. Private to this folder.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/leases.h"
#include "scheduler/placement.h"
#include "scheduler/preemption.h"
#include "scheduler/queue.h"
#include "scheduler/scheduler.h"
#include "scheduler/service_level.h"
#include "scheduler/task.h"
#include "scheduler/task_table.h"

namespace beamline::scheduler {

class Reader;

// Not thread-safe. Invariant after Step: a task is in exactly one of the queue (kPending, due), the
// back-off (kPending, not due), the reservations (kReserved) and the attempts of its workers (all
// other states); every shape with queued tasks is closed, because no usable worker has room for it.
class Scheduler::Core {
 public:
  explicit Core(const Options& options);

  // See the methods of Scheduler.
  std::vector<Action> Step(const Event& event, int64_t now_ms);
  std::optional<PendingReason> Why(const TaskId& id) const;
  std::optional<int64_t> Ahead(const TaskId& id) const;
  std::optional<int64_t> EarliestFit(const TaskId& id,
                                     const std::map<TaskId, int64_t>& ends_ms) const;
  std::vector<QueueEntry> Queue(size_t limit) const;
  std::vector<WorkerEntry> Workers() const;
  std::vector<ShareEntry> Shares() const;
  const Task* Find(const TaskId& id) const { return tasks_.Find(id); }
  std::string Snapshot() const;
  // Of a new core.
  bool Restore(std::string_view bytes);
  size_t pending_count() const { return queue_.size() + back_off_.all().size() + reserved_; }
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
  void On(const AttemptCheckpointed& event);
  void On(const AttemptFinished& event);
  void On(const QuotaChanged& event);
  void On(const Tick&) {}

  // Of a pending task.
  PendingReason Explain(const Task& task) const;
  void FindEntitlements() const;
  bool HasRivals(const Project& project) const;
  bool StartsBefore(const Task& a, const Task& b) const;

  void RestoreTasks(Reader& reader, int64_t count);
  // Puts a task that was read where it belongs; queued ones are pushed by the caller.
  void RestoreTask(Task& task, bool queued);

  // What follows from an event, in this order.
  void ExpireLeases();
  void ExpireGraces();
  void CrossLevels();
  void WakeTasks();
  void StartWhatIsReady();
  void AssignWhatFits();
  void KeepBuckets();
  void PreemptInRounds();
  void EndGuards();
  void ParkWhatCannotRun();
  void ArmTimer();

  // The task whose live attempt is `attempt`; nullptr, and the event is ignored, if there is none.
  Task* FindLive(const TaskId& id, int32_t attempt);
  // A new task record with the defaults filled in.
  Task& Add(const TaskQueued& event);
  // Puts a pending task where it belongs: the queue, or the back-off.
  void Wait(Task& task);
  // Starts the next attempt of a task that is in no queue, on task.placements, which count already.
  void Start(Task& task);
  // Starts a queued task there.
  void StartAt(Task& task, const std::vector<Seat>& seats);
  // What `task` holds counts for its project, or no longer.
  void Charge(Task& task);
  void Discount(Task& task);
  // The attempt ends: gives back what it held, and lets waiting tasks try for it. `keep`: what it
  // attained is in a checkpoint.
  void Free(Task& task, bool keep);
  // Some worker has more open than before: lets waiting tasks try for it.
  void Opened(Worker& worker);
  // After Free: counts the end of the attempt, then queues the task again or ends it.
  void Retry(Task& task, RequeueCode code);
  // All attempts and reservations on the worker are lost.
  void LoseAttempts(Worker& worker, StopCode code);
  // After Free, or for a pending task: says so, and forgets it.
  void End(Task& task, EndState state, EndCode code);
  void Ignore(IgnoredCode code, TaskId task, int32_t attempt, WorkerId worker,
              std::string text = "");

  // See reservations.cc.
  // Carries out what the round decided.
  void Commit(const Plan& plan);
  // Asks the live attempt to leave for `beneficiary`.
  void AskToLeave(Task& task, PreemptCode code, const Task& beneficiary);
  // The preempted attempt has left, with a checkpoint or without.
  void HasLeft(Task& task, bool keep);
  // The reserved place is given up; a kReserved task waits again.
  void DropReservation(Task& task);
  void DropReservations(Worker& worker);
  // The task needs its place no more: its victims go on first.
  void ReleaseVictims(Task& task);
  // Takes a queued task out of the queue, for reserved `placements`.
  void BecomeReserved(Task& task, std::vector<Placement> placements);

  // See holds.cc.
  struct KeptPlace {
    Task* task = nullptr;
    Worker* worker = nullptr;
  };
  // The tasks wait in the queue again, as long as before, and their places are open: for a round.
  std::vector<KeptPlace> GiveUpPlaces();
  // Within a round, once it has begun.
  void KeepPlaces(const std::vector<KeptPlace>& given_up);
  // At its end.
  void KeepMorePlaces();
  // For a queued task, at `before` (null: nowhere) unless less is missing elsewhere. False if it
  // may have none, or there is none.
  bool KeepPlace(Task& task, Worker* before);
  bool IsReadyWhereKept(Task& task);

  const Options options_;
  int64_t now_ms_ = 0;
  // The time of the last SetTimer; one that is not after now has fired. 0: none.
  int64_t timer_ms_ = 0;
  TaskTable tasks_;
  TaskQueue queue_;
  BackOff back_off_;
  Graces graces_;
  Crossings crossings_;
  WorkerTable workers_;
  Leases leases_;
  Preemption preemption_;
  // When the next round is due; 0: none is.
  int64_t round_ms_ = 0;
  int64_t buckets_ms_ = 0;  // when they are due, where no round brings them up to date
  size_t reserved_ = 0;
  // The running tasks that are guarded.
  std::set<Task*, ByTaskId> guards_;
  // Of the step in progress.
  std::vector<Action> actions_;
  std::vector<Task*> became_due_;
  // The reserved tasks whose place is kept for them.
  std::set<Task*, ByTaskId> holds_;
  // Reserved tasks whose place may be free by now.
  std::set<Task*, ByTaskId> maybe_ready_;
};

}  // namespace beamline::scheduler
