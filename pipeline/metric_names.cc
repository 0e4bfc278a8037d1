#include "pipeline/metric_names.h"

#include <cstdint>

namespace beamline::pipeline {
namespace {

constexpr MetricName kMetrics[] = {
    {.name = "accuracy"},
    {.name = "auc", .binary_only = true},
    {.name = "balanced_accuracy"},
    {.name = "f1"},
    {.name = "log_loss", .larger_is_better = false},
    {.name = "pr_auc", .binary_only = true},
    {.name = "precision"},
    {.name = "recall"},
    {.name = "mae", .larger_is_better = false, .for_classes = false},
    {.name = "mse", .larger_is_better = false, .for_classes = false, .reconstruction_only = true},
    {.name = "r2", .for_classes = false},
    {.name = "rmse", .larger_is_better = false, .for_classes = false},
};

}  // namespace

std::span<const MetricName> AllMetrics() { return kMetrics; }

const MetricName* FindMetricName(std::string_view name) {
  for (const MetricName& metric : kMetrics) {
    if (metric.name == name) return &metric;
  }
  return nullptr;
}

std::vector<std::string> MetricsFor(int64_t classes) {
  std::vector<std::string> names;
  for (const MetricName& metric : kMetrics) {
    if (metric.reconstruction_only) continue;
    if (metric.for_classes != (classes > 0) || (metric.binary_only && classes != 2)) continue;
    names.emplace_back(metric.name);
  }
  return names;
}

std::vector<std::string> ReconstructionMetrics(bool anomalies) {
  if (anomalies) return {"mse", "mae", "auc", "pr_auc"};
  return {"mse", "mae"};
}

}  // namespace beamline::pipeline
