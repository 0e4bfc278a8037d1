// Metrics of predicted numbers.
#include <cmath>
#include <limits>

#include "engine/core/error.h"
#include "engine/metrics/metrics.h"

namespace beamline::engine::metrics {
namespace {

void Require(std::span<const float> predicted, std::span<const float> targets, Weights weights) {
  if (predicted.empty() || predicted.size() != targets.size() ||
      (!weights.empty() && weights.size() != targets.size())) {
    Fail("metrics need at least one row, and as many predictions and weights as targets: got ",
         predicted.size(), ", ", weights.size(), " and ", targets.size());
  }
}

// Weighted mean of f(i).
template <typename F>
double Mean(size_t rows, Weights weights, const F& f) {
  double sum = 0;
  double all = 0;
  for (size_t i = 0; i < rows; ++i) {
    const double weight = weights.empty() ? 1.0 : static_cast<double>(weights[i]);
    sum += weight * f(i);
    all += weight;
  }
  return all != 0 ? sum / all : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

double MeanSquaredError(std::span<const float> predicted, std::span<const float> targets,
                        Weights weights) {
  Require(predicted, targets, weights);
  return Mean(targets.size(), weights, [&](size_t i) {
    const double d = static_cast<double>(predicted[i]) - static_cast<double>(targets[i]);
    return d * d;
  });
}

double RootMeanSquaredError(std::span<const float> predicted, std::span<const float> targets,
                            Weights weights) {
  return std::sqrt(MeanSquaredError(predicted, targets, weights));
}

double MeanAbsoluteError(std::span<const float> predicted, std::span<const float> targets,
                         Weights weights) {
  Require(predicted, targets, weights);
  return Mean(targets.size(), weights, [&](size_t i) {
    return std::fabs(static_cast<double>(predicted[i]) - static_cast<double>(targets[i]));
  });
}

double R2(std::span<const float> predicted, std::span<const float> targets, Weights weights) {
  const double residual = MeanSquaredError(predicted, targets, weights);
  const double mean =
      Mean(targets.size(), weights, [&](size_t i) { return static_cast<double>(targets[i]); });
  const double total = Mean(targets.size(), weights, [&](size_t i) {
    const double d = static_cast<double>(targets[i]) - mean;
    return d * d;
  });
  return total != 0 ? 1 - residual / total : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace beamline::engine::metrics
