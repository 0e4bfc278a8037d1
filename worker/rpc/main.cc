// beamline-worker: wiring only.
#include <grpc/support/log.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/private_memory.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "pipeline/plan/measure_rates.h"
#include "worker/cache.h"
#include "worker/confinement.h"
#include "worker/deadline_executor.h"
#include "worker/devices.h"
#include "worker/gpus.h"
#include "worker/image_folder.h"
#include "worker/images/command.h"
#include "worker/logging_executor.h"
#include "worker/loop.h"
#include "worker/measuring_executor.h"
#include "worker/probe.h"
#include "worker/process_executor.h"
#include "worker/renewal.h"
#include "worker/rpc/flags.h"
#include "worker/rpc/grpc_link.h"
#include "worker/rpc/identity.h"

namespace beamline::worker::rpc {
namespace {

enum ExitCode { kSuccess = 0, kFailure = 1, kUsage = 2 };

constexpr int64_t kJoinPauseMillis = 500;
// A second signal this soon is the first once more: a terminal and a parent process may both pass
// on one Ctrl-C. Unit: milliseconds.
constexpr int64_t kSameSignalMs = 1'000;

// SIGTERM and SIGINT, and the end of the loop. Made before there are other threads, which inherit
// the mask.
class Events {
 public:
  Events() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    signal(SIGPIPE, SIG_IGN);
    signals_ = UniqueFd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    left_ = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  }
  enum Kind { kNothing, kSignal, kLeft };
  // The next one, after at most `wait_ms` milliseconds (-1: any time).
  Kind Next(int wait_ms) const {
    pollfd ready[] = {{.fd = signals_.get(), .events = POLLIN, .revents = 0},
                      {.fd = left_.get(), .events = POLLIN, .revents = 0}};
    if (poll(ready, 2, wait_ms) <= 0) return kNothing;
    signalfd_siginfo info;
    if (read(signals_.get(), &info, sizeof info) == sizeof info) return kSignal;
    return kLeft;
  }
  // Thread-safe.
  void Leave() const {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t ignored = write(left_.get(), &one, sizeof one);
  }

 private:
  UniqueFd signals_;
  UniqueFd left_;
};

// gRPC's own words.
void LogGrpc(gpr_log_func_args* args) {
  log::Write(args->severity == GPR_LOG_SEVERITY_ERROR ? log::Level::kWarning : log::Level::kDebug,
             args->message);
}

// beamline-task beside this program, unless another one is named. NotFound if it is not there.
absl::StatusOr<std::string> TaskBinary(const Flags& flags) {
  std::error_code error;
  std::filesystem::path path = flags.task_binary;
  if (path.empty()) {
    path = std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "beamline-task";
  }
  path = std::filesystem::absolute(path, error);
  if (access(path.c_str(), X_OK) == 0) return path.string();
  return absl::NotFoundError(absl::StrCat("no program ", path.string(),
                                          ": name beamline-task's place with --task-binary"));
}

absl::StatusOr<std::string> NeededFile(const std::string& path, const char* flag,
                                       const Flags& flags) {
  if (path.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("this worker has not joined yet (nothing in ",
                                                   flags.state, "/tls): give ", flag));
  }
  absl::StatusOr<std::string> text = ReadFile(path, 1 << 20);
  if (text.ok()) return text;
  return absl::InvalidArgumentError(absl::StrCat(flag, ": ", text.status().message()));
}

// The identity in the state folder, or a new one from the server; waits for a server that does not
// yet answer. Cancelled if a signal comes first.
absl::StatusOr<Identity> FindIdentity(const Flags& flags, const std::string& hostname,
                                      const Events& events) {
  absl::StatusOr<Identity> known = LoadIdentity(flags.state, SystemClock().Now());
  if (known.ok() || !absl::IsNotFound(known.status())) return known;
  ASSIGN_OR_RETURN(const std::string authority, NeededFile(flags.ca, "--ca", flags));
  ASSIGN_OR_RETURN(const std::string token,
                   NeededFile(flags.join_token_file, "--join-token-file", flags));
  const auto channel = MakeChannel(flags.server, {.authority = authority});
  bool told = false;
  while (true) {
    absl::StatusOr<Identity> joined =
        JoinServer(flags.state, authority, std::string(absl::StripAsciiWhitespace(token)), hostname,
                   [&](const v1::JoinRequest& request) { return Join(channel, request); });
    if (joined.ok()) log::Info("joined %s as %s", flags.server, joined->worker);
    if (!absl::IsUnavailable(joined.status())) return joined;
    if (!std::exchange(told, true)) {
      log::Warning("cannot join %s yet: %s; trying again", flags.server,
                   std::string(joined.status().message()));
    }
    if (events.Next(kJoinPauseMillis) == Events::kSignal) {
      return absl::CancelledError("stopped before it had joined");
    }
  }
}

