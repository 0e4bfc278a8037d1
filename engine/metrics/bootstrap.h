// Where figures of merit might lie: they are computed again and again from rows that are drawn
// with replacement from the rows there are (Efron 1979).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/metrics/metrics.h"

namespace beamline::engine::metrics {

// Figures of rows of which each counts a number of times, as if it stood there as often. Build it
// by the Add methods, then compute. Holds copies of what it needs. Compute is thread-safe.
//
// Every Add method throws Error if lengths differ. A figure that cannot be computed is NaN.
class CountedFigures {
 public:
  // `weights` of the rows; empty: each weighs 1.
  CountedFigures(size_t rows, Weights weights);
  ~CountedFigures();

  // Metrics by their names (FindMetric), of `outcome` with this object's weights. Throws Error for
  // more than 1000 classes, and for an auc_macro of more than 2^27 scores.
  void AddMetrics(const Outcome& outcome, const std::vector<std::string>& names);
  // Of "auc", "pr_auc", "ams" those named: how well scores tell rows of label 1 from those of 0.
  void AddRanks(std::span<const float> scores, std::span<const int32_t> labels,
                const std::vector<std::string>& names);
  // sum of w a / sum of w b; empty `below`: of w. `transform` may be null.
  void AddRatio(std::string name, std::vector<double> above, std::vector<double> below = {},
                double (*transform)(double) = nullptr);

  // In the order in which they were added.
  const std::vector<std::string>& names() const { return names_; }
  size_t rows() const { return rows_; }
  // `counts` has an entry for each row, `values` one for each name.
  void Compute(std::span<const uint8_t> counts, std::span<double> values) const;

  // Some figures that are computed together.
  class Part {
   public:
    virtual ~Part() = default;
    virtual void Compute(const uint8_t* counts, double* values) const = 0;
  };

 private:
  void Add(std::vector<std::string> names, std::unique_ptr<Part> part);
  void AddConfusion(const Outcome& outcome, std::vector<std::string> names);
  void AddMeans(const Outcome& outcome, const std::string& name);
  Weights weights() const { return weights_; }

  size_t rows_;
  std::vector<float> weights_;
  std::vector<std::string> names_;
  std::vector<std::unique_ptr<Part>> parts_;
  std::vector<size_t> first_;  // the place of each part's first figure
};

struct BootstrapOptions {
  uint64_t seed = 0;
  int64_t resamples = 1000;
  // Above 0, below 1.
  double confidence = 0.95;
  int threads = 1;
  // Asked between pieces of work, from the calling thread; false ends it. May be null.
  std::function<bool()> go_on = nullptr;
};

struct Interval {
  double low = 0;
  double high = 0;
};

// How often each of `units` is among as many draws from them with replacement: the same for the
// same seed and number of the resample. (A count beyond 255 has a chance below 10^-500.)
void DrawCounts(uint64_t seed, int64_t resample, std::span<uint8_t> counts);

// For each figure the percentiles (1 - confidence) / 2 and (1 + confidence) / 2 of its values over
// the resamples, with linear interpolation; those that cannot be computed are left out, and NaN is
// both ends if all are. Of "calibration_error" and "ams", to which chance only adds, the basic
// interval: twice the figure minus these percentiles, from 0 on, and at least to the figure itself.
// Row i belongs to unit `units[i]`, and the units are drawn: 0, 1, ...;
// empty: each row is one. The same bits for any number of threads. Empty if `go_on` ended it.
std::vector<Interval> Bootstrap(const CountedFigures& figures, std::span<const int64_t> units,
                                const BootstrapOptions& options);

}  // namespace beamline::engine::metrics
