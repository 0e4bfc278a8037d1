// The searches of a run, from the server.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "beamline/v1/run.pb.h"
#include "clients/cli/invocation.h"

namespace beamline::cli {

// Of each step of `run` that has one, in the order of the definition. Waits for a server that is
// away for a moment.
absl::StatusOr<std::vector<v1::ListTrialsResponse>> SearchesOf(Invocation& invocation,
                                                               const v1::Run& run);

}  // namespace beamline::cli
