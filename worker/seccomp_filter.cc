// The part of the confinement that denies system calls: a seccomp filter, by libseccomp.
#include <sched.h>
#include <seccomp.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "worker/confinement.h"

namespace beamline::worker {
namespace {

// Denied with EPERM. A name that this kernel's architecture does not have is skipped.
constexpr const char* kDenied[] = {
    // The network; the one socket that a task has was made for it.
    "socket", "connect", "bind", "listen", "accept", "accept4",
    // Other programs and processes.
    "fork", "vfork", "execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev",
    "process_madvise", "pidfd_open", "pidfd_getfd", "pidfd_send_signal", "kcmp", "tkill",
    "rt_sigqueueinfo",
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

int Deny(scmp_filter_ctx filter, const char* name) {
  const int number = seccomp_syscall_resolve_name(name);
  if (number == __NR_SCMP_ERROR) return 0;
  const int result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
  // -EDOM: not on this architecture.
  return result == -EDOM ? 0 : result;
}

int Fill(scmp_filter_ctx filter) {
  for (const char* name : kDenied) {
    if (const int result = Deny(filter, name); result != 0) return result;
  }
  const auto self = static_cast<scmp_datum_t>(getpid());
  const auto eperm = SCMP_ACT_ERRNO(EPERM);
  // Threads, but no processes; the C library falls back from clone3, whose flags a filter cannot
  // see, to clone.
  int result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
  if (result == 0) {
    result = seccomp_rule_add(filter, eperm, SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
  }
  // Signals to itself only.
  if (result == 0) {
    result = seccomp_rule_add(filter, eperm, SCMP_SYS(kill), 1, SCMP_A0(SCMP_CMP_NE, self));
  }
  if (result == 0) {
    result = seccomp_rule_add(filter, eperm, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_NE, self));
  }
  // Its own limits only.
  if (result == 0) {
    result = seccomp_rule_add(filter, eperm, SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_NE, 0));
  }
  return result;
}

}  // namespace

void FilterSystemCalls(ConfinementReport& report) {
  const std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter(seccomp_init(SCMP_ACT_ALLOW),
                                                                seccomp_release);
  if (filter == nullptr) {
    report.push_back("no seccomp: out of memory");
    return;
  }
  // A tree instead of a list: the cost of a permitted call is a few nanoseconds.
  seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  int result = Fill(filter.get());
  if (result == 0) result = seccomp_load(filter.get());
  report.push_back(result == 0 ? "seccomp" : absl::StrCat("no seccomp: ", std::strerror(-result)));
}

}  // namespace beamline::worker
