// Rounds of preemption: who runs although others are owed its place. Private to this folder.
//
// A round compares what each project is owed with what it holds. A project's tasks, in its own
// order, are in as long as they fill what it is owed; the running ones outside are possible
// victims, the waiting ones inside possible beneficiaries. A victim goes only for a named
// beneficiary that takes its place. Because running tasks come before waiting ones of the same
// band, a second round finds nothing to do.
#pragma once

#include <cstdint>
#include <vector>

#include "scheduler/placement.h"
#include "scheduler/queue.h"
#include "scheduler/scheduler.h"
#include "scheduler/task.h"

namespace beamline::scheduler {

// Searches that find nothing, in one round: the rest waits for the next one.
inline constexpr int32_t kMaxFailuresOfRound = 16;
// What one round may look at, so that it ends in time on a large cluster: a worker that might be
// cleared counts for kWorkerVisit, one that might lose a victim for kVictimVisit, a victim that may
// not be taken for 1.
inline constexpr int64_t kMaxVisitsOfRound = 200'000;
inline constexpr int64_t kVictimVisit = 8;
inline constexpr int64_t kWorkerVisit = 6;

// A running task that gives up its worker to a gang and goes on elsewhere.
struct Move {
  Task* task = nullptr;
  std::vector<Placement> placements;
};

// What one beneficiary needs. Its place, and those of moved tasks, are reserved already.
struct Plan {
  Task* beneficiary = nullptr;
  std::vector<Placement> placements;
  std::vector<Task*> victims;
  std::vector<Move> moves;
};

// Not thread-safe. Sees queue and workers of the scheduler, and reserves places in the latter.
class Preemption {
 public:
  Preemption(const Options& options, TaskQueue& queue, WorkerTable& workers)
      : options_(options), queue_(queue), workers_(workers) {}

  // Finds out who is in and who is out at `now_ms`: a round begins.
  void Begin(int64_t now_ms);
  // The plan for a waiting task, if it is in and a place can be cleared; the caller then takes it
  // out of the queue, charges and discounts.
  Plan Try(Task& task);
  // Calls `commit` with one plan after the other for those that are in and still wait; `commit`
  // takes the beneficiary out of the queue, charges and discounts.
  template <class Commit>
  void Serve(Commit commit) {
    while (Task* task = Next()) {
      if (task->state != TaskState::kPending) continue;
      Plan plan = PlanFor(*task);
      if (plan.beneficiary == nullptr) continue;
      commit(plan);
      Count(plan);
    }
  }

 private:
  // One project's part of the round.
  struct Party {
    Project* project = nullptr;
    std::vector<Task*> beneficiaries;
    size_t next = 0;
  };

  void RecheckShapes();
  void GuardTheStarved();
  // Appends the waiting tasks that are in, or the running ones that are out and may be preempted.
  void Sort(Project& project, std::vector<Task*>* in, std::vector<Task*>* out);
  // The beneficiary whose turn it is; nullptr: all are served.
  Task* Next();
  void Count(const Plan& plan);

  // No beneficiary if no place can be cleared.
  Plan PlanFor(Task& task);
  bool Eligible(const Task& beneficiary, const Task& victim) const;
  bool IsMovable(const Task& task, const Task& beneficiary) const;
  bool Preemptible(const Task& task) const;
  // Whether there may be that many devices there for SpareFor to find; cheap.
  bool MaySpare(const Worker& worker, int64_t devices) const;
  // How many processes fit on what is spare or held by chosen tasks.
  int32_t SpareFor(const Demand& demand, int32_t devices, const Worker& worker, int32_t most) const;
  // Chooses victims, worst first, until `processes` fit on one worker that is not in `taken`.
  // nullptr: nowhere, and nothing is chosen.
  Worker* ClearOne(const Task& beneficiary, const Demand& demand, int32_t devices,
                   int32_t processes, const std::vector<Seat>& taken);
  // Chooses victims and moved tasks so that the whole gang fits.
  std::vector<Seat> ClearByMoving(const Task& task, int32_t devices);
  // Chooses on this worker so that `processes` fit; the slots that have to move, -1: impossible.
  int64_t Clear(const Task& task, Worker& worker, int32_t devices, int32_t processes);
  // Notes whether `task` leaves in this plan, with what its project loses by that.
  void Mark(Task& task);
  static void Unmark(Task& task);
  void Choose(Task& task);
  void UnchooseLast();
  // Undoes those choices after the first `before` that `processes` on `worker` do not need.
  void Spare(const Demand& demand, const Worker& worker, int32_t devices, int32_t processes,
             size_t before);

  const Options& options_;
  TaskQueue& queue_;
  WorkerTable& workers_;
  int64_t now_ms_ = 0;
  int64_t round_ = 0;
  int64_t plan_ = 0;
  std::vector<Party> parties_;
  // Worst first.
  std::vector<Task*> victims_;
  std::vector<Task*> chosen_;
  int32_t preempted_ = 0;
  size_t first_victim_ = 0;
  int32_t failures_ = 0;
  int64_t visits_ = 0;
};

}  // namespace beamline::scheduler
