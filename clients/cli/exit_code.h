// What the exit code of `beamline` says. `beamline help` prints this table.
#pragma once

#include <span>
#include <string_view>

#include "absl/status/status.h"

namespace beamline::cli {

enum class ExitCode : int {
  kOk = 0,
  kWorkFailed = 1,
  kUsage = 2,
  kRefused = 3,
  kNotFound = 4,
  kDenied = 5,
  kUnreachable = 6,
  kBusy = 7,
  kUnimplemented = 8,
  kInternal = 9,
  kInterrupted = 130,
};

struct ExitCodeInfo {
  ExitCode code;
  std::string_view meaning;
};

// All codes in ascending order.
std::span<const ExitCodeInfo> ExitCodes();

// A mistake in the command line itself, as opposed to one in what it sends. Exit code kUsage.
absl::Status UsageError(std::string_view message);
bool IsUsageError(const absl::Status& status);

// The code for a call that failed with `status`; kOk for an OK status.
ExitCode ExitCodeOf(const absl::Status& status);

}  // namespace beamline::cli
