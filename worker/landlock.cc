// The part of the confinement that hides files: Landlock (Linux 5.13), which needs no privilege.
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "worker/confinement.h"

namespace beamline::worker {
namespace {

// Rights of Landlock's first version: the lowest 13 bits. Later versions: moving files between
// folders (2), truncating (3).
constexpr uint64_t kFirstRights = (uint64_t{1} << 13) - 1;
constexpr uint64_t kRefer = uint64_t{1} << 13;
constexpr uint64_t kTruncate = uint64_t{1} << 14;

constexpr uint64_t kRead = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr uint64_t kFileRights = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                 LANDLOCK_ACCESS_FS_EXECUTE | kTruncate;
// What a work folder is not for: programs, devices and sockets.
constexpr uint64_t kNotInWork = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                                LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SOCK;

// Libraries, and what numeric libraries read to know the machine.
constexpr const char* kSystemPaths[] = {
    "/usr",          "/lib",          "/lib64",     "/etc/ld.so.cache", "/sys/devices/system",
    "/proc/cpuinfo", "/proc/meminfo", "/proc/self", "/proc/stat",       "/dev/urandom"};

// What CUDA reads to know the machine: the driver's files, PCI devices and their memory nodes.
constexpr const char* kGpuSystemPaths[] = {"/proc/driver/nvidia", "/proc/driver/nvidia-caps",
                                           "/proc/devices",       "/proc/modules",
                                           "/proc/sys/vm",        "/sys/bus/pci",
                                           "/sys/devices",        "/sys/module"};

// What interpreters read besides. Not there: users, mail, keys, state of daemons, others' files.
constexpr const char* kProgramPaths[] = {"/bin",
                                         "/sbin",
                                         "/opt",
                                         "/etc/alternatives",
                                         "/etc/ld.so.conf",
                                         "/etc/mime.types",
                                         "/etc/ld.so.conf.d",
                                         "/etc/localtime",
                                         "/etc/timezone",
                                         "/etc/os-release",
                                         "/etc/magic",
                                         "/etc/fonts",
                                         "/proc/loadavg",
                                         "/proc/filesystems",
                                         "/proc/version"};
constexpr const char* kProgramPrefixes[] = {"python", "R", "java", "julia", "perl", "matplotlib"};
constexpr const char* kProgramDevices[] = {"/dev/zero", "/dev/full", "/dev/random"};

constexpr uint64_t kReadWrite = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;

void Allow(int ruleset, const std::string& path, uint64_t rights) {
  const UniqueFd fd(open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!fd) return;
  landlock_path_beneath_attr rule{.allowed_access = rights, .parent_fd = fd.get()};
  // A file takes file rights only.
  if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
    rule.allowed_access &= kFileRights;
    syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  }
}

// The driver's device files: /dev/nvidia0, nvidiactl, nvidia-uvm, and those of MIG slices in
// nvidia-caps. Which GPU a process sees is up to CUDA_VISIBLE_DEVICES: the numbers of the files are
// not those of the devices. Their ioctls are not restricted: no such right is among those handled.
// And the engine's backend, a library that is opened only now: it stands where the program does or
// beside that.
void AllowGpus(int ruleset, uint64_t handled) {
  for (const char* path : kGpuSystemPaths) {
    Allow(ruleset, path, kRead);
  }
  // It names its threads there, and takes a refusal for a broken system.
  Allow(ruleset, "/proc/self/task",
        kReadWrite | LANDLOCK_ACCESS_FS_READ_DIR | (handled & kTruncate));
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/dev", error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("nvidia")) continue;
    Allow(ruleset, entry.path(), kReadWrite | LANDLOCK_ACCESS_FS_READ_DIR);
  }
  const auto folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  if (error) return;
  for (const char* place : {".", "../bin", "../lib/beamline"}) {
    Allow(ruleset, folder / place, kRead | LANDLOCK_ACCESS_FS_EXECUTE);
  }
}

// What interpreters read of the machine's own system.
void AllowSystem(int ruleset) {
  for (const char* path : kProgramPaths) {
    Allow(ruleset, path, kRead | LANDLOCK_ACCESS_FS_EXECUTE);
  }
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/etc", error)) {
    const std::string name = entry.path().filename();
    for (const char* prefix : kProgramPrefixes) {
      if (name.starts_with(prefix)) Allow(ruleset, entry.path(), kRead);
    }
  }
}

void AllowPrograms(int ruleset, const ConfinementLimits& limits, uint64_t in_folders) {
  if (!limits.own_root) AllowSystem(ruleset);
  for (const char* path : kProgramDevices) Allow(ruleset, path, kReadWrite);
  // Both are mounted anew for it, so that they show nobody else's.
  if (limits.own_proc) Allow(ruleset, "/proc", kRead);
  if (limits.own_shared_memory) Allow(ruleset, "/dev/shm", in_folders);
}

}  // namespace

long LandlockVersion() {
  return syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

void RestrictFiles(const ConfinementLimits& limits, ConfinementReport& report) {
  const long version = LandlockVersion();
  if (version < 1) {
    report.push_back(absl::StrCat("no Landlock: ", std::strerror(errno)));
    return;
  }
  uint64_t handled = kFirstRights;
  if (version >= 2) handled |= kRefer;
  if (version >= 3) handled |= kTruncate;
  landlock_ruleset_attr attributes{};  // Later headers have more members: 0 asks nothing of them.
  attributes.handled_access_fs = handled;
  const UniqueFd ruleset(
      static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0)));
  if (!ruleset) {
    report.push_back(absl::StrCat("no Landlock: ", std::strerror(errno)));
    return;
  }
  if (limits.own_root) {
    Allow(ruleset.get(), "/", kRead | LANDLOCK_ACCESS_FS_EXECUTE);
  } else {
    for (const char* path : kSystemPaths) {
      Allow(ruleset.get(), path, kRead | LANDLOCK_ACCESS_FS_EXECUTE);
    }
  }
  Allow(ruleset.get(), "/dev/null", kReadWrite);
  if (limits.gpus) AllowGpus(ruleset.get(), handled);
  for (const std::string& path : limits.readable_files) {
    Allow(ruleset.get(), path, LANDLOCK_ACCESS_FS_READ_FILE);
  }
  const uint64_t in_folders = handled & ~kNotInWork;
  if (limits.program) AllowPrograms(ruleset.get(), limits, in_folders);
  Allow(ruleset.get(), limits.work_folder,
        in_folders | (limits.program ? LANDLOCK_ACCESS_FS_EXECUTE : 0));
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (syscall(SYS_landlock_restrict_self, ruleset.get(), 0) == 0) {
    report.push_back("Landlock");
  } else {
    report.push_back(absl::StrCat("no Landlock: ", std::strerror(errno)));
  }
}

}  // namespace beamline::worker
