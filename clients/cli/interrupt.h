// Ctrl-C and SIGTERM, as something to ask about.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

namespace beamline::cli {

// From now on SIGINT and SIGTERM are counted instead of ending the process; a third one ends it.
// SIGPIPE is ignored. Call once, in main.
void CatchInterrupts();

// How often one came. Thread-safe.
int InterruptCount();

// Waits, but no longer than until the next interrupt. True if one has come, now or before.
bool WaitUnlessInterrupted(int64_t milliseconds);

// What a command returns that was interrupted.
absl::Status InterruptedError();

}  // namespace beamline::cli
