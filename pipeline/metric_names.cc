#include "pipeline/metric_names.h"

#include <cstdint>

namespace beamline::pipeline {
namespace {

constexpr MetricName kMetrics[] = {
    {.name = "accuracy"},
    {.name = "ams", .binary_only = true, .by_default = false},
    {.name = "auc", .binary_only = true},
    {.name = "auc_macro", .by_default = false},
    {.name = "balanced_accuracy"},
    {.name = "calibration_error", .larger_is_better = false, .by_default = false},
    {.name = "exact_match", .by_default = false, .translation_only = true},
    {.name = "f1"},
    {.name = "f1_macro", .by_default = false},
    {.name = "f1_micro", .by_default = false},
    {.name = "f1_weighted", .by_default = false},
    {.name = "log_loss", .larger_is_better = false},
    {.name = "perplexity", .larger_is_better = false, .by_default = false},
    {.name = "pr_auc", .binary_only = true},
    {.name = "precision"},
    {.name = "recall"},
    {.name = "recall_at_1", .embedding_only = true},
    {.name = "recall_at_5", .embedding_only = true},
    {.name = "top_3_accuracy", .by_default = false, .min_classes = 4},
    {.name = "top_5_accuracy", .by_default = false, .min_classes = 6},
    {.name = "mae", .larger_is_better = false, .for_classes = false},
    {.name = "mse", .larger_is_better = false, .for_classes = false, .reconstruction_only = true},
    {.name = "r2", .for_classes = false},
    {.name = "rmse", .larger_is_better = false, .for_classes = false},
};

bool Fits(const MetricName& metric, int64_t classes) {
  return !metric.reconstruction_only && !metric.embedding_only && !metric.translation_only &&
         metric.for_classes == (classes > 0) && (!metric.binary_only || classes == 2) &&
         classes >= metric.min_classes;
}

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
    if (Fits(metric, classes)) names.emplace_back(metric.name);
  }
  return names;
}

std::vector<std::string> DefaultMetrics(int64_t classes) {
  std::vector<std::string> names;
  for (const MetricName& metric : kMetrics) {
    if (metric.by_default && Fits(metric, classes)) names.emplace_back(metric.name);
  }
  return names;
}

std::vector<std::string> EmbeddingMetrics() { return {"recall_at_1", "recall_at_5"}; }

std::vector<std::string> TokenMetrics(bool translates) {
  if (translates) return {"log_loss", "perplexity", "accuracy", "exact_match"};
  return {"log_loss", "perplexity", "accuracy"};
}

std::vector<std::string> ReconstructionMetrics(bool anomalies) {
  if (anomalies) return {"mse", "mae", "auc", "pr_auc"};
  return {"mse", "mae"};
}

}  // namespace beamline::pipeline
