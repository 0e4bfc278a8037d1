// What this machine offers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "beamline/v1/cluster.pb.h"

namespace beamline::worker {

struct DeviceOptions {
  // Cores to offer. 0: all that this process may use.
  double cpus = 0;
  // Memory to offer. Unit: bytes. 0: what this process may use, less an eighth for the system.
  int64_t memory_bytes = 0;
  // Where the kernel's files are; only tests say otherwise.
  std::string root = "/";
};

// Cores that this process may use: the smaller of its affinity and its cgroup's quota (v2 and v1).
double UsableCpus(const std::string& root = "/");
// Memory that this process may use: the smallest of the machine's and its cgroups' limits (v2 and
// v1). Unit: bytes.
int64_t UsableMemoryBytes(const std::string& root = "/");
// As the vendor calls it: "AMD EPYC 9354". "unknown processor" if the kernel does not say.
std::string CpuModel(const std::string& root = "/");

// Fills hostname, devices and memory. InvalidArgument if more is to be offered than there is.
absl::Status DescribeDevices(const DeviceOptions& options, v1::Worker& worker);

}  // namespace beamline::worker
