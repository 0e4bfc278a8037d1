// The metrics that definitions may name.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace beamline::pipeline {

// What it is for and which way is up; how it is computed is the engine's matter (engine/metrics).
struct MetricName {
  std::string_view name;
  bool larger_is_better = true;
  bool for_classes = true;
  bool binary_only = false;
  // Computed where no metrics are named.
  bool by_default = true;
  // Says nothing of fewer classes.
  int64_t min_classes = 0;
  // For models that reconstruct, and no others.
  bool reconstruction_only = false;
  // For models that embed, and no others.
  bool embedding_only = false;
  // For models that translate, and no others.
  bool translation_only = false;
};

// Ascending within classification, then regression.
std::span<const MetricName> AllMetrics();
// Null if there is none of that name.
const MetricName* FindMetricName(std::string_view name);
// Names of those that fit a target. `classes` 0: a number.
std::vector<std::string> MetricsFor(int64_t classes);
// Those of them that are computed where no metrics are named.
std::vector<std::string> DefaultMetrics(int64_t classes);

// Those that columns are compared by where none is named: the first of them that is computed.
inline constexpr std::string_view kImportanceMetrics[] = {"auc", "accuracy", "rmse", "mse",
                                                          "recall_at_1"};

// Names of those for models that embed rows.
std::vector<std::string> EmbeddingMetrics();
// Names of those for models that give tokens; `translates`: whole texts of them.
std::vector<std::string> TokenMetrics(bool translates);
// Names of those for models that reconstruct, or forecast (then there are no anomalies);
// `anomalies`: rows are labelled as anomalies or not.
std::vector<std::string> ReconstructionMetrics(bool anomalies);

}  // namespace beamline::pipeline