// Runs the loop until it has left.
void Serve(WorkerLoop& loop, const Events& events, const Clock& clock,
           const std::function<void()>& on_ready) {
  loop.OnLeave([&events] { events.Leave(); });
  loop.Start(on_ready);
  int64_t first_signal_ms = -1;
  while (true) {
    const Events::Kind event = events.Next(-1);
    if (event == Events::kLeft) return;
    if (event != Events::kSignal) continue;
    const int64_t now_ms = clock.MonotonicMillis();
    if (first_signal_ms >= 0 && now_ms - first_signal_ms >= kSameSignalMs) {
      log::Warning("a second signal: ends at once");
      _exit(kFailure);
    }
    if (first_signal_ms < 0) first_signal_ms = now_ms;
    loop.Drain();
  }
}

// The GPUs to offer. A machine without any, or whose driver does not answer, offers its cores.
absl::StatusOr<std::unique_ptr<GpuSource>> GpusToOffer(const Flags& flags) {
  if (!flags.fake_devices.empty()) {
    absl::StatusOr<std::unique_ptr<GpuSource>> fake = MakeFakeGpus(flags.fake_devices);
    if (fake.ok()) return fake;
    return absl::InvalidArgumentError(absl::StrCat("--fake-devices: ", fake.status().message()));
  }
  if (flags.no_gpus) return NoGpus();
  absl::StatusOr<std::unique_ptr<GpuSource>> found = FindGpus();
  if (found.ok()) return found;
  log::Info("no GPUs: %s", std::string(found.status().message()));
  return NoGpus();
}

// To what the worker says of itself, and to the log.
void AddGpus(const GpuSource& gpus, v1::Worker& description) {
  for (const v1::Device& gpu : gpus.gpus()) {
    log::Info("offers %s: %s, %.1f GiB", gpu.id(), gpu.model(),
              static_cast<double>(gpu.memory_bytes()) / (int64_t{1} << 30));
    *description.add_devices() = gpu;
  }
}

void TellImages(const std::string& folder, v1::Worker& worker) {
  std::vector<std::string> digests = ListImages(folder);
  if (std::ssize(digests) > pipeline::kMaxImages) digests.resize(pipeline::kMaxImages);
  worker.mutable_images()->Assign(digests.begin(), digests.end());
}

// What is measured once on this machine: with another engine, processor or number of cores it is
// done anew.
MeasuringExecutor::Options MeasuringOptions(const std::string& binary, const std::string& state,
                                            const v1::Worker& description) {
  const v1::Device& cpu = description.devices(0);
  return {.binary = binary,
          .threads = pipeline::ThreadsToMeasure(cpu.cpus()),
          .file = state + "/rates",
          .key = absl::StrCat(BEAMLINE_VERSION, "/", pipeline::kRatesVersion, ", ", cpu.model(),
                              ", ", cpu.cpus())};
}

// Makes a renewed certificate the one that is used from now on, also after a restart.
absl::Status UseRenewed(const Flags& flags, const Identity& identity, const std::string& key,
                        const v1::RenewCertificateResponse& renewed, GrpcLink& link) {
  const std::string& authority = renewed.certificate_authority();
  const Credentials credentials{
      .authority = authority.empty() ? identity.credentials.authority : authority,
      .certificate = renewed.certificate(),
      .key = key};
  RETURN_IF_ERROR(SaveCredentials(flags.state, credentials));
  link.Use(MakeChannel(flags.server, credentials));
  return absl::OkStatus();
}

// To the log, and to those who wait for the worker, if any do.
absl::Status TellReady(const Flags& flags, const v1::Worker& description) {
  log::Info("worker %s serves %g cores, %.1f GiB; server %s", description.name().substr(8),
            description.devices(0).cpus(),
            static_cast<double>(description.memory_bytes()) / (int64_t{1} << 30), flags.server);
  if (flags.ready_file.empty()) return absl::OkStatus();
  return WriteFileAtomically(
      flags.ready_file,
      absl::StrFormat("{\"worker\": \"%s\", \"pid\": %d}\n", description.name(), getpid()));
}

