// A worker and what is free on it. Private to this folder.
#pragma once

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "scheduler/amounts.h"
#include "scheduler/ids.h"
#include "scheduler/resources.h"
#include "scheduler/task.h"

namespace beamline::scheduler {

struct Slot {
  // Of its device.
  int64_t memory_bytes = 0;
  // More than one only after odd restarts.
  int32_t holders = 0;
  // One of them.
  Task* holder = nullptr;
  // For whom it is reserved.
  Task* next = nullptr;

  bool open() const { return holders == 0 && next == nullptr; }
  // Nobody's once those leave that were asked to.
  bool spare() const {
    return next == nullptr && (holders == 0 || (holders == 1 && holder->vacating));
  }
};

struct Worker;

// A worker among those with as many open devices: by open cores, open memory and name. Holds what
// is compared. Without a worker: before all of them.
struct OpenKey {
  int64_t cpu_millis = 0;
  int64_t memory_bytes = 0;
  uint64_t name = 0;
  Worker* worker = nullptr;
};
bool operator<(const OpenKey& a, const OpenKey& b);

struct Pool;

// Not thread-safe; owned by WorkerTable, which changes it.
struct Worker {
  WorkerId id;
  // PrefixOf(id).
  uint64_t name = 0;
  Capacity capacity;
  std::vector<std::string> labels;
  // False: known only as the place of restored attempts; its capacity is not known yet.
  bool registered = false;
  // Within its lease.
  bool connected = false;
  bool draining = false;
  int64_t lease_until_ms = 0;
  // What attempts do not hold. May be negative, when capacity shrinks under running attempts.
  int64_t free_cpu_millis = 0;
  int64_t free_memory_bytes = 0;
  // What is left of that once the preempted have left and the reserved have come.
  int64_t spare_cpu_millis = 0;
  int64_t spare_memory_bytes = 0;
  // Slots that are open.
  int32_t open_devices = 0;
  // Devices held by attempts that were asked to leave.
  int64_t vacated_devices = 0;
  // At least the devices of its attempts that are chosen to leave in plan `chosen_in_plan`.
  int64_t chosen_devices = 0;
  int64_t chosen_in_plan = 0;
  // One per device of `capacity`, in its order.
  std::vector<Slot> slots;
  // In no order.
  std::vector<Task*> attempts;
  // What it keeps of what tasks read.
  std::set<DataId> data;
  // Tasks with a reserved place here.
  std::set<Task*, ByTaskId> reserved;
  // Where it is found: in the pool of each of its labels, under this key, these devices and marks.
  std::vector<Pool*> pools;
  OpenKey place_key;
  int32_t place_devices = 0;
  bool place_idle = false;
  bool place_whole = false;

  bool usable() const { return registered && connected && !draining; }
  int64_t open_cpu_millis() const { return std::min(free_cpu_millis, spare_cpu_millis); }
  int64_t open_memory_bytes() const { return std::min(free_memory_bytes, spare_memory_bytes); }
  bool idle() const { return attempts.empty() && reserved.empty(); }
  bool all_devices_open() const {
    return !slots.empty() && open_devices == static_cast<int32_t>(slots.size());
  }
};

inline bool operator<(const OpenKey& a, const OpenKey& b) {
  if (a.cpu_millis != b.cpu_millis) return a.cpu_millis < b.cpu_millis;
  if (a.memory_bytes != b.memory_bytes) return a.memory_bytes < b.memory_bytes;
  if (a.name != b.name) return a.name < b.name;
  if (a.worker == nullptr || b.worker == nullptr) return a.worker == nullptr && b.worker != nullptr;
  return a.worker->id < b.worker->id;
}

bool HasLabel(const Worker& worker, const std::string& pool);

// How many processes of `demand`, with `devices` devices each, fit what is open on `worker`, or its
// whole capacity; at most `most`. Neither asks whether the worker is usable.
int32_t OpenFor(const Demand& demand, int32_t devices, const Worker& worker, int32_t most);
int32_t IdleFor(const Demand& demand, int32_t devices, const Worker& worker, int32_t most);

// The devices that a demand needs at the least.
int32_t LeastDevices(const Demand& demand);

}  // namespace beamline::scheduler
