// The process that keeps programs: see program_keeper.h.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <string_view>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "beamline/v1/learners.pb.h"
#include "worker/frames.h"
#include "worker/log_lines.h"
#include "worker/process_tree.h"
#include "worker/program_keeper.h"

namespace beamline::worker {
namespace {

// Unit: milliseconds.
constexpr int kWatchMillis = 100;
// How long what a program wrote may take to arrive after its end. Unit: milliseconds.
constexpr int kDrainMillis = 1'000;
constexpr int kNotStarted = 127;
// How long stopping all processes may take, and how often it is looked at. Unit: milliseconds.
constexpr int kStopMillis = 1'000;
constexpr int kStopPauseMillis = 2;

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

constexpr char kPath[] = "/usr/local/bin:/usr/bin:/bin";

// All that a program finds in its environment: of the names that its image has too, PATH and LANG
// are the image's.
std::map<std::string, std::string> Environment(const ProgramLimits& programs,
                                               const std::string& folder) {
  std::map<std::string, std::string> environment = {{"PATH", kPath}, {"LANG", "C.UTF-8"}};
  for (const std::string& entry : programs.image.environment) {
    const size_t equals = entry.find('=');
    environment[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  environment["USER"] = "beamline";
  environment["HOME"] = folder;
  environment["TMPDIR"] = folder + "/tmp";
  environment["PYTHONUNBUFFERED"] = "1";
  environment["PYTHONHASHSEED"] = "0";
  for (const char* name : {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
                           "NUMEXPR_NUM_THREADS", "LOKY_MAX_CPU_COUNT"}) {
    environment[name] = absl::StrCat(programs.threads);
  }
  for (const char* name : {"CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH"}) {
    // Where the machine has its libraries means nothing in an image.
    if (!programs.image.root.empty() && name == std::string_view("LD_LIBRARY_PATH")) continue;
    if (const char* value = std::getenv(name); value != nullptr) environment[name] = value;
  }
  return environment;
}

std::vector<std::string> Entries(const std::map<std::string, std::string>& environment) {
  std::vector<std::string> entries;
  for (const auto& [name, value] : environment) entries.push_back(absl::StrCat(name, "=", value));
  return entries;
}

[[noreturn]] void CannotStart(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  _exit(kNotStarted);
}

// Where the process that becomes a program says that it cannot be confined; closed once it is one.
constexpr int kUnconfinedFd = 3;

[[noreturn]] void CannotConfine(const std::string& why) {
  WriteFully(kUnconfinedFd, "!").IgnoreError();
  CannotStart(why);
}

// A machine that lacks one of these runs no programs of users.
void RequireConfinement(const ConfinementReport& report) {
  for (const char* part : {"no capabilities", "limits", "Landlock", "seccomp"}) {
    if (std::find(report.begin(), report.end(), part) != report.end()) continue;
    std::string all;
    for (const std::string& line : report) absl::StrAppend(&all, all.empty() ? "" : ", ", line);
    CannotConfine(absl::StrCat("this worker cannot confine programs (", all, ")"));
  }
}

// In the process that becomes the program.
[[noreturn]] void BecomeProgram(std::vector<std::string> arguments, int error_fd, int unconfined_fd,
                                const ProgramLimits& programs, const ConfinementLimits& limits) {
  // A session of its own, so that the kernel, where it shares processors by sessions, does not let
  // many processes crowd out those that watch them. No process can leave it.
  setsid();
  dup2(error_fd, STDERR_FILENO);
  // Opened anew, by way of the mounts that programs see.
  if (const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC); nothing >= 0) {
    dup2(nothing, STDIN_FILENO);
  }
  dup3(unconfined_fd, kUnconfinedFd, O_CLOEXEC);
  close_range(kUnconfinedFd + 1, ~0U, 0);
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const auto environment = Environment(programs, limits.work_folder);
  std::vector<std::string> entries = Entries(environment);
  ConfinementReport report;
  const absl::Status confined = ConfineToWork(limits, report);
  if (!confined.ok()) CannotStart(std::string(confined.message()));
  RequireConfinement(report);
  // Where execvpe looks for a name without a slash.
  setenv("PATH", environment.at("PATH").c_str(), 1);
  execvpe(arguments[0].c_str(), Pointers(arguments).data(), Pointers(entries).data());
  CannotStart(absl::StrCat("cannot start ", arguments[0], ": ", std::strerror(errno)));
}

// Ends when its task does, and all programs with it.
class Keeper {
 public:
  Keeper(UniqueFd control, const ProgramLimits& programs, ConfinementLimits limits)
      : control_(std::move(control)), programs_(programs), limits_(std::move(limits)) {}

  [[noreturn]] void Run() {
    Prepare();
    while (true) {
      pollfd ready[] = {{.fd = control_.get(), .events = POLLIN, .revents = 0},
                        {.fd = children_.get(), .events = POLLIN, .revents = 0},
                        {.fd = words_.get(), .events = POLLIN, .revents = 0}};
      poll(ready, std::size(ready), program_ > 0 ? kWatchMillis : -1);
      if (ready[0].revents != 0) Obey();
      if (ready[2].revents != 0) ReadWords();
      signalfd_siginfo ignored;
      while (read(children_.get(), &ignored, sizeof ignored) > 0) {
      }
      if (program_ > 0) Watch();
      Reap();
    }
  }

 private:
  void Prepare() {
    // Neither reached by what is sent to the task, nor left by what programs leave behind.
    setpgid(0, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_NAME, "beamline-keeper", 0, 0, 0);
    ConfinementReport ignored;
    DropCapabilities(ignored);
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_SETMASK, &set, nullptr);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    // The socket to the worker is the task's alone.
    control_ = UniqueFd(fcntl(control_.get(), F_DUPFD_CLOEXEC, 100));
    close_range(3, 99, 0);
    children_ = UniqueFd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    std::error_code error;
    self_ = std::filesystem::read_symlink("/proc/self", error);
  }

  [[noreturn]] void End() {
    if (program_ > 0) SignalAll(SIGKILL);
    _exit(EXIT_SUCCESS);
  }

  void Obey() {
    char command = 0;
    if (read(control_.get(), &command, 1) != 1) End();
    if (command == kRunProgram) return StartOne();
    if (command == kHoldProgram) return Hold();
    if (program_ <= 0) return;
    switch (static_cast<ProgramSignal>(command)) {
      case ProgramSignal::kTerminate:
        kill(program_, SIGTERM);
        return;
      case ProgramSignal::kKill:
        return SignalAll(SIGKILL);
      case ProgramSignal::kGoOn:
        return SignalAll(SIGCONT);
    }
  }

  void SignalAll(int signal) const {
    // It may not have its group yet.
    if (kill(-program_, signal) != 0) kill(program_, signal);
  }

  // Says so when nothing of it runs any more, or that this took too long.
  void Hold() {
    if (program_ > 0) SignalAll(SIGSTOP);
    bool held = program_ <= 0 || AllStoppedBelow(self_);
    for (int waited = 0; !held && waited < kStopMillis; waited += kStopPauseMillis) {
      poll(nullptr, 0, kStopPauseMillis);
      held = AllStoppedBelow(self_);
    }
    const EndHeader header{.wait_status = held ? 1 : 0, .cause = kHeldReply, .words_bytes = 0};
    const std::string_view bytes(reinterpret_cast<const char*>(&header), sizeof header);
    if (!WriteFully(control_.get(), bytes).ok()) End();
  }

  void StartOne() {
    v1::Program order;
    int ends[2];
    int unconfined_ends[2];
    if (!ReadFrame(control_.get(), order).ok() || program_ > 0 || order.arguments().empty() ||
        pipe2(ends, O_CLOEXEC) != 0 || pipe2(unconfined_ends, O_CLOEXEC | O_NONBLOCK) != 0) {
      End();
    }
    words_ = UniqueFd(ends[0]);
    const UniqueFd write_end(ends[1]);
    fcntl(words_.get(), F_SETFL, O_NONBLOCK);
    unconfined_ = UniqueFd(unconfined_ends[0]);
    const UniqueFd unconfined_write_end(unconfined_ends[1]);
    splitter_ = LineSplitter();
    last_words_ = LastLines();
    cause_ = ProgramEnd::kItself;
    program_ = fork();
    if (program_ < 0) End();
    if (program_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
      BecomeProgram({order.arguments().begin(), order.arguments().end()}, write_end.get(),
                    unconfined_write_end.get(), programs_, limits_);
    }
  }

  // On to the task's own standard error, which the worker reads.
  bool ReadWords() {
    char buffer[16 << 10];
    const ssize_t got = read(words_.get(), buffer, sizeof buffer);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) {
      for (const std::string& line : splitter_.Finish()) last_words_.Add(line);
      words_.Reset();
      return false;
    }
    const std::string_view bytes(buffer, static_cast<size_t>(got));
    WriteFully(STDERR_FILENO, bytes).IgnoreError();
    for (const std::string& line : splitter_.Append(bytes)) last_words_.Add(line);
    return true;
  }

