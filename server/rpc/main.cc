// beamlined: wiring only.
#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <grpcpp/impl/codegen/service_type.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "auth/policy.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/private_memory.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "server/backup.h"
#include "server/rpc/bootstrap.h"
#include "server/rpc/flags.h"
#include "server/rpc/gate.h"
#include "server/rpc/listener.h"
#include "server/rpc/services.h"
#include "server/server.h"
#include "server/work_pool.h"
#include "store/audit.h"

namespace beamline::server::rpc {
namespace {

enum ExitCode { kSuccess = 0, kFailure = 1, kUsage = 2 };

// For streams: they wait for the disk, never for a client.
constexpr int kStreamThreads = 2;
// More than one listener's streams can have waiting at a time.
constexpr size_t kMaxWaitingStreams = 100'000;
// Calls in progress when the server stops get this long to end by themselves.
constexpr absl::Duration kGrace = absl::Seconds(5);

// A second signal this soon is the first once more, not impatience: a terminal and a parent process
// may both pass on one Ctrl-C. Unit: milliseconds.
constexpr int64_t kSameSignalMs = 1'000;

// SIGTERM and SIGINT, taken by Wait, and SIGHUP if there is something to read again. Made before
// there are other threads, which inherit the mask.
class Signals {
 public:
  Signals(const Clock& clock, bool takes_hangup) : clock_(clock) {
    sigemptyset(&set_);
    sigaddset(&set_, SIGTERM);
    sigaddset(&set_, SIGINT);
    if (takes_hangup) sigaddset(&set_, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    signal(SIGPIPE, SIG_IGN);
  }
  ~Signals() {
    if (!second_.joinable()) return;
    ended_ = true;
    pthread_kill(second_.native_handle(), SIGTERM);
    second_.join();
  }

  // Calls `reload` at each SIGHUP, and returns at the first other signal. From then on another one
  // ends the process at once.
  void Wait(absl::FunctionRef<void()> reload) {
    while (Take() == SIGHUP) reload();
    second_ = std::thread([this, first_ms = clock_.MonotonicMillis()] {
      while (true) {
        const int number = Take();
        if (ended_) return;
        if (number == SIGHUP) continue;
        if (clock_.MonotonicMillis() - first_ms >= kSameSignalMs) _exit(128 + number);
      }
    });
  }
  // Makes Wait return. Thread-safe.
  void Raise() { pthread_kill(main_, SIGTERM); }

 private:
  int Take() {
    int number = 0;
    sigwait(&set_, &number);
    return number;
  }

  const Clock& clock_;
  sigset_t set_;
  const pthread_t main_ = pthread_self();
  std::atomic<bool> ended_ = false;
  std::thread second_;
};

// gRPC's own words, most of them about peers that do not speak TLS.
void LogGrpc(gpr_log_func_args* args) {
  log::Write(args->severity == GPR_LOG_SEVERITY_ERROR ? log::Level::kWarning : log::Level::kDebug,
             args->message);
}

void ReloadIssuers(Server& server) {
  if (const absl::Status status = server.ReloadIssuers(); status.ok()) {
    log::Info("have read the issuers again");
  } else {
    log::Error("the issuers stay as they were: %s", status.message());
  }
}

absl::Status Run(const Flags& flags, const Clock& clock, Signals& signals) {
  SystemRandom random;
  std::atomic<bool> failed = false;
  ServerOptions options;
  options.state_folder = flags.state;
  options.server_names = flags.names;
  options.scheduler.preemption = flags.preempt_every > 0;
  if (flags.preempt_every > 0) options.scheduler.round_ms = flags.preempt_every * 1000;
  options.scheduler.min_run_ms = flags.preempt_after * 1000;
  options.issuers_file = flags.issuers;
  options.worker_certificate_lifetime = absl::Seconds(flags.worker_certificate);
  options.on_fatal = [&](const absl::Status& why) {
    log::Error("the server must stop: %s", why.ToString());
    failed = true;
    signals.Raise();
  };
  ASSIGN_OR_RETURN(const std::unique_ptr<Server> server,
                   Server::Open(std::move(options), clock, random));
  if (!flags.init_admin.empty()) {
    RETURN_IF_ERROR(InitAdmin(server->auth(), server->projects(), flags.init_admin));
  }
  if (flags.allow_programs) RETURN_IF_ERROR(AllowPrograms(server->projects()));
  if (!flags.print_join_token.empty()) {
    RETURN_IF_ERROR(WriteJoinToken(server->auth(), flags.print_join_token));
  }
  const auth::Policy policy;
  Gate gate(server->authenticator(), policy, &server->calls());
  WorkPool pool(kStreamThreads, kMaxWaitingStreams);
  const auto services = MakeServices(gate, *server, pool);
  std::vector<grpc::Service*> served;
  for (const auto& service : services) served.push_back(service.get());
  Listener::Options listen;
  listen.address = flags.listen;
  ASSIGN_OR_RETURN(const std::unique_ptr<Listener> listener,
                   Listener::Start(listen, server->authority(), served));
  listener->SetServing(true);
  log::Info("beamlined " BEAMLINE_VERSION " serves on %s, state in %s", listener->address(),
            flags.state);
  absl::Status ready;
  if (!flags.ready_file.empty()) {
    const auto ca = std::filesystem::absolute(flags.state) / "tls/ca.pem";
    ready = WriteReadyFile(flags.ready_file, listener->address(), ca.string());
  }
  if (ready.ok()) signals.Wait([&] { ReloadIssuers(*server); });
  log::Info("beamlined stops");
  listener->SetServing(false);
  server->Shutdown();
  listener->Shutdown(kGrace);
  pool.Stop();
  if (!flags.ready_file.empty()) std::filesystem::remove(flags.ready_file);
  if (failed) return absl::InternalError("the database has failed: see the log above");
  return ready;
}

// A line that is written over, on a terminal; nothing otherwise.
void ShowProgress(int64_t done, int64_t all) {
  if (isatty(STDERR_FILENO) == 0) return;
  std::fprintf(stderr, "\r%lld of %lld blobs%s", static_cast<long long>(done),
               static_cast<long long>(all), done == all ? "\n" : "");
}

absl::Status CopyState(const Flags& flags) {
  const bool backs_up = flags.command == "backup";
  const std::string& other = backs_up ? flags.to : flags.from;
  if (other.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.command, backs_up ? " needs --to DIR" : " needs --from DIR"));
  }
  ASSIGN_OR_RETURN(const CopyReport report, backs_up ? Backup(flags.state, other, ShowProgress)
                                                     : Restore(other, flags.state, ShowProgress));
  std::printf("%s: %lld blobs, of which %lld (%lld bytes) were copied\n",
              backs_up ? other.c_str() : flags.state.c_str(), static_cast<long long>(report.blobs),
              static_cast<long long>(report.copied), static_cast<long long>(report.copied_bytes));
  return absl::OkStatus();
}

absl::Status VerifyAudit(const Flags& flags) {
  ASSIGN_OR_RETURN(const store::AuditHead head,
                   store::CheckAudit(flags.state + "/beamline.db", flags.head));
  std::printf("%lld entries, all as they were written\nhead %s\n",
              static_cast<long long>(head.sequence), head.hash.c_str());
  return absl::OkStatus();
}

int Main(const std::vector<std::string>& args) {
  // Says on standard error which field of a message is no UTF-8: anybody could fill the log so.
  google::protobuf::SetLogHandler(nullptr);
#ifdef NDEBUG
  // Debian builds Abseil with lock-order checking on, which ends the process when it suspects a
  // deadlock. That belongs into tests.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
  const absl::StatusOr<Flags> flags = ParseFlags(args);
  if (!flags.ok()) {
    std::fprintf(stderr, "beamlined: %s\n", std::string(flags.status().message()).c_str());
    return kUsage;
  }
  if (flags->help || flags->version) {
    std::fputs(flags->help ? HelpText().c_str() : "beamlined " BEAMLINE_VERSION "\n", stdout);
    return kSuccess;
  }
  if (!flags->command.empty()) {
    const bool verifies = flags->command == "audit verify";
    const absl::Status outcome = verifies ? VerifyAudit(*flags) : CopyState(*flags);
    if (outcome.ok()) return kSuccess;
    std::fprintf(stderr, "beamlined %s: %s\n", flags->command.c_str(),
                 std::string(outcome.message()).c_str());
    return absl::IsInvalidArgument(outcome) ? kUsage : kFailure;
  }
  KeepMemoryPrivate();
  const SystemClock clock;
  Signals signals(clock, !flags->issuers.empty());
  log::Start("server", flags->log_level);
  gpr_set_log_function(LogGrpc);
  const absl::Status outcome = Run(*flags, clock, signals);
  if (outcome.ok()) return kSuccess;
  log::Error("beamlined ends: %s", outcome.message());
  return kFailure;
}

}  // namespace
}  // namespace beamline::server::rpc

int main(int argc, char** argv) {
  return beamline::server::rpc::Main(std::vector<std::string>(argv + 1, argv + argc));
}
