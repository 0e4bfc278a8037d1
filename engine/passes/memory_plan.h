// Where every value of a graph lives, and how many bytes a run takes: known before it runs.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/graph/graph.h"

namespace beamline::engine {

// Immutable once made.
struct MemoryPlan {
  // Of each value by id: its offset in the arena; -1 for parameters, states and constants, which
  // live outside it, and for values that nothing makes or reads. Unit: bytes.
  std::vector<int64_t> offset_bytes;

  // Unit of all: bytes. Multiples of kAlignmentBytes per value.
  int64_t arena_bytes = 0;      // inputs, activations and gradients at their peak
  int64_t parameter_bytes = 0;  // trained
  int64_t state_bytes = 0;      // optimiser state, running statistics
  int64_t constant_bytes = 0;
  // Everything that a run of the graph holds at its peak, beside its kernels' scratch memory:
  // ScratchFor in engine/executor/executor.h.
  int64_t peak_bytes() const {
    return arena_bytes + parameter_bytes + state_bytes + constant_bytes;
  }
};

// Gives values that are never alive together the same bytes. Inputs are alive from the start to
// their last use, outputs from their making to the end. Deterministic.
MemoryPlan PlanMemory(const Graph& graph);

}  // namespace beamline::engine
