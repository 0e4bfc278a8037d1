#include "worker/devices.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/file.h"

namespace beamline::worker {
namespace {

// Empty if the file cannot be read: the kernel does not have it.
std::string Contents(const std::string& path) {
  const auto text = ReadFile(path, 1 << 20);
  if (!text.ok()) return "";
  return std::string(absl::StripAsciiWhitespace(*text));
}

// The cgroup folders that limit this process through `controller`, innermost first. In a container
// the path that the kernel tells may lie outside of what is mounted: then only the top counts.
std::vector<std::string> CgroupFolders(const std::string& root, const std::string& controller) {
  std::vector<std::string> folders;
  for (const auto line : absl::StrSplit(Contents(root + "/proc/self/cgroup"), '\n')) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    const bool v2 = parts[1].empty();
    const std::vector<std::string> controllers = absl::StrSplit(parts[1], ',');
    const bool named =
        std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
    if (!v2 && !named) continue;
    const std::string top = absl::StrCat(root, "/sys/fs/cgroup", v2 ? "" : "/" + parts[1]);
    std::string path = parts[2] == "/" ? "" : parts[2];
    while (!path.empty()) {
      folders.push_back(top + path);
      path.resize(std::min(path.rfind('/'), path.size() - 1));
    }
    folders.push_back(top);
    if (!v2) folders.push_back(absl::StrCat(root, "/sys/fs/cgroup/", controller));
  }
  return folders;
}

std::optional<double> Number(const std::string& text) {
  double value = 0;
  if (!absl::SimpleAtod(text, &value)) return std::nullopt;
  return value;
}

// Cores that the cgroup in `folder` grants; infinity if it does not limit them.
double CpuQuota(const std::string& folder) {
  const std::vector<std::string> v2 = absl::StrSplit(Contents(folder + "/cpu.max"), ' ');
  std::optional<double> quota;
  std::optional<double> period;
  if (v2.size() == 2) {
    quota = Number(v2[0]);
    period = Number(v2[1]);
  } else {
    quota = Number(Contents(folder + "/cpu.cfs_quota_us"));
    period = Number(Contents(folder + "/cpu.cfs_period_us"));
  }
  if (!quota || !period || *quota <= 0 || *period <= 0) {
    return std::numeric_limits<double>::infinity();
  }
  return *quota / *period;
}

double MemoryLimit(const std::string& folder) {
  const std::optional<double> v2 = Number(Contents(folder + "/memory.max"));
  const std::optional<double> v1 = Number(Contents(folder + "/memory.limit_in_bytes"));
  return v2.value_or(v1.value_or(std::numeric_limits<double>::infinity()));
}

// The number behind "MemTotal:" in /proc/meminfo, which is in KiB; in bytes.
double MachineMemory(const std::string& root) {
  for (const auto line : absl::StrSplit(Contents(root + "/proc/meminfo"), '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.size() >= 2 && words[0] == "MemTotal:") return Number(words[1]).value_or(0) * 1024;
  }
  return 0;
}

}  // namespace

double UsableCpus(const std::string& root) {
  double cpus = static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN));
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) cpus = CPU_COUNT(&set);
  for (const std::string& folder : CgroupFolders(root, "cpu")) {
    cpus = std::min(cpus, CpuQuota(folder));
  }
  return cpus;
}

int64_t UsableMemoryBytes(const std::string& root) {
  double bytes = MachineMemory(root);
  for (const std::string& folder : CgroupFolders(root, "memory")) {
    bytes = std::min(bytes, MemoryLimit(folder));
  }
  return static_cast<int64_t>(bytes);
}

std::string CpuModel(const std::string& root) {
  for (const auto line : absl::StrSplit(Contents(root + "/proc/cpuinfo"), '\n')) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (parts.size() == 2 && absl::StripAsciiWhitespace(parts[0]) == "model name") {
      return std::string(absl::StripAsciiWhitespace(parts[1]));
    }
  }
  return "unknown processor";
}

absl::Status DescribeDevices(const DeviceOptions& options, v1::Worker& worker) {
  // A quota of 1.5 cores runs one task of one core.
  const double usable_cpus = std::max(1.0, std::floor(UsableCpus(options.root)));
  const int64_t usable_bytes = UsableMemoryBytes(options.root);
  if (options.cpus > usable_cpus) {
    return absl::InvalidArgumentError(
        absl::StrFormat("--cpus %g is more than the %g cores that this process may use",
                        options.cpus, usable_cpus));
  }
  if (options.memory_bytes > usable_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("--memory ", options.memory_bytes,
                                                   " is more than the ", usable_bytes,
                                                   " bytes that this process may use"));
  }
  char hostname[256] = "";
  if (gethostname(hostname, sizeof hostname - 1) != 0) hostname[0] = '\0';
  worker.set_hostname(hostname);
  worker.set_memory_bytes(options.memory_bytes > 0 ? options.memory_bytes
                                                   : usable_bytes - usable_bytes / 8);
  v1::Device& cpu = *worker.add_devices();
  cpu.set_id("cpu");
  cpu.set_kind(v1::DEVICE_KIND_CPU);
  cpu.set_model(CpuModel(options.root));
  cpu.set_cpus(options.cpus > 0 ? options.cpus : usable_cpus);
  cpu.set_memory_bytes(worker.memory_bytes());
  return absl::OkStatus();
}

}  // namespace beamline::worker
