// Initial weights, and the checks of a spec's plain numbers.
#pragma once

#include <cstdint>

#include "engine/graph/graph.h"
#include "engine/nn/network_spec.h"

namespace beamline::engine {

// Of a weight [inputs, units] that `activation` follows.
Initial InitialWeight(Initializer initializer, Activation activation, int64_t inputs,
                      int64_t units);

// Of an embedding's table: normal with variance 1 / units.
Initial InitialTable(int64_t units);

// Throws Error if a number of the spec that belongs to no layer makes no sense; the message names
// it.
void CheckNumbers(const NetworkSpec& spec);

}  // namespace beamline::engine
