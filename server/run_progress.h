// How runs move from step to step, and how they end. All within a command of the coordinator.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "beamline/v1/common.pb.h"
#include "beamline/v1/run.pb.h"
#include "server/transaction.h"
#include "store/runs.h"

namespace beamline::server {

// Stores the run and the tasks of its definition, with their first events, and queues those that
// wait for nothing. `run` has everything but state, times and sequence, and gets these.
absl::Status StartRun(Transaction& transaction, std::string_view project, v1::Run& run);

// Stops what has not ended and lets the run end as cancelled. A run that has ended stays as it is.
absl::Status CancelRun(Transaction& transaction, store::StoredRun& run, std::string_view reason);

// Gives back what the run holds: its tasks stop at checkpoints and are PAUSED. The run must be
// QUEUED or RUNNING.
absl::Status PauseRun(Transaction& transaction, store::StoredRun& run);

// Queues what is PAUSED. The run must be PAUSED.
absl::Status ResumeRun(Transaction& transaction, store::StoredRun& run);

// `task`, which the scheduler does not know (any more), is PAUSED from now on.
absl::Status HoldTask(Transaction& transaction, store::StoredTask& task);

// `task` has just reached its terminal state, and is stored so: queues what waited for it, or ends
// the run.
absl::Status AfterTask(Transaction& transaction, const store::StoredTask& task);

// Makes `task`, which is stored and waits for nothing, QUEUED, and tells the scheduler; PAUSED if
// its run is.
absl::Status QueueTask(Transaction& transaction, const store::StoredRun& run,
                       store::StoredTask& task);

// An event that says what `task` is now.
v1::Event TaskEvent(const store::StoredTask& task, int32_t attempt, std::string_view reason);

}  // namespace beamline::server
