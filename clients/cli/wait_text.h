// Waits in words.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "beamline/v1/wait.pb.h"

namespace beamline::cli {

// "fair_share".
std::string WaitWord(const v1::Wait& wait);

// What is missing, and what would help.
std::string WaitSentence(const v1::Wait& wait);

// "3 min ago"; empty if it is not known.
std::string WaitSince(const v1::Wait& wait, absl::Time now);

// "in 12 s"; "unknown" for a task that waits for a worker, empty for others.
std::string EarliestStart(const v1::Wait& wait, absl::Time now);

}  // namespace beamline::cli
