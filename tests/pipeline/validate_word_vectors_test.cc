// Definitions with the objective embed, and of the learner that takes it.
#include <gtest/gtest.h>

#include <string>

#include "tests/pipeline/validate_fixture.h"

namespace beamline::pipeline {
namespace {

using testing::Case;
using testing::ValidateTest;

// Changes that make the base definition one of vectors of the column "color".
constexpr char kEmbed[] =
    "steps.train.train.data: {input: table, objective: embed, features: [color], "
    "windows: {steps: 16}, split: {ordered: {validation: 0.2, test: 0.2}}}, "
    "steps.publish.publish.requirements: [{evaluation: evaluate, metric: loss, at_most: 3}]";

constexpr Case kCases[] = {
    {", steps.train.train.word_vectors: {}", ""},
    {", steps.train.train.word_vectors: {architecture: bag_of_words, subsample: 0}", ""},
    {", steps.train.train.word_vectors: {dimensions: 4097, reach: -1, negatives: 101, subsample: "
     "-1, learning_rate: -1, epochs: -1, batch_size: -1}",
     "steps.train.train.word_vectors.dimensions: must be from 1 to 4096, not 4097\n"
     "steps.train.train.word_vectors.reach: must be from 1 to 100, not -1\n"
     "steps.train.train.word_vectors.negatives: must be from 1 to 100, not 101\n"
     "steps.train.train.word_vectors.subsample: must be from 1e-12 to 1, not -1\n"
     "steps.train.train.word_vectors.learning_rate: must be from 1e-09 to 100, not -1\n"
     "steps.train.train.word_vectors.epochs: must be from 1 to 100000, not -1\n"
     "steps.train.train.word_vectors.batch_size: must be from 1 to 1048576, not -1\n"},
    {", steps.train.train.word_vectors: {}, steps.train.search: {hyperband: {}, space: "
     "{train.word_vectors.dimensions: {choice: [8, 16]}}}",
     ""},
    {", steps.train.train.word_vectors: {}, steps.train.train.data.windows.steps: 1",
     "steps.train.train.word_vectors.reach: has nothing to reach: windows have one step, give "
     "data.windows more\n"},
    {", steps.train.train.word_vectors: {}, steps.train.train.data.windows: null",
     "steps.train.train.data.windows: are missing: say how many rows the network sees at once, "
     "such as \"windows: {steps: 96}\"\n"},
    {", steps.train.train.word_vectors: {}, steps.train.train.data.features: [color, species]",
     "steps.train.train.data: objective: embed learns from one column that is encoded by ordinal, "
     "but there are 2 of them and 0 numbers: name the column in features\n"},
    {", steps.train.train.word_vectors: {}, steps.train.train.data.target: species",
     "steps.train.train.data.target: must not be given with objective: embed: remove it, and list "
     "\"species\" in exclude if the network shall not see it; or remove objective\n"},
    {", steps.train.train.word_vectors: {}, steps.train.train.data.weight: weight",
     "steps.train.train.data.weight: word_vectors cannot weigh its rows: remove it\n"},
    {", steps.train.train.word_vectors: {}, steps.train.train.metrics: [accuracy]",
     "steps.train.train.metrics.0: \"accuracy\" is not for vectors of tokens: there is loss\n"},
    {", steps.train.train.word_vectors: {}, steps.evaluate.evaluate.bootstrap: {}",
     "steps.evaluate.evaluate.bootstrap: is of metrics, and vectors of tokens have the loss alone: "
     "remove it\n"},
    // Others do not take the objective, nor it another.
    {"",
     "steps.train.train.data.objective: embed is for learners that make vectors of tokens: take "
     "one of these in place of network (word_vectors), or the objective masked or next_token\n"},
    {", steps.train.train.markov_chain: {}",
     "steps.train.train.markov_chain: gives the next token (objective: next_token), and not what "
     "the data asks for: choose another learner, or change data.objective\n"},
    {", steps.train.train.word_vectors: {}, steps.train.train.data.objective: next_token",
     "steps.train.train.word_vectors: makes vectors of tokens (objective: embed), and not what the "
     "data asks for: choose another learner, or change data.objective\n"},
};

TEST_F(ValidateTest, VectorsOfTokens) {
  for (const Case& c : kCases) {
    EXPECT_EQ(Check("{" + std::string(kEmbed) + c.changes + "}"), c.errors) << c.changes;
    EXPECT_EQ(unimplemented_, "") << c.changes;
  }
}

TEST_F(ValidateTest, VectorsOfTokensAreNotOfATarget) {
  EXPECT_EQ(Check("{steps.train.train.word_vectors: {}}"),
            "steps.train.train.word_vectors: makes vectors of tokens (objective: embed), but the "
            "target is classes: choose another learner, or change data.target_kind\n");
}

}  // namespace
}  // namespace beamline::pipeline
