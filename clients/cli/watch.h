// Following a run until it ends.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "clients/cli/exit_code.h"
#include "clients/cli/invocation.h"

namespace beamline::cli {

struct WatchOptions {
  // Events up to this number were seen before.
  int64_t after_sequence = 0;
  // Where to write the picture of the ROC curve. Empty: nowhere.
  std::string svg_path;
  // Lines of the log only, as `run logs --follow` has them.
  bool logs_only = false;
  // Of these only those of a step, or of a trial or fold by its task. Empty: all.
  std::string step = {};
};

// Shows events as they come, reconnecting after any cut from the last one seen, and at the end what
// came of it. kOk: the run succeeded; kWorkFailed: it failed or was cancelled; kInterrupted:
// Ctrl-C, and the run goes on.
// Unavailable: the server was away for ten minutes.
absl::StatusOr<ExitCode> WatchUntilEnd(Invocation& invocation, const std::string& run_name,
                                       const WatchOptions& options);

}  // namespace beamline::cli
