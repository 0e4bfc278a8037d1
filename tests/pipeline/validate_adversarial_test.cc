// Definitions with an adversarial learner: every error at once, each at its field.
#include <gtest/gtest.h>

#include <string>

#include "tests/pipeline/validate_fixture.h"

namespace beamline::pipeline {
namespace {

using testing::Case;
using testing::ValidateTest;

constexpr char kPair[] = R"(
name: pair
inputs: {table: {dataset: flowers}}
steps:
  - name: train
    train:
      data:
        input: table
        features: [length, width, color]
        split: {random: {validation: 0.2}}
      adversarial:
        generator:
          layers:
            - {name: hidden, dense: {units: 8, activation: relu}}
            - {name: out, dense: {}}
        discriminator:
          layers:
            - {name: hidden, dense: {units: 8, activation: tanh}}
            - {name: out, dense: {}}
  - name: publish
    publish: {model: train, name: flower}
)";

constexpr char kAt[] = "steps.train.train.adversarial.";

constexpr Case kCases[] = {
    {"generator.layers.out.dense.units: 4", ""},
    {"loss: wasserstein", ""},
    {"loss: wasserstein, gradient_penalty: 0.5, discriminator_steps: 2, latent: 3", ""},
    {"generator.layers.out.dense.units: 3",
     "generator.layers.1.dense.units: the last layer gives 3 numbers but a row has 4 features: set "
     "units to 4 or leave it out\n"},
    {"discriminator.layers.out.dense.units: 2",
     "discriminator.layers.1.dense.units: the last layer gives 2 numbers but a row is judged by "
     "one number: set units to 1 or leave it out\n"},
    {"discriminator.layers.out.dense.activation: sigmoid",
     "discriminator.layers.1.dense.activation: the discriminator's last layer must be linear: the "
     "loss takes any number\n"},
    {"generator.layers: null",
     "generator.layers: are missing: the smallest network is [dense: {}]\n"},
    {"generator.layers.hidden.inputs: [featurs]",
     "generator.layers.0.inputs.0: no layer before this one is named \"featurs\" (did you mean "
     "\"features\"?)\n"},
    {"generator.layers.hidden.latent: {}",
     "generator.layers.0: adds to a loss of its own, which adversarial networks do not have: "
     "remove it\n"},
    {"loss: wasserstein, gradient_penalty: 0",
     "gradient_penalty: must be above 0 with wasserstein, which has no bound without it: leave it "
     "out\n"},
    {"gradient_penalty: -1", "gradient_penalty: must be from 0 to 1000000000\n"},
    {"discriminator_steps: -1", "discriminator_steps: must be from 1 to 1000, not -1\n"},
    {"latent: -2", "latent: must be from 1 to 1048576, not -2\n"},
    {"discriminator.schedule: {plateau: {}}",
     "discriminator.schedule.plateau: no loss of adversarial training falls while things get "
     "better: choose another schedule\n"},
    {"generator.optimizer: {sgd: {momentum: 2}}",
     "generator.optimizer.sgd.momentum: must be from 0 to 0.9999999999, not 2\n"},
};

TEST_F(ValidateTest, ChecksAdversarialLearners) {
  EXPECT_EQ(Check("{}", kPair), "");
  for (const Case& test : kCases) {
    std::string changes;
    for (std::string rest = test.changes; !rest.empty();) {
      const size_t comma = rest.find(", ");
      changes += (changes.empty() ? "{" : ", ") + (kAt + rest.substr(0, comma));
      rest = comma == std::string::npos ? "" : rest.substr(comma + 2);
    }
    const std::string expected = test.errors[0] == '\0' ? "" : std::string(kAt) + test.errors;
    EXPECT_EQ(Check(changes + "}", kPair), expected) << test.changes;
  }
}

// What the engine alone knows: which layers have a second gradient.
TEST_F(ValidateTest, BuildsTheGraphsOfAnAdversarialLearner) {
  EXPECT_EQ(Check("{steps.train.train.adversarial.gradient_penalty: 10, "
                  "steps.train.train.adversarial.discriminator.layers.hidden: {name: hidden, "
                  "batch_norm: {}}}",
                  kPair),
            "steps.train.train.adversarial: layer \"discriminator/hidden\" cannot be "
            "differentiated twice, as a gradient penalty needs: batch_norm makes each row depend "
            "on the others: remove it\n");
  EXPECT_EQ(Check("{steps.train.resources.memory_bytes: 16777216, "
                  "steps.train.train.adversarial.discriminator.layers.hidden.dense.units: 20000}",
                  kPair)
                .substr(0, 57),
            "steps.train.train.adversarial.batch_size: training needs ");
}

TEST_F(ValidateTest, SaysWhatDoesNotGoWithAnAdversarialLearner) {
  EXPECT_EQ(Check("{steps.train.train.data.target: species, "
                  "steps.train.train.data.target_kind: classification, "
                  "steps.train.train.data.objective: reconstruct, "
                  "steps.train.train.metrics: [accuracy], "
                  "steps.train.train.adversarial.epochs: -1}",
                  kPair),
            "steps.train.train.data.target: must not be given with an adversarial learner: remove "
            "it, and list \"species\" in exclude if rows shall be generated without it\n"
            "steps.train.train.data.target_kind: is for targets, but an adversarial learner has "
            "none: remove it\n"
            "steps.train.train.data.objective: is for networks that predict or reconstruct, but an "
            "adversarial learner generates: remove it\n"
            "steps.train.train.metrics.0: the model generates, and nothing but the loss can be "
            "watched\n"
            "steps.train.train.adversarial.epochs: must be from 1 to 1000000, not -1\n");
  EXPECT_EQ(Check("steps.train.train.data.split: {stratified: {validation: 0.2}}", kPair),
            "steps.train.train.data.split.stratified: there is no target whose classes could be "
            "kept in proportion: use random\n");
  EXPECT_EQ(Check("steps.train.train.data.transforms: [{columns: [color], ordinal: {}}]", kPair),
            "steps.train.train.adversarial: codes cannot be generated: use one_hot in place of "
            "ordinal\n");
  EXPECT_EQ(Check("{steps.publish.evaluate: {model: train}}", kPair),
            "steps.publish.evaluate.model: step \"train\" generates and predicts nothing that "
            "could be measured: remove this step\n");
}

}  // namespace
}  // namespace beamline::pipeline
