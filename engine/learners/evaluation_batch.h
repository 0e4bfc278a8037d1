// Batch sizes of evaluation and prediction graphs: powers of two, so that few graphs serve all.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace beamline::engine {

inline int64_t LargestPowerOfTwo(int64_t at_most) {
  return static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(at_most)));
}

// One graph for all rows: the last batch is padded with rows that weigh 0.
inline int64_t EvaluationBatch(int64_t rows, int64_t largest) {
  const auto up = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rows)));
  return std::clamp<int64_t>(up, 1, largest);
}

}  // namespace beamline::engine
