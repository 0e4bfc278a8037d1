// NVIDIA's management library, opened at run time: one build serves machines with and without GPUs.
//
// The binary interface is declared here, for the header nvml.h comes with the CUDA toolkit, which
// nobody needs in order to build this. Source: NVML API Reference Manual, release 12
// (docs.nvidia.com/deploy/nvml-api) and the header of that release. What is used has not changed
// since release 11:
//   nvmlReturn_t is an enum of the size of int, 0 for success; nvmlDevice_t a pointer that the
//   library owns and that lasts until nvmlShutdown; unsigned int and unsigned long long are as in
//   C; text is written with a zero at its end into a buffer of the given length, for which 96
//   suffices (NVML_DEVICE_NAME_V2_BUFFER_SIZE, NVML_DEVICE_UUID_V2_BUFFER_SIZE).
// Names with _v2 are those that the header's macros stand for: nvmlInit is nvmlInit_v2.
#pragma once

#include <memory>
#include <span>

#include "absl/status/statusor.h"

namespace beamline::worker {

using NvmlResult = int;
inline constexpr NvmlResult kNvmlSuccess = 0;
inline constexpr unsigned kNvmlTextBytes = 96;
inline constexpr unsigned kNvmlMigEnabled = 1;      // NVML_DEVICE_MIG_ENABLE
inline constexpr int kNvmlTemperatureOfTheGpu = 0;  // NVML_TEMPERATURE_GPU

struct NvmlDeviceHandle;
using NvmlDevice = NvmlDeviceHandle*;

// nvmlMemory_t. Unit: bytes.
struct NvmlMemory {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};

// nvmlUtilization_t. Unit: percent of the last sampling period.
struct NvmlUtilization {
  unsigned gpu;
  unsigned memory;
};

// The functions of the library under their own names, less "nvmlDevice". The library is initialised
// while this lives. All functions are thread-safe.
struct Nvml {
  Nvml() = default;
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;
  ~Nvml();

  // "Driver Not Loaded".
  const char* (*ErrorString)(NvmlResult result) = nullptr;
  NvmlResult (*GetCount)(unsigned* count) = nullptr;
  NvmlResult (*GetHandleByIndex)(unsigned index, NvmlDevice* device) = nullptr;
  NvmlResult (*GetName)(NvmlDevice device, char* name, unsigned length) = nullptr;
  NvmlResult (*GetUuid)(NvmlDevice device, char* uuid, unsigned length) = nullptr;
  NvmlResult (*GetMemoryInfo)(NvmlDevice device, NvmlMemory* memory) = nullptr;
  NvmlResult (*GetCudaComputeCapability)(NvmlDevice device, int* major, int* minor) = nullptr;
  NvmlResult (*GetUtilizationRates)(NvmlDevice device, NvmlUtilization* utilization) = nullptr;
  // Unit: degrees Celsius.
  NvmlResult (*GetTemperature)(NvmlDevice device, int sensor, unsigned* celsius) = nullptr;
  NvmlResult (*GetPowerUsage)(NvmlDevice device, unsigned* milliwatts) = nullptr;
  NvmlResult (*GetMigMode)(NvmlDevice device, unsigned* current, unsigned* pending) = nullptr;
  NvmlResult (*GetMaxMigDeviceCount)(NvmlDevice device, unsigned* count) = nullptr;
  // An index may be unused, for slices come and go: then the result is not success.
  NvmlResult (*GetMigDeviceHandleByIndex)(NvmlDevice device, unsigned index,
                                          NvmlDevice* slice) = nullptr;

 private:
  friend absl::StatusOr<std::unique_ptr<Nvml>> OpenNvml(std::span<const char* const> libraries);
  NvmlResult (*shutdown_)() = nullptr;  // Null: not initialised.
};

// Where the library is looked for: by the system's linker, then where drivers put it that come with
// a container or with WSL.
inline constexpr const char* kNvmlLibraries[] = {
    "libnvidia-ml.so.1", "/usr/local/nvidia/lib64/libnvidia-ml.so.1",
    "/run/nvidia/driver/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1",
    "/usr/lib/wsl/lib/libnvidia-ml.so.1"};

// Opens the first of `libraries` (only tests name others) that is there and initialises it.
// NotFound: none is there. FailedPrecondition: it lacks a function, or the driver does not answer,
// with the library's own words. A library once opened is never closed: its threads may live on.
absl::StatusOr<std::unique_ptr<Nvml>> OpenNvml(
    std::span<const char* const> libraries = kNvmlLibraries);

}  // namespace beamline::worker
