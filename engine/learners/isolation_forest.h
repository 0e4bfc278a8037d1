// The learner "isolation_forest" (Liu, Ting, Zhou 2008): anomalies are rows that random cuts
// separate early.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/learners/learner.h"

namespace beamline::engine {

// What is said of a row, as its loss and in place of outputs, is 2^(-d / c): d the mean over the
// trees of its depth, c the mean depth of an unsuccessful search among the rows of a tree. Near 1:
// an anomaly; well below 0.5: a usual row.
//
// One step is one tree, all trees one epoch. The loss of a step is the mean of what the new tree
// alone says of its own rows. Weights of rows, at least 0, are chances of being drawn for a tree;
// rows of weight 0 are never drawn.
struct IsolationForestSpec {
  int64_t trees = 100;
  // That each tree is made of, drawn without replacement: 2 to 65536; at most all there are.
  int64_t rows = 256;
  uint64_t seed = 0;
  int threads = 1;
};

// Weights, each [trees, 2 rows - 1], by node, of which 0 is the root: "features" (int64), which
// one a node compares; -1: a leaf; "thresholds": at most this goes to the node "children" (int64),
// more to the one behind it; "depths": of a leaf, with the mean depth of a tree of the rows in it.
// And "scale" [1]: c.
//
// Throws Error if the specification does not fit the data.
std::unique_ptr<Learner> MakeIsolationForest(const IsolationForestSpec& spec,
                                             const LearnerData& data);

}  // namespace beamline::engine
