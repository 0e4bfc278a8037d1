// How far probabilities are what they say.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/core/error.h"
#include "engine/metrics/metrics.h"

namespace beamline::engine::metrics {

std::vector<ReliabilityBin> Reliability(std::span<const float> probabilities,
                                        std::span<const int32_t> right, int64_t bins,
                                        Weights weights) {
  if (probabilities.empty() || probabilities.size() != right.size() ||
      (!weights.empty() && weights.size() != right.size()) || bins < 1) {
    Fail(
        "calibration needs at least one row and bin, and as many probabilities and weights as "
        "labels: got ",
        probabilities.size(), ", ", weights.size(), " and ", right.size());
  }
  std::vector<ReliabilityBin> result(static_cast<size_t>(bins));
  const auto count = static_cast<double>(bins);
  for (int64_t b = 0; b < bins; ++b) {
    result[static_cast<size_t>(b)].lower = static_cast<double>(b) / count;
    result[static_cast<size_t>(b)].upper = static_cast<double>(b + 1) / count;
  }
  for (size_t i = 0; i < right.size(); ++i) {
    const double p = probabilities[i];
    if (!(p >= 0 && p <= 1)) Fail("row ", i + 1, ": ", p, " is no probability");
    const auto at = std::min(static_cast<int64_t>(p * count), bins - 1);
    ReliabilityBin& bin = result[static_cast<size_t>(at)];
    const double weight = weights.empty() ? 1.0 : static_cast<double>(weights[i]);
    bin.weight += weight;
    bin.mean_probability += weight * p;
    bin.share += weight * static_cast<double>(right[i] != 0);
  }
  for (ReliabilityBin& bin : result) {
    const bool empty = bin.weight == 0;
    bin.mean_probability =
        empty ? std::numeric_limits<double>::quiet_NaN() : bin.mean_probability / bin.weight;
    bin.share = empty ? std::numeric_limits<double>::quiet_NaN() : bin.share / bin.weight;
  }
  return result;
}

double CalibrationError(const std::vector<ReliabilityBin>& bins) {
  double sum = 0;
  double all = 0;
  for (const ReliabilityBin& bin : bins) {
    if (bin.weight == 0) continue;
    sum += bin.weight * std::fabs(bin.mean_probability - bin.share);
    all += bin.weight;
  }
  return all != 0 ? sum / all : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace beamline::engine::metrics
