// Numbers drawn by counters: the same as the CPU's, whatever the launch.
#pragma once

#include "engine/backend/cuda/launch.h"
#include "engine/core/philox.h"

namespace beamline::engine::cuda {

// f(block, words) for each Philox block of four words that `elements` elements need: block i is
// that of elements 4 i to 4 i + 3 of the op that `stream` tells apart.
template <typename F>
void Draw(const RunState& run, int64_t elements, uint64_t stream, const F& f) {
  const RandomState* random = run.random;
  const auto low = static_cast<uint32_t>(stream);
  Each(run, (elements + 3) / 4, [=] BEAMLINE_LAMBDA(int64_t block) {
    f(block,
      Philox4x32(static_cast<uint32_t>(random->seed), static_cast<uint32_t>(random->seed >> 32),
                 static_cast<uint32_t>(block), low, static_cast<uint32_t>(random->step),
                 static_cast<uint32_t>(random->step >> 32)));
  });
}

}  // namespace beamline::engine::cuda
