// What a worker runs in place of training: attempts that take their time, report, take checkpoints,
// go on from them, and whose result is a function of what they were asked to do and of nothing
// else. A step is a hash of the one before: whatever is lost, repeated or mixed up between two
// checkpoints makes another model.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "auth/principal.h"
#include "beamline/v1/worker.pb.h"
#include "tests/sim/server_process.h"
#include "tests/sim/world.h"
#include "worker/executor.h"

namespace beamline::sim {

// Runs attempts of one worker. Nothing is owned.
class PlayedExecutor : public worker::Executor {
 public:
  PlayedExecutor(World& world, ServerProcess& server, auth::Principal principal)
      : world_(world), server_(server), principal_(std::move(principal)) {}

  std::unique_ptr<worker::Execution> Start(
      std::shared_ptr<const v1::Attempt> attempt,
      std::shared_ptr<worker::ExecutionListener> listener) override;

  // One of the attempts that run dies (SIGSEGV). False: none runs.
  bool CrashOne();

 private:
  class Training;

  World& world_;
  ServerProcess& server_;
  const auth::Principal principal_;
  std::vector<std::weak_ptr<Training>> running_;
};

}  // namespace beamline::sim
