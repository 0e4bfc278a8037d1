// What a task that did not succeed may expect. Private to this folder.
#pragma once

#include <cstdint>
#include <optional>

#include "scheduler/events.h"
#include "scheduler/reasons.h"
#include "scheduler/scheduler.h"

namespace beamline::scheduler {

// How long a task waits that was lost or failed `times` times in all: first_back_off_ms, doubling,
// at most max_back_off_ms. Unit: milliseconds. 0 for no times.
int64_t BackOffMs(const Options& options, int64_t times);

// Counts one more end of an attempt in `task`, and sets task.not_before_ms to when it may run
// again: at once after a release, after the back-off otherwise. The code with which the task ends
// instead, if a bound is reached.
std::optional<EndCode> CountRetry(const Options& options, RequeueCode code, int64_t now_ms,
                                  TaskQueued& task);

}  // namespace beamline::scheduler
