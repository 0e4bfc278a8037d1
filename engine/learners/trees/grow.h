// Grows single trees over histograms of gradients.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/backend/cpu/learner_kernels.h"
#include "engine/learners/row_learner.h"
#include "engine/learners/trees/binned_rows.h"

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
  uint64_t seed = 0;  // of the features that are drawn
};

// As XGBoost's "hist" does (Chen, Guestrin 2016): a node is cut where the sum over its children of
// gradient^2 / (curvature + penalty) gains the most on its own, ties for the first feature and the
// lowest cut; of two children the histogram of the smaller is made, and that of the other is what
// is left. Gradients are rounded to 22 bits below the largest: sums in double are exact in any
// order, so trees do not depend on the number of threads. Features are drawn by (seed, tree, node).
// Not thread-safe.
class TreeGrower {
 public:
  // `pool` must outlive this object.
  TreeGrower(const RowMatrix& rows, const GrowSettings& settings, ThreadPool* pool);

  // The tree whose leaves lower the sum of gradient v + curvature v^2 / 2 over the rows. Rounds
  // both. `said`: what it says of each row. `tree` is its number, for what is drawn.
  Tree Grow(std::span<float> gradients, std::span<float> curvatures, uint64_t tree,
            std::vector<float>* said);

  // Of rows in bins and while a tree grows. Unit: bytes.
  static int64_t BytesOf(int64_t rows, int64_t features, const GrowSettings& settings);

 private:
  // Rows first..end of those that are sorted by node.
  struct Part {
    int64_t first, end;
    double gradient, curvature;
    int depth;
    uint64_t path;  // 1 for the root, 2 p and 2 p + 1 for what is below p
  };
  struct Cut {
    double gain = -1;  // of children over their parent
    int64_t feature = -1, bin = 0;
    double gradient = 0, curvature = 0;  // of the left child
  };

  // Grows what is below a node; `histogram` is its own, and unfit for use thereafter.
  void GrowNode(const Part& part, std::vector<double>* histogram);
  void MakeLeaf(const Part& part);
  Cut FindCut(const Part& part, const std::vector<double>& histogram);
  bool MayBeCut(const Part& part) const;
  // The first row of the right child.
  int64_t Divide(const Part& part, const Cut& cut);
  void AddHistogram(const Part& part, std::vector<double>* histogram);
  // The features that a node may be cut by, drawn from those of the tree.
  std::vector<int64_t> Draw(const std::vector<int64_t>& from, double share, uint64_t path) const;
  std::vector<double> TakeHistogram();

  const GrowSettings settings_;
  ThreadPool& pool_;
  const BinnedRows rows_;
  std::vector<std::vector<double>> spare_;  // histograms, to be used again
  // Of the tree that grows.
  uint64_t number_ = 0;
  std::vector<int64_t> features_;
  std::vector<cpu::RowGradient> sorted_, behind_;
  std::vector<float>* said_ = nullptr;
  Tree tree_;
};

}  // namespace beamline::engine
