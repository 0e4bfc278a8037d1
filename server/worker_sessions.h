// What each worker has, what it should have, and its Synchronize call that waits for a difference.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "beamline/v1/worker.pb.h"
#include "server/api/done.h"
#include "server/coordinator.h"
#include "store/store.h"
#include "store/workers.h"

namespace beamline::server {

// Belongs to the coordinator's thread: every method is called there, from commands or their `done`.
// What it remembers is lost in a restart, and comes back with each worker's next Synchronize.
class WorkerSessions : public CoordinatorPart {
 public:
  // `lease_ms`: told to workers. `max_hold_ms`: a Synchronize is answered after that. Unit:
  // milliseconds.
  WorkerSessions(store::Store& store, const Clock& clock, int64_t lease_ms, int64_t max_hold_ms);

  // Within a command: takes in what `worker` ("workers/W") says of itself. Attempts of an earlier
  // session, and attempts that it once held and does not hold any more, are lost.
  // NotFound if it never joined; InvalidArgument if what it says makes no sense.
  absl::Status Take(Transaction& transaction, const std::string& worker,
                    const v1::SynchronizeRequest& request);

  // After the commit of that: answers now if the worker has to change something, otherwise when it
  // has, at the latest when the hold is over. An earlier call of the worker is answered first.
  void Park(const std::string& worker, const v1::SynchronizeRequest& request,
            Done<v1::SynchronizeResponse> done);

  // nullopt: not since the server started.
  std::optional<absl::Time> LastSeen(const std::string& worker) const;
  // As the worker described itself last, with readings; null if not since the server started.
  const v1::Worker* Description(const std::string& worker) const;

  void OnWake(const std::string& worker) override;
  int64_t NextDeadlineMs() const override;
  void OnTime(int64_t now_ms) override;
  void OnStop() override;

 private:
  using AttemptKey = std::pair<std::string, int32_t>;
  struct State {
    absl::Time last_seen;
    v1::Worker description;
    // Attempts that the worker has said to hold in this session.
    std::set<AttemptKey> confirmed;
    // The call that waits; `done` is empty if there is none.
    v1::SynchronizeRequest request;
    Done<v1::SynchronizeResponse> done;
    int64_t deadline_ms = 0;
  };

  // The worker holds attempts in a session that is not known: the database was restored from a
  // backup, and numbers of attempts may be given once more. It gets nothing before it has been told
  // to forget what it holds.
  absl::Status EndUnknown(Transaction& transaction, const std::string& worker,
                          const v1::SynchronizeRequest& request);
  // Schedules the end of attempts that the worker should hold and does not.
  absl::Status FindLost(Transaction& transaction, const std::string& worker, const State& state,
                        const std::set<AttemptKey>& held);
  absl::StatusOr<v1::SynchronizeResponse> Difference(const std::string& worker, const State& state);
  // Answers the call that waits, if there is a reason to.
  void Answer(const std::string& worker, State& state, bool at_any_rate);

  store::Store& store_;
  const Clock& clock_;
  const int64_t lease_ms_;
  const int64_t max_hold_ms_;
  std::map<std::string, State> states_;
};

// What the scheduler may use of a worker.
scheduler::Capacity CapacityOf(const v1::Worker& worker);

}  // namespace beamline::server
