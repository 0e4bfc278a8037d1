#include "engine/passes/cost_model.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace beamline::engine {
namespace {

constexpr int kTerms = 3;
using Terms = std::array<double, kTerms>;

Terms TermsOf(const KernelWork& work) { return {1, work.flops, work.bytes}; }

// The least squares solution with only the terms of `chosen` (bits), by Gaussian elimination of the
// normal equations of scaled terms; nullopt if they do not determine it.
std::optional<Terms> Solve(const std::vector<Terms>& rows, int chosen) {
  double a[kTerms][kTerms + 1] = {};
  for (const Terms& row : rows) {
    for (int i = 0; i < kTerms; ++i) {
      for (int j = 0; j < kTerms; ++j) a[i][j] += row[i] * row[j];
      a[i][kTerms] += row[i];
    }
  }
  for (int i = 0; i < kTerms; ++i) {
    if ((chosen >> i & 1) != 0) continue;
    for (int j = 0; j < kTerms; ++j) a[i][j] = a[j][i] = 0;
    a[i][i] = 1;
    a[i][kTerms] = 0;
  }
  for (int i = 0; i < kTerms; ++i) {
    int pivot = i;
    for (int j = i + 1; j < kTerms; ++j) {
      if (std::abs(a[j][i]) > std::abs(a[pivot][i])) pivot = j;
    }
    if (std::abs(a[pivot][i]) < 1e-9) return std::nullopt;
    std::swap(a[i], a[pivot]);
    for (int j = 0; j < kTerms; ++j) {
      if (j == i) continue;
      const double factor = a[j][i] / a[i][i];
      for (int k = i; k <= kTerms; ++k) a[j][k] -= factor * a[i][k];
    }
  }
  Terms solution;
  for (int i = 0; i < kTerms; ++i) solution[i] = a[i][kTerms] / a[i][i];
  return solution;
}

}  // namespace

// Each row is divided by its seconds, so that errors are relative and all right sides are 1; terms
// are scaled to their largest so that the equations are well conditioned. Of all choices of terms
// without a negative coefficient the best is the solution: there are only seven.
CostModel::Line CostModel::Fit(const std::vector<MeasuredWork>& points) {
  std::vector<Terms> rows;
  Terms scale = {0, 0, 0};
  for (const MeasuredWork& point : points) {
    Terms row = TermsOf(point.work);
    for (int i = 0; i < kTerms; ++i) {
      row[i] /= point.seconds;
      scale[i] = std::max(scale[i], row[i]);
    }
    rows.push_back(row);
  }
  for (Terms& row : rows) {
    for (int i = 0; i < kTerms; ++i) row[i] = scale[i] > 0 ? row[i] / scale[i] : 0;
  }
  Terms best = {0, 0, 0};
  double least = static_cast<double>(rows.size()) + 1;
  for (int chosen = 1; chosen < 1 << kTerms; ++chosen) {
    const std::optional<Terms> terms = Solve(rows, chosen);
    if (!terms || std::any_of(terms->begin(), terms->end(), [](double x) { return x < 0; })) {
      continue;
    }
    double error = 0;
    for (const Terms& row : rows) {
      double got = 0;
      for (int i = 0; i < kTerms; ++i) got += row[i] * (*terms)[i];
      error += (got - 1) * (got - 1);
    }
    if (error >= least * (1 - 1e-9)) continue;
    least = error;
    best = *terms;
  }
  const auto coefficient = [&](int i) { return scale[i] > 0 ? best[i] / scale[i] : 0; };
  return {coefficient(0), coefficient(1), coefficient(2)};
}

CostModel::CostModel(const std::vector<MeasuredWork>& measured) {
  std::map<std::string, std::vector<MeasuredWork>> by_kernel;
  std::vector<MeasuredWork> all;
  for (const MeasuredWork& point : measured) {
    if (!(point.seconds > 0)) continue;
    by_kernel[point.work.kernel].push_back(point);
    all.push_back(point);
  }
  for (const auto& [kernel, points] : by_kernel) lines_[kernel] = Fit(points);
  any_ = Fit(all);
}

std::optional<double> CostModel::SecondsOf(const KernelWork& work) const {
  auto found = lines_.find(work.kernel);
  if (found == lines_.end()) found = lines_.find(work.kernel.substr(0, work.kernel.find('/')));
  if (found == lines_.end()) return std::nullopt;
  return found->second.SecondsOf(work);
}

double CostModel::SecondsOf(const std::vector<KernelWork>& kernels, double* unknown_seconds) const {
  double seconds = 0;
  for (const KernelWork& work : kernels) {
    const std::optional<double> known = SecondsOf(work);
    seconds += known.value_or(any_.SecondsOf(work));
    if (!known.has_value()) *unknown_seconds += any_.SecondsOf(work);
  }
  return seconds;
}

}  // namespace beamline::engine
