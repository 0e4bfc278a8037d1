// The part of the confinement that denies system calls: a seccomp filter, by libseccomp.
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <span>

#include "absl/strings/str_cat.h"
#include "worker/confinement.h"

namespace beamline::worker {
namespace {

// Denied with EPERM. A name that this kernel's architecture does not have is skipped.
constexpr const char* kDenied[] = {
    // The network; the one socket that a task has was made for it. (FillSockets: how one is made.)
    "bind", "listen", "accept", "accept4",
    // Other processes.
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_open",
    "pidfd_getfd", "pidfd_send_signal", "kcmp", "tkill", "rt_sigqueueinfo",
    // The shape of the file system.
    "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsconfig",
    "fsmount", "fspick", "mount_setattr", "unshare", "setns", "name_to_handle_at",
    "open_by_handle_at", "mknod", "mknodat", "fanotify_init", "quotactl", "swapon", "swapoff",
    // The kernel and the machine.
    "bpf", "perf_event_open", "kexec_load", "kexec_file_load", "init_module", "finit_module",
    "delete_module", "reboot", "iopl", "ioperm", "syslog", "acct", "userfaultfd", "io_uring_setup",
    "io_uring_enter", "io_uring_register", "add_key", "request_key", "keyctl", "personality",
    "lookup_dcookie", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname",
    "setdomainname", "vhangup",
    // Memory shared by name.
    "shmget", "shmat", "semget", "msgget", "mq_open"};

// Of the engine: other programs and processes, and pairs of sockets, which only they need.
constexpr const char* kDeniedToEngine[] = {"fork", "vfork", "execve", "execveat", "socketpair"};
// Of programs: what would take a process out of the group by which all are ended, signals with
// forged senders, and watching what others do with files.
constexpr const char* kDeniedToPrograms[] = {"setsid", "setpgid", "rt_tgsigqueueinfo",
                                             "inotify_add_watch"};
// What changes a file that Landlock hides without opening it for that.
constexpr const char* kChangesByPath[] = {
    "chmod",     "fchmodat",    "chown",        "lchown",      "fchown",    "fchownat",
    "utime",     "utimes",      "futimesat",    "setxattr",    "utimensat", "lsetxattr",
    "fsetxattr", "removexattr", "lremovexattr", "fremovexattr"};
// Later ones, which libseccomp may not know: fchmodat2, setxattrat, removexattrat, file_setattr.
// Their numbers are the same on all architectures.
constexpr int kLaterChangesByPath[] = {452, 463, 466, 469};
constexpr int kMemfdSecret = 447;
// Flags of clone that make namespaces; time (0x80) has none there.
constexpr scmp_datum_t kNamespaceFlags[] = {CLONE_NEWNS,  CLONE_NEWCGROUP, CLONE_NEWUTS,
                                            CLONE_NEWIPC, CLONE_NEWUSER,   CLONE_NEWPID,
                                            CLONE_NEWNET};

using Comparisons = std::initializer_list<scmp_arg_cmp>;

// A call that is not on this architecture is skipped.
int Answer(scmp_filter_ctx filter, uint32_t action, int number, Comparisons where = {}) {
  if (number == __NR_SCMP_ERROR) return 0;
  const int result = seccomp_rule_add_array(filter, action, number,
                                            static_cast<unsigned>(where.size()), where.begin());
  return result == -EDOM ? 0 : result;
}

int Deny(scmp_filter_ctx filter, const char* name, Comparisons where = {}) {
  return Answer(filter, SCMP_ACT_ERRNO(EPERM), seccomp_syscall_resolve_name(name), where);
}

// As if the kernel had no such call, so that libraries do without.
int Hide(scmp_filter_ctx filter, const char* name) {
  return Answer(filter, SCMP_ACT_ERRNO(ENOSYS), seccomp_syscall_resolve_name(name));
}

// Denies it unless its second argument, as of socket, is one of these types. Flags do not count.
int DenyOtherTypes(scmp_filter_ctx filter, const char* name, std::initializer_list<int> types) {
  constexpr scmp_datum_t kTypes = 0xf;  // the bits of a socket's type that are no flags
  for (scmp_datum_t type = 0; type <= kTypes; ++type) {
    if (std::find(types.begin(), types.end(), static_cast<int>(type)) != types.end()) continue;
    const int result = Deny(filter, name, {SCMP_A1(SCMP_CMP_MASKED_EQ, kTypes, type)});
    if (result != 0) return result;
  }
  return 0;
}

// NVIDIA's driver takes it for a broken system if it cannot make a local socket, with which it asks
// for a daemon that shares GPUs (MPS). It gets one that leads nowhere, as if there were no daemon:
// of a kind that sends nothing before it is connected.
int FillSockets(scmp_filter_ctx filter, bool gpus) {
  if (!gpus) {
    const int result = Deny(filter, "socket");
    return result != 0 ? result : Deny(filter, "connect");
  }
  int result = Deny(filter, "socket", {SCMP_A0(SCMP_CMP_NE, AF_UNIX)});
  if (result == 0) result = DenyOtherTypes(filter, "socket", {SOCK_SEQPACKET});
  if (result != 0) return result;
  return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ECONNREFUSED), SCMP_SYS(connect), 0);
}

