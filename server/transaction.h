// What a command of the coordinator may do.
#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "beamline/v1/run.pb.h"
#include "scheduler/events.h"
#include "scheduler/scheduler.h"
#include "store/store.h"

namespace beamline::server {

// The command's view of store and scheduler. Lives while a batch of commands is applied; belongs to
// the coordinator's thread. If the command fails, all that it did through this is undone.
class Transaction {
 public:
  // Reads see what this and earlier commands of the batch have written.
  store::Writer& store() { return store_; }
  const store::View& store() const { return store_; }
  // As the last command before this one left it: for questions only.
  const scheduler::Scheduler& scheduler() const { return scheduler_; }
  absl::Time now() const { return now_; }
  // Unit: milliseconds of the monotonic clock, which the scheduler uses.
  int64_t now_ms() const { return now_ms_; }

  // Tells the scheduler, once the command has succeeded; what the scheduler decides becomes part
  // of the same commit.
  void Schedule(scheduler::Event event) { events_.push_back(std::move(event)); }

  // Appends to the run's events; their `time` is set. Watchers see them after the commit.
  absl::Status Append(std::string_view run, std::vector<v1::Event> events);
  absl::Status Append(std::string_view run, v1::Event event);

  // What "workers/W" should do has changed: a Synchronize that waits is answered after the commit.
  void Wake(std::string_view worker) { woken_.emplace(worker); }

 private:
  friend class Coordinator;
  Transaction(store::Writer& store, const scheduler::Scheduler& scheduler, absl::Time now,
              int64_t now_ms)
      : store_(store), scheduler_(scheduler), now_(now), now_ms_(now_ms) {}

  store::Writer& store_;
  const scheduler::Scheduler& scheduler_;
  const absl::Time now_;
  const int64_t now_ms_;
  std::deque<scheduler::Event> events_;
  std::set<std::string, std::less<>> published_;
  std::set<std::string, std::less<>> woken_;
};

}  // namespace beamline::server
