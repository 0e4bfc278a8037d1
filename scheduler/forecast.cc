// When a waiting task would fit, if what runs ended as foretold.
#include <algorithm>

#include "scheduler/core.h"

namespace beamline::scheduler {
namespace {

// What is free on a worker as its attempts end one after the other.
class Room {
 public:
  Room(const Worker& worker, const Demand& demand)
      : demand_(demand),
        cpu_millis_(worker.free_cpu_millis),
        memory_bytes_(worker.free_memory_bytes) {
    for (const Slot& slot : worker.slots) {
      if (slot.holders == 0 && IsLarge(slot.memory_bytes)) ++devices_;
    }
  }

  void Add(const Worker& worker, const Placement& placement) {
    cpu_millis_ += placement.cpu_millis;
    memory_bytes_ += placement.memory_bytes;
    for (const Device& device : worker.capacity.devices) {
      const bool held = std::find(placement.devices.begin(), placement.devices.end(), device.id) !=
                        placement.devices.end();
      if (held && IsLarge(device.memory_bytes)) ++devices_;
    }
  }

  bool Fits() const {
    return demand_.cpu_millis <= cpu_millis_ && demand_.memory_bytes <= memory_bytes_ &&
           LeastDevices(demand_) <= devices_;
  }

 private:
  bool IsLarge(int64_t memory_bytes) const { return memory_bytes >= demand_.gpu_memory_bytes; }

  const Demand& demand_;
  int64_t cpu_millis_ = 0;
  int64_t memory_bytes_ = 0;
  int64_t devices_ = 0;
};

// nullopt: never, as far as is known.
std::optional<int64_t> FitsAt(const Worker& worker, const Demand& demand, int64_t now_ms,
                              const std::map<TaskId, int64_t>& ends_ms) {
  Room room(worker, demand);
  if (room.Fits()) return now_ms;
  std::vector<std::pair<int64_t, const Task*>> order;
  for (const Task* task : worker.attempts) {
    const auto end = ends_ms.find(task->spec.task);
    if (end != ends_ms.end()) order.emplace_back(std::max(end->second, now_ms), task);
  }
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : ByTaskId()(a.second, b.second);
  });
  for (const auto& [end_ms, task] : order) {
    for (const Placement& placement : task->placements) {
      if (placement.worker == worker.id) room.Add(worker, placement);
    }
    if (room.Fits()) return end_ms;
  }
  return std::nullopt;
}

}  // namespace

std::optional<int64_t> Scheduler::Core::EarliestFit(
    const TaskId& id, const std::map<TaskId, int64_t>& ends_ms) const {
  const Task* task = Find(id);
  if (task == nullptr || task->live() || task->spec.demand.min_workers > 1) return std::nullopt;
  const Demand& demand = task->spec.demand;
  std::optional<int64_t> earliest_ms;
  for (const auto& [worker_id, worker] : workers_.all()) {
    if (!worker->usable() || !HasLabel(*worker, demand.pool)) continue;
    if (IdleFor(demand, LeastDevices(demand), *worker, 1) == 0) continue;
    const std::optional<int64_t> fits_ms = FitsAt(*worker, demand, now_ms_, ends_ms);
    if (fits_ms.has_value() && (!earliest_ms.has_value() || *fits_ms < *earliest_ms)) {
      earliest_ms = fits_ms;
    }
  }
  return earliest_ms;
}

}  // namespace beamline::scheduler
