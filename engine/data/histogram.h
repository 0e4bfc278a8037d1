// Bins of equal width over a range of numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace beamline::engine::data {

// Those of numpy.histogram: the first `bins` edges belong to the bin above them, the last one to
// the bin below it.
class Bins {
 public:
  // From `min` to `max`; of one value alone from a half below to a half above it. Throws Error
  // unless min <= max, their distance is finite, and there is at least one bin.
  Bins(double min, double max, int64_t bins);

  int64_t size() const { return static_cast<int64_t>(edges_.size()) - 1; }
  // One more than there are bins, ascending.
  const std::vector<double>& edges() const { return edges_; }
  // The bin of a number; -1 if it lies outside or is NaN.
  int64_t Find(double value) const {
    if (!(value >= edges_.front() && value <= edges_.back())) return -1;
    const auto last = static_cast<int64_t>(edges_.size()) - 2;
    auto bin = static_cast<int64_t>((value - edges_.front()) * per_width_);
    if (bin > last) bin = last;
    // Rounding may have led across an edge.
    if (value < edges_[static_cast<size_t>(bin)]) --bin;
    if (bin < last && value >= edges_[static_cast<size_t>(bin) + 1]) ++bin;
    return bin;
  }

 private:
  std::vector<double> edges_;
  double per_width_ = 0;
};

}  // namespace beamline::engine::data
