#include "pipeline/search/report.h"

#include "pipeline/search/ranking.h"

namespace beamline::pipeline::search {

std::vector<bool> ParetoFront(const std::vector<TrialPoint>& points, bool maximize) {
  const auto dominates = [&](const TrialPoint& a, const TrialPoint& b) {
    const double loss_a = Loss(a.value, maximize);
    const double loss_b = Loss(b.value, maximize);
    return loss_a <= loss_b && a.seconds <= b.seconds && (loss_a < loss_b || a.seconds < b.seconds);
  };
  std::vector<bool> front;
  for (const TrialPoint& point : points) {
    bool dominated = false;
    for (const TrialPoint& other : points) dominated = dominated || dominates(other, point);
    front.push_back(!dominated);
  }
  return front;
}

}  // namespace beamline::pipeline::search
