#include "worker/task_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace beamline::worker {
namespace {

constexpr int kSendSeconds = 10;
constexpr size_t kReadBytes = 64 << 10;
constexpr char kMountedDriver[] = "/usr/local/nvidia/lib64";

absl::Status ErrnoStatus(std::string_view what, int error) {
  return absl::InternalError(
      absl::StrCat("cannot ", std::string(what), ": ", std::strerror(error)));
}

// How often the kernel's out-of-memory killer struck since the machine started; 0 if not told.
int64_t OutOfMemoryKills() {
  const auto text = ReadFile("/proc/vmstat", 1 << 20);
  if (!text.ok()) return 0;
  const size_t at = text->find("\noom_kill ");
  return at == std::string::npos ? 0 : std::strtoll(text->c_str() + at + 10, nullptr, 10);
}

// Nothing of the daemon's own environment reaches a task, but for what a sanitizer needs. No GPU is
// visible until the task is told which are its own (task_program.cc).
std::vector<std::string> Environment() {
  std::vector<std::string> environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8",
                                          "HOME=/nonexistent", "CUDA_VISIBLE_DEVICES="};
  // Where containers on Kubernetes have the GPU driver, which their linker may not know.
  if (access(kMountedDriver, F_OK) == 0) {
    environment.push_back(absl::StrCat("LD_LIBRARY_PATH=", kMountedDriver));
  }
  for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name); value != nullptr) {
      environment.push_back(absl::StrCat(name, "=", value));
    }
  }
  return environment;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

absl::Status MakePipe(UniqueFd& read_end, UniqueFd& write_end) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus("make a pipe", errno);
  read_end = UniqueFd(ends[0]);
  write_end = UniqueFd(ends[1]);
  fcntl(read_end.get(), F_SETFL, O_NONBLOCK);
  return absl::OkStatus();
}

// posix_spawn's two objects, freed at the end.
class SpawnSettings {
 public:
  SpawnSettings() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    sigset_t all;
    sigset_t none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setflags(&attributes_,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TaskProcess>> TaskProcess::Start(
    const std::string& binary, const std::vector<std::string>& arguments,
    const std::string& folder) {
  auto process = std::make_unique<TaskProcess>(Token());
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
    return ErrnoStatus("make a socket pair", errno);
  }
  process->socket_ = UniqueFd(sockets[0]);
  const UniqueFd child_socket(sockets[1]);
  const timeval limit{.tv_sec = kSendSeconds, .tv_usec = 0};
  setsockopt(process->socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  UniqueFd child_output;
  UniqueFd child_error;
  RETURN_IF_ERROR(MakePipe(process->output_, child_output));
  RETURN_IF_ERROR(MakePipe(process->error_, child_error));

  SpawnSettings settings;
  posix_spawn_file_actions_addchdir_np(&settings.actions_, folder.c_str());
  posix_spawn_file_actions_addopen(&settings.actions_, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&settings.actions_, child_output.get(), 1);
  posix_spawn_file_actions_adddup2(&settings.actions_, child_error.get(), 2);
  posix_spawn_file_actions_adddup2(&settings.actions_, child_socket.get(), 3);
  posix_spawn_file_actions_addclosefrom_np(&settings.actions_, 4);

  std::vector<std::string> words = {binary};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> environment = Environment();
  process->kills_before_ = OutOfMemoryKills();
  const int error =
      posix_spawn(&process->pid_, binary.c_str(), &settings.actions_, &settings.attributes_,
                  Pointers(words).data(), Pointers(environment).data());
  if (error != 0) {
    process->reaped_ = true;
    return ErrnoStatus(absl::StrCat("start ", binary), error);
  }
  process->pidfd_ = UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, process->pid_, 0)));
  return process;
}

TaskProcess::~TaskProcess() {
  if (reaped_) return;
  Signal(SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
}

absl::Status TaskProcess::Send(const v1::TaskCommand& command) {
  ASSIGN_OR_RETURN(const std::string frame, EncodeFrame(command));
  std::string_view rest = frame;
  while (!rest.empty()) {
    const ssize_t sent = send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) {
      return absl::UnavailableError(
          absl::StrCat("the task's process does not listen: ", std::strerror(errno)));
    }
    rest.remove_prefix(static_cast<size_t>(sent));
  }
  return absl::OkStatus();
}

void TaskProcess::Signal(int signal) {
  if (!reaped_) kill(-pid_, signal);
}

bool TaskProcess::Alive() const {
  pollfd ready{.fd = socket_.get(), .events = POLLIN | POLLRDHUP, .revents = 0};
  return !reaped_ && socket_ && poll(&ready, 1, 0) == 0;
}

absl::Status TaskProcess::ReadMessages(std::vector<v1::TaskMessage>& messages) {
  char buffer[kReadBytes];
  const ssize_t got = recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return absl::OkStatus();
  if (got <= 0) {
    socket_.Reset();
    if (!frames_.HasPartialFrame()) return absl::OkStatus();
    return absl::InvalidArgumentError("the task's process ended in the middle of a message");
  }
  frames_.Append({buffer, static_cast<size_t>(got)});
  while (true) {
    auto frame = frames_.Next();
    absl::Status status = frame.status();
    if (status.ok() && !frame->has_value()) return absl::OkStatus();
    v1::TaskMessage message;
    if (status.ok() &&
        !message.ParseFromArray((*frame)->data(), static_cast<int>((*frame)->size()))) {
      status = absl::InvalidArgumentError("the task's process sent bytes that are no message");
    }
    if (!status.ok()) {
      socket_.Reset();
      return status;
    }
    messages.push_back(std::move(message));
  }
}

void TaskProcess::ReadLines(UniqueFd& fd, LineSplitter& splitter, std::vector<std::string>& lines) {
  char buffer[kReadBytes];
  const ssize_t got = read(fd.get(), buffer, sizeof buffer);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  std::vector<std::string> more;
  if (got > 0) {
    more = splitter.Append({buffer, static_cast<size_t>(got)});
  } else {
    more = splitter.Finish();
    fd.Reset();
  }
  for (std::string& line : more) lines.push_back(std::move(line));
}

bool TaskProcess::Reap(ProcessExit& exit) {
  if (!reaped_) {
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0) {
      return false;
    }
    // While it is not yet reaped nobody else can have its number: this reaches what it left behind.
    kill(-pid_, SIGKILL);
    rusage usage{};
    if (wait4(pid_, &exit_.wait_status, 0, &usage) != pid_) return false;
    exit_.peak_memory_bytes = int64_t{usage.ru_maxrss} * 1024;
    exit_.machine_ran_out_of_memory = OutOfMemoryKills() > kills_before_;
    reaped_ = true;
  }
  exit = exit_;
  return true;
}

}  // namespace beamline::worker
