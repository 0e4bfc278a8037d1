#include "scheduler/run_history.h"

#include <algorithm>
#include <vector>

namespace beamline::scheduler {

void RunHistory::Add(const std::string& kind, int64_t ran_ms) {
  std::deque<int64_t>& runs = runs_[kind];
  runs.push_back(ran_ms);
  if (runs.size() > kMost) runs.pop_front();
}

int64_t RunHistory::Predict(const std::string& kind) const {
  const auto runs = runs_.find(kind);
  if (runs == runs_.end() || runs->second.size() < kFewest) return 0;
  std::vector<int64_t> sorted(runs->second.begin(), runs->second.end());
  const auto quartile = sorted.begin() + static_cast<std::ptrdiff_t>((sorted.size() - 1) * 3 / 4);
  std::nth_element(sorted.begin(), quartile, sorted.end());
  return *quartile;
}

}  // namespace beamline::scheduler
