// The tasks of a step that is repeated. Only for repetition.cc and study.cc; all within a command
// of the coordinator.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "beamline/v1/pipeline.pb.h"
#include "server/repetition.h"
#include "server/transaction.h"
#include "store/runs.h"

namespace beamline::server {

// Stores the task of `trial`, and queues it. `own`: that of its step.
absl::Status MakeRepetition(Transaction& transaction, const store::StoredRun& run,
                            const v1::Step& step, const store::StoredTask& own,
                            const v1::Trial& trial);

// Stores `own`, whose state is a terminal one, with its event: kEnded.
absl::StatusOr<Repetition> EndRepeated(Transaction& transaction, store::StoredTask& own);

// The same as FAILED by the user's mistake.
absl::StatusOr<Repetition> FailRepeated(Transaction& transaction, store::StoredTask& own,
                                        std::string why);

}  // namespace beamline::server
