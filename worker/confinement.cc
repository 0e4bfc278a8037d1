#include "worker/confinement.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"

namespace beamline::worker {
namespace {

#ifdef BEAMLINE_SANITIZED
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

// Private memory that a process needs before it has any data: code that is written to, the heaps
// of threads. Unit: bytes.
constexpr int64_t kMemoryOverhead = 128 << 20;
constexpr int64_t kMemoryPerThread = 10 << 20;
// What CUDA's libraries take of main memory for themselves, and the threads that they start.
constexpr int64_t kMemoryOfCuda = int64_t{4} << 30;
constexpr int kThreadsOfCuda = 32;
// What interpreters and their libraries reserve, whether they use it or not.
constexpr int64_t kMemoryOfPrograms = int64_t{1} << 30;

bool WriteText(const char* path, const std::string& text) {
  const UniqueFd fd(open(path, O_WRONLY | O_CLOEXEC));
  return fd && write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// The same user inside as outside, so that files keep their owner.
bool MapSameUser(uid_t user, gid_t group) {
  WriteText("/proc/self/setgroups", "deny");
  return WriteText("/proc/self/uid_map", absl::StrCat(user, " ", user, " 1")) &&
         WriteText("/proc/self/gid_map", absl::StrCat(group, " ", group, " 1"));
}

void EnterNamespaces(ConfinementReport& report) {
  const uid_t user = geteuid();
  const gid_t group = getegid();
  if (unshare(CLONE_NEWUSER) == 0) {
    report.push_back(MapSameUser(user, group) ? "user namespace"
                                              : "user namespace without a mapped user");
  } else {
    report.push_back(absl::StrCat("no user namespace: ", std::strerror(errno)));
  }
  if (unshare(CLONE_NEWNET) == 0) {
    report.push_back("network namespace");
  } else {
    report.push_back(absl::StrCat("no network namespace: ", std::strerror(errno)));
  }
  if (unshare(CLONE_NEWIPC) == 0) {
    report.push_back("IPC namespace");
  } else {
    report.push_back(absl::StrCat("no IPC namespace: ", std::strerror(errno)));
  }
}

// Lowers a limit; never raises what the daemon's own limit forbids.
bool Limit(__rlimit_resource resource, int64_t value) {
  rlimit now{};
  if (getrlimit(resource, &now) != 0) return false;
  const rlim_t wanted = static_cast<rlim_t>(value);
  if (now.rlim_max != RLIM_INFINITY && now.rlim_max < wanted) return true;
  const rlimit limit{.rlim_cur = wanted, .rlim_max = wanted};
  return setrlimit(resource, &limit) == 0;
}

// EnterNamespaces maps a single user; the machine's own namespace and a container's map many.
bool InOwnUserNamespace() {
  const auto map = ReadFile("/proc/self/uid_map", 4096);
  if (!map.ok()) return false;
  const std::vector<std::string> words =
      absl::StrSplit(*map, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  return words.size() == 3 && words[2] == "1";
}

// All that the kernel counts against RLIMIT_NPROC of a user.
int ThreadsOfUser(uid_t user) {
  int threads = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    struct stat info;
    if (stat(entry.path().c_str(), &info) != 0 || info.st_uid != user) continue;
    // Beside "." and "..", a folder has a link for each folder in it.
    if (stat((entry.path() / "task").c_str(), &info) == 0) {
      threads += static_cast<int>(info.st_nlink) - 2;
    }
  }
  return threads;
}

void ApplyLimits(const ConfinementLimits& limits, bool own_users, ConfinementReport& report) {
  // Writing beyond the limit then fails with EFBIG, which says more than a signal.
  signal(SIGXFSZ, SIG_IGN);
  bool good = Limit(RLIMIT_FSIZE, limits.file_bytes) && Limit(RLIMIT_NOFILE, limits.open_files) &&
              Limit(RLIMIT_CORE, 0);
  const int threads = limits.threads + (limits.gpus ? kThreadsOfCuda : 0);
  if (limits.memory_bytes > 0 && !kSanitized) {
    const int64_t overhead = kMemoryOverhead + (limits.gpus ? kMemoryOfCuda : 0) +
                             (limits.program ? kMemoryOfPrograms : 0);
    good &= Limit(RLIMIT_DATA, limits.memory_bytes + overhead + threads * kMemoryPerThread);
  }
  report.push_back(good ? "limits" : absl::StrCat("not all limits: ", std::strerror(errno)));
  if (kSanitized) report.push_back("no memory limit: built with a sanitizer");
  // Elsewhere this counts all processes of the user, the daemon's among them: room is left for as
  // many as there are. Root's are not counted at all.
  if (geteuid() == 0) return;
  if (own_users) {
    Limit(RLIMIT_NPROC, threads);
  } else if (limits.program) {
    Limit(RLIMIT_NPROC, threads + ThreadsOfUser(geteuid()));
  }
}

}  // namespace

ConfinementReport EnterSandbox() {
  ConfinementReport report;
  setsid();
  umask(0077);
  Limit(RLIMIT_CORE, 0);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    report.push_back(absl::StrCat("new privileges are possible: ", std::strerror(errno)));
  }
  EnterNamespaces(report);
  // Last: a change of credentials would clear it.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
    report.push_back(absl::StrCat("no death with the worker: ", std::strerror(errno)));
  }
  return report;
}

absl::Status ConfineToWork(const ConfinementLimits& limits, ConfinementReport& report) {
  if (chdir(limits.work_folder.c_str()) != 0) {
    return absl::InternalError(absl::StrCat("cannot enter the work folder ", limits.work_folder,
                                            ": ", std::strerror(errno)));
  }
  const bool own_users = InOwnUserNamespace();
  DropCapabilities(report);
  ApplyLimits(limits, own_users, report);
  RestrictFiles(limits, report);
  FilterSystemCalls(limits, report);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  // Dropping capabilities may have cleared it.
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  return absl::OkStatus();
}

void DropCapabilities(ConfinementReport& report) {
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (int capability = 0; capability < 64; ++capability) {
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) break;
  }
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capset, &header, none) == 0) {
    report.push_back("no capabilities");
  } else {
    report.push_back(absl::StrCat("capabilities kept: ", std::strerror(errno)));
  }
}

}  // namespace beamline::worker
