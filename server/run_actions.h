// Makes the scheduler's decisions durable.
#pragma once

#include "absl/status/status.h"
#include "scheduler/actions.h"
#include "server/transaction.h"

namespace beamline::server {

// Writes what follows from `action`: attempts that begin and end, the states of tasks and runs,
// their events. A failure means that the store and the scheduler disagree, and is fatal.
absl::Status ApplyAction(Transaction& transaction, const scheduler::Action& action);

// Tells a scheduler that has just been made what the store knows: the tasks that wait and the
// attempts that run. Their workers have one lease of time to be heard of.
absl::Status RestoreScheduler(Transaction& transaction);

}  // namespace beamline::server
