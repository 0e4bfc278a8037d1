// Which of two results is better.
#pragma once

#include <cmath>
#include <limits>

#include "pipeline/search/search.h"

namespace beamline::pipeline::search {

// Less is better; infinity for what is not finite, which ranks behind all others.
inline double Loss(double value, bool maximize) {
  if (!std::isfinite(value)) return std::numeric_limits<double>::infinity();
  return maximize ? -value : value;
}

inline bool Ended(const Outcome& outcome) { return outcome.state != Outcome::State::kUnknown; }
inline bool Succeeded(const Outcome& outcome) {
  return outcome.state == Outcome::State::kSucceeded;
}

// The epoch with whose end a part ends: 0 says that of the step.
inline int EpochsOf(int epochs, const Setting& setting) {
  return epochs > 0 ? epochs : setting.step_epochs;
}

}  // namespace beamline::pipeline::search
