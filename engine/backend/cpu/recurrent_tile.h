// How the recurrent kernels share work: a tile is some rows of the batch by one block of units, for
// which one thread multiplies by the packed weight and applies the cell while the products are in
// cache.
//
// Every element is one chain over the inner index in order, whatever the tiles: they may be chosen
// by what is fast.
#pragma once

#include "engine/backend/cpu/gemm.h"
#include "engine/backend/cpu/kernels.h"
#include "engine/backend/recurrent.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

// Rows of a tile, at most: a multiple of every kTileRows. The products of four gates are 24 KiB.
inline constexpr int64_t kMaxTileRows = 48;
// Of the inner index, so that a piece of a packed panel stays in the first-level cache.
inline constexpr int64_t kInnerPiece = 128;

// How rows, units and steps are shared. Steps follow each other: either all threads do the tiles of
// one step and then those of the next (a barrier between them), or each takes its rows through all
// steps by itself. The first keeps all threads busy with few rows, and each reads only a part of
// the weight; the second needs no barrier.
struct Schedule {
  int64_t tile_rows = 0;
  int64_t tiles = 0;   // of rows
  int64_t blocks = 0;  // of kPanel units
  bool together = false;
};

// `operations`: multiply-adds of one step.
inline Schedule MakeSchedule(int64_t rows, int64_t units, int64_t operations) {
  constexpr int64_t kManyRows = 384;
  Schedule schedule;
  schedule.blocks = (units + kPanel - 1) / kPanel;
  schedule.together = operations >= 4 * kWorthSharing && rows < kManyRows;
  const int64_t most = schedule.together || rows >= kManyRows ? kMaxTileRows : 8;
  const int64_t tiles = (rows + most - 1) / most;
  schedule.tile_rows = (rows + tiles - 1) / tiles;
  schedule.tiles = (rows + schedule.tile_rows - 1) / schedule.tile_rows;
  return schedule;
}

// body(step, first row, rows, block) for all of them, steps in order.
template <typename Body>
static void ForSteps(const RunState& run, const Schedule& schedule, int64_t rows, int64_t steps,
                     int64_t operations, const Body& body) {
  const auto tile = [&](int64_t step, int64_t t, int64_t block) {
    const int64_t first = t * schedule.tile_rows;
    const int64_t left = rows - first;
    body(step, first, left < schedule.tile_rows ? left : schedule.tile_rows, block);
  };
  if (!schedule.together) {
    ForTiles(run, schedule.tiles, operations * steps, [&](int64_t t) {
      for (int64_t step = 0; step < steps; ++step) {
        for (int64_t block = 0; block < schedule.blocks; ++block) tile(step, t, block);
      }
    });
    return;
  }
  for (int64_t step = 0; step < steps; ++step) {
    ForTiles(run, schedule.tiles * schedule.blocks, operations,
             [&](int64_t i) { tile(step, i % schedule.tiles, i / schedule.tiles); });
  }
}

// Distance of rows in scratch memory: never a power of two, so that rows do not share cache sets.
inline __attribute__((always_inline)) int64_t PaddedStride(int64_t columns) {
  return (columns + kPanel - 1) / kPanel * kPanel + 16;
}

// product[rows, kPanel] = a[rows, inner] packed[inner, kPanel].
inline void MultiplyTile(const float* a, int64_t lda, const float* packed, int64_t inner,
                         int64_t rows, float* product) {
  for (int64_t k = 0; k < inner; k += kInnerPiece) {
    const int64_t piece = inner - k < kInnerPiece ? inner - k : kInnerPiece;
    for (int64_t i = 0; i < rows; i += kTileRows) {
      const int64_t now = rows - i < kTileRows ? rows - i : kTileRows;
      MicroTable<false>::kFn[now](piece, a + i * lda + k, lda, packed + k * kPanel, kPanel,
                                  product + i * kPanel, kPanel, k > 0);
    }
  }
}

// Copies `width` elements of a block of kPanel.
inline __attribute__((always_inline)) void CopyBlock(float* to, const float* from, int64_t width) {
  if (width == kPanel) {
    __builtin_memcpy(to, from, kPanel * sizeof(float));
    return;
  }
  for (int64_t j = 0; j < width; ++j) to[j] = from[j];
}
inline __attribute__((always_inline)) void ZeroBlock(float* to, int64_t width) {
  for (int64_t j = 0; j < width; ++j) to[j] = 0;
}

// Asks for the cache lines of a block that will soon be read or written.
inline __attribute__((always_inline)) void Prefetch(const float* block) {
  __builtin_prefetch(block, 0, 2);
  __builtin_prefetch(block + 16, 0, 2);
}

// The longest of `rows` rows, or `steps` without lengths.
inline __attribute__((always_inline)) int64_t LongestOf(const int32_t* lengths, int64_t first,
                                                        int64_t rows, int64_t steps) {
  if (lengths == nullptr) return steps;
  int64_t longest = 0;
  for (int64_t r = first; r < first + rows; ++r) {
    longest = lengths[r] > longest ? lengths[r] : longest;
  }
  return longest;
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
