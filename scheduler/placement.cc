#include "scheduler/placement.h"

#include <algorithm>
#include <cassert>
#include <tuple>
#include <utility>

namespace beamline::scheduler {
namespace {

bool Holds(const Placement& placement, const Slot& slot) {
  const auto& held = placement.devices;
  return std::find(held.begin(), held.end(), slot.device.id) != held.end();
}

}  // namespace

bool WorkerTable::ByOpen::operator()(const Worker* a, const Worker* b) const {
  const int64_t a_cpu = a->open_cpu_millis();
  const int64_t b_cpu = b->open_cpu_millis();
  if (a_cpu != b_cpu) return a_cpu < b_cpu;
  const int64_t a_memory = a->open_memory_bytes();
  const int64_t b_memory = b->open_memory_bytes();
  return a_memory != b_memory ? a_memory < b_memory : a->id < b->id;
}

Worker* WorkerTable::Find(const WorkerId& id) const {
  const auto found = workers_.find(id);
  return found == workers_.end() ? nullptr : found->second.get();
}

Worker& WorkerTable::FindOrAdd(const WorkerId& id) {
  std::unique_ptr<Worker>& worker = workers_[id];
  if (worker == nullptr) {
    worker = std::make_unique<Worker>();
    worker->id = id;
  }
  return *worker;
}

void WorkerTable::Erase(const WorkerId& id) {
  const auto found = workers_.find(id);
  if (found == workers_.end()) return;
  assert(found->second->idle());
  Unindex(*found->second);
  if (found->second->usable()) total_ = total_ - CapacityAmounts(found->second->capacity);
  workers_.erase(found);
  ++version_;
}

void WorkerTable::Book(Task& task) {
  for (size_t i = 0; i < task.placements.size(); ++i) {
    const Placement& placement = task.placements[i];
    Worker& worker = *task.workers[i];
    Unindex(worker);
    worker.attempts.insert(&task);
    worker.free_cpu_millis -= placement.cpu_millis;
    worker.free_memory_bytes -= placement.memory_bytes;
    worker.spare_cpu_millis -= placement.cpu_millis;
    worker.spare_memory_bytes -= placement.memory_bytes;
    for (Slot& slot : worker.slots) {
      if (placement.devices.empty()) break;
      if (!Holds(placement, slot)) continue;
      if (slot.open()) --worker.open_devices;
      ++slot.holders;
      slot.holder = &task;
    }
    Index(worker);
  }
}

void WorkerTable::Release(Task& task) {
  for (size_t i = 0; i < task.placements.size(); ++i) {
    const Placement& placement = task.placements[i];
    Worker& worker = *task.workers[i];
    Unindex(worker);
    worker.attempts.erase(&task);
    worker.free_cpu_millis += placement.cpu_millis;
    worker.free_memory_bytes += placement.memory_bytes;
    if (!task.vacating) {
      worker.spare_cpu_millis += placement.cpu_millis;
      worker.spare_memory_bytes += placement.memory_bytes;
    }
    bool odd = false;
    for (Slot& slot : worker.slots) {
      if (placement.devices.empty()) break;
      if (!Holds(placement, slot)) continue;
      odd |= --slot.holders > 0;
      slot.holder = nullptr;
      if (slot.open()) ++worker.open_devices;
    }
    if (odd) Recount(worker);
    Index(worker);
  }
}

void WorkerTable::Vacate(Task& task) {
  task.vacating = true;
  for (size_t i = 0; i < task.placements.size(); ++i) {
    Worker& worker = *task.workers[i];
    Unindex(worker);
    worker.spare_cpu_millis += task.placements[i].cpu_millis;
    worker.spare_memory_bytes += task.placements[i].memory_bytes;
    Index(worker);
  }
}

std::vector<Placement> WorkerTable::Reserve(Task& task, const std::vector<Seat>& seats,
                                            int64_t plan) {
  const Demand& demand = task.spec.demand;
  std::vector<Placement> placements;
  for (const Seat& seat : seats) {
    Worker& worker = *seat.worker;
    Placement placement{
        worker.id, {}, demand.cpu_millis * seat.processes, demand.memory_bytes * seat.processes};
    std::vector<std::pair<int64_t, size_t>> found;
    for (size_t i = 0; i < worker.slots.size(); ++i) {
      const Slot& slot = worker.slots[i];
      const bool chosen = plan != 0 && slot.next == nullptr && slot.holders == 1 &&
                          slot.holder->chosen_of_plan == plan;
      if ((slot.spare() || chosen) && slot.device.memory_bytes >= demand.gpu_memory_bytes) {
        found.push_back({slot.device.memory_bytes, i});
      }
    }
    std::sort(found.begin(), found.end());
    const auto wanted = static_cast<size_t>(seat.devices_each) * seat.processes;
    assert(found.size() >= wanted);
    found.resize(wanted);
    Unindex(worker);
    for (const auto& [memory_bytes, i] : found) {
      Slot& slot = worker.slots[i];
      if (slot.open()) --worker.open_devices;
      slot.next = &task;
    }
    for (const Slot& slot : worker.slots) {
      if (slot.next == &task) placement.devices.push_back(slot.device.id);
    }
    worker.spare_cpu_millis -= placement.cpu_millis;
    worker.spare_memory_bytes -= placement.memory_bytes;
    worker.reserved.insert(&task);
    Index(worker);
    placements.push_back(std::move(placement));
  }
  return placements;
}

void WorkerTable::Unreserve(Task& task, const std::vector<Placement>& placements,
                            const std::vector<Worker*>& workers) {
  for (size_t i = 0; i < placements.size(); ++i) {
    Worker& worker = *workers[i];
    Unindex(worker);
    worker.reserved.erase(&task);
    worker.spare_cpu_millis += placements[i].cpu_millis;
    worker.spare_memory_bytes += placements[i].memory_bytes;
    for (Slot& slot : worker.slots) {
      if (slot.next != &task) continue;
      slot.next = nullptr;
      if (slot.open()) ++worker.open_devices;
    }
    Index(worker);
  }
}

bool WorkerTable::Ready(const std::vector<Placement>& placements,
                        const std::vector<Worker*>& workers) {
  for (size_t i = 0; i < placements.size(); ++i) {
    const Worker& worker = *workers[i];
    if (!worker.usable() || worker.free_cpu_millis < placements[i].cpu_millis ||
        worker.free_memory_bytes < placements[i].memory_bytes) {
      return false;
    }
    for (const Slot& slot : worker.slots) {
      if (slot.holders > 0 && Holds(placements[i], slot)) return false;
    }
  }
  return true;
}

std::vector<Worker*> WorkerTable::WorkersOf(const std::vector<Placement>& placements) {
  std::vector<Worker*> workers;
  workers.reserve(placements.size());
  for (const Placement& placement : placements) workers.push_back(&FindOrAdd(placement.worker));
  return workers;
}

void WorkerTable::Reindex(Worker& worker, bool add) {
  if (!worker.usable()) return;
  Reindex(worker, "", add);
  for (const std::string& label : worker.labels) Reindex(worker, label, add);
}

void WorkerTable::Reindex(Worker& worker, const std::string& label, bool add) {
  Pool& pool = pools_[label];
  std::set<Worker*, ByOpen>& bucket = pool.open[worker.open_devices];
  if (add) {
    bucket.insert(&worker);
    if (worker.idle()) pool.idle.insert(&worker);
    if (worker.all_devices_open()) pool.whole.insert(&worker);
    return;
  }
  bucket.erase(&worker);
  if (worker.idle()) pool.idle.erase(&worker);
  if (worker.all_devices_open()) pool.whole.erase(&worker);
}

void WorkerTable::CountOpen(Worker& worker) {
  worker.open_devices = static_cast<int32_t>(std::count_if(
      worker.slots.begin(), worker.slots.end(), [](const Slot& slot) { return slot.open(); }));
}

void WorkerTable::Recount(Worker& worker) {
  worker.free_cpu_millis = worker.capacity.cpu_millis;
  worker.free_memory_bytes = worker.capacity.memory_bytes;
  worker.spare_cpu_millis = worker.capacity.cpu_millis;
  worker.spare_memory_bytes = worker.capacity.memory_bytes;
  worker.slots.resize(worker.capacity.devices.size());
  for (size_t i = 0; i < worker.slots.size(); ++i) {
    worker.slots[i] = {worker.capacity.devices[i], 0, nullptr, worker.slots[i].next};
  }
  for (Task* task : worker.attempts) {
    for (const Placement& placement : task->placements) {
      if (placement.worker != worker.id) continue;
      worker.free_cpu_millis -= placement.cpu_millis;
      worker.free_memory_bytes -= placement.memory_bytes;
      if (!task->vacating) {
        worker.spare_cpu_millis -= placement.cpu_millis;
        worker.spare_memory_bytes -= placement.memory_bytes;
      }
      for (Slot& slot : worker.slots) {
        if (!Holds(placement, slot)) continue;
        ++slot.holders;
        slot.holder = task;
      }
    }
  }
  for (const Task* task : worker.reserved) {
    const auto& placements =
        task->state == TaskState::kReserved ? task->placements : task->next_placements;
    for (const Placement& placement : placements) {
      if (placement.worker != worker.id) continue;
      worker.spare_cpu_millis -= placement.cpu_millis;
      worker.spare_memory_bytes -= placement.memory_bytes;
    }
  }
  CountOpen(worker);
}

}  // namespace beamline::scheduler
