// The search for seats among the workers of WorkerTable.
#include <algorithm>
#include <tuple>
#include <utility>

#include "scheduler/placement.h"

namespace beamline::scheduler {
namespace {

bool IsTaken(const Worker* worker, const std::vector<Seat>& taken) {
  return std::any_of(taken.begin(), taken.end(),
                     [worker](const Seat& seat) { return seat.worker == worker; });
}

// The smallest devices that are open and large enough, then in the worker's order.
std::vector<DeviceId> ChooseDevices(const Demand& demand, const Worker& worker, size_t devices) {
  std::vector<DeviceId> ids;
  if (devices == 0) return ids;
  std::vector<std::pair<int64_t, size_t>> found;
  for (size_t i = 0; i < worker.slots.size(); ++i) {
    const Slot& slot = worker.slots[i];
    if (slot.open() && slot.memory_bytes >= demand.gpu_memory_bytes) {
      found.push_back({slot.memory_bytes, i});
    }
  }
  std::sort(found.begin(), found.end());
  found.resize(devices);
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; });
  ids.reserve(devices);
  for (const auto& [memory_bytes, i] : found) ids.push_back(worker.capacity.devices[i].id);
  return ids;
}

// Workers that are alike and of which data decides.
constexpr int32_t kMostAlike = 64;

bool AlikeOpen(const Worker& a, const Worker& b) {
  return a.open_cpu_millis() == b.open_cpu_millis() &&
         a.open_memory_bytes() == b.open_memory_bytes();
}

int64_t CountHeld(const Worker& worker, const std::vector<DataId>& data) {
  return std::count_if(data.begin(), data.end(),
                       [&](const DataId& id) { return worker.data.contains(id); });
}

}  // namespace

Worker* WorkerTable::FindWorker(const Demand& demand, int32_t devices, int32_t processes,
                                const std::vector<Seat>& taken,
                                const std::vector<DataId>& data) const {
  const auto pool = pools_.find(demand.pool);
  if (pool == pools_.end()) return nullptr;
  const Amounts least = ProcessAmounts(demand, devices) * processes;
  const OpenKey first{least.cpu_millis(), least.memory_bytes(), 0, nullptr};
  const auto fits = [&](Worker* worker) {
    return OpenFor(demand, devices, *worker, processes) >= processes && !IsTaken(worker, taken);
  };
  const auto& open = pool->second.open;
  for (auto open_devices = static_cast<size_t>(least.devices()); open_devices < open.size();
       ++open_devices) {
    const SortedKeys<OpenKey>& workers = open[open_devices];
    for (auto it = workers.LowerBound(first); it != workers.end(); ++it) {
      if (!fits(it->worker)) continue;
      Worker* best = it->worker;
      int32_t looked_at = data.empty() ? kMostAlike : 1;
      for (++it; it != workers.end() && AlikeOpen(*it->worker, *best) && looked_at < kMostAlike;
           ++it) {
        ++looked_at;
        if (fits(it->worker) && CountHeld(*it->worker, data) > CountHeld(*best, data)) {
          best = it->worker;
        }
      }
      return best;
    }
  }
  return nullptr;
}

std::vector<Seat> WorkerTable::FindSeats(const Demand& demand, int32_t devices,
                                         const std::vector<DataId>& data) const {
  const int32_t processes = demand.min_workers;
  if (Worker* worker = FindWorker(demand, devices, processes, {}, data)) {
    return {Seat{worker, processes, devices}};
  }
  const auto pool = pools_.find(demand.pool);
  if (processes == 1 || pool == pools_.end()) return {};
  // Whole workers, those that hold most first.
  const auto& candidates = devices > 0 ? pool->second.whole : pool->second.idle;
  std::vector<Seat> whole;
  for (Worker* worker : candidates) {
    const int32_t holds = OpenFor(demand, devices, *worker, processes);
    if (holds > 0) whole.push_back({worker, holds, devices});
  }
  std::stable_sort(whole.begin(), whole.end(),
                   [](const Seat& a, const Seat& b) { return a.processes > b.processes; });
  std::vector<Seat> seats;
  int32_t missing = processes;
  for (const Seat& seat : whole) {
    if (seat.processes > missing) continue;
    seats.push_back(seat);
    missing -= seat.processes;
    if (missing == 0) return seats;
  }
  if (seats.empty()) return {};
  Worker* rest = FindWorker(demand, devices, missing, seats, data);
  if (rest == nullptr) return {};
  seats.push_back({rest, missing, devices});
  return seats;
}

std::vector<Seat> WorkerTable::FindSeats(const Demand& demand,
                                         const std::vector<DataId>& data) const {
  if (!Placeable(demand)) return {};
  std::vector<Seat> seats = FindSeats(demand, DeviceCount(demand), data);
  if (seats.empty() && demand.device == DeviceKind::kAny) seats = FindSeats(demand, 0, data);
  return seats;
}

Placement WorkerTable::PlacementAt(const Demand& demand, const Seat& seat) {
  return {
      seat.worker->id,
      ChooseDevices(demand, *seat.worker, static_cast<size_t>(seat.devices_each) * seat.processes),
      demand.cpu_millis * seat.processes, demand.memory_bytes * seat.processes};
}

bool WorkerTable::MayHelp(const Demand& demand, const Worker& worker) const {
  return Placeable(demand) && worker.usable() && HasLabel(worker, demand.pool) &&
         OpenFor(demand, LeastDevices(demand), worker, 1) > 0;
}

bool WorkerTable::Feasible(const Demand& demand) const {
  if (!Placeable(demand)) return false;
  int64_t missing = demand.min_workers;
  for (const auto& [id, worker] : workers_) {
    if (!worker->usable() || !HasLabel(*worker, demand.pool)) continue;
    missing -= IdleFor(demand, LeastDevices(demand), *worker, demand.min_workers);
    if (missing <= 0) return true;
  }
  return false;
}

}  // namespace beamline::scheduler
