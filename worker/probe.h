// Finds out, once per daemon, what this machine can enforce around tasks.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace beamline::worker {

// Has `binary` (beamline-task) try: one line each, as Worker.confinement shows them. Internal if
// the program cannot be run, or says nothing within 10 seconds.
absl::StatusOr<std::vector<std::string>> ProbeConfinement(const std::string& binary);

}  // namespace beamline::worker
