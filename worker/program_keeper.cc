#include "worker/program_keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "beamline/v1/learners.pb.h"
#include "worker/frames.h"
#include "worker/program_root.h"

namespace beamline::worker {
namespace {

constexpr size_t kMaxWords = 8 << 10;

// As fork, with namespaces of the child's own.
pid_t Clone(unsigned long flags) {
  return static_cast<pid_t>(syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0));
}

// Whether each namespace of processes has a bound of its own on these: since Linux 6.14.
bool BoundsNamespaces() {
  utsname system;
  int major = 0;
  int minor = 0;
  if (uname(&system) != 0 || std::sscanf(system.release, "%d.%d", &major, &minor) != 2)
    return false;
  return major > 6 || (major == 6 && minor >= 14);
}

bool SetReadOnly(const std::string& path, bool read_only, unsigned flags) {
  mount_attr attributes{};
  (read_only ? attributes.attr_set : attributes.attr_clr) = MOUNT_ATTR_RDONLY;
  return mount_setattr(AT_FDCWD, path.c_str(), flags, &attributes, sizeof attributes) == 0;
}

// All mounts become read-only, but what programs are to write to. Nothing changes if the kernel
// does not let that (mount_setattr: Linux 5.12).
void MakeReadOnly(ConfinementLimits& limits) {
  const std::string& folder = limits.work_folder;
  if (mount(folder.c_str(), folder.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) return;
  // What cannot be taken back is found out before it matters.
  if (!SetReadOnly(folder, true, 0) || !SetReadOnly(folder, false, 0) ||
      !SetReadOnly("/", true, AT_RECURSIVE)) {
    umount2(folder.c_str(), MNT_DETACH);
    return;
  }
  limits.read_only_system = SetReadOnly(folder, false, 0);
  if (limits.own_shared_memory) SetReadOnly("/dev/shm", false, 0);
  // CUDA names its threads there.
  if (limits.own_proc && limits.gpus) SetReadOnly("/proc", false, 0);
}

// Before, this would be the bound of the whole machine.
void BoundThreads(const ConfinementLimits& limits) {
  if (!limits.own_proc || !BoundsNamespaces()) return;
  const UniqueFd most(open("/proc/sys/kernel/pid_max", O_WRONLY | O_CLOEXEC));
  const std::string text = absl::StrCat(limits.threads);
  [[maybe_unused]] const ssize_t ignored = write(most.get(), text.data(), text.size());
}

// In the keeper, which has a mount namespace of its own.
void MountOwn(int64_t memory_bytes, ConfinementLimits& limits) {
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  limits.own_proc = mount("proc", "/proc", "proc", kFlags, nullptr) == 0;
  const std::string size = absl::StrCat("mode=0700,size=", memory_bytes);
  limits.own_shared_memory = mount("tmpfs", "/dev/shm", "tmpfs", kFlags, size.c_str()) == 0;
  BoundThreads(limits);
  MakeReadOnly(limits);
}

absl::Status EnterImage(const ProgramLimits& programs, ConfinementLimits& limits) {
  RETURN_IF_ERROR(EnterProgramRoot({.image = programs.image.root,
                                    .work_folder = programs.folder,
                                    .memory_bytes = programs.memory_bytes}));
  limits.work_folder = kWorkInImage;
  limits.own_proc = limits.own_shared_memory = limits.own_root = limits.read_only_system = true;
  BoundThreads(limits);
  return SetReadOnly("/proc", true, 0) ? absl::OkStatus()
                                       : absl::UnavailableError("/proc cannot be made read-only");
}

// In the keeper: what programs see of the machine.
absl::Status MakeView(const ProgramLimits& programs, ConfinementLimits& limits) {
  // Else what is mounted here would be seen elsewhere.
  const bool own_mounts =
      limits.own_processes && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  if (programs.image.root.empty()) {
    if (own_mounts) MountOwn(programs.memory_bytes, limits);
    return absl::OkStatus();
  }
  return own_mounts ? EnterImage(programs, limits)
                    : absl::UnavailableError("there are no namespaces of mounts and processes");
}

// What a keeper says first: this, then so many bytes of why it cannot begin.
struct Greeting {
  bool read_only_system = false;
  uint32_t why_bytes = 0;
};

void Greet(int fd, const absl::Status& view, bool read_only_system) {
  const std::string why(view.message().substr(0, kMaxWords));
  const Greeting greeting{.read_only_system = read_only_system,
                          .why_bytes = static_cast<uint32_t>(why.size())};
  const std::string bytes(reinterpret_cast<const char*>(&greeting), sizeof greeting);
  if (!WriteFully(fd, absl::StrCat(bytes, why)).ok() || !view.ok()) _exit(EXIT_FAILURE);
}

bool ReadAll(int fd, void* bytes, size_t size) {
  auto* at = static_cast<char*>(bytes);
  while (size > 0) {
    const ssize_t got = read(fd, at, size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

absl::Status Gone() { return absl::UnavailableError("the process that keeps programs is gone"); }

// What Greet has said. Whether the system is read-only.
absl::StatusOr<bool> HearGreeting(int fd) {
  Greeting greeting;
  if (!ReadAll(fd, &greeting, sizeof greeting) || greeting.why_bytes > kMaxWords) return Gone();
  std::string why(greeting.why_bytes, '\0');
  if (!ReadAll(fd, why.data(), why.size())) return Gone();
  if (!why.empty()) return absl::UnavailableError(why);
  return greeting.read_only_system;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ProgramKeeper>> ProgramKeeper::Start(const ProgramLimits& programs,
                                                                    ConfinementReport& report) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return absl::InternalError(absl::StrCat("cannot make a socket pair: ", std::strerror(errno)));
  }
  UniqueFd own(ends[0]);
  UniqueFd keepers(ends[1]);
  ConfinementLimits limits;
  limits.work_folder = programs.folder;
  limits.memory_bytes = programs.memory_bytes;
  limits.file_bytes = int64_t{16} << 30;
  limits.open_files = 1024;
  limits.threads = programs.threads_in_all;
  limits.gpus = programs.gpus;
  limits.program = true;
  pid_t pid = Clone(CLONE_NEWPID | CLONE_NEWNS);
  limits.own_processes = pid >= 0;
  report.push_back(pid >= 0
                       ? "programs in a process namespace"
                       : absl::StrCat("programs in no process namespace: ", std::strerror(errno)));
  if (pid < 0) pid = fork();
  if (pid < 0) {
    return absl::InternalError(absl::StrCat("cannot make a process: ", std::strerror(errno)));
  }
  if (pid == 0) {
    own.Reset();
    const absl::Status view = MakeView(programs, limits);
    Greet(keepers.get(), view, limits.read_only_system);
    KeepPrograms(std::move(keepers), programs, std::move(limits));
  }
  keepers.Reset();
  ASSIGN_OR_RETURN(const bool read_only, HearGreeting(own.get()));
  report.push_back(read_only ? "programs in a read-only system"
                             : "programs in no read-only system");
  // One that is gone is found out by Wait.
  signal(SIGPIPE, SIG_IGN);
  return std::make_unique<ProgramKeeper>(Token(), std::move(own));
}

absl::Status ProgramKeeper::Run(const std::vector<std::string>& arguments) {
  v1::Program order;
  for (const std::string& argument : arguments) order.add_arguments(argument);
  RETURN_IF_ERROR(WriteFully(control_.get(), {&kRunProgram, 1}));
  return WriteFrame(control_.get(), order);
}

void ProgramKeeper::Send(ProgramSignal signal) {
  const char command = static_cast<char>(signal);
  // A keeper that is gone is found out by Wait.
  WriteFully(control_.get(), {&command, 1}).IgnoreError();
}

bool ProgramKeeper::Hold() {
  if (!WriteFully(control_.get(), {&kHoldProgram, 1}).ok()) return false;
  while (true) {
    EndHeader header;
    if (!ReadAll(control_.get(), &header, sizeof header)) return false;
    if (header.cause == kHeldReply) return header.wait_status != 0;
    // It ended before it could be held.
    auto end = ReadEnd(header);
    if (!end.ok()) return false;
    ended_ = *std::move(end);
  }
}

absl::StatusOr<std::optional<ProgramEnd>> ProgramKeeper::Wait(int64_t wait_ms) {
  if (ended_.has_value()) return std::exchange(ended_, std::nullopt);
  pollfd ready{.fd = control_.get(), .events = POLLIN, .revents = 0};
  if (poll(&ready, 1, static_cast<int>(wait_ms)) <= 0) return std::nullopt;
  EndHeader header;
  if (!ReadAll(control_.get(), &header, sizeof header)) return Gone();
  ASSIGN_OR_RETURN(ProgramEnd end, ReadEnd(header));
  return end;
}

absl::StatusOr<ProgramEnd> ProgramKeeper::ReadEnd(const EndHeader& header) {
  ProgramEnd end;
  end.wait_status = header.wait_status;
  end.cause = static_cast<ProgramEnd::Cause>(header.cause);
  if (header.words_bytes > kMaxWords) return Gone();
  end.last_words.resize(header.words_bytes);
  if (!ReadAll(control_.get(), end.last_words.data(), header.words_bytes)) return Gone();
  return end;
}

}  // namespace beamline::worker
