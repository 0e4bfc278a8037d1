// What the end of a process means for its attempt.
#pragma once

#include <optional>
#include <string>

#include "beamline/v1/worker.pb.h"
#include "worker/executor.h"
#include "worker/task_process.h"

namespace beamline::worker {

// FAILED with that kind and message.
v1::AttemptResult Failed(v1::FailureKind kind, const std::string& message);

// CANCELLED, or RELEASED, as the reason asks for.
v1::AttemptResult Stopped(Execution::StopReason reason);

// The result of an attempt whose process ended without saying so. `stop`: what it was asked for
// before. `memory_bytes`: what the attempt may use. `last_words`: the last lines of its standard
// error.
// Asked to stop: CANCELLED or RELEASED. Killed for lack of memory: OUT_OF_MEMORY. Otherwise CRASH,
// whose message names the signal or the exit code.
v1::AttemptResult Classify(const ProcessExit& exit, std::optional<Execution::StopReason> stop,
                           int64_t memory_bytes, const std::string& last_words);

}  // namespace beamline::worker
