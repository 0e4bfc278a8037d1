// The learner "nearest_neighbours".
#pragma once

#include <cstdint>
#include <memory>

#include "engine/learners/learner.h"

namespace beamline::engine {

struct NearestNeighboursSpec {
  int64_t neighbours = 5;
  // Each counts by 1 / distance, and those at distance 0, if any, alone; else all alike.
  bool by_distance = false;
  uint64_t seed = 0;  // Nothing is drawn.
  int threads = 1;
};

// The training rows nearest by Euclidean distance, computed in double from features in float; equal
// distances by the order of the rows. Event weights are not taken. Weights: "rows" [n, features],
// and "labels" [n] (int64) or "targets" [n, targets].
// Throws Error if there are fewer training rows than neighbours.
std::unique_ptr<Learner> MakeNearestNeighbours(const NearestNeighboursSpec& spec,
                                               const LearnerData& data);

}  // namespace beamline::engine
