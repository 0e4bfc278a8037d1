#include "clients/cli/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "base/file.h"
#include "clients/cli/interrupt.h"

namespace beamline::cli {
namespace {

constexpr int64_t kPollMs = 20;
constexpr size_t kMaxLogBytes = size_t{1} << 30;

// Becomes the program; runs in the child and returns only if that failed.
void Become(std::vector<char*>& arguments, int log_fd, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  // The parent may have died before the line above.
  if (getppid() != parent) _exit(1);
  const int null_fd = open("/dev/null", O_RDONLY);
  dup2(null_fd, STDIN_FILENO);
  dup2(log_fd, STDOUT_FILENO);
  dup2(log_fd, STDERR_FILENO);
  signal(SIGPIPE, SIG_DFL);
  execv(arguments[0], arguments.data());
}

}  // namespace

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), ending_(std::move(other.ending_)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(ending_, other.ending_);
  return *this;
}

ChildProcess::~ChildProcess() {
  if (pid_ <= 0 || !Running()) return;
  Signal(SIGKILL);
  waitpid(pid_, nullptr, 0);
}

absl::StatusOr<ChildProcess> ChildProcess::Start(const std::vector<std::string>& arguments,
                                                 const std::string& log_path) {
  if (access(arguments[0].c_str(), X_OK) != 0) {
    return absl::NotFoundError(
        absl::StrFormat("cannot start %s: %s", arguments[0], std::strerror(errno)));
  }
  const UniqueFd log(open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!log) {
    return absl::InternalError(
        absl::StrFormat("cannot write the log %s: %s", log_path, std::strerror(errno)));
  }
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) {
    pointers.push_back(const_cast<char*>(argument.c_str()));
  }
  pointers.push_back(nullptr);
  const pid_t parent = getpid();
  ChildProcess child;
  child.pid_ = fork();
  if (child.pid_ == 0) {
    Become(pointers, log.get(), parent);
    _exit(127);
  }
  if (child.pid_ < 0) {
    return absl::InternalError(
        absl::StrFormat("cannot start %s: %s", arguments[0], std::strerror(errno)));
  }
  return child;
}

bool ChildProcess::Running() {
  if (pid_ <= 0 || !ending_.empty()) return false;
  int status = 0;
  const pid_t ended = waitpid(pid_, &status, WNOHANG);
  if (ended == 0) return true;
  if (ended < 0) {
    ending_ = "unknown";
  } else if (WIFSIGNALED(status)) {
    ending_ =
        absl::StrFormat("killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
  } else {
    ending_ = absl::StrFormat("exit code %d", WEXITSTATUS(status));
  }
  return false;
}

void ChildProcess::Signal(int signal) const {
  if (pid_ > 0 && ending_.empty()) kill(pid_, signal);
}

bool ChildProcess::WaitForEnd(int64_t milliseconds, int stop_on_interrupts) {
  const SystemClock clock;
  const int64_t deadline_ms = clock.MonotonicMillis() + milliseconds;
  while (Running()) {
    if (clock.MonotonicMillis() >= deadline_ms || InterruptCount() >= stop_on_interrupts) {
      return false;
    }
    poll(nullptr, 0, kPollMs);
  }
  return true;
}

absl::StatusOr<std::string> SiblingProgram(const std::string& name) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path path = self.parent_path() / name;
  if (!error && access(path.c_str(), X_OK) == 0) return path.string();
  return absl::NotFoundError(absl::StrFormat(
      "there is no %s beside %s; build it (ninja -C build/release) or install the whole package",
      name, self.string()));
}

std::string LastLines(const std::string& path, int count) {
  const absl::StatusOr<std::string> text = ReadFile(path, kMaxLogBytes);
  if (!text.ok()) return "";
  size_t start = text->size();
  while (count-- > 0 && start > 0) {
    const size_t newline = start < 2 ? std::string::npos : text->rfind('\n', start - 2);
    start = newline == std::string::npos ? 0 : newline + 1;
  }
  return text->substr(start);
}

}  // namespace beamline::cli
