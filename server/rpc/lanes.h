// Fair turns for calls: whoever asks for much waits in a lane of his own, and not before others.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <mutex>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "server/work_pool.h"

namespace beamline::server::rpc {

// A lane is a project, or a caller where a call concerns no project. Of each lane a few calls are
// under way at a time; the others of it wait, in order, and lanes take turns. So one client's flood
// takes the time of its own project, and adds to the calls of others no more than the few that are
// under way. Thread-safe.
class Lanes {
 public:
  struct Options {
    // Calls under way together, and of one lane. More of them share a commit and make the whole
    // faster; fewer of one lane make it fairer.
    int max_running = 128;
    int max_running_of_one = 16;
    // More of one lane are refused. Each holds its request in memory.
    size_t max_waiting_of_one = 1000;
    // Threads for calls that had to wait.
    int threads = 2;
  };

  Lanes() : Lanes(Options()) {}
  explicit Lanes(Options options);

  // `waited`: not at once, so that its caller may have gone, or may no more what was allowed then.
  using Call = absl::AnyInvocable<void(bool waited)>;
  // Runs `call` at once on this thread, or on another when it is its turn. When its answer is
  // there, and before it is given, Leave is to be called. ResourceExhausted, with the time after
  // which to try again: too many wait in the lane; `call` is dropped unrun.
  absl::Status Enter(const std::string& lane, Call call);
  void Leave(const std::string& lane);
  // Calls that wait, of all lanes.
  size_t waiting();

 private:
  struct Lane {
    int running = 0;
    std::deque<Call> waiting;
  };
  // The next call whose turn it is, counted as running; null: there is none. Holds mutex_.
  Call Next();

  const Options options_;
  std::mutex mutex_;
  // Guarded by mutex_. Lanes with calls that run or wait.
  std::map<std::string, Lane> lanes_;
  // Lanes with calls that wait, in the order of their turns.
  std::deque<std::string> turns_;
  int running_ = 0;
  // Last: its threads use the above.
  WorkPool pool_;
};

}  // namespace beamline::server::rpc
