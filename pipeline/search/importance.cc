#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "pipeline/search/numbers.h"
#include "pipeline/search/ranking.h"
#include "pipeline/search/report.h"
#include "pipeline/search/space.h"

namespace beamline::pipeline::search {
namespace {

constexpr size_t kFewestPoints = 6;
constexpr size_t kFewestGood = 3;
constexpr int64_t kMostCells = 50;
constexpr double kLeastDensity = 1e-12;

// How many points fall into each cell of a key's grid.
using Counts = std::vector<int64_t>;

// Cells of the grid on which densities are compared.
size_t CellsOf(const Dimension& dimension) {
  if (dimension.choice()) return static_cast<size_t>(dimension.count());
  if (dimension.count() == 0) return kMostCells;
  // In the logarithm small whole numbers lie far apart: as many cells as doublings.
  const auto doublings = std::bit_width(static_cast<uint64_t>(dimension.count()) - 1);
  const int64_t cells = dimension.log() ? doublings + 1 : dimension.count();
  return static_cast<size_t>(std::min(cells, kMostCells));
}

// Nothing where the key was no part of the point.
std::optional<size_t> CellOf(const Dimension& dimension, const Values& values, size_t cells) {
  const auto value = values.find(dimension.key());
  if (value == values.end()) return std::nullopt;
  const std::optional<Cell> cell = dimension.CellOf(value->second);
  if (!cell) return std::nullopt;
  const double last = static_cast<double>(cells) - 1;
  const double at = dimension.choice()
                        ? std::floor(cell->Middle() * static_cast<double>(cells))
                        : std::ceil(dimension.Position(value->second.number_value()) * last - 0.5);
  return static_cast<size_t>(std::clamp(at, 0.0, last));
}

// The first cell up to which more than (or, with `equal`, as many as) `part` points lie.
size_t CellAt(const Counts& counts, int64_t part, bool equal) {
  int64_t sum = 0;
  size_t last = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    last = i;
    sum += counts[i];
    if (equal ? sum >= part : sum > part) return i;
  }
  return last;
}

// Scott's rule, with the quartiles' distance where that is less; at least so that a cell holds most
// of a Gaussian in its middle.
double DeviationOf(const Counts& counts, double total) {
  double mean = 0;
  for (size_t i = 0; i < counts.size(); ++i) mean += static_cast<double>(i) * counts[i] / total;
  double squares = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    squares += counts[i] * (static_cast<double>(i) - mean) * (static_cast<double>(i) - mean);
  }
  const double deviation = std::sqrt(squares / std::max(1.0, total - 1));
  const int64_t n = static_cast<int64_t>(total);
  const double quartiles = static_cast<double>(CellAt(counts, n * 3 / 4, false)) -
                           static_cast<double>(CellAt(counts, n / 4, true));
  const double scott = 1.059 * std::min(quartiles / 1.34, deviation) * Exp(-0.2 * Log(total));
  return std::max(scott, 0.5 / 1.64);
}

// A Gaussian on the grid, cut off at its ends.
void AddGaussian(double mean, double deviation, double weight, std::vector<double>& density) {
  const double n = static_cast<double>(density.size());
  const auto below = [&](double x) { return NormalCdf((x - 0.5 - mean) / deviation); };
  const double mass = below(n) - below(0);
  for (size_t i = 0; i < density.size(); ++i) {
    const double x = static_cast<double>(i);
    density[i] += weight * (below(x + 1) - below(x)) / mass;
  }
}

// The Parzen estimate of where the points lie, and one point of the prior, even over the grid.
std::vector<double> DensityOf(const Counts& counts, bool choice) {
  const double total =
      static_cast<double>(std::accumulate(counts.begin(), counts.end(), int64_t{0}));
  const double n = static_cast<double>(counts.size());
  std::vector<double> density(counts.size(), 0);
  if (choice) {
    const double kernels =
        1 + static_cast<double>(std::count_if(counts.begin(), counts.end(),
                                              [](int64_t count) { return count > 0; }));
    const double spread = 1 / kernels;
    for (size_t i = 0; i < counts.size(); ++i) {
      const double own = counts[i] * (1 + spread) / (1 + n * spread);
      const double others = (total - counts[i]) * spread / (1 + n * spread);
      density[i] = (own + others + 1 / n) / (total + 1);
    }
  } else {
    const double deviation = DeviationOf(counts, total);
    for (size_t i = 0; i < counts.size(); ++i) {
      if (counts[i] == 0) continue;
      AddGaussian(static_cast<double>(i), deviation, counts[i] / (total + 1), density);
    }
    AddGaussian((n - 1) / 2, n, 1 / (total + 1), density);
  }
  return density;
}

// How far the densities of good points and of all are from each other (Pearson's divergence).
double Divergence(const Counts& good, const Counts& all, bool choice) {
  const std::vector<double> of_good = DensityOf(good, choice);
  const std::vector<double> of_all = DensityOf(all, choice);
  double sum = 0;
  for (size_t i = 0; i < of_all.size(); ++i) {
    const double p = of_all[i] + kLeastDensity;
    const double ratio = (of_good[i] + kLeastDensity) / p - 1;
    sum += p * ratio * ratio;
  }
  return sum;
}

// The loss that the good points do not exceed.
double Cut(const std::vector<TrialPoint>& points, bool maximize) {
  std::vector<double> losses;
  for (const TrialPoint& point : points) losses.push_back(Loss(point.value, maximize));
  std::sort(losses.begin(), losses.end());
  return losses[std::max((losses.size() + 9) / 10, kFewestGood) - 1];
}

}  // namespace

std::vector<v1::ParameterImportance> Importance(const v1::Search& search,
                                                const std::vector<TrialPoint>& points,
                                                bool maximize) {
  std::vector<TrialPoint> finite;
  for (const TrialPoint& point : points) {
    if (std::isfinite(point.value)) finite.push_back(point);
  }
  if (finite.size() < kFewestPoints) return {};
  const double cut = Cut(finite, maximize);
  const SearchSpace space(search);
  std::vector<v1::ParameterImportance> importance;
  double sum = 0;
  for (const Dimension& dimension : space.dimensions()) {
    const size_t cells = CellsOf(dimension);
    Counts good(cells, 0);
    Counts all(cells, 0);
    double good_with = 0;
    double all_with = 0;
    double good_count = 0;
    for (const TrialPoint& point : finite) {
      const bool is_good = Loss(point.value, maximize) <= cut;
      good_count += is_good;
      const std::optional<size_t> cell = CellOf(dimension, point.values, cells);
      if (!cell) continue;
      ++all[*cell];
      ++all_with;
      if (!is_good) continue;
      ++good[*cell];
      ++good_with;
    }
    double share = 0;
    if (cells > 1 && all_with >= 2 && good_with > 0) {
      const double of_good = good_with / good_count;
      const double of_all = all_with / static_cast<double>(finite.size());
      share = of_good * of_good / of_all * Divergence(good, all, dimension.choice());
    }
    sum += share;
    importance.emplace_back();
    importance.back().set_parameter(dimension.key());
    importance.back().set_importance(share);
  }
  if (!(sum > 0)) return {};
  for (auto& each : importance) each.set_importance(each.importance() / sum);
  std::stable_sort(importance.begin(), importance.end(),
                   [](const auto& a, const auto& b) { return a.importance() > b.importance(); });
  return importance;
}

}  // namespace beamline::pipeline::search
