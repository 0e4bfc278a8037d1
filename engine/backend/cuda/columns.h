// Sums over the rows of a matrix, for each column.
#pragma once

#include "engine/backend/cuda/launch.h"

namespace beamline::engine::cuda {

// A block sums some columns over a chunk of the rows: its threads stand side by side along the
// columns and, in several lines, down the rows; the lines are added in order, then the chunks by a
// warp. All of it depends on the matrix's extents alone.
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
// f(row, column, values) puts into values[v]. Uses the call's scratch memory.
template <int kValues, typename F, typename Done>
void ColumnSums(const RunState& run, int64_t rows, int64_t columns, const F& f, const Done& done) {
  const ColumnPlan plan(rows, columns);
  float* partial = SharedScratch(run);  // [chunks, columns, kValues]
  Teams<kBlock>(run, plan.chunks * plan.tiles,
                kBlock * kValues * static_cast<int64_t>(sizeof(float)),
                [=] BEAMLINE_LAMBDA(Team<kBlock> & team) {
                  float* lane_sums = team.template shared<float>();
                  const int64_t chunk = team.index() / plan.tiles;
                  const int64_t column0 = team.index() % plan.tiles * plan.width;
                  const int64_t end = math::Min((chunk + 1) * plan.per_chunk, rows);
                  team.For(kBlock, [&](int64_t lane) {
                    const int64_t column = column0 + lane % plan.width;
                    float sum[kValues] = {};
                    BEAMLINE_UNROLL4
                    for (int64_t row = chunk * plan.per_chunk + lane / plan.width;
                         row < end && column < columns; row += plan.lines) {
                      float values[kValues];
                      f(row, column, values);
                      for (int v = 0; v < kValues; ++v) sum[v] += values[v];
                    }
                    for (int v = 0; v < kValues; ++v) lane_sums[lane * kValues + v] = sum[v];
                  });
                  team.For(math::Min(plan.width, columns - column0), [&](int64_t j) {
                    float sums[kValues] = {};
                    for (int64_t line = 0; line < plan.lines; ++line) {
                      for (int v = 0; v < kValues; ++v) {
                        sums[v] += lane_sums[(line * plan.width + j) * kValues + v];
                      }
                    }
                    if (plan.chunks == 1) return done(column0 + j, sums);
                    float* to = partial + (chunk * columns + column0 + j) * kValues;
                    for (int v = 0; v < kValues; ++v) to[v] = sums[v];
                  });
                });
  if (plan.chunks == 1) return;
  Teams<kWarp>(run, columns, 0, [=] BEAMLINE_LAMBDA(Team<kWarp> & team) {
    const int64_t column = team.index();
    float sums[kValues];
    for (int v = 0; v < kValues; ++v) {
      sums[v] = team.template Sum<float>(plan.chunks, [&](int64_t chunk) {
        return partial[(chunk * columns + column) * kValues + v];
      });
    }
    team.Once([&] { done(column, sums); });
  });
}

}  // namespace beamline::engine::cuda
