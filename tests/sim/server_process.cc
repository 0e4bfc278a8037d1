#include "tests/sim/server_process.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace beamline::sim {
namespace {

// Often enough for leases. Unit: milliseconds.
constexpr int64_t kBeatMs = 100;
constexpr size_t kMaxCutOff = 1000;

}  // namespace

ServerProcess::ServerProcess(World& world, Network& network, Disk& disk, std::string folder)
    : world_(world),
      network_(network),
      disk_(disk),
      folder_(std::move(folder)),
      random_(world.Draw()) {
  Beat();
}

ServerProcess::~ServerProcess() {
  ++incarnation_;
  streams_.clear();
}

void ServerProcess::Start() {
  if (server_ != nullptr) return;
  const int64_t incarnation = ++incarnation_;
  server::ServerOptions options;
  options.state_folder = folder_;
  options.own_threads = false;
  // Tasks lose many workers here, and rounds come often.
  options.scheduler = {.max_attempts = 1'000'000,
                       .max_losses = 1'000'000,
                       .preemption = true,
                       .round_ms = 5'000,
                       .grace_ms = 5'000,
                       .min_run_ms = 3'000,
                       .level_quantum_ms = 10'000};
  options.on_fatal = [this, incarnation](const absl::Status& status) {
    world_.Note(absl::StrCat("the server gives up: ",
                             absl::StrReplaceAll(status.ToString(), {{folder_, ""}})));
    world_.After(0, [this, incarnation] {
      if (incarnation == incarnation_) Kill(false);
    });
  };
  auto opened = server::Server::Open(std::move(options), world_, random_);
  if (disk_.frozen()) {
    // It died while it started.
    opened = absl::AbortedError("killed");
    disk_.Thaw(power_goes_);
  }
  if (!opened.ok()) {
    // Without what the folder happens to be called.
    world_.Note(absl::StrCat("the server cannot start: ",
                             absl::StrReplaceAll(opened.status().ToString(), {{folder_, ""}})));
    if (world_.healed()) world_.Fail("start", opened.status().ToString());
    world_.After(1'000, [this] { Start(); });
    return;
  }
  world_.Note("the server has started");
  server_ = *std::move(opened);
  Kick();
}

void ServerProcess::Kill(bool power) {
  if (server_ == nullptr) return;
  world_.Note(power ? "the power goes" : "the server dies");
  ++incarnation_;
  disk_.Freeze();
  streams_.clear();
  server_.reset();
  disk_.Thaw(power);
  stalled_until_ms_ = 0;
  for (const auto& refuse : std::exchange(cut_off_, {})) refuse();
  world_.After(world_.healed() ? 100 : world_.Between(10, 15'000), [this] { Start(); });
}

void ServerProcess::KillAfter(int64_t changes, bool power) {
  if (server_ == nullptr) return;
  power_goes_ = power;
  disk_.FreezeAfter(changes);
}

void ServerProcess::Stall(int64_t millis) { stalled_until_ms_ = world_.MonotonicMillis() + millis; }

server::Server* ServerProcess::Look() {
  return world_.MonotonicMillis() < stalled_until_ms_ ? nullptr : server_.get();
}

void ServerProcess::Arrive(std::function<void()> deliver, const std::function<void()>& refuse) {
  if (server_ == nullptr) return refuse();
  if (const int64_t rest = stalled_until_ms_ - world_.MonotonicMillis(); rest > 0) {
    world_.After(rest, [this, deliver = std::move(deliver), refuse] { Arrive(deliver, refuse); });
    return;
  }
  // Those that were answered long ago hear it in vain.
  if (cut_off_.size() > kMaxCutOff)
    cut_off_.erase(cut_off_.begin(), cut_off_.begin() + kMaxCutOff / 2);
  deliver();
  Kick();
}

void ServerProcess::Kick() {
  if (std::exchange(pumping_, true)) return;
  world_.After(world_.Chance(0.05) ? world_.Between(1, 20) : 0, [this] { Pump(); });
}

void ServerProcess::Pump() {
  pumping_ = false;
  if (Look() == nullptr) return;
  const bool more = server_->RunOne([this](size_t count) { return world_.Below(count); });
  if (disk_.frozen()) {
    Kill(power_goes_);
  } else if (more) {
    Kick();
  }
}

void ServerProcess::Beat() {
  Kick();
  world_.After(kBeatMs, [this] { Beat(); });
}

void ServerProcess::Watch(const std::string& peer, const auth::Principal& caller,
                          const v1::WatchRunRequest& request, Done<int64_t> done) {
  CallTimes<int64_t>(
      1, peer, 5'000,
      [this, caller, request](server::Server& server, Done<int64_t> opened) {
        auto watcher = server.runs().WatchRun(caller, request);
        if (!watcher.ok()) return opened(watcher.status());
        streams_[++next_stream_] = *std::move(watcher);
        opened(next_stream_);
      },
      std::move(done));
}

void ServerProcess::Next(const std::string& peer, int64_t stream,
                         Done<std::vector<v1::Event>> done) {
  CallTimes<std::vector<v1::Event>>(
      1, peer, 20'000,
      [this, stream](server::Server&, Done<std::vector<v1::Event>> answer) {
        const auto found = streams_.find(stream);
        if (found == streams_.end()) return answer(absl::UnavailableError("the stream is gone"));
        found->second->Next(std::move(answer));
      },
      std::move(done));
}

}  // namespace beamline::sim
