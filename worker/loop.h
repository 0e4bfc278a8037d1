// The worker daemon's state machine: what it has, what the server wants it to have, and the reports
// in between.
//
// Leases. The server answers each Synchronize with a lease. When it hears nothing for that long it
// may give the attempt's task to another worker under the next attempt number. This worker cannot
// know whether the server died, restarts or gave its work away, so it goes on computing what it has
// and starts nothing new until the server answers again; a server that is away for a minute costs
// no work. That two processes may then compute the same task is harmless: the attempt number is a
// fencing token. The server accepts reports and blobs of the newest number only, answers NOT_FOUND
// to all others, and says `forget` at the next Synchronize; both make this worker kill the process
// and drop its reports. So at most one attempt holds the lease, whatever runs.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "beamline/v1/worker.pb.h"
#include "worker/executor.h"
#include "worker/server_link.h"
#include "worker/spool.h"
#include "worker/strand.h"

namespace beamline::worker {

struct LoopOptions {
  // For how long the server may hold back the answer to a Synchronize: the longest pause between
  // two heartbeats. Unit: milliseconds. Keep it well below the server's lease.
  int64_t hold_ms = 3'000;
  // A Synchronize without an answer for so much longer is given up and repeated. Unit:
  // milliseconds.
  int64_t answer_ms = 5'000;
  // Pause after a failed call; doubles up to the maximum. Unit: milliseconds.
  int64_t back_off_min_ms = 100;
  int64_t back_off_max_ms = 3'000;
  // Pause after an answer that came at once and changed nothing. Unit: milliseconds.
  int64_t idle_pause_ms = 100;
  // Devices are read at most this often. Unit: milliseconds.
  int64_t readings_ms = 2'000;
  // A draining worker leaves after this even if something is not yet released. Unit: milliseconds.
  // Raise it where checkpoints are large or the network is slow.
  int64_t drain_ms = 90'000;
  // It leaves sooner if the server has not answered for so long. Unit: milliseconds.
  int64_t drain_away_ms = 15'000;
  // How long it waits at the end for the answer to its goodbye. Unit: milliseconds.
  int64_t goodbye_ms = 1'000;
  SpoolLimits spool;
};

// Not thread-safe, but for the methods that say so: everything happens on the strand. Destroy it
// only when the strand runs no more tasks. Owns nothing that it is given.
class WorkerLoop {
 public:
  // `description`: what Synchronize says of the worker (its state is kept by the loop).
  // `session`: new at each start of the daemon. `cached`: digests in the cache, newest first.
  WorkerLoop(Strand& strand, ServerLink& link, Executor& executor, v1::Worker description,
             std::string session, std::function<std::vector<std::string>()> cached,
             LoopOptions options = {});
  ~WorkerLoop();

  // Begins to synchronise. `on_ready` is called on the strand after the first answer.
  // Thread-safe; call once.
  void Start(std::function<void()> on_ready);
  // Takes nothing new, releases what runs and calls `on_left` on the strand when the server has it
  // all or `drain_ms` have gone by. The server may ask for the same: then `on_left` given to
  // OnLeave is called. Thread-safe; later calls do nothing.
  void Drain();
  // Who is told that the worker has nothing more to do and may end. Call before Start.
  void OnLeave(std::function<void()> on_left) { on_left_ = std::move(on_left); }
  // Brings readings of devices up to date in what Synchronize says of the worker. Called on the
  // strand: what blocks in there holds the heartbeat up. Call before Start.
  void OnReadings(std::function<void(v1::Worker&)> read) { read_ = std::move(read); }

 private:
  struct Attempt;
  class Listener;
  struct BackOff {
    int64_t delay_ms = 0;
    // The next delay in milliseconds, doubled each time.
    int64_t Next(const LoopOptions& options);
    void Reset() { delay_ms = 0; }
  };

  void SendSynchronize();
  void Read();
  v1::SynchronizeRequest Statement() const;
  void OnSynchronized(absl::StatusOr<v1::SynchronizeResponse> response, int64_t sent_ms);
  bool Apply(v1::SynchronizeResponse& response);
  bool Assign(v1::Attempt message);
  void Release(Attempt& attempt);
  bool StopOne(const AttemptId& id, bool forget, bool checkpoint);
  void WarnOfLease();
  void Restate();
  void BeginDrain();
  void LeaveIfDone();
  void Leave();

  void OnEvent(const AttemptId& id, v1::Event event);
  void OnEnd(const AttemptId& id, v1::AttemptResult result);
  void SendReports(Attempt& attempt);
  void OnReported(const AttemptId& id, absl::StatusOr<v1::ReportAttemptResponse> response);
  void Forget(const AttemptId& id);

  Strand& strand_;
  ServerLink& link_;
  Executor& executor_;
  v1::Worker description_;
  const std::string session_;
  const std::function<std::vector<std::string>()> cached_;
  const LoopOptions options_;
  std::function<void()> on_ready_;
  std::function<void()> on_left_;
  std::function<void(v1::Worker&)> read_;
  // When it was last called; absent: never.
  std::optional<int64_t> readings_at_ms_;

  // Held: running, or with reports that are not all acknowledged.
  std::map<AttemptId, std::unique_ptr<Attempt>> attempts_;
  // Forgotten, but not yet dead.
  std::map<AttemptId, std::unique_ptr<Attempt>> dying_;
  BackOff synchronize_back_off_;
  // When the server answered last, and the lease it gave. 0: it never did.
  int64_t answered_ms_ = 0;
  int64_t lease_ms_ = 0;
  bool lease_lost_ = false;
  // Raised with each Synchronize, so that answers to earlier ones are known as such.
  uint64_t synchronize_round_ = 0;
  // A Synchronize is under way; it was cancelled so as to say something new; it says goodbye.
  bool synchronizing_ = false;
  bool restating_ = false;
  bool goodbye_sent_ = false;
  bool server_away_ = false;
  // These come true in this order.
  bool draining_ = false;
  bool leaving_ = false;
  bool left_ = false;
};

}  // namespace beamline::worker
