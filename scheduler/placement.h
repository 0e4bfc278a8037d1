// The workers, what is free on each, and the search for a place. Private to this folder.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "scheduler/ids.h"
#include "scheduler/reasons.h"
#include "scheduler/resources.h"
#include "scheduler/task.h"

namespace beamline::scheduler {

struct Slot {
  Device device;
  int32_t holders = 0;
};

// Not thread-safe; owned by WorkerTable.
struct Worker {
  WorkerId id;
  Capacity capacity;
  std::vector<std::string> labels;
  // False: known only as the place of restored attempts; its capacity is not known yet.
  bool registered = false;
  // Within its lease.
  bool connected = false;
  bool draining = false;
  int64_t lease_until_ms = 0;
  // May be negative, when capacity shrinks under running attempts.
  int64_t free_cpu_millis = 0;
  int64_t free_memory_bytes = 0;
  int32_t free_devices = 0;
  // One per device of `capacity`, in its order.
  std::vector<Slot> slots;
  std::set<Task*, ByTaskId> attempts;

  bool usable() const { return registered && connected && !draining; }
};

// Whether one process of `demand` fits what is free on `worker` now, or its whole capacity. Neither
// asks whether the worker is usable.
bool FitsFree(const Demand& demand, const Worker& worker);
bool FitsIdle(const Demand& demand, const Worker& worker);

// Not thread-safe. Workers are found by what they have free: per pool, by free devices, then free
// cores, then free memory. A search starts at the smallest worker that may do.
class WorkerTable {
 public:
  // nullptr if it is not known.
  Worker* Find(const WorkerId& id) const;
  // The known worker, or a new one without capacity.
  Worker& FindOrAdd(const WorkerId& id);
  // No attempt may be on it.
  void Erase(const WorkerId& id);
  const std::map<WorkerId, std::unique_ptr<Worker>>& all() const { return workers_; }

  // Changes what decides where the worker is found, in `change`, and books it again.
  template <class Change>
  void Update(Worker& worker, Change change) {
    Unindex(worker);
    change(worker);
    Recount(worker);
    Index(worker);
    ++version_;
  }

  // Takes the placements of `task` on `worker` from what is free, or gives them back.
  void Book(Worker& worker, Task& task);
  void Release(Worker& worker, Task& task);

  // The best place that is free now: the fewest free devices, then cores, then memory, then id.
  // A demand of kAny prefers devices. nullopt: no usable worker has room.
  std::optional<Placement> FindPlace(const Demand& demand) const;

  // Whether some usable worker could hold it when idle.
  bool Feasible(const Demand& demand) const;
  // Why a task that is due does not run.
  PendingReason Explain(const Demand& demand) const;

  // Moves with every change of capacity, labels or state of a worker, not with bookings.
  int64_t version() const { return version_; }

 private:
  struct ByFree {
    bool operator()(const Worker* a, const Worker* b) const;
  };
  // By free devices.
  using PoolIndex = std::map<int32_t, std::set<Worker*, ByFree>>;

  void Index(Worker& worker);
  void Unindex(Worker& worker);
  // Computes what is free from the capacity and the attempts.
  static void Recount(Worker& worker);
  const Worker* FindWorker(const Demand& demand, int32_t devices) const;

  std::map<WorkerId, std::unique_ptr<Worker>> workers_;
  // Usable workers by label; "" holds all of them.
  std::map<std::string, PoolIndex> pools_;
  int64_t version_ = 0;
};

}  // namespace beamline::scheduler
