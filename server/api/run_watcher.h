// One WatchRun call.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "beamline/v1/run.pb.h"
#include "server/api/done.h"

namespace beamline::store {
class Store;
}

namespace beamline::server {

class EventBus;
class WorkPool;

// The events of one run after a sequence number, in order, without gaps, up to the terminal state.
// Holds no events: each page is read from the store when it is asked for, so a slow reader costs
// nothing. Thread-safe; shared, because the bus wakes it.
class RunWatcher : public std::enable_shared_from_this<RunWatcher> {
 public:
  // For RunApi::WatchRun. Nothing is owned.
  RunWatcher(store::Store& store, EventBus& bus, WorkPool& pool, std::string run, int64_t after);
  ~RunWatcher();

  // The next events, as soon as there are some; empty: all have been given, up to the terminal
  // state. Cancelled after Cancel, Unavailable when the server stops. One call at a time.
  void Next(Done<std::vector<v1::Event>> done);

  // Ends a Next that waits, and all later ones, with Cancelled.
  void Cancel();

 private:
  friend class EventBus;
  // The run has events that it did not have at the last read.
  void Wake();
  // `why`, not OK, is the answer from now on; the first one counts.
  void End(absl::Status why);
  // Reads a page and answers, or parks `done` if there is none.
  void Read(Done<std::vector<v1::Event>> done);
  absl::StatusOr<std::vector<v1::Event>> ReadPage();

  store::Store& store_;
  EventBus& bus_;
  WorkPool& pool_;
  const std::string run_;

  std::mutex mutex_;
  // Guarded by mutex_.
  int64_t after_;
  bool ended_ = false;
  absl::Status end_;
  bool woken_ = false;
  Done<std::vector<v1::Event>> waiting_;
};

}  // namespace beamline::server
