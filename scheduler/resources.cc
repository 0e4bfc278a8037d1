#include "scheduler/resources.h"

#include <algorithm>
#include <set>
#include <string_view>

namespace beamline::scheduler {
namespace {

constexpr int64_t kBytesPerCore = int64_t{4} << 30;
constexpr int64_t kCpuMillisPerDevice = 16'000;

bool InRange(int64_t amount) { return amount >= 0 && amount <= kMaxAmount; }

std::string OutOfRange(std::string_view name, int64_t amount) {
  return std::string(name) + " is " + std::to_string(amount) + ": it must be from 0 to 2^50";
}

}  // namespace

std::string CheckDemand(const Demand& demand) {
  if (!InRange(demand.cpu_millis)) return OutOfRange("cpu_millis", demand.cpu_millis);
  if (!InRange(demand.memory_bytes)) return OutOfRange("memory_bytes", demand.memory_bytes);
  if (!InRange(demand.gpu_memory_bytes)) {
    return OutOfRange("gpu_memory_bytes", demand.gpu_memory_bytes);
  }
  if (demand.gpus < 0) return OutOfRange("gpus", demand.gpus);
  if (demand.device == DeviceKind::kCpu && demand.gpus > 0) {
    return "gpus is " + std::to_string(demand.gpus) + " but the device is cpu: ask for cuda or any";
  }
  if (demand.min_workers < 1 || demand.max_workers < demand.min_workers) {
    return "workers are " + std::to_string(demand.min_workers) + " to " +
           std::to_string(demand.max_workers) + ": min must be at least 1, max at least min";
  }
  return "";
}

std::string CheckCapacity(const Capacity& capacity) {
  if (!InRange(capacity.cpu_millis)) return OutOfRange("cpu_millis", capacity.cpu_millis);
  if (!InRange(capacity.memory_bytes)) return OutOfRange("memory_bytes", capacity.memory_bytes);
  std::set<DeviceId> ids;
  for (const Device& device : capacity.devices) {
    if (!InRange(device.memory_bytes)) {
      return OutOfRange("memory_bytes of device " + device.id.value, device.memory_bytes);
    }
    if (device.kind != DeviceKind::kCuda) {
      return "device " + device.id.value + " is not a GPU: cores are given by cpu_millis";
    }
    if (!ids.insert(device.id).second) return "device " + device.id.value + " is listed twice";
  }
  return "";
}

int32_t DeviceCount(const Demand& demand) {
  return demand.device == DeviceKind::kCpu ? 0 : std::max(demand.gpus, 1);
}

int64_t ShareUnits(int64_t cpu_millis, int64_t memory_bytes, int64_t devices) {
  // Whole mebibytes, so that the product of the largest amount still fits.
  const int64_t by_memory = (memory_bytes >> 20) * 1000 / (kBytesPerCore >> 20);
  return std::max({cpu_millis, by_memory, devices * kCpuMillisPerDevice});
}

int64_t ShareUnits(const Placement& placement) {
  return ShareUnits(placement.cpu_millis, placement.memory_bytes,
                    static_cast<int64_t>(placement.devices.size()));
}

}  // namespace beamline::scheduler
