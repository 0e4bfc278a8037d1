// Batch sizes of evaluation and prediction graphs: powers of two, so that few graphs serve all.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "engine/learners/batch_source.h"
#include "engine/nn/network_spec.h"

namespace beamline::engine {

// Evaluation and prediction graphs are made for powers of two up to this batch size only; where
// tokens are predicted up to this many tokens.
inline constexpr int64_t kMaxEvaluationBatch = 512;
inline constexpr int64_t kMaxEvaluationTokens = 4096;
// The same of a pair of adversarial networks.
inline constexpr int64_t kLargestAdversarialBatch = 512;

inline int64_t LargestPowerOfTwo(int64_t at_most) {
  return static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(at_most)));
}

// One graph for all rows: the last batch is padded with rows that weigh 0.
inline int64_t EvaluationBatch(int64_t rows, int64_t largest) {
  const auto up = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rows)));
  return std::clamp<int64_t>(up, 1, largest);
}

// Rows of the largest evaluation or prediction graph of a network.
inline int64_t LargestEvaluationBatch(const NetworkSpec& spec, const BatchLayout& layout) {
  const bool tokens = spec.objective == Objective::kNextToken ||
                      spec.objective == Objective::kMasked ||
                      spec.objective == Objective::kTranslate;
  if (!tokens) return kMaxEvaluationBatch;
  return LargestPowerOfTwo(
      std::max<int64_t>(1, kMaxEvaluationTokens / std::max<int64_t>(1, layout.code_columns)));
}

}  // namespace beamline::engine
