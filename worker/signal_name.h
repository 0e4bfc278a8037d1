// Signals in words.
#pragma once

#include <string>

namespace beamline::worker {

// "SIGSEGV (Segmentation fault)".
std::string SignalName(int signal);

}  // namespace beamline::worker
