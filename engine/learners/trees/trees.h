// The learners "boosted_trees" and "random_forest".
#pragma once

#include <cstdint>
#include <memory>

#include "engine/learners/learner.h"

namespace beamline::engine {

// Both grow trees over bins of features (grow.h). A step is a tree of each class (of two classes or
// a number: one tree), and an epoch. The same bits for any number of threads. Rows are drawn by
// (seed, tree, row): those left out weigh 0.
//
// Weights, one element a node of all trees: "features" (int64; -1: a leaf), "values" (threshold, x
// below it goes left; or what a leaf says), "left", "right" (int64), "gains"; and "roots" (int64),
// the first node of each tree.
struct BoostedTreesSpec {
  int64_t trees = 100;
  int max_depth = 6;
  double learning_rate = 0.3;
  double penalty = 1;  // L2, of leaves
  double min_gain = 0;
  double min_child_weight = 1;
  // Of each tree.
  double row_share = 1;
  double feature_share = 1;
  int bins = 256;
  // Ends when the validation loss has not fallen for so many rounds, and keeps those up to the
  // best; 0: all count.
  int64_t patience = 0;
  uint64_t seed = 0;
  int threads = 1;
};
// Throws Error for codes, several targets, and patience without validation rows.
std::unique_ptr<Learner> MakeBoostedTrees(const BoostedTreesSpec& spec, const LearnerData& data);

// The mean of trees that each see a part of the rows, and at each split a part of the features.
// Of classes the trees are of each class's indicator: a leaf holds the share of its rows that are
// of the class.
struct RandomForestSpec {
  int64_t trees = 100;
  int max_depth = 12;
  double row_share = 0.8;
  double feature_share = 1;  // of each split
  double min_child_weight = 1;
  int bins = 256;
  uint64_t seed = 0;
  int threads = 1;
};
std::unique_ptr<Learner> MakeRandomForest(const RandomForestSpec& spec, const LearnerData& data);

}  // namespace beamline::engine
