#include "base/stopwatch.h"

#include <chrono>

namespace beamline {

double MonotonicSeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace beamline
