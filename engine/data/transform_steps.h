// What fitting and applying transforms share. Internal.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/data/transform.h"

namespace beamline::engine::data {

// Runs `steps` over `x`, the values from `first` on of items of size `item_size` (so that value i
// has parameters (first + i) % item_size). Throws Error where log1p is not defined; `place(i)` then
// names row and column.
template <typename Place>
void RunSteps(const std::vector<FittedStep>& steps, int64_t first, int64_t item_size,
              std::span<double> x, const Place& place);

// Throws Error for log(1 + x), x <= -1.
[[noreturn]] void FailLog1p(const std::string& place, double x);
double Log1p(double x);

template <typename Place>
void RunSteps(const std::vector<FittedStep>& steps, int64_t first, int64_t item_size,
              std::span<double> x, const Place& place) {
  for (const FittedStep& step : steps) {
    // One parameter for all values, or one for each value of an item.
    const size_t period = step.a.size() > 1 ? static_cast<size_t>(item_size) : 1;
    size_t k = static_cast<size_t>(first) % period;
    for (size_t i = 0; i < x.size(); ++i) {
      switch (step.kind) {
        case FittedStep::Kind::kFill:
          if (x[i] != x[i]) x[i] = step.a[k];
          break;
        case FittedStep::Kind::kScale:
          x[i] = (x[i] - step.a[k]) * step.b[k];
          break;
        case FittedStep::Kind::kLog1p:
          if (x[i] <= -1) FailLog1p(place(i), x[i]);
          x[i] = Log1p(x[i]);
          break;
        case FittedStep::Kind::kClip:
          if (x[i] < step.a[k]) x[i] = step.a[k];
          if (x[i] > step.b[k]) x[i] = step.b[k];
          break;
      }
      if (++k == period) k = 0;
    }
  }
}

// The text under which the value of a column that is encoded by category is looked up: as
// Column::Text, but a fraction that is a whole number counts as an integer. "" if it is missing.
// Throws Error for another fraction.
std::string CategoryText(const Column& column, int64_t row);

}  // namespace beamline::engine::data
