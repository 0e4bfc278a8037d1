// dev: server and worker on this machine, watched over in one terminal.

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "clients/cli/format.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/invocation.h"
#include "clients/cli/json.h"
#include "clients/cli/process.h"
#include "clients/cli/verbs/verbs.h"

namespace beamline::cli {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kReadyTimeoutMs = 60'000;
constexpr int64_t kWorkerStopMs = 30'000;
constexpr int64_t kServerStopMs = 10'000;
constexpr int64_t kFirstRestartDelayMs = 500;
constexpr int64_t kLongestRestartDelayMs = 30'000;
// A daemon that ran this long is started again without delay when it dies.
constexpr int64_t kHealthyAfterMs = 60'000;
constexpr int64_t kSuperviseMs = 200;
constexpr size_t kMaxSmallFileBytes = 64 << 10;

// One of the two daemons, and what its next start needs to know.
struct Daemon {
  std::string name;
  std::vector<std::string> arguments;
  std::string log_path;
  std::string ready_path;
  ChildProcess process;
  int64_t started_ms = 0;
  int64_t restart_at_ms = 0;
  int64_t restart_delay_ms = kFirstRestartDelayMs;
};

// A state folder and what runs in it.
class DevCluster {
 public:
  DevCluster(Invocation& invocation, std::string state)
      : invocation_(invocation), state_(std::move(state)) {}

  absl::Status Start() {
    RETURN_IF_ERROR(MakeFolders());
    RETURN_IF_ERROR(StartServer());
    RETURN_IF_ERROR(StartWorker());
    RETURN_IF_ERROR(WriteContext());
    return Announce();
  }

  // Until an interrupt.
  void Supervise() {
    while (!WaitUnlessInterrupted(kSuperviseMs)) {
      for (Daemon* daemon : {&server_, &worker_}) KeepRunning(*daemon);
    }
  }

  // The worker first, so that it can hand its attempts back. A second interrupt kills.
  void Stop() {
    invocation_.Note("stopping (Ctrl-C again kills)\n");
    StopOne(worker_, kWorkerStopMs);
    StopOne(server_, kServerStopMs);
    invocation_.Note("stopped\n");
  }

 private:
  std::string Path(const std::string& name) const { return (fs::path(state_) / name).string(); }

  absl::Status MakeFolders() {
    std::error_code error;
    // A token of a server whose state was removed is of no use to the next one.
    if (!fs::exists(Path("server"), error)) fs::remove(Path("admin-token"), error);
    for (const char* folder : {"server", "worker", "logs"}) {
      fs::create_directories(Path(folder), error);
      if (error) {
        return absl::InvalidArgumentError(
            absl::StrFormat("cannot make %s: %s; choose another folder with --state", Path(folder),
                            error.message()));
      }
    }
    fs::permissions(state_, fs::perms::owner_all, error);
    lock_ = UniqueFd(open(Path("lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!lock_ || flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "another \"beamline dev\" runs in %s; stop it, or choose another folder with --state",
          state_));
    }
    return absl::OkStatus();
  }

  absl::Status StartServer() {
    ASSIGN_OR_RETURN(const std::string program, SiblingProgram("beamlined"));
    const std::string listen = invocation_.args().Get("listen", "127.0.0.1:7447");
    server_.name = "server";
    server_.log_path = Path("logs/server.log");
    server_.ready_path = Path("server-ready.json");
    server_.arguments = {program,
                         "--state",
                         Path("server"),
                         "--listen",
                         listen,
                         "--ready-file",
                         server_.ready_path,
                         "--print-join-token",
                         Path("join-token"),
                         "--init-admin",
                         Path("admin-token"),
                         "--allow-programs"};
    ASSIGN_OR_RETURN(const google::protobuf::Struct ready, StartAndWait(server_));
    address_ = ready.fields().at("address").string_value();
    ca_ = ready.fields().at("ca").string_value();
    // Whoever was told the address finds the server there after a restart too.
    *std::ranges::find(server_.arguments, listen) = address_;
    return absl::OkStatus();
  }