  void Watch() {
    const TreeUse use = UseBelow(self_, programs_.processes, programs_.most_threads);
    // What lies in files there may be mapped as well: it is counted once.
    int64_t shared_bytes = use.shared_bytes;
    struct statvfs shared;
    if (limits_.own_shared_memory && statvfs("/dev/shm", &shared) == 0) {
      shared_bytes = std::max(
          shared_bytes, static_cast<int64_t>((shared.f_blocks - shared.f_bfree) * shared.f_frsize));
    }
    if (use.processes > programs_.processes || use.threads > programs_.most_threads) {
      Exceeds(ProgramEnd::kProcesses);
    } else if (programs_.memory_bytes > 0 &&
               use.memory_bytes + shared_bytes > programs_.memory_bytes) {
      Exceeds(ProgramEnd::kMemory);
    }
  }

  void Exceeds(ProgramEnd::Cause cause) {
    cause_ = cause;
    SignalAll(SIGKILL);
  }

  // The program, and what programs left behind.
  void Reap() {
    siginfo_t info{};
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
      if (info.si_pid == program_) {
        Conclude();
      } else {
        waitpid(info.si_pid, nullptr, 0);
      }
      info = {};
    }
  }

  void Conclude() {
    // While it is not yet reaped nobody else can have its number.
    kill(-program_, SIGKILL);
    int status = 0;
    waitpid(program_, &status, 0);
    program_ = -1;
    pollfd ready{.fd = words_.get(), .events = POLLIN, .revents = 0};
    while (ready.fd >= 0 && poll(&ready, 1, kDrainMillis) > 0 && ReadWords()) {
    }
    words_.Reset();
    char said = 0;
    if (read(unconfined_.get(), &said, 1) == 1) cause_ = ProgramEnd::kUnconfined;
    unconfined_.Reset();
    Tell(status);
  }

  void Tell(int status) {
    const std::string words = last_words_.Text();
    const EndHeader header{
        .wait_status = status, .cause = cause_, .words_bytes = static_cast<uint32_t>(words.size())};
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
    if (!WriteFully(control_.get(), absl::StrCat(bytes, words)).ok()) End();
  }

  UniqueFd control_;
  const ProgramLimits programs_;
  const ConfinementLimits limits_;
  UniqueFd children_;  // SIGCHLD
  std::string self_;   // its name in /proc
  // Of the program that runs, if one does. Its process group holds all that it has started.
  pid_t program_ = -1;
  UniqueFd words_;
  UniqueFd unconfined_;
  LineSplitter splitter_;
  LastLines last_words_;
  ProgramEnd::Cause cause_ = ProgramEnd::kItself;
};

}  // namespace

void KeepPrograms(UniqueFd control, const ProgramLimits& programs, ConfinementLimits limits) {
  Keeper(std::move(control), programs, std::move(limits)).Run();
}

}  // namespace beamline::worker
