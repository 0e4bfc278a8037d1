// Sums over the rows of a matrix, for each column.
#pragma once

#include "engine/backend/cuda/launch.h"

namespace beamline::engine::cuda {

// A block sums some columns over a chunk of the rows: its threads stand side by side along the
// columns and, in several lines, down the rows; the lines are added in order; the block that
// comes last adds the chunks in the same way. All of it depends on the matrix's extents alone.
struct ColumnPlan {
  ColumnPlan(int64_t rows, int64_t columns) {
    while (width < 32 && width < columns) width *= 2;
    lines = kBlock / width;
    tiles = (columns + width - 1) / width;
    constexpr int64_t kBlocks = 528;
    if (rows > 32 * lines) {
      const int64_t useful = (rows + 8 * lines - 1) / (8 * lines);
      const int64_t wanted = tiles < kBlocks ? kBlocks / tiles : 1;
      chunks = wanted < useful ? wanted : useful;
    }
    per_chunk = (rows + chunks - 1) / chunks;
    chunks = per_chunk > 0 ? (rows + per_chunk - 1) / per_chunk : 1;
  }

  int64_t width = 8;
  int64_t lines = 0;
  int64_t tiles = 0;
  int64_t chunks = 1;
  int64_t per_chunk = 0;
};

// Scratch of ColumnSums of `values` numbers at a time.
inline Scratch ColumnSumsScratch(int64_t rows, int64_t columns, int values) {
  const ColumnPlan plan(rows, columns);
  return {plan.chunks * columns * values * static_cast<int64_t>(sizeof(float)), 0};
}

// For each column: done(column, sums), sums[v] being the sum over all rows of what
// f(row, column, values) puts into values[v]. Uses the call's scratch memory. One launch.
template <int kValues, typename F, typename Done>
void ColumnSums(const RunState& run, int64_t rows, int64_t columns, const F& f, const Done& done) {
  const ColumnPlan plan(rows, columns);
  const auto width = static_cast<int>(plan.width);
  const auto lines = static_cast<int>(plan.lines);
  const auto tiles = static_cast<int>(plan.tiles);
  const auto chunks = static_cast<int>(plan.chunks);
  const int64_t per_chunk = plan.per_chunk;
  float* partial = SharedScratch(run);  // [chunks, columns, kValues]
  int* counters = Counters(run);
  Teams<kBlock>(
      run, static_cast<int64_t>(chunks) * tiles,
      kBlock * kValues * static_cast<int64_t>(sizeof(float)),
      [=] BEAMLINE_LAMBDA(Team<kBlock> & team) {
        float* lane_sums = team.template shared<float>();
        const int chunk = static_cast<int>(team.index()) / tiles;
        const int tile = static_cast<int>(team.index()) % tiles;
        const int64_t column0 = static_cast<int64_t>(tile) * width;
        const int64_t row0 = chunk * per_chunk;
        const int64_t used = math::Min<int64_t>(width, columns - column0);
        // lane_sums[lane]: every lines-th of `count` items, from the lane's line on.
        const auto add = [&](int64_t count, const auto& load) {
          team.For(kBlock, [&](int64_t lane) {
            const int line = static_cast<int>(lane) / width;
            const int place = static_cast<int>(lane) % width;
            const int mine = place < used && line < count
                                 ? (static_cast<int>(count) - line + lines - 1) / lines
                                 : 0;
            float sum[kValues] = {};
            BEAMLINE_UNROLL4
            for (int i = 0; i < mine; ++i) {
              float values[kValues];
              load(line + static_cast<int64_t>(i) * lines, column0 + place, values);
              for (int v = 0; v < kValues; ++v) sum[v] += values[v];
            }
            for (int v = 0; v < kValues; ++v) lane_sums[lane * kValues + v] = sum[v];
          });
        };
        const auto total = [&](int64_t j, float* sums) {
          for (int v = 0; v < kValues; ++v) sums[v] = 0.0f;
          for (int line = 0; line < lines; ++line) {
            for (int v = 0; v < kValues; ++v) {
              sums[v] += lane_sums[(line * width + j) * kValues + v];
            }
          }
        };
        add(math::Min(per_chunk, rows - row0),
            [&](int64_t i, int64_t column, float* values) { f(row0 + i, column, values); });
        team.For(used, [&](int64_t j) {
          float sums[kValues];
          total(j, sums);
          if (chunks == 1) return done(column0 + j, sums);
          float* to = partial + (chunk * columns + column0 + j) * kValues;
          for (int v = 0; v < kValues; ++v) to[v] = sums[v];
        });
        if (chunks == 1 || !team.IsLast(counters + tile, chunks)) return;
        add(chunks, [&](int64_t i, int64_t column, float* values) {
          const float* from = partial + (i * columns + column) * kValues;
          for (int v = 0; v < kValues; ++v) values[v] = from[v];
        });
        team.For(used, [&](int64_t j) {
          float sums[kValues];
          total(j, sums);
          done(column0 + j, sums);
        });
      });
}

}  // namespace beamline::engine::cuda
