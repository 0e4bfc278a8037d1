// The GPUs of this machine, and MIG slices of them.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "beamline/v1/cluster.pb.h"
#include "worker/nvml.h"

namespace beamline::worker {

// What there is to offer, and how it is doing. Not thread-safe.
class GpuSource {
 public:
  virtual ~GpuSource() = default;
  // Devices of kind CUDA as they were found at the start, in the driver's order: id ("gpu0", or
  // "gpu0/mig1" for a slice, in whose place the whole GPU is not listed), model, memory, UUID,
  // compute capability. No readings.
  const std::vector<v1::Device>& gpus() const { return gpus_; }
  // Current readings of those of `devices` that are in gpus(); what cannot be told is cleared. May
  // take some milliseconds, and longer while the driver resets a GPU.
  virtual void Read(google::protobuf::RepeatedPtrField<v1::Device>& devices) = 0;

 protected:
  explicit GpuSource(std::vector<v1::Device> gpus) : gpus_(std::move(gpus)) {}

 private:
  const std::vector<v1::Device> gpus_;
};

// All that the driver tells of. A GPU that does not answer is left out, with a warning in the log.
// Fails as OpenNvml does.
absl::StatusOr<std::unique_ptr<GpuSource>> FindGpus(
    std::span<const char* const> libraries = kNvmlLibraries);

// For tests of scheduling: devices that exist in name only, so that a task placed on one fails
// where CUDA is needed. `text`: "gpu0:H100:80GiB,gpu1/mig0:H100 MIG 1g.10gb:10GiB", that is id,
// model, memory; without readings. InvalidArgument: says what is wrong with which entry.
absl::StatusOr<std::unique_ptr<GpuSource>> MakeFakeGpus(std::string_view text);

// No devices.
std::unique_ptr<GpuSource> NoGpus();

}  // namespace beamline::worker
