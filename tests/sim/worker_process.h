// A worker daemon's process: the real loop, a played network and played training.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "auth/principal.h"
#include "tests/sim/network.h"
#include "tests/sim/played_training.h"
#include "tests/sim/server_process.h"
#include "tests/sim/world.h"
#include "worker/loop.h"

namespace beamline::sim {

class WorkerProcess {
 public:
  // Nothing is owned. `name`: "workers/W", which has joined.
  WorkerProcess(World& world, ServerProcess& server, std::string name);
  ~WorkerProcess();

  void Start();
  // kill -9 of the daemon with its tasks. Starts again by itself.
  void Kill();
  // SIGSTOP for so long.
  void Stall(int64_t millis);
  // Asked to leave. Starts again by itself when it has left.
  void Drain();
  // One of its tasks dies. False: none runs.
  bool CrashTask();

  const std::string& name() const { return principal_.name; }

 private:
  struct Daemon;

  World& world_;
  ServerProcess& server_;
  auth::Principal principal_;
  int session_ = 0;
  int64_t stalled_until_ms_ = 0;
  std::unique_ptr<Daemon> daemon_;
};

}  // namespace beamline::sim
