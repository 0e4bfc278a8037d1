// The workers, what is free on each, and the search for a place. Private to this folder.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "scheduler/ids.h"
#include "scheduler/reasons.h"
#include "scheduler/resources.h"
#include "scheduler/sorted_keys.h"
#include "scheduler/task.h"
#include "scheduler/worker.h"

namespace beamline::scheduler {

// Where the processes of a gang go: how many on which worker.
struct Seat {
  Worker* worker = nullptr;
  int32_t processes = 0;
  int32_t devices_each = 0;
};

// The usable workers with one label.
struct Pool {
  struct ById {
    bool operator()(const Worker* a, const Worker* b) const {
      return a->name != b->name ? a->name < b->name : a->id < b->id;
    }
  };
  // At [n]: those with n open devices.
  std::vector<SortedKeys<OpenKey>> open;
  // Nothing on it; all of its devices open.
  std::set<Worker*, ById> idle;
  std::set<Worker*, ById> whole;
};

// Not thread-safe. Workers are found by what is open: per pool, by devices, then cores, then
// memory. A search starts at the smallest worker that may do.
class WorkerTable {
 public:
  // `gangs`: whether demands for several workers are placed.
  explicit WorkerTable(bool gangs) : gangs_(gangs) {}

  // nullptr if it is not known.
  Worker* Find(const WorkerId& id) const;
  // The known worker, or a new one without capacity.
  Worker& FindOrAdd(const WorkerId& id);
  // No attempt and no reservation may be on it.
  void Erase(const WorkerId& id);
  const std::map<WorkerId, std::unique_ptr<Worker>>& all() const { return workers_; }

  // Changes what decides where the worker is found, in `change`, and books it again.
  template <class Change>
  void Update(Worker& worker, Change change) {
    Unindex(worker);
    if (worker.usable()) total_ = total_ - CapacityAmounts(worker.capacity);
    change(worker);
    if (worker.usable()) total_ = total_ + CapacityAmounts(worker.capacity);
    Recount(worker);
    Index(worker);
    ++version_;
  }

  // Takes task.placements from what is free, or gives them back.
  void Book(Task& task);
  void Release(Task& task);
  // The live attempt is asked to leave: its places become spare. Sets task.vacating.
  void Vacate(Task& task);
  // Reserves `seats` for `task`, on open or spare slots, or on those whose holder has
  // chosen_of_plan == `plan` (0: on none of these). Returns the placements.
  std::vector<Placement> Reserve(Task& task, const std::vector<Seat>& seats, int64_t plan);
  // Reserves a place for one process of `task` on `worker`, whoever holds it now; free devices
  // first. As much must be there when the worker is idle.
  Placement Keep(Task& task, Worker& worker);
  // Where least is missing until one process of `demand` fits: fewest devices, then cores, then
  // memory. Of the usable workers that are large enough and have nothing reserved, and `before`
  // (may be null) whatever is reserved there; `before` if elsewhere as much is missing. nullptr:
  // none.
  Worker* FindToKeep(const Demand& demand, Worker* before) const;
  void Unreserve(Task& task, const std::vector<Placement>& placements,
                 const std::vector<Worker*>& workers);
  // After a snapshot was read: marks the named slots as reserved, without booking them;
  void RestoreReserved(Task& task, const std::vector<Placement>& placements,
                       const std::vector<Worker*>& workers);
  // and counts everything, once attempts and reservations are there.
  void FinishRestore(int64_t version);
  // Whether everything in the reserved `placements` is free by now.
  static bool Ready(const std::vector<Placement>& placements, const std::vector<Worker*>& workers);

  // Seats on what is open now: on one worker, best fit (fewest devices, then cores, memory, id);
  // otherwise on whole workers and best fit for the remainder. A demand of kAny prefers devices.
  // `data`: what the task reads; see FindWorker. Empty: no room.
  std::vector<Seat> FindSeats(const Demand& demand, const std::vector<DataId>& data) const;
  // The best fit for `processes` on one worker, not one of those in `taken`; nullptr: none. Of some
  // that are the same but for their ids the one that has most of `data`.
  Worker* FindWorker(const Demand& demand, int32_t devices, int32_t processes,
                     const std::vector<Seat>& taken, const std::vector<DataId>& data) const;
  std::vector<Worker*> WorkersOf(const std::vector<Placement>& placements);
  // Names the devices: the smallest that suffice.
  static Placement PlacementAt(const Demand& demand, const Seat& seat);

  bool Placeable(const Demand& demand) const { return gangs_ || demand.min_workers == 1; }
  // Whether `worker` is usable and may hold at least one process of `demand` now.
  bool MayHelp(const Demand& demand, const Worker& worker) const;
  // Whether the usable workers could hold it if all were idle.
  bool Feasible(const Demand& demand) const;
  // Why a task that is due does not run.
  PendingReason Explain(const Demand& demand) const;

  // The capacity of all usable workers.
  const Amounts& total() const { return total_; }
  // Moves with every change of capacity, labels or state of a worker, not with bookings.
  int64_t version() const { return version_; }

 private:
  // Enters the worker in the pools of its labels if it is usable, takes it out of them, or moves it
  // to where it belongs after a booking.
  void Index(Worker& worker);
  static void Unindex(Worker& worker);
  static void Reindex(Worker& worker);
  // Computes what is free from the capacity, the attempts and the reservations.
  static void Recount(Worker& worker);
  static void CountOpen(Worker& worker);
  std::vector<Seat> FindSeats(const Demand& demand, int32_t devices,
                              const std::vector<DataId>& data) const;
  // Reserves the seat and these slots of its worker.
  static Placement Claim(Task& task, const Seat& seat, const std::vector<size_t>& slots);

  const bool gangs_;
  std::map<WorkerId, std::unique_ptr<Worker>> workers_;
  // Usable workers by label; "" holds all of them.
  std::map<std::string, Pool> pools_;
  Amounts total_;
  int64_t version_ = 0;
};

}  // namespace beamline::scheduler
