// Boosted trees and random forests.
#include <algorithm>
#include <cmath>

#include "engine/learners/trees/grow.h"
#include "engine/learners/trees/trees.h"
#include "pipeline/learners/kinds.h"

namespace beamline::pipeline {
namespace {

constexpr int kMaxTrees = 100'000;

// Rows with what trees say of them, and what trees grow from. Rows to validate on are followed as
// well: facts.rows has those of the same table, and how many another one has is not known.
double TreeBytes(const LearnerFacts& facts, int max_depth, int bins) {
  engine::GrowSettings settings;
  settings.max_depth = max_depth;
  settings.bins = bins;
  const double columns = facts.classes > 2 ? static_cast<double>(facts.classes) : 1;
  return (4 * static_cast<double>(facts.features) + 12 * columns + 24) *
             static_cast<double>(facts.rows) +
         static_cast<double>(engine::TreeGrower::BytesOf(facts.rows, facts.features, settings));
}

}  // namespace

void CheckFields(const v1::BoostedTreesLearner& fields, LearnerCheck& check) {
  check.Range("trees", fields.trees(), 1, kMaxTrees);
  check.Range("max_depth", fields.max_depth(), 1, 20);
  check.Range("learning_rate", fields.learning_rate(), 1e-9, 1);
  check.Range("penalty", fields.penalty(), 0, 1e12);
  check.Range("min_gain", fields.min_gain(), 0, 1e12);
  check.Range("min_child_weight", fields.min_child_weight(), 0, 1e12);
  check.Range("row_share", fields.row_share(), 1e-9, 1);
  check.Range("feature_share", fields.feature_share(), 1e-9, 1);
  check.Range("bins", fields.bins(), 2, 65535);
  check.Range("patience", fields.patience(), 1, kMaxTrees);
  if (fields.patience() > 0 && !check.facts().validates) {
    check.Add("patience",
              "needs validation rows: give the split a validation part, such as \"split: {random: "
              "{validation: 0.1}}\"");
  }
}

void CompleteFields(const LearnerFacts& /*facts*/, v1::BoostedTreesLearner* fields) {
  if (fields->trees() == 0) fields->set_trees(100);
  if (fields->max_depth() == 0) fields->set_max_depth(6);
  if (fields->learning_rate() == 0) fields->set_learning_rate(0.3);
  if (!fields->has_penalty()) fields->set_penalty(1);
  if (!fields->has_min_child_weight()) fields->set_min_child_weight(1);
  if (fields->row_share() == 0) fields->set_row_share(1);
  if (fields->feature_share() == 0) fields->set_feature_share(1);
  if (fields->bins() == 0) fields->set_bins(256);
}

double BytesOf(const v1::BoostedTreesLearner& fields, const LearnerFacts& facts) {
  return TreeBytes(facts, fields.max_depth(), fields.bins());
}

std::unique_ptr<engine::Learner> Make(const v1::BoostedTreesLearner& fields,
                                      const LearnerSetting& setting) {
  engine::BoostedTreesSpec spec;
  spec.trees = fields.trees();
  spec.max_depth = fields.max_depth();
  spec.learning_rate = fields.learning_rate();
  spec.penalty = fields.penalty();
  spec.min_gain = fields.min_gain();
  spec.min_child_weight = fields.min_child_weight();
  spec.row_share = fields.row_share();
  spec.feature_share = fields.feature_share();
  spec.bins = fields.bins();
  spec.patience = fields.patience();
  spec.seed = setting.seed;
  spec.threads = setting.threads;
  return engine::MakeBoostedTrees(spec, setting.data);
}

void CheckFields(const v1::RandomForestLearner& fields, LearnerCheck& check) {
  check.Range("trees", fields.trees(), 1, kMaxTrees);
  check.Range("max_depth", fields.max_depth(), 1, 20);
  check.Range("row_share", fields.row_share(), 1e-9, 1);
  check.Range("feature_share", fields.feature_share(), 1e-9, 1);
  check.Range("min_child_weight", fields.min_child_weight(), 0, 1e12);
  check.Range("bins", fields.bins(), 2, 65535);
}

void CompleteFields(const LearnerFacts& facts, v1::RandomForestLearner* fields) {
  if (fields->trees() == 0) fields->set_trees(100);
  if (fields->max_depth() == 0) fields->set_max_depth(12);
  if (fields->row_share() == 0) fields->set_row_share(0.8);
  if (!fields->has_min_child_weight()) fields->set_min_child_weight(1);
  if (fields->bins() == 0) fields->set_bins(256);
  if (fields->feature_share() != 0 || facts.features == 0) return;
  fields->set_feature_share(facts.task == LearnerTask::kClasses
                                ? 1 / std::sqrt(static_cast<double>(facts.features))
                                : 1.0 / 3);
}

double BytesOf(const v1::RandomForestLearner& fields, const LearnerFacts& facts) {
  return TreeBytes(facts, fields.max_depth(), fields.bins());
}

std::unique_ptr<engine::Learner> Make(const v1::RandomForestLearner& fields,
                                      const LearnerSetting& setting) {
  engine::RandomForestSpec spec;
  spec.trees = fields.trees();
  spec.max_depth = fields.max_depth();
  spec.row_share = fields.row_share();
  spec.feature_share = fields.feature_share();
  spec.min_child_weight = fields.min_child_weight();
  spec.bins = fields.bins();
  spec.seed = setting.seed;
  spec.threads = setting.threads;
  return engine::MakeRandomForest(spec, setting.data);
}

}  // namespace beamline::pipeline
