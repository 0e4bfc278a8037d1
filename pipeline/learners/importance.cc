#include "pipeline/learners/importance.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace beamline::pipeline {

std::map<std::string, double> ImportanceOf(const engine::Learner& learner,
                                           const v1::ModelCard& card) {
  const std::vector<double> shares = learner.Importance();
  const auto names = static_cast<size_t>(card.features_size());
  // Of windows the shares of all steps of a feature together.
  std::vector<std::pair<double, size_t>> order;
  for (size_t i = 0; i < names && !shares.empty(); ++i) {
    double share = 0;
    for (size_t k = i; k < shares.size(); k += names) share += shares[k];
    order.emplace_back(-share, i);
  }
  std::sort(order.begin(), order.end());
  if (order.size() > kMaxImportant) order.resize(kMaxImportant);
  std::map<std::string, double> metrics;
  for (const auto& [share, i] : order) {
    metrics["importance." + card.features(static_cast<int>(i))] = -share;
  }
  return metrics;
}

}  // namespace beamline::pipeline
