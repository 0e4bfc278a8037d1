// Does what the world's faults say, at times drawn from its seed.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/disk.h"
#include "tests/sim/network.h"
#include "tests/sim/server_process.h"
#include "tests/sim/worker_process.h"
#include "tests/sim/world.h"

namespace beamline::sim {

class Trouble {
 public:
  // Nothing is owned.
  Trouble(World& world, Network& network, Disk& disk, ServerProcess& server,
          const std::vector<std::unique_ptr<WorkerProcess>>& workers);

  void Begin();
  // Mends all that has been broken.
  void End();

 private:
  // Does `task` again and again, at this mean distance; 0: never.
  void Repeat(int64_t mean_ms, std::function<void()> task);
  WorkerProcess& AnyWorker() { return *workers_[world_.Below(workers_.size())]; }
  void CutNetwork();

  World& world_;
  Network& network_;
  Disk& disk_;
  ServerProcess& server_;
  const std::vector<std::unique_ptr<WorkerProcess>>& workers_;
};

}  // namespace beamline::sim
