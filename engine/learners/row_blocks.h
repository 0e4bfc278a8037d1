// Rows side by side, as kernels that compare them want them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/backend/cpu/learner_kernels.h"

namespace beamline::engine {

// block[f * kLanes + row] = rows[row, f]: at most kLanes rows, and zeros in place of more.
inline void TransposeRows(const float* rows, int64_t count, int64_t features, float* block) {
  using cpu::kLanes;
  // Some features of all rows: their lines of the block stay in the cache.
  for (int64_t first = 0; first < features; first += kLanes) {
    const int64_t last = std::min(features, first + kLanes);
    for (int64_t row = 0; row < count; ++row) {
      const float* from = rows + row * features;
      for (int64_t f = first; f < last; ++f) block[f * kLanes + row] = from[f];
    }
    for (int64_t row = count; row < kLanes; ++row) {
      for (int64_t f = first; f < last; ++f) block[f * kLanes + row] = 0;
    }
  }
}

}  // namespace beamline::engine
