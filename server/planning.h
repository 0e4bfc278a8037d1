// From stored tasks to what the scheduler and workers are told.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "beamline/v1/cluster.pb.h"
#include "beamline/v1/common.pb.h"
#include "beamline/v1/worker.pb.h"
#include "pipeline/expand.h"
#include "scheduler/actions.h"
#include "scheduler/events.h"
#include "scheduler/resources.h"
#include "server/transaction.h"
#include "store/runs.h"

namespace beamline::server {

// What one process of a task asks of a worker. Zeros have their defaults already.
scheduler::Demand DemandOf(const v1::Resources& resources);

// The labels of a worker: its pool, and for each image that it has one alone and one with the pool.
std::vector<std::string> LabelsOf(const v1::Worker& worker);
// How many tasks that ask for `demand`, in `image`, the worker holds at once if it has no others.
int SlotsOf(const v1::Worker& worker, const scheduler::Demand& demand, std::string_view image);

// Whether a worker has the image; an empty one every worker has.
bool HasImage(const v1::Worker& worker, std::string_view image);

// The plan of `task` as the run's definition has it. Internal if there is none, which cannot be.
absl::StatusOr<pipeline::PlannedTask> PlanOf(const v1::PipelineDefinition& definition,
                                             const store::StoredTask& task);

// The task as the scheduler is to know it.
absl::StatusOr<scheduler::TaskQueued> QueuedEvent(const Transaction& transaction,
                                                  const store::StoredRun& run,
                                                  const store::StoredTask& task);

// All that attempt `assign` needs. NotFound or FailedPrecondition if something that it needs has
// gone since the run was accepted.
absl::StatusOr<v1::Attempt> BuildAttempt(const store::View& view, const store::StoredRun& run,
                                         const store::StoredTask& task,
                                         const scheduler::Assign& assign);

}  // namespace beamline::server
