// Definitions with learners that are no networks.
#include <gtest/gtest.h>

#include <string>

#include "tests/pipeline/validate_fixture.h"

namespace beamline::pipeline {
namespace {

using testing::Case;
using testing::ValidateTest;

constexpr Case kCases[] = {
    {"steps.train.train.linear: {}", ""},
    {"steps.train.train.linear: {penalty: -1, max_iterations: 100001, tolerance: 2}",
     "steps.train.train.linear.penalty: must be from 0 to 1000000000000, not -1\n"
     "steps.train.train.linear.max_iterations: must be from 1 to 100000, not 100001\n"
     "steps.train.train.linear.tolerance: must be from 1e-15 to 1, not 2\n"},
    {"steps.train.train.linear: {}, steps.train.train.initial_model: "
     "projects/p/models/m/versions/1",
     "steps.train.train.initial_model: is for networks, and one of the two is none: remove it\n"},
    {"steps.train.train.linear: {}, steps.train.resources.gpus: 1",
     "steps.train.resources: linear computes on processor cores only: leave gpus and device out\n"},
    {"steps.train.train.linear: {}, steps.train.train.data.sequences: {by: kind, max_steps: 3}",
     "steps.train.train.data.sequences: linear learns from examples of equal length: remove it\n"},
    {"steps.train.train.linear: {}, steps.train.train.data.transforms: [{ordinal: {}}]",
     "steps.train.train.data.transforms: linear takes numbers and no codes: use one_hot in place "
     "of ordinal\n"},
    {"steps.train.train.linear: {}, steps.train.search: {hyperband: {}, objective: log_loss, "
     "space: {train.linear.penalty: {log_uniform: {min: 0.01, max: 10}}}}",
     "steps.train.search: linear has no epochs that could be dealt out: use grid, random, sobol or "
     "tpe, without max_epochs\n"},
    {"steps.train.train.linear: {}, steps.train.search: {tpe: {trials: 8}, objective: log_loss, "
     "space: {train.linear.penalty: {uniform: {min: -1, max: 10}}}}",
     "steps.train.search.space.train.linear.penalty: with -1: steps.train.train.linear.penalty "
     "must be from 0 to 1000000000000, not -1\n"},
    {"steps.train.train.nearest_neighbours: {neighbours: 151}",
     "steps.train.train.nearest_neighbours.neighbours: is 151, but there are only 150 rows to "
     "learn "
     "from\n"},
    {"steps.train.train.nearest_neighbours: {}, steps.train.train.data.weight: weight",
     "steps.train.train.data.weight: nearest_neighbours cannot weigh its rows: remove it\n"},
    {"steps.train.train.naive_bayes: {smoothing: -1}",
     "steps.train.train.naive_bayes.smoothing: must be from 1e-30 to 1000000, not -1\n"},
    {"steps.train.train.naive_bayes: {}, steps.train.train.data.target: price, "
     "steps.train.train.data.target_kind: regression, steps.train.train.data.split: {random: "
     "{test: "
     "0.2}}, steps.publish.publish.requirements: []",
     "steps.train.train.naive_bayes: predicts classes, but the target is a number: choose another "
     "learner, or change data.target_kind\n"},
    {"steps.train.train.support_vectors: {cost: -1, degree: 11, tolerance: 2, gamma: -1}",
     "steps.train.train.support_vectors.cost: must be from 1e-09 to 1000000000000, not -1\n"
     "steps.train.train.support_vectors.gamma: must be from 1e-12 to 1000000000000, not -1\n"
     "steps.train.train.support_vectors.degree: must be from 1 to 10, not 11\n"
     "steps.train.train.support_vectors.tolerance: must be from 1e-12 to 1, not 2\n"},
    {"steps.train.train.boosted_trees: {trees: -1, max_depth: 21, learning_rate: 2, row_share: "
     "1.5, "
     "bins: 1}",
     "steps.train.train.boosted_trees.trees: must be from 1 to 100000, not -1\n"
     "steps.train.train.boosted_trees.max_depth: must be from 1 to 20, not 21\n"
     "steps.train.train.boosted_trees.learning_rate: must be from 1e-09 to 1, not 2\n"
     "steps.train.train.boosted_trees.row_share: must be from 1e-09 to 1, not 1.5\n"
     "steps.train.train.boosted_trees.bins: must be from 2 to 65535, not 1\n"},
    {"steps.train.train.boosted_trees: {patience: 3}, steps.train.train.data.split: {random: "
     "{test: "
     "0.2}}",
     "steps.train.train.boosted_trees.patience: needs validation rows: give the split a validation "
     "part, such as \"split: {random: {validation: 0.1}}\"\n"},
    {"steps.train.train.boosted_trees: {trees: 81}, steps.train.search: {hyperband: {}, objective: "
     "log_loss, space: {train.boosted_trees.max_depth: {integer: {min: 2, max: 8}}}}",
     ""},
    {"steps.train.train.boosted_trees: {}, steps.train.search: {hyperband: {}, objective: "
     "log_loss, "
     "space: {train.boosted_trees.trees: {integer: {min: 20, max: 80}}}}",
     "steps.train.search.space.train.boosted_trees.trees: epochs are what this search deals out: "
     "leave them to it, or search for them with random, sobol or tpe and without max_epochs\n"},
    {"steps.train.train.random_forest: {feature_share: 2, min_child_weight: -1}",
     "steps.train.train.random_forest.feature_share: must be from 1e-09 to 1, not 2\n"
     "steps.train.train.random_forest.min_child_weight: must be from 0 to 1000000000000, not -1\n"},
    {"steps.train.train.linear: {}, steps.train.train.data.objective: reconstruct, "
     "steps.train.train.data.target: null, steps.train.train.data.split: {random: {validation: "
     "0.2, test: 0.2}}, steps.publish.publish.requirements: []",
     "steps.train.train.linear: predicts classes or numbers, forecasts (objective: forecast), and "
     "not what the data asks for: choose another learner, or change data.objective\n"},
};

TEST_F(ValidateTest, Learners) {
  for (const Case& c : kCases) {
    EXPECT_EQ(Check("{" + std::string(c.changes) + "}"), c.errors) << c.changes;
    EXPECT_EQ(unimplemented_, "") << c.changes;
  }
}

TEST_F(ValidateTest, ALearnerNeedsMemory) {
  datasets_["flowers"].set_row_count(1'000'000'000);
  EXPECT_EQ(
      Check("steps.train.train.linear: {}"),
      "steps.train.train.linear: needs at least 15259 MiB of memory to train, but the step has "
      "1 GiB: raise resources.memory_bytes\n");
}

}  // namespace
}  // namespace beamline::pipeline
