// Objective translate: data and layers that cannot be, each with what to change.
#include <string>

#include "tests/pipeline/validate_fixture.h"

namespace beamline::pipeline {
namespace {

using testing::Case;
using testing::ValidateTest;

constexpr char kTranslation[] =
    "steps.train.train.data: {input: table, objective: translate, features: [color], "
    "target: species, split: {random: {validation: 0.2, test: 0.2}}, "
    "translation: {max_source: 6, max_target: 10}}, "
    "steps.train.train.network: {layers: ["
    "{embedding: {dimension: 8, tokens: true}}, "
    "{name: read, gru: {units: 4, sequence: true, bidirectional: true}}, "
    "{inputs: [target], embedding: {dimension: 8, tokens: true}}, "
    "{name: told, attention: {causal: true}}, "
    "{name: finds, inputs: [told, read], attention: {}}, "
    "{inputs: [told, finds], concat: {}}, "
    "{name: out, dense: {}}], early_stopping: {metric: exact_match}}";

#define DATA "steps.train.train.data."
#define LAYERS "steps.train.train.network.layers."

constexpr Case kDataCases[] = {
    {"", ""},
    {DATA "translation: null", ""},
    {DATA "translation: {tokens: words}", ""},
    {"steps.train.train.network.loss: {cross_entropy: {label_smoothing: 0.1}}", ""},
    {DATA "translation: {max_source: -1, max_target: 70000}",
     DATA "translation.max_source: must be from 1 to 65536, not -1\n" DATA
          "translation.max_target: must be from 1 to 65536, not 70000\n"},
    {DATA "target: null", DATA "target: is missing: name the column of texts to be told\n"},
    {DATA "features: [color, kind]",
     DATA "features: names 2 columns, but objective: translate tells a text from one other: name "
          "the column of texts to be read\n"},
    {DATA "features: [length]",
     DATA "features.0: column \"length\" holds numbers: objective: translate is for texts; where "
          "they are of digits, give the input the option \"column_types: {length: "
          "categorical}\"\n"},
    {DATA "transforms: [{ordinal: {}}], " DATA "target_kind: classification",
     DATA "target_kind: is for numbers and classes, but the target is a text: remove it\n" DATA
          "transforms: are for numbers and categories, but objective: translate makes codes of "
          "texts by itself: remove them\n"},
    {DATA "windows: {steps: 3}",
     DATA "windows: makes an example of several rows, but objective: translate learns from single "
          "ones: remove it\n"},
    {DATA "sequences: {by: kind, max_steps: 3}",
     DATA "sequences: makes an example of several rows, but objective: translate learns from "
          "single ones: remove it\n"},
    {DATA "split: {stratified: {test: 0.2, validation: 0.2}}",
     DATA "split.stratified: there is no target whose classes could be kept in proportion: use "
          "random\n"},
    {"steps.train.train.network.loss: {mean_squared_error: {}}",
     "steps.train.train.network.loss: a token is one of many: use cross_entropy, or leave it "
     "out\n"},
    {"steps.train.train.metrics: [auc]",
     "steps.train.train.metrics.0: \"auc\" is not for models of tokens: there are log_loss, "
     "perplexity, accuracy, exact_match, loss\n"},
    {"steps.evaluate.evaluate.importance: {}",
     "steps.evaluate.evaluate.importance: the model reads one column, so that there is nothing to "
     "compare: remove importance\n"},
    {"steps.evaluate.evaluate.histograms: [{column: length}]",
     "steps.evaluate.evaluate.histograms: are by classes of rows, but the model predicts none: "
     "remove them\n"},
};

TEST_F(ValidateTest, ChecksTextsToBeTranslated) {
  for (const Case& test : kDataCases) {
    const std::string base =
        test.changes[0] == '\0' ? kTranslation : std::string(kTranslation) + ", ";
    EXPECT_EQ(Check("{" + base + test.changes + "}"), test.errors) << test.changes;
  }
}

constexpr Case kLayerCases[] = {
    // What sees the target must not see ahead.
    {LAYERS "3.attention.causal: false",
     LAYERS "3.attention.causal: is missing: a token would see those behind it, which are to be "
            "told: set causal: true\n"},
    {LAYERS "4.attention.causal: true",
     LAYERS "4.attention.causal: is for a sequence that looks at itself, but this one looks at the "
            "source, which is known whole: remove it\n"},
    {LAYERS "4.inputs: [read, told]",
     LAYERS "4.inputs: let the source look at the target, which is to be told: name the layer of "
            "the target first, and that of the source second\n"},
    {LAYERS "3: {name: told, lstm: {units: 8, bidirectional: true}}",
     LAYERS "3.lstm.bidirectional: reads the target from its end, and a token would see those "
            "behind it, which are to be told: remove it\n" LAYERS
            "3.lstm.sequence: is missing: each token of the target needs a step of its own: set "
            "sequence: true\n"},
    {LAYERS "3: {name: told, conv: {units: 8, kernel: [3], padding: same}}",
     LAYERS "3: mixes the steps of the target, and a token would see those behind it, which are to "
            "be told: use attention with causal: true, or a recurrent layer with sequence: true\n"},
    {LAYERS "3: {name: told, batch_norm: {}}",
     LAYERS "3: takes means over all steps of the target, and a token would see those behind it, "
            "which are to be told: use layer_norm\n"},
    {LAYERS "2.embedding: {dimension: 8, categories: 9}",
     LAYERS "2.embedding.categories: is the number of different tokens, which the training rows "
            "tell: leave it out\n" LAYERS
            "2.embedding.tokens: is missing: each token of the target is a step: set tokens: "
            "true\n"},
    // The output.
    {LAYERS "6.dense.units: 5",
     LAYERS "6.dense.units: is the number of different tokens, which the training rows tell: leave "
            "it out\n"},
    {LAYERS "6: {name: out, layer_norm: {}}",
     LAYERS "6: the last layer must tell each token from all others: add \"- dense: {}\" after "
            "it\n"},
    {LAYERS "2.inputs: [codes], " LAYERS "3.attention: {}",
     "steps.train.train.network.layers: never see what of the target is told already: add \"- "
     "{inputs: [target], embedding: {dimension: 64, tokens: true}}\"\n" LAYERS
     "6: the last layer does not give a step for each token of the target: let it follow from "
     "\"target\"\n"},
    {LAYERS "0.inputs: [target], " LAYERS
            "1: {name: read, gru: {units: 8, sequence: true}}, " LAYERS "4.attention.causal: true",
     "steps.train.train.network.layers: never see the source: add \"- embedding: {dimension: 64, "
     "tokens: true}\", which takes \"codes\"\n"},
    // Names.
    {LAYERS "3: {name: told, inputs: [target], attention: {causal: true}}",
     LAYERS "3.inputs.0: \"target\" are for embeddings only\n" LAYERS
            "2: no layer takes the output of \"layer2\": name it in the inputs of one, or remove "
            "it\n"},
    {LAYERS "0.name: target",
     LAYERS "0.name: \"target\" is the network's input: take another name\n" LAYERS
            "1: \"target\" are for embeddings only\n"},
    {LAYERS "2.inputs: [features]",
     LAYERS "2.inputs.0: an embedding takes \"codes\" or \"target\", and nothing else\n"
            "steps.train.train.network.layers: never see what of the target is told already: add "
            "\"- {inputs: [target], embedding: {dimension: 64, tokens: true}}\"\n" LAYERS
            "6: the last layer does not give a step for each token of the target: let it follow "
            "from \"target\"\n"},
    // Numbers of steps.
    {DATA "translation: {max_source: 6}, " LAYERS
          "1: {gru: {units: 4}}, steps.train.train.network.layers.4: {name: finds, inputs: "
          "[layer1], repeat: {steps: 11}}",
     LAYERS "4.repeat.steps: is a number of steps, but how many a target has is not said: set "
            "data.translation.max_target, and steps to one more\n"},
    {LAYERS "1: {gru: {units: 4}}, steps.train.train.network.layers.4: {name: finds, inputs: "
            "[layer1], repeat: {steps: 11}}",
     ""},
};

TEST_F(ValidateTest, ChecksLayersThatTranslate) {
  for (const Case& test : kLayerCases) {
    EXPECT_EQ(Check("{" + std::string(kTranslation) + ", " + test.changes + "}"), test.errors)
        << test.changes;
  }
}

TEST_F(ValidateTest, TextsMustBeThere) {
  datasets_["flowers"].mutable_columns(2)->mutable_statistics()->set_missing(7);
  EXPECT_EQ(Check("{" + std::string(kTranslation) + "}"), DATA
            "features.0: column \"color\" has 7 missing texts: remove these rows from the "
            "file\n");
}

TEST_F(ValidateTest, OtherLearnersTranslateNothing) {
  EXPECT_EQ(Check("{steps.train.train.data: {input: table, objective: translate, features: "
                  "[color], target: species, split: {random: {test: 0.2}}}, "
                  "steps.train.train.boosted_trees: {}}"),
            "steps.train.train.boosted_trees: predicts classes or numbers, and not what the data "
            "asks for: choose another learner, or change data.objective\n");
}

TEST_F(ValidateTest, OnlyTranslationsTellTexts) {
  EXPECT_EQ(Check("{" DATA "translation: {max_source: 5}}"),
            DATA "translation: is for objective: translate: remove it\n");
  EXPECT_EQ(Check("{steps.train.train.metrics: [exact_match]}"),
            "steps.train.train.metrics.0: \"exact_match\" is for objective: translate: there are "
            "accuracy, auc_macro, balanced_accuracy, calibration_error, f1, f1_macro, f1_micro, "
            "f1_weighted, log_loss, perplexity, precision, recall, loss\n");
}

}  // namespace
}  // namespace beamline::pipeline
