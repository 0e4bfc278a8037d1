// How the values of a column are distributed, by the values of another.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/data/columnar.h"
#include "engine/data/workspace.h"

namespace beamline::engine::data {

inline constexpr int64_t kMostHistogramBins = 1000;
inline constexpr size_t kMostHistogramSeries = 100;

struct HistogramSpec {
  std::string column;
  // 1 to kMostHistogramBins. Of a categorical column: its most frequent categories.
  int64_t bins = 50;
  // Empty: all rows are one series.
  std::string by = {};
  // Of numbers: values outside do not count. Default: the ends of the column's finite values.
  std::optional<double> min = {};
  std::optional<double> max = {};
  // Empty: each row counts 1.
  std::string weight = {};
};

struct ColumnHistogram {
  std::vector<double> edges = {};            // of numbers: one more than there are bins
  std::vector<std::string> categories = {};  // of categories: one a bin
  struct Series {
    std::string category = {};  // the value of `by`
    std::vector<double> counts = {};
    double other = 0;  // rows that no bin counts: missing, outside, of another category
  };
  // By the values of `by`, ascending. Rows without one are in none.
  std::vector<Series> series = {};
};

// The same bits for any number of threads; memory does not grow with the rows. Throws Error for
// columns that do not exist or hold arrays, no value to find bins by, a weight that is missing or
// infinite, more than kMostHistogramSeries values of `by`, and what the workspace's progress
// throws.
ColumnHistogram CountColumn(const Dataset& dataset, const HistogramSpec& spec,
                            Workspace& workspace);

}  // namespace beamline::engine::data
