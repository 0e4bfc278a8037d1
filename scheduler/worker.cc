#include "scheduler/worker.h"

#include <algorithm>

namespace beamline::scheduler {
namespace {

int32_t ByCoresAndMemory(const Demand& demand, int64_t cpu_millis, int64_t memory_bytes,
                         int32_t most) {
  // Shrunk below what is held.
  if (cpu_millis < 0 || memory_bytes < 0) return 0;
  int64_t count = most;
  if (demand.cpu_millis > 0) count = std::min(count, cpu_millis / demand.cpu_millis);
  if (demand.memory_bytes > 0) count = std::min(count, memory_bytes / demand.memory_bytes);
  return static_cast<int32_t>(count);
}

}  // namespace

bool HasLabel(const Worker& worker, const std::string& pool) {
  return pool.empty() ||
         std::find(worker.labels.begin(), worker.labels.end(), pool) != worker.labels.end();
}

int32_t LeastDevices(const Demand& demand) {
  return demand.device == DeviceKind::kAny ? 0 : DeviceCount(demand);
}

int32_t OpenFor(const Demand& demand, int32_t devices, const Worker& worker, int32_t most) {
  int32_t count =
      ByCoresAndMemory(demand, worker.open_cpu_millis(), worker.open_memory_bytes(), most);
  if (devices == 0 || count == 0) return count;
  int32_t found = worker.open_devices;
  if (demand.gpu_memory_bytes > 0) {
    found = static_cast<int32_t>(
        std::count_if(worker.slots.begin(), worker.slots.end(), [&](const Slot& slot) {
          return slot.open() && slot.memory_bytes >= demand.gpu_memory_bytes;
        }));
  }
  return std::min(count, found / devices);
}

int32_t IdleFor(const Demand& demand, int32_t devices, const Worker& worker, int32_t most) {
  const int32_t count =
      ByCoresAndMemory(demand, worker.capacity.cpu_millis, worker.capacity.memory_bytes, most);
  if (devices == 0 || count == 0) return count;
  const auto found = std::count_if(worker.slots.begin(), worker.slots.end(), [&](const Slot& slot) {
    return slot.memory_bytes >= demand.gpu_memory_bytes;
  });
  return std::min(count, static_cast<int32_t>(found) / devices);
}

}  // namespace beamline::scheduler
