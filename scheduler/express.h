// The token bucket that lets a project's short tasks go first, within bounds. Private to this
// folder.
//
// It fills at a multiple of the project's weighted share of the cluster and is drained by what the
// project's express tasks hold. A project that floods the cluster with short tasks empties it, and
// then competes by its held share like everybody else; splitting tasks gains nothing.
#pragma once

#include <cstdint>

#include "scheduler/projects.h"
#include "scheduler/queue.h"
#include "scheduler/scheduler.h"

namespace beamline::scheduler {

// Brings the bucket up to `now_ms`. It stays from -bucket_most to bucket_most.
void SettleBucket(Project& project, int64_t now_ms);

// What the project's express tasks hold changes by `change` at `now_ms`.
void ChangeExpress(Project& project, const Amounts& change, const Amounts& total, int64_t now_ms);

// Once a round, preemption or not: sets the inflow of all projects by the weights of those that
// have tasks, and lets them be express or not. A project's first bucket is full.
void RefillBuckets(TaskQueue& queue, const Options& options, int64_t now_ms);

}  // namespace beamline::scheduler
