// Statistics of the training rows that transforms are fitted with. Internal.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/text.h"
#include "engine/data/transform.h"
#include "engine/data/transform_steps.h"

namespace beamline::engine::data {

// A column as the transforms so far leave it, at the training rows. Refers to what it is made of.
struct TrainingColumn {
  std::string_view transform;  // the name of the transform that asks, for messages
  const Column& column;
  std::span<const int64_t> rows;
  const std::vector<FittedStep>& steps;
  // All values of an item count as one place.
  bool whole = false;

  size_t places() const { return whole ? 1 : static_cast<size_t>(column.item_size()); }

  // Calls use(k, x) for every value, row by row, where k is its place in the item, below places().
  template <typename Use>
  void ForEach(const Use& use) const {
    constexpr int64_t kBlock = 256;
    double x[kBlock];
    const int64_t item = column.item_size();
    const auto total = static_cast<int64_t>(rows.size()) * item;
    for (int64_t begin = 0; begin < total; begin += kBlock) {
      const int64_t size = std::min(kBlock, total - begin);
      for (int64_t i = 0; i < size; ++i) {
        const int64_t at = begin + i;
        x[i] = item == 1 ? column.Number(rows[static_cast<size_t>(at)])
                         : column.Number(rows[static_cast<size_t>(at / item)], at % item);
      }
      RunSteps(steps, begin % item, item, {x, static_cast<size_t>(size)}, [&](size_t i) {
        const auto row = static_cast<size_t>((begin + static_cast<int64_t>(i)) / item);
        return Cat(RowName(rows[row]), ", column ", Quoted(column.name()));
      });
      for (int64_t i = 0; i < size; ++i) {
        use(item == 1 || whole ? size_t{0} : static_cast<size_t>((begin + i) % item), x[i]);
      }
    }
  }
};

// Each throws Error, naming transform and column, if a place of the item has no value, or (the
// first two) one that is infinite. Vectors have one element for each place of the item. Missing
// values are left out.

// Mean and standard deviation of the population. Sums of 4096 values first, so that rounding does
// not grow with the number of rows.
struct MeanAndDeviation {
  std::vector<double> mean;
  std::vector<double> deviation;
};
MeanAndDeviation FitMeanAndDeviation(const TrainingColumn& training);

struct Range {
  std::vector<double> least;
  std::vector<double> most;
};
Range FitRange(const TrainingColumn& training);

std::vector<double> FitMedian(const TrainingColumn& training);
// Of several equally frequent values, the least.
std::vector<double> FitMostFrequent(const TrainingColumn& training);

[[noreturn]] void FailWithoutValues(const TrainingColumn& training);

}  // namespace beamline::engine::data
