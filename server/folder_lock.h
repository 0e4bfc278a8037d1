// One process at a time for a folder.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "base/file.h"

namespace beamline::server {

// Takes the folder, which is created with mode 0700 if need be, as long as the descriptor is open:
// also the death of the process gives it back. FailedPrecondition: another process has it.
absl::StatusOr<UniqueFd> LockFolder(const std::string& folder);

}  // namespace beamline::server
