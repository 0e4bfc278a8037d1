// Scaling studies: their trainings, one after the other.
#pragma once

#include "absl/status/statusor.h"
#include "beamline/v1/pipeline.pb.h"
#include "server/repetition.h"
#include "server/transaction.h"
#include "store/runs.h"

namespace beamline::server {

// `task` is the own task of scaling study `step`, and is repeating: makes the next training once
// all that were made have ended, or else the table of them all, which is the step's result. The
// step fails only if no combination of values could be trained. Within a command of the
// coordinator.
absl::StatusOr<Repetition> AdvanceStudy(Transaction& transaction, const store::StoredRun& run,
                                        const v1::Step& step, store::StoredTask& task);

}  // namespace beamline::server
