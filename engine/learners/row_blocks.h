// Rows side by side, as kernels that compare them want them.
#pragma once

#include <cstdint>

#include "engine/backend/cpu/learner_kernels.h"

namespace beamline::engine {

// block[f * kLanes + row] = rows[row, f]: at most kLanes rows, and zeros in place of more.
inline void TransposeRows(const float* rows, int64_t count, int64_t features, float* block) {
  using cpu::kLanes;
  for (int64_t row = 0; row < kLanes; ++row) {
    for (int64_t f = 0; f < features; ++f) {
      block[f * kLanes + row] = row < count ? rows[row * features + f] : 0.0f;
    }
  }
}

}  // namespace beamline::engine
