// Random numbers for machines of units that are on or off.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/core/philox.h"
#include "engine/core/thread_pool.h"

namespace beamline::engine {

// Elements that one thread draws at once: a multiple of those of a Philox block.
inline constexpr int64_t kDrawTile = 4096;

// x[i] = 1 with probability x[i], else 0; x[i] depends on its own value, `random` and i alone.
inline void DrawBits(const Philox& random, int64_t size, float* x, ThreadPool* pool) {
  pool->ParallelFor((size + kDrawTile - 1) / kDrawTile, [&](int64_t tile) {
    const int64_t end = std::min(size, (tile + 1) * kDrawTile);
    for (int64_t i = tile * kDrawTile; i < end; i += 4) {
      const PhiloxBlock block = random.Block(static_cast<uint64_t>(i / 4));
      for (int64_t k = i; k < std::min(end, i + 4); ++k) {
        x[k] = UniformFromBits(block.word[k - i]) < x[k] ? 1.0f : 0.0f;
      }
    }
  });
}

// x[i] += a number of N(0, 1).
inline void AddNormal(const Philox& random, int64_t size, float* x, ThreadPool* pool) {
  pool->ParallelFor((size + kDrawTile - 1) / kDrawTile, [&](int64_t tile) {
    for (int64_t i = tile * kDrawTile; i < std::min(size, (tile + 1) * kDrawTile); ++i) {
      x[i] += random.Normal(static_cast<uint64_t>(i));
    }
  });
}

}  // namespace beamline::engine