  absl::Status StartWorker() {
    ASSIGN_OR_RETURN(const std::string program, SiblingProgram("beamline-worker"));
    worker_.name = "worker";
    worker_.log_path = Path("logs/worker.log");
    worker_.ready_path = Path("worker-ready.json");
    worker_.arguments = {program,
                         "--state",
                         Path("worker"),
                         "--server",
                         address_,
                         "--ca",
                         ca_,
                         "--join-token-file",
                         Path("join-token"),
                         "--name",
                         "local",
                         "--ready-file",
                         worker_.ready_path};
    for (const char* flag : {"cpus", "memory"}) {
      if (!invocation_.args().Has(flag)) continue;
      worker_.arguments.push_back(absl::StrCat("--", flag));
      worker_.arguments.push_back(invocation_.args().Get(flag));
    }
    return StartAndWait(worker_).status();
  }

  absl::Status StartOne(Daemon& daemon) {
    unlink(daemon.ready_path.c_str());
    ASSIGN_OR_RETURN(daemon.process, ChildProcess::Start(daemon.arguments, daemon.log_path));
    daemon.started_ms = invocation_.clock().MonotonicMillis();
    return absl::OkStatus();
  }

  // What the daemon wrote into its ready file.
  absl::StatusOr<google::protobuf::Struct> StartAndWait(Daemon& daemon) {
    RETURN_IF_ERROR(StartOne(daemon));
    google::protobuf::Struct ready;
    while (invocation_.clock().MonotonicMillis() - daemon.started_ms < kReadyTimeoutMs) {
      const absl::StatusOr<std::string> text = ReadFile(daemon.ready_path, kMaxSmallFileBytes);
      if (text.ok() && ParseJson(*text, &ready).ok()) return ready;
      if (!daemon.process.Running()) {
        return absl::InternalError(absl::StrFormat(
            "the %s did not start (%s); its log %s ends with\n%s", daemon.name,
            daemon.process.ending(), daemon.log_path, LastLines(daemon.log_path, 10)));
      }
      if (WaitUnlessInterrupted(10)) return InterruptedError();
    }
    return absl::InternalError(
        absl::StrFormat("the %s is not ready after %s; see its log %s", daemon.name,
                        HumanDuration(absl::Milliseconds(kReadyTimeoutMs)), daemon.log_path));
  }

  absl::Status WriteContext() {
    absl::StatusOr<std::string> token = ReadFile(Path("admin-token"), kMaxSmallFileBytes);
    RETURN_IF_ERROR(token.status());
    absl::StripAsciiWhitespace(&*token);
    ASSIGN_OR_RETURN(Config config, LoadConfig(ConfigPath()));
    Context& context = config.contexts["dev"];
    context = {address_, ca_, *token, context.project};
    if (!config.contexts.contains(config.current)) config.current = "dev";
    is_current_ = config.current == "dev";
    return SaveConfig(ConfigPath(), config);
  }

  absl::Status Announce() {
    const std::string flag = is_current_ ? "" : " --context dev";
    invocation_.Note(
        absl::StrFormat("Beamline runs on this machine. Ctrl-C stops it.\n"
                        "  server   %s (pid %d)\n"
                        "  worker   local (pid %d)\n"
                        "  state    %s (logs in %s)\n"
                        "  context  dev, in %s\n"
                        "  project  default, whose pipelines may run programs of yours\n"
                        "Next, in another terminal:\n"
                        "  beamline%s status\n"
                        "  beamline%s run create examples/collisions/pipeline.yaml --watch\n",
                        address_, server_.process.pid(), worker_.process.pid(), state_,
                        Path("logs"), ConfigPath(), flag, flag));
    google::protobuf::Struct ready;
    auto* fields = ready.mutable_fields();
    (*fields)["address"].set_string_value(address_);
    (*fields)["ca"].set_string_value(ca_);
    (*fields)["state"].set_string_value(state_);
    (*fields)["pid"].set_number_value(getpid());
    (*fields)["server_pid"].set_number_value(server_.process.pid());
    (*fields)["worker_pid"].set_number_value(worker_.process.pid());
    if (invocation_.json()) invocation_.PrintJsonLine(ready);
    const std::string path = invocation_.args().Get("ready-file");
    return path.empty() ? absl::OkStatus() : WriteFileAtomically(path, PrettyJson(ready));
  }

