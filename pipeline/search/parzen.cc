#include "pipeline/search/parzen.h"

#include <algorithm>
#include <cmath>

#include "pipeline/search/numbers.h"

namespace beamline::pipeline::search {
namespace {

constexpr int kPrior = -1;
constexpr size_t kFullWeight = 25;
constexpr double kMostKernels = 100;
constexpr double kSqrt2Pi = 2.50662827463100050242;
// Below it a cell's share is not told apart from none.
constexpr double kLeastShare = 1e-300;

// The last kFullWeight trials weigh 1, those before from 1 / n up to 1.
double WeightOf(size_t trial, size_t n) {
  if (n < kFullWeight || trial + kFullWeight >= n) return 1;
  const double first = 1 / static_cast<double>(n);
  const size_t ramp = n - kFullWeight;
  if (ramp == 1) return first;
  return first + (1 - first) * static_cast<double>(trial) / static_cast<double>(ramp - 1);
}

// Of sorted means: the farther of both neighbours, the ends of the scale counting where there is
// but one; not below what so many kernels can tell apart, not above the scale.
std::vector<double> Deviations(const std::vector<double>& means) {
  const size_t n = means.size();
  const double least = 1 / std::min(kMostKernels, static_cast<double>(n) + 2);
  std::vector<double> deviations(n);
  for (size_t i = 0; i < n; ++i) {
    double deviation = n == 1 ? std::max(means[0], 1 - means[0]) : 0;
    if (i > 0) deviation = std::max(deviation, means[i] - means[i - 1]);
    if (i + 1 < n) deviation = std::max(deviation, means[i + 1] - means[i]);
    deviations[i] = std::clamp(deviation, least, 1.0);
  }
  return deviations;
}

}  // namespace

Parzen::Gaussian Parzen::Cut(double mean, double deviation) {
  Gaussian gaussian{mean, deviation};
  gaussian.below = NormalCdf(-mean / deviation);
  gaussian.above = NormalCdf((1 - mean) / deviation);
  gaussian.log_mass = Log(gaussian.above - gaussian.below);
  gaussian.log_norm = gaussian.log_mass + Log(deviation * kSqrt2Pi);
  return gaussian;
}

Parzen::Factors Parzen::GaussianFactors(size_t d, const std::vector<const Place*>& trials) {
  std::vector<std::pair<double, size_t>> sorted;
  for (size_t k = 0; k < trials.size(); ++k) {
    sorted.emplace_back((*trials[k])[d].Middle(), k);
  }
  std::sort(sorted.begin(), sorted.end());
  std::vector<double> means;
  for (const auto& [mean, kernel] : sorted) means.push_back(mean);
  const std::vector<double> deviations = Deviations(means);
  Factors factors;
  factors.gaussians.assign(trials.size() + 1, Cut(0.5, 1));
  for (size_t i = 0; i < sorted.size(); ++i) {
    factors.gaussians[sorted[i].second] = Cut(means[i], deviations[i]);
  }
  return factors;
}

Parzen::Factors Parzen::ChoiceFactors(size_t d, int64_t count,
                                      const std::vector<const Place*>& trials) {
  Factors factors;
  factors.count = count;
  factors.choices.assign(trials.size() + 1, kPrior);
  for (size_t k = 0; k < trials.size(); ++k) {
    factors.choices[k] = static_cast<int>((*trials[k])[d].Middle() * static_cast<double>(count));
  }
  // The prior's weight, 1, is spread over all kernels.
  const double spread = 1 / static_cast<double>(trials.size() + 1);
  const double total = 1 + static_cast<double>(count) * spread;
  factors.own = (1 + spread) / total;
  factors.log_own = Log(factors.own);
  factors.log_other = Log(spread / total);
  return factors;
}

Parzen::Parzen(const std::vector<const Dimension*>& dimensions,
               const std::vector<const Place*>& trials) {
  double sum = 0;
  for (size_t k = 0; k <= trials.size(); ++k) {
    const double weight = k == trials.size() ? 1 : WeightOf(k, trials.size());
    log_weights_.push_back(Log(weight));
    cumulative_.push_back(sum += weight);
  }
  const double log_sum = Log(sum);
  for (double& log_weight : log_weights_) log_weight -= log_sum;
  for (size_t d = 0; d < dimensions.size(); ++d) {
    factors_.push_back(dimensions[d]->choice() ? ChoiceFactors(d, dimensions[d]->count(), trials)
                                               : GaussianFactors(d, trials));
  }
}

size_t Parzen::Kernel(double unit) const {
  const double at = unit * cumulative_.back();
  const auto found = std::upper_bound(cumulative_.begin(), cumulative_.end(), at);
  return std::min(static_cast<size_t>(found - cumulative_.begin()), cumulative_.size() - 1);
}

double Parzen::Draw(size_t kernel, size_t d, double unit) const {
  const Factors& factors = factors_[d];
  if (factors.count == 0) {
    const Gaussian& g = factors.gaussians[kernel];
    const double p = std::fma(unit, g.above, (1 - unit) * g.below);
    return std::clamp(std::fma(g.deviation, NormalQuantile(p), g.mean), 0.0, 1.0);
  }
  const double n = static_cast<double>(factors.count);
  const int own = factors.choices[kernel];
  if (own == kPrior || factors.count == 1) return unit;
  if (unit < factors.own) return (own + 0.5) / n;
  // The others share the rest.
  const double rest = (unit - factors.own) / (1 - factors.own);
  const double other = std::min(std::floor(rest * (n - 1)), n - 2);
  return ((other < own ? other : other + 1) + 0.5) / n;
}

double Parzen::LogFactor(const Factors& factors, size_t kernel, const Cell& cell) {
  if (factors.count > 0) {
    const int own = factors.choices[kernel];
    if (own == kPrior) return -Log(static_cast<double>(factors.count));
    const int choice = static_cast<int>(cell.Middle() * static_cast<double>(factors.count));
    return choice == own ? factors.log_own : factors.log_other;
  }
  const Gaussian& g = factors.gaussians[kernel];
  if (cell.low == cell.high) {
    const double z = (cell.low - g.mean) / g.deviation;
    return -0.5 * z * z - g.log_norm;
  }
  const double share =
      NormalCdf((cell.high - g.mean) / g.deviation) - NormalCdf((cell.low - g.mean) / g.deviation);
  return Log(std::max(share, kLeastShare)) - g.log_mass;
}

double Parzen::LogDensity(const Place& place) const {
  std::vector<double> logs = log_weights_;
  for (size_t d = 0; d < factors_.size(); ++d) {
    for (size_t k = 0; k < logs.size(); ++k) logs[k] += LogFactor(factors_[d], k, place[d]);
  }
  const double most = *std::max_element(logs.begin(), logs.end());
  double sum = 0;
  for (const double log : logs) sum += Exp(log - most);
  return most + Log(sum);
}

}  // namespace beamline::pipeline::search