absl::Status Run(const Flags& flags, const Clock& clock, const Events& events) {
  v1::Worker description;
  RETURN_IF_ERROR(
      DescribeDevices({.cpus = flags.cpus, .memory_bytes = flags.memory_bytes}, description));
  ASSIGN_OR_RETURN(const std::unique_ptr<GpuSource> gpus, GpusToOffer(flags));
  AddGpus(*gpus, description);
  if (!flags.name.empty()) description.set_hostname(flags.name);
  description.set_pool(flags.pool);
  description.set_version(BEAMLINE_VERSION);
  ASSIGN_OR_RETURN(const UniqueFd lock, LockState(flags.state));
  ASSIGN_OR_RETURN(const std::string binary, TaskBinary(flags));
  ASSIGN_OR_RETURN(const std::vector<std::string> confinement, ProbeConfinement(binary));
  description.mutable_confinement()->Assign(confinement.begin(), confinement.end());
  log::Info("tasks are confined by: %s", absl::StrJoin(confinement, ", "));
  const std::string state = std::filesystem::absolute(flags.state).string();
  const std::string images =
      flags.images.empty() ? state + "/images" : std::filesystem::absolute(flags.images).string();
  const bool offers_images =
      std::find(confinement.begin(), confinement.end(), kProgramsInImages) != confinement.end();
  if (offers_images) TellImages(images, description);
  ASSIGN_OR_RETURN(const Identity identity, FindIdentity(flags, description.hostname(), events));
  description.set_name(identity.worker);

  ASSIGN_OR_RETURN(const auto cache, BlobCache::Open(state + "/cache", flags.cache_bytes));
  GrpcLink link(MakeChannel(flags.server, identity.credentials));
  TaskStarter starter({.binary = binary, .arguments = {"--images", images}});
  ProcessExecutor processes({.work_folder = state + "/work", .gpus = gpus->gpus()}, starter, *cache,
                            link, clock);
  RETURN_IF_ERROR(processes.Prepare());
  ThreadStrand strand(clock);
  MeasuringExecutor measuring(processes, MeasuringOptions(binary, state, description));
  DeadlineExecutor deadlines(measuring, strand);
  LoggingExecutor executor(deadlines, clock);
  SystemRandom random;
  WorkerLoop loop(strand, link, executor, description, NewId("s", clock.Now(), random),
                  [&cache] { return cache->Digests(1000); });
  // Set on the strand.
  absl::Status outcome;
  CertificateRenewal renewal(
      strand, clock, link,
      [&](const std::string& key, const v1::RenewCertificateResponse& renewed) {
        return UseRenewed(flags, identity, key, renewed, link);
      },
      [&](absl::Status why) {
        log::Error("leaves: %s", why.message());
        outcome = std::move(why);
        loop.Drain();
      });
  ASSIGN_OR_RETURN(const Validity validity, ValidityOf(identity.credentials.certificate));
  renewal.Start(validity);
  loop.OnReadings([&](v1::Worker& worker) {
    gpus->Read(*worker.mutable_devices());
    measuring.Update(worker);
    if (offers_images) TellImages(images, worker);
  });

  Serve(loop, events, clock, [&] {
    outcome.Update(TellReady(flags, description));
    if (!outcome.ok()) loop.Drain();
  });
  // In this order: afterwards nobody calls the loop any more.
  strand.Stop();
  link.CancelAll();
  if (!flags.ready_file.empty()) unlink(flags.ready_file.c_str());
  log::Info("worker %s has left", identity.worker.substr(8));
  return outcome;
}

int Main(const std::vector<std::string>& args) {
#ifdef NDEBUG
  // Debian builds Abseil with lock-order checking on, which ends the process when it suspects a
  // deadlock. That belongs into tests.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
  if (!args.empty() && args[0] == "image") return RunImageCommand({args.begin() + 1, args.end()});
  const absl::StatusOr<Flags> flags = ParseFlags(args);
  if (!flags.ok()) {
    std::fprintf(stderr, "beamline-worker: %s\n", std::string(flags.status().message()).c_str());
    return kUsage;
  }
  if (flags->help || flags->version) {
    std::fputs(flags->help ? HelpText().c_str() : "beamline-worker " BEAMLINE_VERSION "\n", stdout);
    return kSuccess;
  }
  ForbidCoreFiles();
  const Events events;
  log::Start("worker", flags->log_level);
  gpr_set_log_function(LogGrpc);
  const absl::Status outcome = Run(*flags, SystemClock(), events);
  if (outcome.ok()) return kSuccess;
  log::Error("beamline-worker ends: %s", outcome.message());
  return absl::IsInvalidArgument(outcome) ? kUsage : kFailure;
}

}  // namespace
}  // namespace beamline::worker::rpc

int main(int argc, char** argv) {
  return beamline::worker::rpc::Main(std::vector<std::string>(argv + 1, argv + argc));
}
