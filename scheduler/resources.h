// What a task asks for and what a worker has. Plain structs beside the messages of the same
// meaning, because every event compares them thousands of times and reads no other field of those.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "scheduler/ids.h"

namespace beamline::scheduler {

enum class DeviceKind {
  kCpu,   // cores and memory only
  kCuda,  // whole GPUs or MIG slices of them
  kAny,   // a demand only: GPUs if they are free now, otherwise cores alone
};

// What one worker must have free to hold one process of a task. Value; ordered, so that tasks with
// equal demands wait in one lane.
struct Demand {
  // Unit: thousandths of a core.
  int64_t cpu_millis = 1000;
  int64_t memory_bytes = 0;
  DeviceKind device = DeviceKind::kCpu;
  // Devices besides the cores. 0 for kCpu; for kCuda and kAny 0 counts as 1.
  int32_t gpus = 0;
  // Each of those devices has at least this much memory in total. Unit: bytes.
  int64_t gpu_memory_bytes = 0;
  // Only workers with this label; empty: all workers.
  std::string pool;
  // How many workers start together (a gang). Only 1 is placed so far; a task that asks for more
  // is parked with kGangsUnsupported.
  int32_t min_workers = 1;
  int32_t max_workers = 1;

  auto operator<=>(const Demand&) const = default;
};

// A GPU or a MIG slice. Cores are not listed: they are counted in Capacity::cpu_millis.
struct Device {
  DeviceId id;
  DeviceKind kind = DeviceKind::kCuda;
  int64_t memory_bytes = 0;

  auto operator<=>(const Device&) const = default;
};

// All that a worker may give to tasks.
struct Capacity {
  int64_t cpu_millis = 0;
  int64_t memory_bytes = 0;
  std::vector<Device> devices;

  bool operator==(const Capacity&) const = default;
};

// The part of an attempt that lives on one worker.
struct Placement {
  WorkerId worker;
  // Held by this attempt alone until it ends; empty: it runs on cores only.
  std::vector<DeviceId> devices;
  int64_t cpu_millis = 0;
  int64_t memory_bytes = 0;

  bool operator==(const Placement&) const = default;
};

// No amount may be above this (2^50: a pebibyte), so that sums never overflow.
inline constexpr int64_t kMaxAmount = int64_t{1} << 50;

// OK: an empty string. Otherwise which amount is negative, too large or contradictory, in words.
std::string CheckDemand(const Demand& demand);
std::string CheckCapacity(const Capacity& capacity);

// How many devices `demand` takes where it gets devices at all.
int32_t DeviceCount(const Demand& demand);

// One number for "how much": the largest of cores, memory at 4 GiB a core, and devices at 16 cores
// each. Unit: thousandths of a core. Compares projects; does not decide what fits.
int64_t ShareUnits(int64_t cpu_millis, int64_t memory_bytes, int64_t devices);
int64_t ShareUnits(const Placement& placement);

}  // namespace beamline::scheduler
