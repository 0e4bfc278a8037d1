#include "engine/learners/trees/trees.h"

#include "engine/learners/trees/tree_learner.h"

namespace beamline::engine {

std::unique_ptr<Learner> MakeBoostedTrees(const BoostedTreesSpec& spec, const LearnerData& data) {
  TreeSettings settings;
  settings.boosts = true;
  settings.trees = spec.trees;
  settings.grow.max_depth = spec.max_depth;
  settings.grow.learning_rate = spec.learning_rate;
  settings.grow.penalty = spec.penalty;
  settings.grow.min_gain = spec.min_gain;
  settings.grow.min_child_weight = spec.min_child_weight;
  settings.grow.tree_feature_share = spec.feature_share;
  settings.grow.bins = spec.bins;
  settings.row_share = spec.row_share;
  settings.patience = spec.patience;
  settings.seed = settings.grow.seed = spec.seed;
  settings.threads = spec.threads;
  return std::make_unique<TreeLearner>(settings, data);
}

std::unique_ptr<Learner> MakeRandomForest(const RandomForestSpec& spec, const LearnerData& data) {
  TreeSettings settings;
  settings.boosts = false;
  settings.trees = spec.trees;
  settings.grow.max_depth = spec.max_depth;
  settings.grow.min_child_weight = spec.min_child_weight;
  settings.grow.split_feature_share = spec.feature_share;
  settings.grow.bins = spec.bins;
  settings.row_share = spec.row_share;
  settings.seed = settings.grow.seed = spec.seed;
  settings.threads = spec.threads;
  return std::make_unique<TreeLearner>(settings, data);
}

}  // namespace beamline::engine
