// What is in a column: computed once, when data is converted, and kept in its file.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/data/table.h"

namespace beamline::engine::data {

// Rows per chunk of a column: the unit of chunk statistics, checksums and of fixed-shape
// reductions. A part of the columnar file format (docs/formats.md).
inline constexpr int64_t kChunkRows = 65536;
inline constexpr int kHistogramBins = 32;
inline constexpr int kTopCategories = 20;
// Columns with more values have their quantiles and distinct count from a sample of so many.
inline constexpr int64_t kExactValues = int64_t{1} << 17;

// Counts are of values, which are rows except where a row holds an item of several values.
// Infinite values are counted in `infinite` and left out of all else. For a categorical column
// only count, missing, distinct and top mean something.
struct ColumnStatistics {
  int64_t count = 0;    // values that are present, infinite ones too
  int64_t missing = 0;  // values that are not
  int64_t infinite = 0;
  double min = 0, max = 0;
  double mean = 0;
  // Of the population (divided by count, not count - 1). Two passes within a chunk, chunks merged
  // in order (Chan et al. 1983): the same bits on any number of threads.
  double standard_deviation = 0;
  // Of the order statistics, linearly interpolated (NumPy's default): see kQuantileLevels.
  std::array<double, 5> quantiles{};
  // Number of different values. A lower bound if `sampled`.
  int64_t distinct = 0;
  // True if quantiles and distinct are those of every k-th value, k = ceil(count / kExactValues).
  bool sampled = false;
  // Equal bins from min to max, the last one closed. All in bin 0 if min == max.
  std::array<int64_t, kHistogramBins> histogram{};
  // The most frequent categories, most frequent first, ties in category order.
  struct Category {
    std::string name;
    int64_t count = 0;
  };
  std::vector<Category> top;
};

inline constexpr std::array<double, 5> kQuantileLevels = {0.05, 0.25, 0.5, 0.75, 0.95};

// Statistics of one chunk of a column, for skipping and for checks without reading values.
struct ChunkStatistics {
  int64_t missing = 0;
  double min = 0, max = 0;  // of finite values; 0 if there is none
};

// Statistics of one column; also of each kChunkRows rows of it (the last chunk may be shorter) if
// `chunks` is not null. Throws nothing but std::bad_alloc.
ColumnStatistics Describe(const Column& column, std::vector<ChunkStatistics>* chunks = nullptr);

// Of all columns: the same bits for any `threads` >= 1.
std::vector<ColumnStatistics> Describe(const Table& table, int threads = 1);

}  // namespace beamline::engine::data
