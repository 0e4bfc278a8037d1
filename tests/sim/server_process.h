// The server's process: the real server, without its wire, that can be killed at any point.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "auth/principal.h"
#include "base/random.h"
#include "beamline/v1/run.pb.h"
#include "server/api/done.h"
#include "server/api/run_watcher.h"
#include "server/server.h"
#include "tests/sim/disk.h"
#include "tests/sim/network.h"
#include "tests/sim/world.h"

namespace beamline::sim {

using server::Done;

class ServerProcess {
 public:
  // Nothing is owned. `folder`: the state, below the disk.
  ServerProcess(World& world, Network& network, Disk& disk, std::string folder);
  ~ServerProcess();

  // Now, or, if it cannot be, again and again until it is.
  void Start();
  // kill -9; or, with `power`, the machine with all that was not synced. Starts again by itself.
  void Kill(bool power);
  // The same after so many more changes of the disk: in the middle of whatever it does then.
  void KillAfter(int64_t changes, bool power);
  // SIGSTOP for so long.
  void Stall(int64_t millis);
  // The server, for looking at it without a wire; null while it is down or stalled.
  server::Server* Look();

  // One call over the network. `call` is run where the call arrives, perhaps twice. `done` is
  // called once: with the answer, or with DeadlineExceeded or Unavailable, when it may have been
  // done or not.
  template <class Response>
  void Call(const std::string& peer, int64_t timeout_ms,
            std::function<void(server::Server&, Done<Response>)> call, Done<Response> done) {
    CallTimes<Response>(world_.Chance(world_.faults().duplicate) ? 2 : 1, peer, timeout_ms,
                        std::move(call), std::move(done));
  }

  // A stream of events, held where the server is. An id, for Next and Close.
  void Watch(const std::string& peer, const auth::Principal& caller,
             const v1::WatchRunRequest& request, Done<int64_t> done);
  void Next(const std::string& peer, int64_t stream, Done<std::vector<v1::Event>> done);

 private:
  template <class Response>
  void CallTimes(int times, const std::string& peer, int64_t timeout_ms,
                 std::function<void(server::Server&, Done<Response>)> call, Done<Response> done);
  // What came in, when the process runs: now, or after a stall; or that there is no process.
  void Arrive(std::function<void()> deliver, const std::function<void()>& refuse);
  // The server has something to do.
  void Kick();
  void Pump();
  void Beat();

  World& world_;
  Network& network_;
  Disk& disk_;
  const std::string folder_;
  SeededRandom random_;
  std::unique_ptr<server::Server> server_;
  // Counts starts; answers of earlier ones count for nothing.
  int64_t incarnation_ = 0;
  int64_t stalled_until_ms_ = 0;
  bool power_goes_ = false;
  bool pumping_ = false;
  // What calls that are under way hear when the process dies.
  std::vector<std::function<void()>> cut_off_;
  std::map<int64_t, std::shared_ptr<server::RunWatcher>> streams_;
  int64_t next_stream_ = 0;
};

template <class Response>
void ServerProcess::CallTimes(int times, const std::string& peer, int64_t timeout_ms,
                              std::function<void(server::Server&, Done<Response>)> call,
                              Done<Response> done) {
  auto waiting = std::make_shared<Done<Response>>(std::move(done));
  const auto finish = [waiting](absl::StatusOr<Response> answer) {
    if (*waiting) std::exchange(*waiting, nullptr)(std::move(answer));
  };
  world_.After(timeout_ms, [finish] { finish(absl::DeadlineExceededError("no answer")); });
  const auto refuse = [this, peer, finish] {
    network_.Send(peer, [finish] { finish(absl::UnavailableError("connection lost")); });
  };
  const auto deliver = [this, peer, call, finish, refuse] {
    cut_off_.push_back(refuse);
    call(*server_,
         [this, peer, finish, incarnation = incarnation_](absl::StatusOr<Response> answer) {
           // The dead do not answer.
           if (incarnation != incarnation_ || disk_.frozen()) return;
           network_.Send(peer, [finish, answer = std::move(answer)] { finish(answer); });
         });
  };
  if (times > 1) world_.Count(Fault::kMessageDuplicated);
  for (int i = 0; i < times; ++i) {
    network_.Send(peer, [this, deliver, refuse] { Arrive(deliver, refuse); });
  }
}

}  // namespace beamline::sim
