// Workloads of transformers.
#pragma once

#include "engine/learners/batch_source.h"
#include "engine/nn/network_spec.h"

namespace beamline::engine::benchmark {

// A causal language model of 4 pre-norm blocks of width 256 with 8 heads over 128 steps, vocabulary
// 1000, AdamW, batches of 16 rows.
NetworkSpec CausalLanguageModel();
inline constexpr int64_t kLanguageModelSteps = 128;

// Rows of kLanguageModelSteps + 1 tokens in [0, 1000).
MemoryBatch TokenRows(int64_t rows);

}  // namespace beamline::engine::benchmark
