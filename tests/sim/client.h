// Clients: what users ask, over the bad network, and what they were told. What they were told is
// what the checkers hold the service to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "auth/principal.h"
#include "beamline/v1/run.pb.h"
#include "tests/sim/server_process.h"
#include "tests/sim/workload.h"
#include "tests/sim/world.h"

namespace beamline::sim {

// One who watches a run, from the start, across everything that breaks a stream.
struct Watcher {
  std::vector<v1::Event> events;
  bool ended = false;
};

// A run that a client wants, and what it knows of it.
struct WantedRun {
  size_t project = 0;
  size_t definition = 0;
  std::string request_id;
  bool fresh = false;
  // Empty until the server has acknowledged it.
  std::string name;
  // Cancelling was tried, and was acknowledged by a run that had not ended.
  bool cancel_asked = false;
  bool cancelled = false;
  std::vector<std::unique_ptr<Watcher>> watchers;

  bool done() const {
    for (const auto& watcher : watchers) {
      if (!watcher->ended) return false;
    }
    return !name.empty();
  }
};

// The client of one project.
class Client {
 public:
  // Nothing is owned.
  Client(World& world, ServerProcess& server, const InitialState& state, size_t project);

  // Wants a run from some moment on.
  void Want(int64_t delay_ms, size_t definition);
  // From now on it wants nothing but runs: it neither cancels nor pauses, and takes nothing from
  // earlier ones.
  void TakeNoTurns() { plain_ = true; }
  bool done() const;
  const std::vector<std::unique_ptr<WantedRun>>& runs() const { return runs_; }

 private:
  // Asks for the run until there is an answer.
  void Ask(const WantedRun& run, std::function<void(const v1::Run&)> then);
  void Created(WantedRun& run, const v1::Run& answer);
  void Cancel(WantedRun& run);
  void Pause(WantedRun& run);
  void Resume(WantedRun& run);
  // An acknowledged run is there at any time.
  void LookAt(WantedRun& run);
  void Watch(const WantedRun& run, Watcher& watcher);
  void Next(const WantedRun& run, Watcher& watcher, int64_t stream);

  // `answer` is a code that the call may have; trying again makes sense. Others are failures.
  bool MayTryAgain(const absl::Status& answer);
  void Later(std::function<void()> task);

  // Tries until there is an answer, and gives it to `then`; that the run has ended is an answer,
  // too.
  template <class Request>
  void Control(const Request& request,
               void (server::RunApi::*method)(const auth::Principal&, const Request&,
                                              server::Done<v1::Run>),
               std::function<void(const v1::Run&)> then);

  World& world_;
  ServerProcess& server_;
  const InitialState& state_;
  const size_t project_;
  const auth::Principal principal_;
  bool plain_ = false;
  int64_t requests_ = 0;
  std::vector<std::unique_ptr<WantedRun>> runs_;
};

}  // namespace beamline::sim
