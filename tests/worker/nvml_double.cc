// A libnvidia-ml of a machine with three GPUs: a whole one, one in slices, and one that has fallen
// off the bus. With BEAMLINE_NVML_DOUBLE=no-driver, one without a driver. Its functions have the
// names and types of the real one's.
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "worker/nvml.h"

namespace beamline::worker {

// A GPU or a slice.
struct NvmlDeviceHandle {
  const char* name;
  const char* uuid;
  unsigned long long memory_bytes;
  bool sliced = false;
  bool slice = false;
};

namespace {

constexpr NvmlResult kNotSupported = 3;
constexpr NvmlResult kNotFound = 6;
constexpr NvmlResult kDriverNotLoaded = 9;
constexpr NvmlResult kGpuIsLost = 15;

NvmlDeviceHandle whole = {"NVIDIA H100 80GB HBM3", "GPU-0000", 85'520'809'984};
NvmlDeviceHandle sliced = {"NVIDIA A30", "GPU-1111", 25'769'803'776, true};
NvmlDeviceHandle first_slice = {"NVIDIA A30 MIG 1g.6gb", "MIG-a", 6'442'450'944, false, true};
// Its driver is too old to name it.
NvmlDeviceHandle last_slice = {nullptr, "MIG-c", 12'884'901'888, false, true};

NvmlResult Copy(const char* text, char* to, unsigned length) {
  if (text == nullptr) return kNotSupported;
  std::snprintf(to, length, "%s", text);
  return kNvmlSuccess;
}

}  // namespace

extern "C" {

NvmlResult nvmlInit_v2() {
  const char* const way = std::getenv("BEAMLINE_NVML_DOUBLE");
  return way != nullptr && std::string_view(way) == "no-driver" ? kDriverNotLoaded : kNvmlSuccess;
}
NvmlResult nvmlShutdown() { return kNvmlSuccess; }
const char* nvmlErrorString(NvmlResult result) {
  return result == kDriverNotLoaded ? "Driver Not Loaded"
         : result == kGpuIsLost     ? "GPU is lost"
                                    : "Something Else";
}
NvmlResult nvmlDeviceGetCount_v2(unsigned* count) {
  *count = 3;
  return kNvmlSuccess;
}
NvmlResult nvmlDeviceGetHandleByIndex_v2(unsigned index, NvmlDevice* device) {
  if (index == 2) return kGpuIsLost;
  *device = index == 0 ? &whole : &sliced;
  return kNvmlSuccess;
}
NvmlResult nvmlDeviceGetName(NvmlDevice device, char* name, unsigned length) {
  return Copy(device->name, name, length);
}
NvmlResult nvmlDeviceGetUUID(NvmlDevice device, char* uuid, unsigned length) {
  return Copy(device->uuid, uuid, length);
}
NvmlResult nvmlDeviceGetMemoryInfo(NvmlDevice device, NvmlMemory* memory) {
  *memory = {device->memory_bytes, device->memory_bytes, 0};
  return kNvmlSuccess;
}
NvmlResult nvmlDeviceGetCudaComputeCapability(NvmlDevice device, int* major, int* minor) {
  if (device->slice) return kNotSupported;
  *major = device == &whole ? 9 : 8;
  *minor = 0;
  return kNvmlSuccess;
}
NvmlResult nvmlDeviceGetUtilizationRates(NvmlDevice device, NvmlUtilization* utilization) {
  if (device != &whole) return kNotSupported;
  *utilization = {75, 10};
  return kNvmlSuccess;
}
NvmlResult nvmlDeviceGetTemperature(NvmlDevice device, int sensor, unsigned* celsius) {
  if (device != &whole || sensor != kNvmlTemperatureOfTheGpu) return kNotSupported;
  *celsius = 41;
  return kNvmlSuccess;
}
NvmlResult nvmlDeviceGetPowerUsage(NvmlDevice device, unsigned* milliwatts) {
  if (device != &whole) return kNotSupported;
  *milliwatts = 350'500;
  return kNvmlSuccess;
}
NvmlResult nvmlDeviceGetMigMode(NvmlDevice device, unsigned* current, unsigned* pending) {
  *current = *pending = device->sliced ? kNvmlMigEnabled : 0;
  return kNvmlSuccess;
}
NvmlResult nvmlDeviceGetMaxMigDeviceCount(NvmlDevice, unsigned* count) {
  *count = 4;
  return kNvmlSuccess;
}
NvmlResult nvmlDeviceGetMigDeviceHandleByIndex(NvmlDevice, unsigned index, NvmlDevice* slice) {
  if (index != 0 && index != 2) return kNotFound;
  *slice = index == 0 ? &first_slice : &last_slice;
  return kNvmlSuccess;
}

}  // extern "C"

}  // namespace beamline::worker