int DenyAll(scmp_filter_ctx filter, std::span<const char* const> names) {
  for (const char* name : names) {
    if (const int result = Deny(filter, name); result != 0) return result;
  }
  return 0;
}

// The C library falls back from clone3, whose flags a filter cannot see, to clone.
int FillProcesses(scmp_filter_ctx filter, const ConfinementLimits& limits) {
  const auto eperm = SCMP_ACT_ERRNO(EPERM);
  int result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
  if (result != 0) return result;
  if (!limits.program) {
    // Threads, but no processes.
    result = seccomp_rule_add(filter, eperm, SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    return result != 0 ? result : DenyAll(filter, kDeniedToEngine);
  }
  for (const scmp_datum_t flag : kNamespaceFlags) {
    if (result != 0) return result;
    result = seccomp_rule_add(filter, eperm, SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
  }
  return result != 0 ? result : DenyAll(filter, kDeniedToPrograms);
}

// To itself only, unless there is nobody else that it could reach.
int FillSignals(scmp_filter_ctx filter, const ConfinementLimits& limits) {
  if (limits.own_processes) return 0;
  const auto self = static_cast<scmp_datum_t>(getpid());
  const int result = Deny(filter, "kill", {SCMP_A0(SCMP_CMP_NE, self)});
  return result != 0 ? result : Deny(filter, "tgkill", {SCMP_A0(SCMP_CMP_NE, self)});
}

// Of a program without a namespace of processes: signals by way of files, and how the kernel
// schedules others. Threads are others too, here.
int FillOthers(scmp_filter_ctx filter) {
  constexpr scmp_datum_t kInt = 0xffffffff;
  constexpr scmp_datum_t kSetOwner = 0x8901;  // FIOSETOWN
  constexpr scmp_datum_t kSetGroup = 0x8902;  // SIOCSPGRP
  constexpr scmp_datum_t kSetOwnerEx = 15;    // F_SETOWN_EX
  constexpr scmp_datum_t kSetSignal = 10;     // F_SETSIG
  constexpr scmp_datum_t kOneProcess = 1;     // IOPRIO_WHO_PROCESS
  int result = 0;
  for (const scmp_datum_t command : {scmp_datum_t{F_SETOWN}, kSetSignal, kSetOwnerEx}) {
    for (const char* name : {"fcntl", "fcntl64"}) {
      if (result != 0) return result;
      result = Deny(filter, name, {SCMP_A1(SCMP_CMP_MASKED_EQ, kInt, command)});
    }
  }
  for (const scmp_datum_t command : {kSetOwner, kSetGroup}) {
    if (result != 0) return result;
    result = Deny(filter, "ioctl", {SCMP_A1(SCMP_CMP_MASKED_EQ, kInt, command)});
  }
  if (result == 0) result = Deny(filter, "setpriority", {SCMP_A0(SCMP_CMP_NE, PRIO_PROCESS)});
  if (result == 0) result = Deny(filter, "setpriority", {SCMP_A1(SCMP_CMP_NE, 0)});
  if (result == 0) result = Deny(filter, "ioprio_set", {SCMP_A0(SCMP_CMP_NE, kOneProcess)});
  if (result == 0) result = Deny(filter, "ioprio_set", {SCMP_A1(SCMP_CMP_NE, 0)});
  for (const char* name :
       {"sched_setaffinity", "sched_setscheduler", "sched_setattr", "sched_setparam"}) {
    if (result == 0) result = Deny(filter, name, {SCMP_A0(SCMP_CMP_NE, 0)});
  }
  return result;
}

// Landlock knows of truncating since its third version. Opening for writing it always knew of.
int FillTruncation(scmp_filter_ctx filter) {
  constexpr scmp_datum_t kBits = O_ACCMODE | O_TRUNC;
  int result = Deny(filter, "truncate");
  if (result == 0) result = Deny(filter, "truncate64");
  // The second is neither reading nor writing, and truncates all the same.
  for (const scmp_datum_t flags :
       {scmp_datum_t{O_RDONLY | O_TRUNC}, scmp_datum_t{O_ACCMODE | O_TRUNC}}) {
    if (result == 0) result = Deny(filter, "open", {SCMP_A1(SCMP_CMP_MASKED_EQ, kBits, flags)});
    if (result == 0) result = Deny(filter, "openat", {SCMP_A2(SCMP_CMP_MASKED_EQ, kBits, flags)});
  }
  return result != 0 ? result : Hide(filter, "openat2");
}

int FillProgram(scmp_filter_ctx filter, const ConfinementLimits& limits) {
  // Memory that no one counts.
  int result = Hide(filter, "memfd_create");
  if (result == 0) result = Answer(filter, SCMP_ACT_ERRNO(ENOSYS), kMemfdSecret);
  // Pairs of streams only: a datagram socket sends to any that has a name.
  if (result == 0) result = Deny(filter, "socketpair", {SCMP_A0(SCMP_CMP_NE, AF_UNIX)});
  if (result == 0) result = DenyOtherTypes(filter, "socketpair", {SOCK_STREAM, SOCK_SEQPACKET});
  if (result == 0 && !limits.own_processes) result = FillOthers(filter);
  if (result == 0 && LandlockVersion() < 3) result = FillTruncation(filter);
  if (result != 0 || limits.read_only_system) return result;
  result = DenyAll(filter, kChangesByPath);
  for (const int number : kLaterChangesByPath) {
    if (result == 0) result = Answer(filter, SCMP_ACT_ERRNO(EPERM), number);
  }
  return result;
}

int Fill(scmp_filter_ctx filter, const ConfinementLimits& limits) {
  int result = DenyAll(filter, kDenied);
  if (result == 0) result = FillSockets(filter, limits.gpus);
  if (result == 0) result = FillProcesses(filter, limits);
  if (result == 0) result = FillSignals(filter, limits);
  if (result == 0 && limits.program) result = FillProgram(filter, limits);
  if (result != 0) return result;
  // Its own limits only.
  return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1,
                          SCMP_A0(SCMP_CMP_NE, 0));
}

}  // namespace

void FilterSystemCalls(const ConfinementLimits& limits, ConfinementReport& report) {
  const std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter(seccomp_init(SCMP_ACT_ALLOW),
                                                                seccomp_release);
  if (filter == nullptr) {
    report.push_back("no seccomp: out of memory");
    return;
  }
  // A tree instead of a list: the cost of a permitted call is a few nanoseconds.
  seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  int result = Fill(filter.get(), limits);
  if (result == 0) result = seccomp_load(filter.get());
  report.push_back(result == 0 ? "seccomp" : absl::StrCat("no seccomp: ", std::strerror(-result)));
}

}  // namespace beamline::worker
