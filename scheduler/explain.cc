// Why a task does not fit, in words.
#include <algorithm>
#include <string>

#include "scheduler/placement.h"

namespace beamline::scheduler {
namespace {

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
  return std::count_if(worker.slots.begin(), worker.slots.end(),
                       [&](const Slot& slot) { return slot.memory_bytes >= least_memory_bytes; });
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
  if (demand.cpu_millis > cpu_millis) {
    return "needs " + Cores(demand.cpu_millis) + " on one worker but " + where + " has " +
           Cores(cpu_millis);
  }
  if (demand.memory_bytes > memory_bytes) {
    return "needs " + Mebibytes(demand.memory_bytes) + " of memory on one worker but " + where +
           " has " + Mebibytes(memory_bytes);
  }
  if (const int32_t least = LeastDevices(demand); least > devices) {
    return "needs " + Devices(least, demand.gpu_memory_bytes) + " on one worker but " + where +
           " has " + std::to_string(devices);
  }
  if (demand.min_workers > 1) {
    return "needs " + std::to_string(demand.min_workers) + " places at once but " +
           (demand.pool.empty() ? "all workers" : "all workers of pool " + demand.pool) +
           " together have fewer";
  }
  return "no single worker has all of " + Cores(demand.cpu_millis) + ", " +
         Mebibytes(demand.memory_bytes) + " and " +
         Devices(LeastDevices(demand), demand.gpu_memory_bytes);
}

}  // namespace

PendingReason WorkerTable::Explain(const Demand& demand) const {
  if (!Placeable(demand)) {
    return {PendingCode::kGangsUnsupported,
            "asks for at least " + std::to_string(demand.min_workers) +
                " workers at once, which this server does not start",
            "set workers.min to 1"};
  }
  bool connected = false;
  bool usable = false;
  int64_t missing = demand.min_workers;
  std::vector<const Worker*> workers;
  for (const auto& [id, worker] : workers_) {
    connected |= worker->registered && worker->connected;
    usable |= worker->usable();
    if (!worker->usable() || !HasLabel(*worker, demand.pool)) continue;
    workers.push_back(worker.get());
    missing -= IdleFor(demand, LeastDevices(demand), *worker, demand.min_workers);
  }
  if (!connected) return {PendingCode::kNoWorkers, "no worker is connected", "start one"};
  if (!usable) {
    return {PendingCode::kAllWorkersDraining, "every connected worker is draining",
            "start another"};
  }
  if (workers.empty()) {
    return {PendingCode::kNoWorkerInPool, "no usable worker is in pool " + demand.pool,
            "start one there, or ask for another pool"};
  }
  if (missing > 0) {
    return {PendingCode::kTooLarge, ExplainTooLarge(demand, workers),
            demand.min_workers > 1 ? "ask for fewer, or add workers"
                                   : "ask for less, or add a larger worker"};
  }
  if (demand.min_workers > 1) {
    return {PendingCode::kWaitingForCapacity,
            "the workers are large enough together, but busy: starts when " +
                std::to_string(demand.min_workers) + " places are free on whole workers",
            ""};
  }
  const int64_t large_enough = std::count_if(
      workers.begin(), workers.end(),
      [&](const Worker* worker) { return IdleFor(demand, LeastDevices(demand), *worker, 1) > 0; });
  return {PendingCode::kWaitingForCapacity,
          std::to_string(large_enough) + (large_enough == 1 ? " worker is" : " workers are") +
              " large enough, but busy: starts when enough is free",
          ""};
}

}  // namespace beamline::scheduler
