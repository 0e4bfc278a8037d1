#include "scheduler/placement.h"

#include <algorithm>
#include <cassert>
#include <tuple>
#include <utility>

namespace beamline::scheduler {
namespace {

// Whether the worker's slot `i` is named there.
bool Holds(const Placement& placement, const Worker& worker, size_t i) {
  const auto& held = placement.devices;
  return std::find(held.begin(), held.end(), worker.capacity.devices[i].id) != held.end();
}

void Add(std::set<Worker*, Pool::ById>& workers, Worker& worker) { workers.insert(&worker); }
void Take(std::set<Worker*, Pool::ById>& workers, Worker& worker) { workers.erase(&worker); }

}  // namespace

Worker* WorkerTable::Find(const WorkerId& id) const {
  const auto found = workers_.find(id);
  return found == workers_.end() ? nullptr : found->second.get();
}

Worker& WorkerTable::FindOrAdd(const WorkerId& id) {
  std::unique_ptr<Worker>& worker = workers_[id];
  if (worker == nullptr) {
    worker = std::make_unique<Worker>();
    worker->id = id;
    worker->name = PrefixOf(id);
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
    worker.attempts.push_back(&task);
    worker.free_cpu_millis -= placement.cpu_millis;
    worker.free_memory_bytes -= placement.memory_bytes;
    worker.spare_cpu_millis -= placement.cpu_millis;
    worker.spare_memory_bytes -= placement.memory_bytes;
    for (size_t k = 0; k < worker.slots.size() && !placement.devices.empty(); ++k) {
      if (!Holds(placement, worker, k)) continue;
      Slot& slot = worker.slots[k];
      if (slot.open()) --worker.open_devices;
      ++slot.holders;
      slot.holder = &task;
    }
    Reindex(worker);
  }
}

void WorkerTable::Release(Task& task) {
  for (size_t i = 0; i < task.placements.size(); ++i) {
    const Placement& placement = task.placements[i];
    Worker& worker = *task.workers[i];
    *std::find(worker.attempts.begin(), worker.attempts.end(), &task) = worker.attempts.back();
    worker.attempts.pop_back();
    worker.free_cpu_millis += placement.cpu_millis;
    worker.free_memory_bytes += placement.memory_bytes;
    if (task.vacating) {
      worker.vacated_devices -= static_cast<int64_t>(placement.devices.size());
    } else {
      worker.spare_cpu_millis += placement.cpu_millis;
      worker.spare_memory_bytes += placement.memory_bytes;
    }
    bool odd = false;
    for (size_t k = 0; k < worker.slots.size() && !placement.devices.empty(); ++k) {
      Slot& slot = worker.slots[k];
      if (slot.holders == 0 || (slot.holders == 1 && slot.holder != &task)) continue;
      if (slot.holders > 1 && !Holds(placement, worker, k)) continue;
      odd |= --slot.holders > 0;
      slot.holder = nullptr;
      if (slot.open()) ++worker.open_devices;
    }
    if (odd) Recount(worker);
    Reindex(worker);
  }
}

void WorkerTable::Vacate(Task& task) {
  task.vacating = true;
  for (size_t i = 0; i < task.placements.size(); ++i) {
    Worker& worker = *task.workers[i];
    worker.spare_cpu_millis += task.placements[i].cpu_millis;
    worker.spare_memory_bytes += task.placements[i].memory_bytes;
    worker.vacated_devices += static_cast<int64_t>(task.placements[i].devices.size());
    Reindex(worker);
  }
}

Placement WorkerTable::Claim(Task& task, const Seat& seat, const std::vector<size_t>& slots) {
  const Demand& demand = task.spec.demand;
  Worker& worker = *seat.worker;
  Placement placement{
      worker.id, {}, demand.cpu_millis * seat.processes, demand.memory_bytes * seat.processes};
  for (const size_t i : slots) {
    Slot& slot = worker.slots[i];
    if (slot.open()) --worker.open_devices;
    slot.next = &task;
  }
  for (size_t i = 0; i < worker.slots.size(); ++i) {
    if (worker.slots[i].next == &task) {
      placement.devices.push_back(worker.capacity.devices[i].id);
    }
  }
  worker.spare_cpu_millis -= placement.cpu_millis;
  worker.spare_memory_bytes -= placement.memory_bytes;
  worker.reserved.insert(&task);
  Reindex(worker);
  return placement;
}

std::vector<Placement> WorkerTable::Reserve(Task& task, const std::vector<Seat>& seats,
                                            int64_t plan) {
  const Demand& demand = task.spec.demand;
  std::vector<Placement> placements;
  for (const Seat& seat : seats) {
    const Worker& worker = *seat.worker;
    std::vector<std::pair<int64_t, size_t>> found;
    for (size_t i = 0; i < worker.slots.size(); ++i) {
      const Slot& slot = worker.slots[i];
      const bool chosen = plan != 0 && slot.next == nullptr && slot.holders == 1 &&
                          slot.holder->chosen_of_plan == plan;
      if ((slot.spare() || chosen) && slot.memory_bytes >= demand.gpu_memory_bytes) {
        found.push_back({slot.memory_bytes, i});
      }
    }
    std::sort(found.begin(), found.end());
    const auto wanted = static_cast<size_t>(seat.devices_each) * seat.processes;
    assert(found.size() >= wanted);
    std::vector<size_t> slots;
    for (size_t i = 0; i < wanted; ++i) slots.push_back(found[i].second);
    placements.push_back(Claim(task, seat, slots));
  }
  return placements;
}

Placement WorkerTable::Keep(Task& task, Worker& worker) {
  const int32_t devices = LeastDevices(task.spec.demand);
  std::vector<std::tuple<bool, int64_t, size_t>> found;
  for (size_t i = 0; i < worker.slots.size(); ++i) {
    const Slot& slot = worker.slots[i];
    if (slot.next == nullptr && slot.memory_bytes >= task.spec.demand.gpu_memory_bytes) {
      found.push_back({!slot.open(), slot.memory_bytes, i});
    }
  }
  std::sort(found.begin(), found.end());
  assert(found.size() >= static_cast<size_t>(devices));
  std::vector<size_t> slots;
  for (int32_t i = 0; i < devices; ++i) slots.push_back(std::get<2>(found[static_cast<size_t>(i)]));
  return Claim(task, {&worker, 1, devices}, slots);
}

Worker* WorkerTable::FindToKeep(const Demand& demand, Worker* before) const {
  const int32_t devices = LeastDevices(demand);
  const auto may = [&](const Worker& worker) {
    // Besides, as many devices that are nobody's next: others may have a place at `before` too.
    return worker.usable() && HasLabel(worker, demand.pool) &&
           IdleFor(demand, devices, worker, 1) > 0 &&
           std::count_if(worker.slots.begin(), worker.slots.end(), [&](const Slot& slot) {
             return slot.next == nullptr && slot.memory_bytes >= demand.gpu_memory_bytes;
           }) >= devices;
  };
  const auto missing = [&](const Worker& worker) {
    const auto open =
        std::count_if(worker.slots.begin(), worker.slots.end(), [&](const Slot& slot) {
          return slot.open() && slot.memory_bytes >= demand.gpu_memory_bytes;
        });
    return std::make_tuple(std::max<int64_t>(devices - open, 0),
                           std::max<int64_t>(demand.cpu_millis - worker.open_cpu_millis(), 0),
                           std::max<int64_t>(demand.memory_bytes - worker.open_memory_bytes(), 0));
  };
  Worker* best = before != nullptr && may(*before) ? before : nullptr;
  for (const auto& [id, worker] : workers_) {
    if (worker.get() == before || !worker->reserved.empty() || !may(*worker)) continue;
    if (best == nullptr || missing(*worker) < missing(*best)) best = worker.get();
  }
  return best;
}

void WorkerTable::Unreserve(Task& task, const std::vector<Placement>& placements,
                            const std::vector<Worker*>& workers) {
  for (size_t i = 0; i < placements.size(); ++i) {
    Worker& worker = *workers[i];
    worker.reserved.erase(&task);
    worker.spare_cpu_millis += placements[i].cpu_millis;
    worker.spare_memory_bytes += placements[i].memory_bytes;
    for (Slot& slot : worker.slots) {
      if (slot.next != &task) continue;
      slot.next = nullptr;
      if (slot.open()) ++worker.open_devices;
    }
    Reindex(worker);
  }
}

void WorkerTable::RestoreReserved(Task& task, const std::vector<Placement>& placements,
                                  const std::vector<Worker*>& workers) {
  for (size_t i = 0; i < placements.size(); ++i) {
    workers[i]->reserved.insert(&task);
    for (size_t k = 0; k < workers[i]->slots.size(); ++k) {
      if (Holds(placements[i], *workers[i], k)) workers[i]->slots[k].next = &task;
    }
  }
}

void WorkerTable::FinishRestore(int64_t version) {
  for (const auto& [id, worker] : workers_) Update(*worker, [](Worker&) {});
  version_ = version;
}

bool WorkerTable::Ready(const std::vector<Placement>& placements,
                        const std::vector<Worker*>& workers) {
  for (size_t i = 0; i < placements.size(); ++i) {
    const Worker& worker = *workers[i];
    if (!worker.usable() || worker.free_cpu_millis < placements[i].cpu_millis ||
        worker.free_memory_bytes < placements[i].memory_bytes) {
      return false;
    }
    for (size_t k = 0; k < worker.slots.size(); ++k) {
      if (worker.slots[k].holders > 0 && Holds(placements[i], worker, k)) return false;
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

void WorkerTable::Index(Worker& worker) {
  if (!worker.usable()) return;
  worker.pools.push_back(&pools_[""]);
  for (const std::string& label : worker.labels) worker.pools.push_back(&pools_[label]);
  worker.place_idle = worker.place_whole = false;
  worker.place_devices = -1;
  Reindex(worker);
}

void WorkerTable::Unindex(Worker& worker) {
  for (Pool* pool : worker.pools) {
    pool->open[static_cast<size_t>(worker.place_devices)].Erase(worker.place_key);
    pool->idle.erase(&worker);
    pool->whole.erase(&worker);
  }
  worker.pools.clear();
}

void WorkerTable::Reindex(Worker& worker) {
  const OpenKey key{worker.open_cpu_millis(), worker.open_memory_bytes(), worker.name, &worker};
  const auto devices = static_cast<size_t>(worker.open_devices);
  const bool moves = worker.place_devices != worker.open_devices || key < worker.place_key ||
                     worker.place_key < key;
  const bool idle = worker.idle();
  const bool whole = worker.all_devices_open();
  for (Pool* pool : worker.pools) {
    if (moves) {
      if (worker.place_devices >= 0) {
        pool->open[static_cast<size_t>(worker.place_devices)].Erase(worker.place_key);
      }
      if (pool->open.size() <= devices) pool->open.resize(devices + 1);
      pool->open[devices].Insert(key);
    }
    if (idle != worker.place_idle) idle ? Add(pool->idle, worker) : Take(pool->idle, worker);
    if (whole != worker.place_whole) whole ? Add(pool->whole, worker) : Take(pool->whole, worker);
  }
  worker.place_key = key;
  worker.place_devices = worker.open_devices;
  worker.place_idle = idle;
  worker.place_whole = whole;
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
  worker.vacated_devices = 0;
  worker.slots.resize(worker.capacity.devices.size());
  for (size_t i = 0; i < worker.slots.size(); ++i) {
    worker.slots[i] = {worker.capacity.devices[i].memory_bytes, 0, nullptr, worker.slots[i].next};
  }
  for (Task* task : worker.attempts) {
    for (const Placement& placement : task->placements) {
      if (placement.worker != worker.id) continue;
      worker.free_cpu_millis -= placement.cpu_millis;
      worker.free_memory_bytes -= placement.memory_bytes;
      if (task->vacating) {
        worker.vacated_devices += static_cast<int64_t>(placement.devices.size());
      } else {
        worker.spare_cpu_millis -= placement.cpu_millis;
        worker.spare_memory_bytes -= placement.memory_bytes;
      }
      for (size_t k = 0; k < worker.slots.size(); ++k) {
        if (!Holds(placement, worker, k)) continue;
        ++worker.slots[k].holders;
        worker.slots[k].holder = task;
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
