#include "examples/collisions/auc.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace beamline::collisions {

Auc WeightedAuc(std::vector<Scored> events) {
  std::sort(events.begin(), events.end(), [](const Scored& a, const Scored& b) {
    return a.score != b.score ? a.score < b.score : a.is_signal < b.is_signal;
  });
  double total[2] = {0.0, 0.0};
  for (const Scored& event : events) total[event.is_signal ? 1 : 0] += event.weight;
  // The share of the other class that each event is on the right side of.
  std::vector<double> placements(events.size());
  double below[2] = {0.0, 0.0};
  double auc = 0.0;
  for (size_t first = 0; first < events.size();) {
    size_t end = first;
    double tied[2] = {0.0, 0.0};
    for (; end < events.size() && events[end].score == events[first].score; ++end) {
      tied[events[end].is_signal ? 1 : 0] += events[end].weight;
    }
    for (size_t i = first; i < end; ++i) {
      placements[i] = events[i].is_signal ? (below[0] + 0.5 * tied[0]) / total[0]
                                          : (total[1] - below[1] - 0.5 * tied[1]) / total[1];
      if (events[i].is_signal) auc += events[i].weight / total[1] * placements[i];
    }
    below[0] += tied[0];
    below[1] += tied[1];
    first = end;
  }
  double variance = 0.0;
  for (size_t i = 0; i < events.size(); ++i) {
    const double share = events[i].weight / total[events[i].is_signal ? 1 : 0];
    variance += share * share * (placements[i] - auc) * (placements[i] - auc);
  }
  return {auc, std::sqrt(variance)};
}

}  // namespace beamline::collisions
