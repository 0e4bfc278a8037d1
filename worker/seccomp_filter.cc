// The part of the confinement that denies system calls: a seccomp filter, by libseccomp.
#include <sched.h>
#include <seccomp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
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
// Of programs: what would take a process out of the group by which all are ended.
constexpr const char* kDeniedToPrograms[] = {"setsid", "setpgid"};
// Flags of clone that make namespaces; time (0x80) has none there.
constexpr scmp_datum_t kNamespaceFlags[] = {CLONE_NEWNS,  CLONE_NEWCGROUP, CLONE_NEWUTS,
                                            CLONE_NEWIPC, CLONE_NEWUSER,   CLONE_NEWPID,
                                            CLONE_NEWNET};

int Deny(scmp_filter_ctx filter, const char* name) {
  const int number = seccomp_syscall_resolve_name(name);
  if (number == __NR_SCMP_ERROR) return 0;
  const int result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
  // -EDOM: not on this architecture.
  return result == -EDOM ? 0 : result;
}

// NVIDIA's driver takes it for a broken system if it cannot make a local socket, with which it asks
// for a daemon that shares GPUs (MPS). It gets one that leads nowhere, as if there were no daemon:
// of a kind that sends nothing before it is connected.
int FillSockets(scmp_filter_ctx filter, bool gpus) {
  if (!gpus) {
    const int result = Deny(filter, "socket");
    return result != 0 ? result : Deny(filter, "connect");
  }
  constexpr scmp_datum_t kKinds = 0xf;  // the bits of a socket's type that are no flags
  int result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
                                SCMP_A0(SCMP_CMP_NE, AF_UNIX));
  for (scmp_datum_t kind = 0; kind <= kKinds && result == 0; ++kind) {
    if (kind == SOCK_SEQPACKET) continue;
    result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, kKinds, kind));
  }
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
  const auto eperm = SCMP_ACT_ERRNO(EPERM);
  const int result = seccomp_rule_add(filter, eperm, SCMP_SYS(kill), 1, SCMP_A0(SCMP_CMP_NE, self));
  if (result != 0) return result;
  return seccomp_rule_add(filter, eperm, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_NE, self));
}

int Fill(scmp_filter_ctx filter, const ConfinementLimits& limits) {
  int result = DenyAll(filter, kDenied);
  if (result == 0) result = FillSockets(filter, limits.gpus);
  if (result == 0) result = FillProcesses(filter, limits);
  if (result == 0) result = FillSignals(filter, limits);
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
