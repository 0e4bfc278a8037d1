#include "engine/data/transform_stats.h"

#include <cmath>
#include <limits>
#include <utility>

#include "engine/core/error.h"

namespace beamline::engine::data {
namespace {

void CheckFinite(const TrainingColumn& training, double x) {
  if (std::isinf(x)) {
    Fail(training.transform, ": column ", Quoted(training.column.name()),
         " has infinite values in the training rows: clip it first, or remove the rows");
  }
}

// The mean of term(k, x), for each place k.
template <typename Term>
std::vector<double> MeanOf(const TrainingColumn& training, const Term& term) {
  const size_t item = training.places();
  std::vector<double> total(item), part(item);
  std::vector<int64_t> count(item);
  training.ForEach([&](size_t k, double x) {
    if (std::isnan(x)) return;
    CheckFinite(training, x);
    part[k] += term(k, x);
    if (++count[k] % 4096 == 0) total[k] += std::exchange(part[k], 0.0);
  });
  for (size_t k = 0; k < item; ++k) {
    if (count[k] == 0) FailWithoutValues(training);
    total[k] = (total[k] + part[k]) / static_cast<double>(count[k]);
  }
  return total;
}

// The present values of each place, ascending.
std::vector<std::vector<double>> Sorted(const TrainingColumn& training) {
  std::vector<std::vector<double>> values(training.places());
  training.ForEach([&](size_t k, double x) {
    if (!std::isnan(x)) values[k].push_back(x);
  });
  for (std::vector<double>& sorted : values) {
    if (sorted.empty()) FailWithoutValues(training);
    std::sort(sorted.begin(), sorted.end());
  }
  return values;
}

}  // namespace

void FailWithoutValues(const TrainingColumn& training) {
  Fail(training.transform, ": column ", Quoted(training.column.name()),
       " has no value in the training rows: drop it, or impute a constant first");
}

MeanAndDeviation FitMeanAndDeviation(const TrainingColumn& training) {
  MeanAndDeviation out;
  out.mean = MeanOf(training, [](size_t, double x) { return x; });
  out.deviation =
      MeanOf(training, [&](size_t k, double x) { return (x - out.mean[k]) * (x - out.mean[k]); });
  for (double& deviation : out.deviation) deviation = std::sqrt(deviation);
  return out;
}

Range FitRange(const TrainingColumn& training) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Range out;
  out.least.assign(training.places(), kInfinity);
  out.most.assign(training.places(), -kInfinity);
  training.ForEach([&](size_t k, double x) {
    if (std::isnan(x)) return;
    CheckFinite(training, x);
    out.least[k] = std::min(out.least[k], x);
    out.most[k] = std::max(out.most[k], x);
  });
  for (size_t k = 0; k < out.least.size(); ++k) {
    if (out.least[k] > out.most[k]) FailWithoutValues(training);
  }
  return out;
}

std::vector<double> FitMedian(const TrainingColumn& training) {
  std::vector<double> out;
  for (const std::vector<double>& sorted : Sorted(training)) {
    const size_t half = sorted.size() / 2;
    out.push_back(sorted.size() % 2 != 0 ? sorted[half] : sorted[half - 1] / 2 + sorted[half] / 2);
  }
  return out;
}

std::vector<double> FitMostFrequent(const TrainingColumn& training) {
  std::vector<double> out;
  for (const std::vector<double>& sorted : Sorted(training)) {
    size_t best = 0, best_count = 0;
    for (size_t i = 0; i < sorted.size();) {
      size_t end = i;
      while (end < sorted.size() && sorted[end] == sorted[i]) ++end;
      if (end - i > best_count) {
        best = i;
        best_count = end - i;
      }
      i = end;
    }
    out.push_back(sorted[best]);
  }
  return out;
}

}  // namespace beamline::engine::data
