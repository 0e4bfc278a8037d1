#include "scheduler/placement.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace beamline::scheduler {
namespace {

bool HasLabel(const Worker& worker, const std::string& pool) {
  return pool.empty() ||
         std::find(worker.labels.begin(), worker.labels.end(), pool) != worker.labels.end();
}

// Whether `devices` devices of enough memory are there; held ones count if `idle`.
bool HasDevices(const Demand& demand, const Worker& worker, int32_t devices, bool idle) {
  for (const Slot& slot : worker.slots) {
    if (devices <= 0) break;
    if ((idle || slot.holders == 0) && slot.device.memory_bytes >= demand.gpu_memory_bytes) {
      --devices;
    }
  }
  return devices <= 0;
}

bool FitsFree(const Demand& demand, const Worker& worker, int32_t devices) {
  return demand.cpu_millis <= worker.free_cpu_millis &&
         demand.memory_bytes <= worker.free_memory_bytes &&
         HasDevices(demand, worker, devices, /*idle=*/false);
}

// The devices that a demand needs at the least.
int32_t LeastDevices(const Demand& demand) {
  return demand.device == DeviceKind::kAny ? 0 : DeviceCount(demand);
}

bool Placeable(const Demand& demand) { return demand.min_workers == 1; }

// The smallest devices that are free and large enough, then in the worker's order.
std::vector<DeviceId> ChooseDevices(const Demand& demand, const Worker& worker, int32_t devices) {
  std::vector<std::pair<int64_t, size_t>> found;
  for (size_t i = 0; i < worker.slots.size(); ++i) {
    const Slot& slot = worker.slots[i];
    if (slot.holders == 0 && slot.device.memory_bytes >= demand.gpu_memory_bytes) {
      found.push_back({slot.device.memory_bytes, i});
    }
  }
  std::sort(found.begin(), found.end());
  found.resize(static_cast<size_t>(devices));
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; });
  std::vector<DeviceId> ids;
  for (const auto& [memory_bytes, i] : found) ids.push_back(worker.slots[i].device.id);
  return ids;
}

std::string Cores(int64_t cpu_millis) {
  std::string text = std::to_string(cpu_millis / 1000);
  if (const int64_t rest = cpu_millis % 1000; rest != 0) {
    std::string digits = std::to_string(1000 + rest).substr(1);
    digits.erase(digits.find_last_not_of('0') + 1);
    text += "." + digits;
  }
  return text + (cpu_millis == 1000 ? " core" : " cores");
}

std::string Mebibytes(int64_t bytes) {
  return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB";
}

std::string Devices(int64_t devices, int64_t memory_bytes) {
  std::string text = std::to_string(devices) + (devices == 1 ? " GPU" : " GPUs");
  if (memory_bytes > 0) text += " of at least " + Mebibytes(memory_bytes);
  return text;
}

int64_t CountDevices(const Worker& worker, int64_t least_memory_bytes) {
  return std::count_if(worker.slots.begin(), worker.slots.end(), [&](const Slot& slot) {
    return slot.device.memory_bytes >= least_memory_bytes;
  });
}

// What the largest of `workers` lacks, by dimension; if each dimension is there, but never together
// on one worker, that.
std::string ExplainTooLarge(const Demand& demand, const std::vector<const Worker*>& workers) {
  int64_t cpu_millis = 0;
  int64_t memory_bytes = 0;
  int64_t devices = 0;
  for (const Worker* worker : workers) {
    cpu_millis = std::max(cpu_millis, worker->capacity.cpu_millis);
    memory_bytes = std::max(memory_bytes, worker->capacity.memory_bytes);
    devices = std::max(devices, CountDevices(*worker, demand.gpu_memory_bytes));
  }
  const std::string where =
      demand.pool.empty() ? "the largest worker" : "the largest worker of pool " + demand.pool;
  const std::string advice = ": ask for less, or add a larger worker";
  if (demand.cpu_millis > cpu_millis) {
    return "needs " + Cores(demand.cpu_millis) + " on one worker but " + where + " has " +
           Cores(cpu_millis) + advice;
  }
  if (demand.memory_bytes > memory_bytes) {
    return "needs " + Mebibytes(demand.memory_bytes) + " of memory on one worker but " + where +
           " has " + Mebibytes(memory_bytes) + advice;
  }
  if (const int32_t least = LeastDevices(demand); least > devices) {
    return "needs " + Devices(least, demand.gpu_memory_bytes) + " on one worker but " + where +
           " has " + std::to_string(devices) + advice;
  }
  return "no single worker has all of " + Cores(demand.cpu_millis) + ", " +
         Mebibytes(demand.memory_bytes) + " and " +
         Devices(LeastDevices(demand), demand.gpu_memory_bytes) + advice;
}

}  // namespace

bool FitsFree(const Demand& demand, const Worker& worker) {
  return Placeable(demand) && HasLabel(worker, demand.pool) &&
         FitsFree(demand, worker, LeastDevices(demand));
}

bool FitsIdle(const Demand& demand, const Worker& worker) {
  return Placeable(demand) && HasLabel(worker, demand.pool) &&
         demand.cpu_millis <= worker.capacity.cpu_millis &&
         demand.memory_bytes <= worker.capacity.memory_bytes &&
         HasDevices(demand, worker, LeastDevices(demand), /*idle=*/true);
}

bool WorkerTable::ByFree::operator()(const Worker* a, const Worker* b) const {
  return std::tie(a->free_cpu_millis, a->free_memory_bytes, a->id) <
         std::tie(b->free_cpu_millis, b->free_memory_bytes, b->id);
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
  Unindex(*found->second);
  workers_.erase(found);
  ++version_;
}

