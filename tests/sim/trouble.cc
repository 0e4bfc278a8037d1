#include "tests/sim/trouble.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/sim/workload.h"

namespace beamline::sim {

Trouble::Trouble(World& world, Network& network, Disk& disk, ServerProcess& server,
                 const std::vector<std::unique_ptr<WorkerProcess>>& workers)
    : world_(world), network_(network), disk_(disk), server_(server), workers_(workers) {}

void Trouble::Repeat(int64_t mean_ms, std::function<void()> task) {
  if (mean_ms == 0) return;
  world_.After(world_.Wait(mean_ms), [this, mean_ms, task = std::move(task)] {
    if (world_.healed()) return;
    task();
    Repeat(mean_ms, task);
  });
}

void Trouble::CutNetwork() {
  const uint64_t who = world_.Below(workers_.size() + kUsers.size());
  const std::string peer = who < workers_.size()
                               ? workers_[who]->name()
                               : absl::StrCat("users/", std::string(kUsers[who - workers_.size()]));
  world_.Count(Fault::kNetworkCut);
  world_.Note(absl::StrCat("the network is cut to ", peer));
  network_.Cut(peer);
  world_.After(world_.Between(100, 30'000), [this, peer] { network_.Mend(peer); });
}

void Trouble::Begin() {
  const Faults& faults = world_.faults();
  // Half of the deaths come between two turns of the server, half in the middle of one.
  const auto kill = [this](bool power) {
    world_.Count(power ? Fault::kPowerLost : Fault::kServerKilled);
    if (world_.Chance(0.5)) {
      server_.Kill(power);
    } else {
      server_.KillAfter(world_.Between(1, 40), power);
    }
  };
  Repeat(faults.kill_server_ms, [kill] { kill(false); });
  Repeat(faults.lose_power_ms, [kill] { kill(true); });
  Repeat(faults.stall_server_ms, [this] {
    world_.Count(Fault::kServerStalled);
    server_.Stall(world_.Between(100, 20'000));
  });
  Repeat(faults.kill_worker_ms, [this] {
    world_.Count(Fault::kWorkerKilled);
    AnyWorker().Kill();
  });
  Repeat(faults.stall_worker_ms, [this] {
    world_.Count(Fault::kWorkerStalled);
    AnyWorker().Stall(world_.Between(100, 30'000));
  });
  Repeat(faults.drain_worker_ms, [this] {
    world_.Count(Fault::kWorkerDrained);
    AnyWorker().Drain();
  });
  Repeat(faults.crash_task_ms, [this] {
    if (AnyWorker().CrashTask()) world_.Count(Fault::kTaskCrashed);
  });
  Repeat(faults.cut_network_ms, [this] { CutNetwork(); });
  Repeat(faults.fill_disk_ms, [this] {
    world_.Count(Fault::kDiskFull);
    disk_.SetFull(true);
    world_.After(world_.Between(10, 10'000), [this] { disk_.SetFull(false); });
  });
  Repeat(faults.break_disk_ms, [this] {
    world_.Count(Fault::kDiskBroken);
    disk_.SetBroken(true);
    world_.After(world_.Between(10, 10'000), [this] { disk_.SetBroken(false); });
  });
  Repeat(faults.slow_disk_ms, [this] {
    world_.Count(Fault::kDiskSlow);
    disk_.SetSyncMillis(world_.Between(1, 500));
    world_.After(world_.Between(10, 10'000), [this] { disk_.SetSyncMillis(0); });
  });
  Repeat(faults.jump_clock_ms, [this] {
    world_.Count(Fault::kClockJumped);
    world_.JumpWallClock(world_.Between(-3'600'000, 3'600'000));
  });
}

void Trouble::End() {
  network_.MendAll();
  disk_.FreezeAfter(0);
  disk_.SetFull(false);
  disk_.SetBroken(false);
  disk_.SetSyncMillis(0);
}

}  // namespace beamline::sim
