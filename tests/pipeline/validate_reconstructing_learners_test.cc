// Definitions with learners of rows without a target, of sequences, and of made features.
#include <gtest/gtest.h>

#include <string>

#include "tests/pipeline/validate_fixture.h"

namespace beamline::pipeline {
namespace {

using testing::Case;
using testing::ValidateTest;

constexpr Case kCases[] = {
    {"isolation_forest: {trees: 10001, rows: 1}",
     "isolation_forest.trees: must be from 1 to 10000, not 10001\n"
     "isolation_forest.rows: must be from 2 to 65536, not 1\n"},
    {"k_means: {}", "k_means.clusters: is missing: give 1 to 1000000\n"},
    {"k_means: {clusters: 151, tolerance: -1}",
     "k_means.clusters: is 151, but there are only 150 training rows\n"
     "k_means.tolerance: must be from 0 to 1000000000000, not -1\n"},
    {"k_means: {clusters: 3, starts: 5}", ""},
    {"principal_components: {components: 100}",
     "principal_components.components: is 100, but there are only 4 features\n"},
    {"kohonen_map: {rows: 2000, epochs: -1, last_radius: -1}",
     "kohonen_map.rows: must be from 1 to 1000, not 2000\n"
     "kohonen_map.epochs: must be from 1 to 100000, not -1\n"
     "kohonen_map.last_radius: must be from 0.001 to 1000000, not -1\n"},
    {"hopfield: {max_passes: 10001}", "hopfield.max_passes: must be from 1 to 10000, not 10001\n"},
    {"boltzmann: {hidden: -1, sweeps: 1001}",
     "boltzmann.hidden: must be from 0 to 10000, not -1\n"
     "boltzmann.sweeps: must be from 1 to 1000, not 1001\n"},
    {"restricted_boltzmann: {momentum: 1, gibbs_steps: 1001}",
     "restricted_boltzmann.hidden: is missing: give 1 to 65536\n"
     "restricted_boltzmann.gibbs_steps: must be from 1 to 1000, not 1001\n"
     "restricted_boltzmann.momentum: must be in [0, 1)\n"},
};

// The errors with the path of the train step before each.
std::string Placed(const std::string& errors) {
  std::string out;
  for (size_t begin = 0; begin < errors.size();) {
    const size_t end = errors.find('\n', begin) + 1;
    out += "steps.train.train." + errors.substr(begin, end - begin);
    begin = end;
  }
  return out;
}

TEST_F(ValidateTest, LearnersThatReconstruct) {
  const std::string data =
      ", steps.train.train.data.objective: reconstruct, steps.train.train.data.target: null, "
      "steps.train.train.data.split: {random: {validation: 0.2, test: 0.2}}, "
      "steps.publish.publish.requirements: []}";
  for (const Case& c : kCases) {
    EXPECT_EQ(Check("{steps.train.train." + std::string(c.changes) + data), Placed(c.errors))
        << c.changes;
    EXPECT_EQ(unimplemented_, "") << c.changes;
  }
  EXPECT_EQ(Check("{steps.train.train.hopfield: {}, steps.train.train.data.weight: weight" + data),
            "steps.train.train.data.weight: hopfield cannot weigh its rows: remove it\n");
}

constexpr Case kOfTargets[] = {
    {"k_means: {clusters: 3}",
     "k_means: reconstructs (objective: reconstruct), but the target is classes: choose another "
     "learner, or change data.target_kind\n"},
    {"markov_chain: {}",
     "markov_chain: gives the next token (objective: next_token), but the target is classes: "
     "choose another learner, or change data.target_kind\n"},
    {"deep_belief: {pretraining_rate: -1}",
     "deep_belief.hidden: needs the units of 1 to 100 layers\n"
     "deep_belief.pretraining_rate: must be from 1e-12 to 1000000, not -1\n"},
    {"deep_belief: {hidden: [4, 0]}", "deep_belief.hidden.1: must be from 1 to 65536, not 0\n"},
    {"deep_belief: {hidden: [4, 4], pretraining_epochs: 0}", ""},
    {"radial_basis: {centres: 151, width: -1}",
     "radial_basis.centres: is 151, but there are only 150 training rows\n"
     "radial_basis.width: must be from 1e-30 to 1e+30, not -1\n"},
    {"extreme_learning_machine: {hidden: 10, activation: swish}",
     "extreme_learning_machine.activation: \"swish\" is not tanh, sigmoid or relu\n"},
    {"echo_state: {reservoir: 10, leak: 2}",
     "echo_state.reservoir: needs rows in their order: set windows or sequences in the data\n"
     "echo_state.leak: must be from 1e-06 to 1, not 2\n"},
    {"liquid_state: {cells: 10, inhibitory: 1}",
     "liquid_state.cells: needs rows in their order: set windows or sequences in the data\n"
     "liquid_state.inhibitory: must be in [0, 1)\n"},
};

TEST_F(ValidateTest, LearnersOnMadeFeatures) {
  for (const Case& c : kOfTargets) {
    EXPECT_EQ(Check("{steps.train.train." + std::string(c.changes) + "}"), Placed(c.errors))
        << c.changes;
    EXPECT_EQ(unimplemented_, "") << c.changes;
  }
}

}  // namespace
}  // namespace beamline::pipeline