  // Starts the daemon again if it died, later and later if it keeps dying.
  void KeepRunning(Daemon& daemon) {
    if (daemon.process.Running()) return;
    const int64_t now_ms = invocation_.clock().MonotonicMillis();
    if (daemon.restart_at_ms == 0) {
      if (now_ms - daemon.started_ms > kHealthyAfterMs) {
        daemon.restart_delay_ms = kFirstRestartDelayMs;
      }
      daemon.restart_at_ms = now_ms + daemon.restart_delay_ms;
      invocation_.Note(absl::StrFormat("the %s died (%s); starting it again in %s; its log: %s\n",
                                       daemon.name, daemon.process.ending(),
                                       HumanDuration(absl::Milliseconds(daemon.restart_delay_ms)),
                                       daemon.log_path));
      daemon.restart_delay_ms = std::min(2 * daemon.restart_delay_ms, kLongestRestartDelayMs);
    }
    if (now_ms < daemon.restart_at_ms) return;
    daemon.restart_at_ms = 0;
    if (const absl::Status status = StartOne(daemon); !status.ok()) {
      invocation_.Note(absl::StrCat(status.message(), "\n"));
    }
  }

  static void StopOne(Daemon& daemon, int64_t patience_ms) {
    daemon.process.Signal(SIGTERM);
    if (daemon.process.WaitForEnd(patience_ms, 2)) return;
    daemon.process.Signal(SIGKILL);
    daemon.process.WaitForEnd(patience_ms, INT32_MAX);
  }

  Invocation& invocation_;
  const std::string state_;
  UniqueFd lock_;
  std::string address_;
  std::string ca_;
  bool is_current_ = true;
  Daemon server_;
  Daemon worker_;
};

// $XDG_DATA_HOME/beamline/dev or ~/.local/share/beamline/dev.
std::string DefaultState() {
  const char* data = std::getenv("XDG_DATA_HOME");
  if (data != nullptr && *data != '\0') return absl::StrCat(data, "/beamline/dev");
  const char* home = std::getenv("HOME");
  return absl::StrCat(home == nullptr ? "" : home, "/.local/share/beamline/dev");
}

absl::StatusOr<ExitCode> Dev(Invocation& invocation) {
  std::optional<TemporaryDirectory> temporary;
  std::string state = invocation.args().Get("state", DefaultState());
  if (invocation.args().Has("ephemeral")) {
    if (invocation.args().Has("state")) return UsageError("give --state or --ephemeral, not both");
    state = temporary.emplace().path();
  }
  DevCluster cluster(invocation, fs::absolute(state).string());
  const absl::Status status = cluster.Start();
  if (status.ok()) cluster.Supervise();
  if (status.ok() || absl::IsCancelled(status)) cluster.Stop();
  RETURN_IF_ERROR(status);
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> DevCommands() {
  return {
      {.path = "dev",
       .summary = "Start a server and a worker on this machine",
       .positionals = {},
       .flags = {{"state", "DIR",
                  "Where it keeps everything (default: "
                  "~/.local/share/beamline/dev)",
                  Completion::kFolder},
                 {"ephemeral", "", "Keep everything in a temporary folder, removed at the end"},
                 {"listen", "HOST:PORT", "Address (default: 127.0.0.1:7447; port 0: any free)"},
                 {"cpus", "N", "Cores that the worker may use (default: all)"},
                 {"memory", "BYTES", "Memory that the worker may use (default: most)"},
                 {"ready-file", "FILE", "Written as JSON when all is up", Completion::kFile}},
       .details = "TLS and tokens are on. Writes the context \"dev\", so that other commands find "
                  "the server.\nCtrl-C or SIGTERM stops both; a daemon that dies is started "
                  "again.",
       .run = Dev},
  };
}

}  // namespace beamline::cli
