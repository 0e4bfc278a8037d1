// Predicts how long tasks run from those of their kind that have ended. Apart from the scheduler,
// which only knows what TaskQueued::predicted_ms says. So far only the replay of traces uses it:
// docs/scheduling.md says why the service does not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>

namespace beamline::scheduler {

// Learns online. A kind is whatever the caller takes for alike: a project and a number of devices,
// a pipeline and a step. Not thread-safe; pure: the same calls give the same answers.
class RunHistory {
 public:
  // A task of this kind has succeeded after running for so long in all.
  void Add(const std::string& kind, int64_t ran_ms);
  // The upper quartile of the last 100 of its kind: run times are so skewed that a median would let
  // most long tasks pass for short ones. 0: fewer than 3 have ended.
  int64_t Predict(const std::string& kind) const;

 private:
  static constexpr size_t kFewest = 3;
  static constexpr size_t kMost = 100;
  std::unordered_map<std::string, std::deque<int64_t>> runs_;  // only looked up
};

}  // namespace beamline::scheduler
