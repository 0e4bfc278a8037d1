// What boosted trees and forests have in common.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/learners/row_learner.h"
#include "engine/learners/trees/grow.h"

namespace beamline::engine {

struct TreeSettings {
  // Trees are grown on what is left of the errors, and added; else each on the targets, and
  // averaged.
  bool boosts = true;
  int64_t trees = 100;
  GrowSettings grow;
  double row_share = 1;
  int64_t patience = 0;
  uint64_t seed = 0;
  int threads = 1;
};

// Contracts: trees.h, learner.h.
class TreeLearner : public RowLearner {
 public:
  TreeLearner(const TreeSettings& settings, const LearnerData& data);

  bool done() const override { return stopped_ || step() >= settings_.trees; }
  int64_t total_steps() const override { return settings_.trees; }
  std::vector<NamedTensor> Weights() const override;
  void SetWeights(const std::vector<NamedTensor>& weights) override;
  int64_t PeakBytes() const override;
  std::vector<double> Importance() const override;

 protected:
  void Advance(StepReport* report) override;
  void PredictRows(const float* x, int64_t count, float* out) const override;
  bool PredictKnown(const BatchSource& source, std::span<const int64_t> rows,
                    float* out) const override;
  void SaveState(CheckpointWriter* out) const override;
  void LoadState(CheckpointReader* in) override;

 private:
  // Rows, and the sums of what the trees say of them, [rows, columns].
  struct Followed {
    RowMatrix rows;
    std::vector<float> sums;
  };

  // Trees of a round.
  int64_t columns() const { return classes() > 2 ? classes() : 1; }
  int64_t rounds() const { return static_cast<int64_t>(roots_.size()) / columns(); }
  void Prepare();
  void Follow(const BatchSource& source, Followed* followed);
  // Adds what trees from `first` up to `last` say.
  void AddTrees(size_t first, size_t last, Followed* followed);
  void AddTree(const Tree& tree);
  // Of nodes and trees that are new.
  void MakeSteps();
  // What the trees from `first` up to `last` say of rows, added to sums: [count, columns].
  void AddLeaves(size_t first, size_t last, const float* x, int64_t count, float* sums) const;
  // Of rows: from the sums of `columns` trees' values to what is said.
  void Finish(const float* sums, int64_t count, float* out) const;
  void GrowRound(int64_t round);
  void FindGradients(int64_t round, std::vector<float>* gradients, std::vector<float>* curvatures);
  bool Drawn(int64_t round, int64_t row) const;
  double TrainingLoss();
  // Keeps the trees of the first `rounds`.
  void Cut(int64_t rounds);
  void Watch(StepReport* report);

  TreeSettings settings_;
  // A node as predictions walk it. A leaf leads to itself.
  struct Step {
    int32_t feature;
    float value;
    int32_t children[2];  // below the threshold, and else: no branch to be foreseen
  };

  std::vector<TreeNode> nodes_;  // of all trees; children by their place here
  std::vector<Step> steps_;      // the same
  std::vector<int32_t> depths_;  // of trees
  std::vector<int64_t> roots_;
  std::unique_ptr<TreeGrower> grower_;
  Followed training_rows_;
  Followed validation_rows_;
  bool stopped_ = false;
  double best_loss_ = 0;
  int64_t best_rounds_ = 0;
};

}  // namespace beamline::engine
