// The updates of a step, in as few launches as they fit into.
#pragma once

#include "engine/backend/cuda/launch.h"

namespace beamline::engine::cuda {

struct UpdateEntry {
  float* parameter;
  const float* gradient;
  const float* numbers;
  const float* scale;  // null: 1
  float* first;        // null where the rule has no such state
  float* second;
  int64_t elements;
  int64_t first_block;
};

// Arguments of a launch are limited to 4 KiB.
inline constexpr int kUpdatesAtOnce = 48;

// kUpdate calls of one rule, on parameters that are all different.
void UpdateMany(const KernelCall* calls, int count, const RunState& run);

}  // namespace beamline::engine::cuda
