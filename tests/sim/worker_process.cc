#include "tests/sim/worker_process.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"

namespace beamline::sim {
namespace {

constexpr int64_t kReportMs = 5'000;

v1::Worker Description() {
  v1::Worker worker;
  worker.set_memory_bytes(int64_t{8} << 30);
  v1::Device& device = *worker.add_devices();
  device.set_id("cpu");
  device.set_kind(v1::DEVICE_KIND_CPU);
  device.set_cpus(2);
  return worker;
}

// A strand on the world's clock, of a process that may be stalled or dead.
class SimulatedStrand : public worker::Strand {
 public:
  SimulatedStrand(World& world, const int64_t& stalled_until_ms)
      : world_(world), stalled_until_ms_(stalled_until_ms) {}

  void After(int64_t delay_ms, Task task) override {
    delay_ms = std::max<int64_t>(delay_ms, 0);
    tasks_.emplace(std::pair(world_.MonotonicMillis() + delay_ms, ++posted_), std::move(task));
    WakeAfter(delay_ms);
  }
  int64_t NowMillis() const override { return world_.MonotonicMillis(); }

 private:
  void WakeAfter(int64_t delay_ms) {
    world_.After(delay_ms, [this, alive = std::weak_ptr<bool>(alive_)] {
      if (alive.expired()) return;
      const int64_t rest = stalled_until_ms_ - world_.MonotonicMillis();
      if (rest > 0) return WakeAfter(rest);
      RunDue(alive);
    });
  }
  // One of the tasks may end the process.
  void RunDue(const std::weak_ptr<bool>& alive) {
    while (!alive.expired() && !tasks_.empty() &&
           tasks_.begin()->first.first <= world_.MonotonicMillis()) {
      Task task = std::move(tasks_.extract(tasks_.begin()).mapped());
      task();
    }
  }

  World& world_;
  const int64_t& stalled_until_ms_;
  uint64_t posted_ = 0;
  std::map<std::pair<int64_t, uint64_t>, Task> tasks_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

class SimulatedLink : public worker::ServerLink {
 public:
  SimulatedLink(ServerProcess& server, auth::Principal principal)
      : server_(server), principal_(std::move(principal)) {}

  void Synchronize(const v1::SynchronizeRequest& request, int64_t timeout_ms,
                   worker::Done<v1::SynchronizeResponse> done) override {
    const auto waiting = std::make_shared<worker::Done<v1::SynchronizeResponse>>(std::move(done));
    outstanding_ = waiting;
    server_.Call<v1::SynchronizeResponse>(
        principal_.name, timeout_ms,
        [principal = principal_, request](server::Server& server,
                                          Done<v1::SynchronizeResponse> answer) {
          server.workers().Synchronize(principal, request, std::move(answer));
        },
        [waiting,
         alive = std::weak_ptr<bool>(alive_)](absl::StatusOr<v1::SynchronizeResponse> response) {
          if (alive.expired() || !*waiting) return;
          std::exchange(*waiting, nullptr)(std::move(response));
        });
  }
  void CancelSynchronize() override {
    const auto waiting = outstanding_.lock();
    if (waiting != nullptr && *waiting) {
      std::exchange(*waiting, nullptr)(absl::CancelledError("restated"));
    }
  }
  void ReportAttempt(const v1::ReportAttemptRequest& request,
                     worker::Done<v1::ReportAttemptResponse> done) override {
    server_.Call<v1::ReportAttemptResponse>(
        principal_.name, kReportMs,
        [principal = principal_, request](server::Server& server,
                                          Done<v1::ReportAttemptResponse> answer) {
          server.workers().ReportAttempt(principal, request, std::move(answer));
        },
        [alive = std::weak_ptr<bool>(alive_),
         done = std::move(done)](absl::StatusOr<v1::ReportAttemptResponse> response) mutable {
          if (!alive.expired()) done(std::move(response));
        });
  }

 private:
  ServerProcess& server_;
  const auth::Principal principal_;
  std::weak_ptr<worker::Done<v1::SynchronizeResponse>> outstanding_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

struct WorkerProcess::Daemon {
  Daemon(World& world, ServerProcess& server, const auth::Principal& principal,
         const std::string& session, const int64_t& stalled_until_ms)
      : link(server, principal),
        executor(world, server, principal),
        strand(world, stalled_until_ms),
        loop(strand, link, executor, Description(), session,
             [] { return std::vector<std::string>(); }) {}

  SimulatedLink link;
  PlayedExecutor executor;
  SimulatedStrand strand;
  worker::WorkerLoop loop;
};

WorkerProcess::WorkerProcess(World& world, ServerProcess& server, std::string name)
    : world_(world), server_(server) {
  principal_.kind = auth::Principal::kWorker;
  principal_.name = std::move(name);
}

WorkerProcess::~WorkerProcess() = default;

void WorkerProcess::Start() {
  if (daemon_ != nullptr) return;
  world_.Note(absl::StrCat(name(), " has started"));
  daemon_ = std::make_unique<Daemon>(world_, server_, principal_,
                                     absl::StrCat(name(), "/", ++session_), stalled_until_ms_);
  daemon_->loop.OnLeave([this, session = session_] {
    // Not here: the loop is in use.
    world_.After(0, [this, session] {
      if (session == session_) Kill();
    });
  });
  daemon_->loop.Start([] {});
}

void WorkerProcess::Kill() {
  if (daemon_ == nullptr) return;
  world_.Note(absl::StrCat(name(), " is gone"));
  daemon_.reset();
  stalled_until_ms_ = 0;
  world_.After(world_.healed() ? 100 : world_.Between(10, 20'000), [this] { Start(); });
}

void WorkerProcess::Stall(int64_t millis) { stalled_until_ms_ = world_.MonotonicMillis() + millis; }

void WorkerProcess::Drain() {
  if (daemon_ != nullptr) daemon_->loop.Drain();
}

bool WorkerProcess::CrashTask() { return daemon_ != nullptr && daemon_->executor.CrashOne(); }

}  // namespace beamline::sim
