// Why tasks wait, for those who ask. All within a command of the coordinator.
#pragma once

#include <cstdint>
#include <map>

#include "absl/status/statusor.h"
#include "beamline/v1/run.pb.h"
#include "beamline/v1/wait.pb.h"
#include "scheduler/ids.h"
#include "scheduler/scheduler.h"
#include "server/names.h"
#include "server/transaction.h"
#include "store/runs.h"

namespace beamline::server {

// When running tasks will end, if they go on as they did lately. Made for one question.
class Forecast {
 public:
  // Looks at the progress of at most some hundred running tasks.
  static absl::StatusOr<Forecast> Make(const Transaction& transaction, store::View& view);

  // Unit: milliseconds of the scheduler's clock.
  const std::map<scheduler::TaskId, int64_t>& ends_ms() const { return ends_ms_; }

 private:
  std::map<scheduler::TaskId, int64_t> ends_ms_;
};

// The reason as users read it, without what costs a look at the whole queue or all workers.
v1::Wait WaitOf(const Transaction& transaction, const scheduler::PendingReason& reason);

// Adds the earliest start of `task`, which waits for that reason, as far as it can be foretold.
void AddEarliestStart(const Transaction& transaction, const Forecast& forecast,
                      const scheduler::TaskId& task, const scheduler::PendingReason& reason,
                      v1::Wait& wait);

// NotFound if there is no such run.
absl::StatusOr<v1::ExplainRunResponse> ExplainRun(Transaction& transaction, const ChildName& run);

}  // namespace beamline::server
