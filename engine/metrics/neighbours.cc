// Metrics of embeddings.
#include <algorithm>
#include <limits>

#include "engine/core/error.h"
#include "engine/metrics/metrics.h"

namespace beamline::engine::metrics {
namespace {

// In eight sums side by side, the same on every machine.
float Dot(const float* a, const float* b, size_t width) {
  constexpr size_t kLanes = 8;
  float sums[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= width; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  }
  for (size_t lane = 0; i < width; ++i, ++lane) sums[lane] += a[i] * b[i];
  float sum = 0;
  for (const float part : sums) sum += part;
  return sum;
}

}  // namespace

std::vector<uint8_t> FoundAtK(std::span<const float> embeddings, std::span<const int32_t> labels,
                              int64_t k) {
  const size_t rows = labels.size();
  if (rows < 2 || k < 1 || embeddings.size() % rows != 0 || embeddings.empty()) {
    Fail("recall at ", k, " needs two rows or more, each with an embedding of the same width: got ",
         rows, " labels and ", embeddings.size(), " numbers");
  }
  const size_t width = embeddings.size() / rows;
  const auto kept = std::min(static_cast<size_t>(k), rows - 1);
  std::vector<std::pair<float, size_t>> nearest;  // the nearest first
  std::vector<uint8_t> found(rows);
  for (size_t i = 0; i < rows; ++i) {
    nearest.clear();
    for (size_t j = 0; j < rows; ++j) {
      if (i == j) continue;
      const float likeness = Dot(&embeddings[i * width], &embeddings[j * width], width);
      if (nearest.size() == kept && likeness <= nearest.back().first) continue;
      if (nearest.size() == kept) nearest.pop_back();
      const auto place =
          std::upper_bound(nearest.begin(), nearest.end(), likeness,
                           [](float value, const auto& entry) { return value > entry.first; });
      nearest.insert(place, {likeness, j});
    }
    found[i] = std::any_of(nearest.begin(), nearest.end(),
                           [&](const auto& entry) { return labels[entry.second] == labels[i]; });
  }
  return found;
}

double RecallAtK(std::span<const float> embeddings, std::span<const int32_t> labels, int64_t k,
                 Weights weights) {
  if (!weights.empty() && weights.size() != labels.size()) {
    Fail("there are ", labels.size(), " labels, but ", weights.size(), " weights");
  }
  const std::vector<uint8_t> hits = FoundAtK(embeddings, labels, k);
  double found = 0, all = 0;
  for (size_t i = 0; i < hits.size(); ++i) {
    const double weight = weights.empty() ? 1.0 : static_cast<double>(weights[i]);
    all += weight;
    if (hits[i] != 0) found += weight;
  }
  return all != 0 ? found / all : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace beamline::engine::metrics
