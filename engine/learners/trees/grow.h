// Grows single trees by XGBoost: the one place that sees its header.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/learners/row_learner.h"

namespace beamline::engine {

struct TreeNode {
  int64_t feature = -1;  // -1: a leaf
  float value = 0;       // threshold, or what the leaf says
  int64_t left = 0;      // below the threshold; children follow their parent
  int64_t right = 0;
  float gain = 0;
};
// The root first.
using Tree = std::vector<TreeNode>;

struct GrowSettings {
  int max_depth = 6;
  double learning_rate = 1;
  double penalty = 0;
  double min_gain = 0;
  double min_child_weight = 1;
  double tree_feature_share = 1;
  double split_feature_share = 1;
  int bins = 256;
};

class TreeGrower {
 public:
  // Copies the features. The trees do not depend on the number of threads. Throws Error if the
  // library refuses them.
  TreeGrower(const RowMatrix& rows, GrowSettings settings, int threads);
  ~TreeGrower();
  TreeGrower(const TreeGrower&) = delete;
  TreeGrower& operator=(const TreeGrower&) = delete;

  // Begins the library's draws of features anew; to be called before the first tree. Memory that
  // the library keeps for one tree serves those after it, up to the next call.
  void Restart(uint32_t seed);
  // The tree whose leaves lower the sum of gradient v + curvature v^2 / 2 over the rows. Rounds
  // both.
  Tree Grow(std::span<float> gradients, std::span<float> curvatures);

 private:
  struct Data;
  std::unique_ptr<Data> data_;
  GrowSettings settings_;
  int threads_;
};

}  // namespace beamline::engine
