// Sums over the rows of a matrix [rows, columns], column by column.
//
// Rows are cut into chunks of kChunkRows; a chunk's sum is one chain over its rows in order, and
// the chunks' sums are added in order. With one chunk that is one chain over all rows.
#pragma once

#include "engine/backend/cpu/kernels.h"
#include "engine/backend/cpu/vector.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

inline constexpr int64_t kChunkRows = 512;
// Columns that a thread walks down together: whole cache lines, and few sums.
inline constexpr int64_t kChunkColumns = 64;

static inline int64_t ChunksOf(int64_t rows) { return (rows + kChunkRows - 1) / kChunkRows; }

// A part of a chunk.
struct Chunk {
  int64_t index;  // of the chunk
  int64_t row, rows;
  int64_t column, columns;
};

// body(chunk) for all chunks and columns, on the pool's threads; `cost` is per element.
template <typename Body>
static void ForChunks(const RunState& run, int64_t rows, int64_t columns, int64_t cost,
                      const Body& body) {
  const int64_t parts = (columns + kChunkColumns - 1) / kChunkColumns;
  ForTiles(run, ChunksOf(rows) * parts, rows * columns * cost, [&](int64_t tile) {
    Chunk chunk;
    chunk.index = tile / parts;
    chunk.row = chunk.index * kChunkRows;
    chunk.rows = rows - chunk.row < kChunkRows ? rows - chunk.row : kChunkRows;
    chunk.column = tile % parts * kChunkColumns;
    chunk.columns = columns - chunk.column < kChunkColumns ? columns - chunk.column : kChunkColumns;
    body(chunk);
  });
}

// Calls body(column, load, store) for vectors that together hold columns [0, columns): with them
// vectors are read and written at the given pointer, and nothing beyond the last column is touched.
template <typename Body>
inline __attribute__((always_inline)) void ForVectors(int64_t columns, const Body& body) {
  int64_t j = 0;
  for (; j + Vector::kWidth <= columns; j += Vector::kWidth) {
    body(
        j, [](const float* p) __attribute__((always_inline)) { return Load(p); },
        [](float* p, Vector v) __attribute__((always_inline)) { Store(p, v); });
  }
  if (j == columns) return;
  const int rest = static_cast<int>(columns - j);
  body(
      j, [=](const float* p) __attribute__((always_inline)) { return LoadFirst(p, rest); },
      [=](float* p, Vector v) __attribute__((always_inline)) { StoreFirst(p, v, rest); });
}

// body(first, width) for blocks of 16 columns, whose width is a constant, and what is left.
template <typename Body>
inline __attribute__((always_inline)) void ForBlocksOf16(int64_t columns, const Body& body) {
  int64_t j = 0;
  for (; j + 16 <= columns; j += 16) body(j, int64_t{16});
  if (j < columns) body(j, columns - j);
}

// to[j] = sum over chunks of sums[chunk * stride + j], in order.
static inline void AddChunks(const float* sums, int64_t chunks, int64_t stride, int64_t columns,
                             float* to) {
  Fill(to, 0, columns, [&](int64_t j) { return sums[j]; });
  for (int64_t chunk = 1; chunk < chunks; ++chunk) {
    const float* from = sums + chunk * stride;
    Fill(to, 0, columns, [&](int64_t j) { return to[j] + from[j]; });
  }
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