void WorkerTable::Book(Worker& worker, Task& task) {
  Unindex(worker);
  worker.attempts.insert(&task);
  Recount(worker);
  Index(worker);
}

void WorkerTable::Release(Worker& worker, Task& task) {
  Unindex(worker);
  worker.attempts.erase(&task);
  Recount(worker);
  Index(worker);
}

void WorkerTable::Index(Worker& worker) {
  if (!worker.usable()) return;
  pools_[""][worker.free_devices].insert(&worker);
  for (const std::string& label : worker.labels) {
    pools_[label][worker.free_devices].insert(&worker);
  }
}

void WorkerTable::Unindex(Worker& worker) {
  const auto remove = [&](const std::string& label) {
    const auto pool = pools_.find(label);
    if (pool == pools_.end()) return;
    const auto bucket = pool->second.find(worker.free_devices);
    if (bucket == pool->second.end()) return;
    bucket->second.erase(&worker);
    if (bucket->second.empty()) pool->second.erase(bucket);
    if (pool->second.empty()) pools_.erase(pool);
  };
  if (!worker.usable()) return;
  remove("");
  for (const std::string& label : worker.labels) remove(label);
}

void WorkerTable::Recount(Worker& worker) {
  worker.free_cpu_millis = worker.capacity.cpu_millis;
  worker.free_memory_bytes = worker.capacity.memory_bytes;
  worker.slots.resize(worker.capacity.devices.size());
  for (size_t i = 0; i < worker.slots.size(); ++i) {
    worker.slots[i] = {worker.capacity.devices[i], 0};
  }
  for (const Task* task : worker.attempts) {
    for (const Placement& placement : task->placements) {
      if (placement.worker != worker.id) continue;
      worker.free_cpu_millis -= placement.cpu_millis;
      worker.free_memory_bytes -= placement.memory_bytes;
      for (Slot& slot : worker.slots) {
        const auto& held = placement.devices;
        slot.holders += std::find(held.begin(), held.end(), slot.device.id) != held.end() ? 1 : 0;
      }
    }
  }
  worker.free_devices =
      static_cast<int32_t>(std::count_if(worker.slots.begin(), worker.slots.end(),
                                         [](const Slot& slot) { return slot.holders == 0; }));
}

const Worker* WorkerTable::FindWorker(const Demand& demand, int32_t devices) const {
  const auto pool = pools_.find(demand.pool);
  if (pool == pools_.end()) return nullptr;
  Worker least;
  least.free_cpu_millis = demand.cpu_millis;
  least.free_memory_bytes = demand.memory_bytes;
  for (auto bucket = pool->second.lower_bound(devices); bucket != pool->second.end(); ++bucket) {
    const auto& workers = bucket->second;
    for (auto it = workers.lower_bound(&least); it != workers.end(); ++it) {
      if (FitsFree(demand, **it, devices)) return *it;
    }
  }
  return nullptr;
}

std::optional<Placement> WorkerTable::FindPlace(const Demand& demand) const {
  if (!Placeable(demand)) return std::nullopt;
  int32_t devices = DeviceCount(demand);
  const Worker* worker = FindWorker(demand, devices);
  if (worker == nullptr && demand.device == DeviceKind::kAny) {
    devices = 0;
    worker = FindWorker(demand, devices);
  }
  if (worker == nullptr) return std::nullopt;
  return Placement{worker->id, ChooseDevices(demand, *worker, devices), demand.cpu_millis,
                   demand.memory_bytes};
}

bool WorkerTable::Feasible(const Demand& demand) const {
  const auto pool = pools_.find(demand.pool);
  if (pool == pools_.end()) return false;
  for (const auto& [free_devices, workers] : pool->second) {
    for (const Worker* worker : workers) {
      if (FitsIdle(demand, *worker)) return true;
    }
  }
  return false;
}

PendingReason WorkerTable::Explain(const Demand& demand) const {
  if (!Placeable(demand)) {
    return {PendingCode::kGangsUnsupported,
            "asks for at least " + std::to_string(demand.min_workers) +
                " workers at once, which this version does not start: set workers.min to 1"};
  }
  bool connected = false;
  bool usable = false;
  bool fits = false;
  std::vector<const Worker*> workers;
  for (const auto& [id, worker] : workers_) {
    connected |= worker->registered && worker->connected;
    usable |= worker->usable();
    if (!worker->usable() || !HasLabel(*worker, demand.pool)) continue;
    workers.push_back(worker.get());
    fits |= FitsIdle(demand, *worker);
  }
  if (!connected) return {PendingCode::kNoWorkers, "no worker is connected: start one"};
  if (!usable) {
    return {PendingCode::kAllWorkersDraining, "every connected worker is draining: start another"};
  }
  if (workers.empty()) {
    return {PendingCode::kNoWorkerInPool, "no usable worker has the label " + demand.pool +
                                              ": give it to one, or ask for another pool"};
  }
  if (!fits) return {PendingCode::kTooLarge, ExplainTooLarge(demand, workers)};
  const int64_t large_enough =
      std::count_if(workers.begin(), workers.end(),
                    [&](const Worker* worker) { return FitsIdle(demand, *worker); });
  return {PendingCode::kWaitingForCapacity,
          std::to_string(large_enough) + (large_enough == 1 ? " worker is" : " workers are") +
              " large enough, but busy: starts when enough is free"};
}

}  // namespace beamline::scheduler
