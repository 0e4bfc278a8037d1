#include "engine/data/histogram.h"

#include <algorithm>
#include <cmath>

#include "engine/core/error.h"

namespace beamline::engine::data {

Bins::Bins(double min, double max, int64_t bins) {
  if (bins < 1) Fail("a histogram needs at least one bin, not ", bins);
  if (!(min <= max) || !std::isfinite(max - min)) {
    Fail("a histogram cannot reach from ", min, " to ", max);
  }
  if (min == max) {
    min -= 0.5;
    max += 0.5;
  }
  const auto count = static_cast<double>(bins);
  const double step = (max - min) / count;
  for (int64_t i = 0; i < bins; ++i) edges_.push_back(static_cast<double>(i) * step + min);
  edges_.push_back(max);
  per_width_ = count / (max - min);
  // Edges that are the same number would make bins that nothing can be in.
  const bool apart = std::adjacent_find(edges_.begin(), edges_.end(), [](double a, double b) {
                       return !(a < b);
                     }) == edges_.end();
  if (!apart || !std::isfinite(per_width_)) {
    Fail("from ", min, " to ", max, " there is no room for ", bins, " bins: give fewer");
  }
}

}  // namespace beamline::engine::data
