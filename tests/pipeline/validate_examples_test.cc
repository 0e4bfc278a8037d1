// Definitions of windows, sequences, forecasts and text.
#include <gtest/gtest.h>

#include <string>

#include "tests/pipeline/validate_fixture.h"

namespace beamline::pipeline {
namespace {

using testing::Case;
using testing::ValidateTest;

// Changes that make the base definition a forecast of two series.
constexpr char kForecast[] =
    "steps.train.train.data: {input: table, objective: forecast, features: [length, width], "
    "windows: {steps: 8, horizon: 3}, split: {ordered: {validation: 20, test: 0.2}}}, "
    "steps.train.train.network.layers: [{transpose: {}}, {dense: {units: 3}}, {transpose: {}}], "
    "steps.train.train.network.loss: null, steps.train.train.network.early_stopping: {metric: "
    "mae}, steps.publish.publish.requirements: [{evaluation: evaluate, metric: mse, at_most: 1}]";

constexpr Case kForecastCases[] = {
    {"", ""},
    {"steps.train.train.network.layers: [{reshape: {}}, {dense: {}}]", ""},
    {"steps.train.train.data.windows: {steps: 3, horizon: 3}, "
     "steps.train.train.network.layers: [{gru: {units: 4, sequence: true}}, {dense: {units: 2}}]",
     ""},
    {"steps.train.train.network.layers: [{reshape: {}}, {dense: {units: 5}}, {dense: {units: 6}}]",
     ""},
    {"steps.train.train.network.layers: [{reshape: {}}, {dense: {units: 5}}]",
     "steps.train.train.network: the last layer has outputs of shape [32, 5] but the loss mse "
     "and the target need [32, 6]: set its units to 6\n"},
    {"steps.train.train.network.layers: [{gru: {units: 4, sequence: true}}, {dense: {units: 7}}]",
     "steps.train.train.network: the last layer has outputs of shape [32, 8, 7] but the loss mse "
     "and the target need [32, 6]: before it, make one row of the steps by reshape: "
     "{} or global_pool, or let the recurrent layer give its last step alone\n"},
    {"steps.train.train.data.windows: null",
     "steps.train.train.data.windows: are missing: say how many rows the network sees at once, "
     "such as \"windows: {steps: 96}\"\n"},
    {"steps.train.train.data.windows: {steps: 0, stride: -1, horizon: 70000}",
     "steps.train.train.data.windows.steps: must be from 1 to 65536, not 0\n"
     "steps.train.train.data.windows.stride: must be from 1 to 1000000000000, not -1\n"
     "steps.train.train.data.windows.horizon: must be from 1 to 65536, not 70000\n"},
    {"steps.train.train.data.windows: {steps: 148, horizon: 3}",
     "steps.train.train.data.windows: cover 151 rows each, but the table has 150: use fewer "
     "steps\n"},
    {"steps.train.train.data.split: {random: {validation: 0.1, test: 0.1}}",
     "steps.train.train.data.split: mixes rows that follow each other: windows need ordered, or "
     "an input for the test without validation rows\n"},
    {"steps.train.train.data.split: {ordered: {validation: 140, test: 0.2}}",
     "steps.train.train.data.split.ordered: the parts take 170 of 150 rows: nothing is left for "
     "training\n"},
    {"steps.train.train.data.split: {ordered: {validation: 1.5, test: 0.2}}",
     "steps.train.train.data.split.ordered.validation: must be a fraction below 1 or a number of "
     "rows, of which there are 150, not 1.5\n"},
    {"steps.train.train.data.train_on: {column: color, values: [red]}",
     "steps.train.train.data.train_on: breaks rows that follow each other: remove it\n"},
    {"steps.train.train.data.target: price",
     "steps.train.train.data.target: must not be given with objective: forecast: remove it, and "
     "list \"price\" in exclude if the network shall not see it; or remove objective\n"},
    {"steps.train.train.network.loss: {cross_entropy: {}}",
     "steps.train.train.network.loss: is for classes, but a forecast is of numbers: use "
     "mean_squared_error\n"},
    {"steps.train.train.metrics: [accuracy]",
     "steps.train.train.metrics.0: \"accuracy\" is not for forecasts: there are mse, mae, loss\n"},
    {"steps.train.train.data.features: [length, color], "
     "steps.train.train.data.transforms: [{ordinal: {}}]",
     "steps.train.train.data.transforms: objective: forecast predicts numbers: encode categories "
     "by one_hot, not by ordinal\n"
     "steps.train.train.network.layers: no embedding takes the columns that the ordinal transform "
     "makes: add one, or use one_hot\n"},
    {"steps.evaluate.evaluate.anomaly: {column: kind, values: [only]}",
     "steps.evaluate.evaluate.anomaly: is for models that reconstruct, but step \"train\" has the "
     "objective \"forecast\": remove it, or give that step's data objective: reconstruct in place "
     "of target\n"},
};

TEST_F(ValidateTest, ChecksForecasts) {
  for (const Case& test : kForecastCases) {
    const std::string base = test.changes[0] == '\0' ? kForecast : std::string(kForecast) + ", ";
    EXPECT_EQ(Check("{" + base + test.changes + "}"), test.errors) << test.changes;
  }
}

// The base definition as a model of the column "color", letter by letter.
constexpr char kTokens[] =
    "steps.train.train.data: {input: table, objective: next_token, features: [color], "
    "windows: {steps: 16}, split: {ordered: {validation: 0.2, test: 0.2}}}, "
    "steps.train.train.network.layers: [{embedding: {dimension: 4, tokens: true}}, {lstm: {units: "
    "5, sequence: true}}, {dense: {}}], "
    "steps.train.train.network.loss: null, steps.train.train.network.early_stopping: {metric: "
    "log_loss}, steps.publish.publish.requirements: [{evaluation: evaluate, metric: perplexity, "
    "at_most: 3}]";

constexpr Case kTokenCases[] = {
    {"", ""},
    {"steps.train.train.network.loss: {cross_entropy: {label_smoothing: 0.1}}", ""},
    {"steps.train.train.data.features: [color, species]",
     "steps.train.train.data: objective: next_token learns from one column that is encoded by "
     "ordinal, but there are 2 of them and 0 numbers: name the column in features\n"},
    {"steps.train.train.data.windows.horizon: 2",
     "steps.train.train.data.windows.horizon: is for objective: forecast: remove it\n"},
    {"steps.train.train.network.layers.2.dense.units: 2",
     "steps.train.train.network.layers.2.dense.units: the last layer gives 2 numbers but there are "
     "3 tokens, the unknown one included: set units to 3 or leave it out\n"},
    {"steps.train.train.network.loss: {mean_squared_error: {}}",
     "steps.train.train.network.loss: a token is one of many: use cross_entropy, or leave "
     "it out\n"},
    {"steps.train.train.network.loss: {balanced: true}",
     "steps.train.train.network.loss: class weights are for a target of classes: remove them\n"},
    {"steps.train.train.metrics: [auc]",
     "steps.train.train.metrics.0: \"auc\" is not for models of tokens: there are "
     "log_loss, perplexity, accuracy, loss\n"},
};

TEST_F(ValidateTest, ChecksModelsOfText) {
  for (const Case& test : kTokenCases) {
    const std::string base = test.changes[0] == '\0' ? kTokens : std::string(kTokens) + ", ";
    EXPECT_EQ(Check("{" + base + test.changes + "}"), test.errors) << test.changes;
  }
}

// A target at each step, and a network with a memory.
constexpr char kEachStep[] =
    "steps.train.train.data.sequences: {by: kind, max_steps: 12}, "
    "steps.train.train.data.objective: "
    "each_step, "
    "steps.train.train.network.layers: [{memory: {units: 6, sequence: true}}, {name: out, dense: "
    "{}}]";

constexpr Case kEachStepCases[] = {
    {"", ""},
    {"steps.train.train.network.layers.0.memory: {kind: dnc, units: 6, slots: 9, width: 4, "
     "read_heads: 3, sequence: true}",
     ""},
    {"steps.train.train.network.layers.0.memory.sequence: false",
     "steps.train.train.network: the last layer has outputs of shape [1, 3] but each step has a "
     "target: let it give [1, 12, 3], with sequence: true in recurrent layers\n"},
    {"steps.train.train.network.layers.0.memory: {slots: 2, width: -1, read_heads: 2000}",
     "steps.train.train.network.layers.0.memory.units: must be from 1 to 65536, not 0\n"
     "steps.train.train.network.layers.0.memory.slots: must be from 3 to 65536, not 2\n"
     "steps.train.train.network.layers.0.memory.width: must be from 1 to 65536, not -1\n"
     "steps.train.train.network.layers.0.memory.read_heads: must be from 1 to 1024, not 2000\n"},
    {"steps.train.train.data.sequences: null",
     "steps.train.train.data.objective: each_step is for windows and sequences: give one of them, "
     "such as \"sequences: {by: patient, max_steps: 100}\"\n"},
    {"steps.train.train.network.loss: {triplet: {}}, steps.train.train.network.layers.1.dense."
     "units: 4",
     "steps.train.train.network.loss: compares rows, but each step has a target: use "
     "cross_entropy\n"
     "steps.train.train.network.early_stopping.metric: \"accuracy\" is for predictions, but the "
     "loss makes embeddings: there are recall_at_1, recall_at_5, loss\n"
     "steps.publish.publish.requirements.0.metric: \"accuracy\" is for predictions, but the loss "
     "makes embeddings: there are recall_at_1, recall_at_5, loss\n"},
};

TEST_F(ValidateTest, ChecksTargetsOfEachStep) {
  for (const Case& test : kEachStepCases) {
    const std::string base = test.changes[0] == '\0' ? kEachStep : std::string(kEachStep) + ", ";
    EXPECT_EQ(Check("{" + base + test.changes + "}"), test.errors) << test.changes;
  }
}

constexpr Case kMaskedCases[] = {
    {"steps.train.train.data.masking: {share: 0.3, hidden: 1, random: 0}", ""},
    {"steps.train.train.data.masking: {share: 2, hidden: 0.5, random: 0.6}",
     "steps.train.train.data.masking.share: must be from 1e-06 to 1, not 2\n"
     "steps.train.train.data.masking: hides 0.5 and changes 0.6 of what is chosen: together at "
     "most "
     "1\n"},
    {"steps.train.train.data.windows: null",
     "steps.train.train.data.windows: are missing: say how many rows the network sees at once, "
     "such as \"windows: {steps: 96}\"\n"},
    {"steps.train.train.data.objective: next_token, steps.train.train.data.masking: {share: 0.3}",
     "steps.train.train.data.masking: is for objective: masked: remove it\n"},
    {"steps.train.train.initial_model: trian",
     "steps.train.train.initial_model: \"trian\" is no train step of this pipeline and no "
     "\"projects/P/models/M/versions/V\" (did you mean \"train\"?)\n"},
};

TEST_F(ValidateTest, ChecksWhatIsHidden) {
  const std::string base = std::string(kTokens) + ", steps.train.train.data.objective: masked";
  EXPECT_EQ(Check("{" + base + "}"), "");
  for (const Case& test : kMaskedCases) {
    EXPECT_EQ(Check("{" + base + ", " + test.changes + "}"), test.errors) << test.changes;
  }
}

constexpr char kSequences[] =
    "steps.train.train.data.sequences: {by: kind, max_steps: 12}, "
    "steps.train.train.network.layers: [{lstm: {units: 6}}, {name: out, dense: {}}]";

constexpr Case kSequenceCases[] = {
    {"", ""},
    {"steps.train.train.network.layers: [{dense: {units: 6}}, {name: out, dense: {}}]",
     "steps.train.train.network: the last layer has outputs of shape [1, 12, 3] but the loss "
     "ce and the target need [1, 3]: before it, make one row of the steps by reshape: "
     "{} or global_pool, or let the recurrent layer give its last step alone\n"},
    {"steps.train.train.data.sequences: {}",
     "steps.train.train.data.sequences.max_steps: must be from 1 to 65536, not 0\n"
     "steps.train.train.data.sequences.by: is missing: name the column that tells sequences "
     "apart\n"},
    {"steps.train.train.data.sequences.by: kin",
     "steps.train.train.data.sequences.by: the data has no column \"kin\" (did you mean "
     "\"kind\"?)\n"},
    {"steps.train.train.data.sequences.by: species",
     "steps.train.train.data.sequences.by: is the target: name the column that tells sequences "
     "apart\n"},
    {"steps.train.train.data.sequences.by: holes",
     "steps.train.train.data.sequences.by: column \"holes\" has 7 missing values: nobody knows "
     "whose steps those rows are\n"},
    {"steps.train.train.data.split: {column: {column: species, train: [setosa], test: [setosa]}}",
     "steps.train.train.data.split.column.column: is the target: test rows would have classes "
     "that training rows lack\n"
     "steps.train.train.data.split.column.train: \"setosa\" is among test too\n"
     "steps.train.train.network.early_stopping: needs validation rows: give the split a "
     "validation part, such as \"split: {random: {validation: 0.1}}\"\n"},
    {"steps.train.train.data.transforms: [{ordinal: {}}], "
     "steps.train.train.data.features: [color, price, kind]",
     "steps.train.train.data.transforms: ordinal makes 2 codes of each step, and layers read one: "
     "encode the other columns by one_hot\n"
     "steps.train.train.network.layers: no embedding takes the columns that the ordinal transform "
     "makes: add one, or use one_hot\n"},
};

TEST_F(ValidateTest, ChecksSequences) {
  for (const Case& test : kSequenceCases) {
    const std::string base = test.changes[0] == '\0' ? kSequences : std::string(kSequences) + ", ";
    EXPECT_EQ(Check("{" + base + test.changes + "}"), test.errors) << test.changes;
  }
}

constexpr char kGraph[] =
    "steps.train.train.data.graph: {arcs: other, from: kind, to: species, node: kind}, "
    "steps.train.train.network.layers: [{graph_conv: {units: 6, activation: relu}}, {name: out, "
    "graph_conv: {}}]";

constexpr Case kGraphCases[] = {
    {"", ""},
    {"steps.train.train.network.layers: [{dropout: {rate: 0.5}}, {graph_conv: {kind: gat, units: "
     "8, "
     "heads: 2, dropout: 0.3}}, {dense: {}}]",
     ""},
    {"steps.train.train.network.layers: [{graph_conv: {units: 8}}, {dense: {units: 4}}]",
     "steps.train.train.network.layers.1.dense.units: the last layer gives 4 numbers but the "
     "target "
     "has 3 classes: set units to 3 or leave it out\n"},
    {"steps.train.train.network.layers: [{graph_conv: {heads: 2}}, {graph_conv: {}}]",
     "steps.train.train.network.layers.0.graph_conv.units: is missing: only in the last layer it "
     "may be left out\n"
     "steps.train.train.network.layers.0.graph_conv: heads and dropout are for kind: gat\n"},
    {"steps.train.train.data.graph.arcs: othr",
     "steps.train.train.data.graph.arcs: there is no input \"othr\" (did you mean \"other\"?)\n"},
    {"steps.train.train.data.graph.to: kid",
     "steps.train.train.data.graph.to: the data has no column \"kid\" (did you mean \"kind\"?)\n"},
    {"steps.train.train.data.graph.member: holes",
     "steps.train.train.data.graph.member: column \"holes\" has 7 missing values\n"},
    {"steps.train.train.data.split: {input: {test: other, validation: 0.1}}",
     "steps.train.train.data.split.input: gives rows that are no nodes of the graph: use random, "
     "stratified or column\n"},
    {"steps.train.train.data.transforms: [{ordinal: {}}]",
     "steps.train.train.data.transforms: nodes have numbers only: encode categories by one_hot, "
     "not by ordinal\n"
     "steps.train.train.network.layers: no embedding takes the columns that the ordinal transform "
     "makes: add one, or use one_hot\n"},
};

TEST_F(ValidateTest, ChecksGraphs) {
  for (const Case& test : kGraphCases) {
    const std::string base = test.changes[0] == '\0' ? kGraph : std::string(kGraph) + ", ";
    EXPECT_EQ(Check("{" + base + test.changes + "}"), test.errors) << test.changes;
  }
}

constexpr char kPairs[] =
    "steps.train.train.data: {input: table, features: [length, width], graph: {arcs: other, from: "
    "kind, to: species, node: kind, pairs: {}}, split: {random: {validation: 0.1, test: 0.1}}}, "
    "steps.train.train.network.loss: null, "
    "steps.train.train.network.early_stopping: {metric: auc}, "
    "steps.train.train.network.layers: [{graph_conv: {units: 6}}, {name: pair, pair: {}}], "
    "steps.publish.publish.requirements: [{evaluation: evaluate, metric: pr_auc, at_least: 0.9}]";

constexpr Case kPairCases[] = {
    {"", ""},
    {"steps.train.train.network.layers: [{graph_conv: {units: 6}}, {pair: {kind: product}}, "
     "{dense: {units: 4, activation: relu}}, {dense: {}}]",
     ""},
    {"steps.train.train.network.layers: [{pair: {kind: concat}}, {dense: {}}]", ""},
    {"steps.train.train.network.layers: [{graph_conv: {units: 6}}, {pair: {kind: product}}]",
     "steps.train.train.network.layers.1: the last layer gives 6 numbers but the target has 2 "
     "classes: add \"- dense: {}\" after it\n"},
    {"steps.train.train.network.layers: [{graph_conv: {units: 6}}, {dense: {}}]",
     "steps.train.train.network.layers: never make pairs of the nodes (graph.pairs): add \"- pair: "
     "{}\" behind the last graph_conv\n"},
    {"steps.train.train.network.layers: [{pair: {kind: product}}, {pair: {}}]",
     "steps.train.train.network.layers.1: layer 0 makes pairs of the nodes already: remove one\n"},
    {"steps.train.train.network.layers: [{pair: {kind: product}}, {name: late, graph_conv: {}}]",
     "steps.train.train.network: layer \"late\" works on all nodes, [4, features], but gets [32, "
     "1]: give it \"nodes\" or a layer made of them\n"},
    {"steps.train.train.data.graph.pairs: null, steps.train.train.data.target: species, "
     "steps.train.train.network.early_stopping: null, "
     "steps.publish.publish.requirements.0.metric: accuracy, "
     "steps.train.train.network.layers: [{graph_conv: {units: 6}}, {pair: {kind: product}}, "
     "{dense: {}}]",
     "steps.train.train.network.layers.1: makes rows of pairs of nodes, but the data has none: add "
     "\"pairs: {}\" to data.graph, or remove it\n"},
    {"steps.train.train.data.target: species",
     "steps.train.train.data.target: must not be given with graph.pairs, which learns whether an "
     "arc is there: remove it, or remove pairs to learn about nodes\n"},
    {"steps.train.train.data.weight: weight, steps.train.train.data.limit: 10, "
     "steps.train.train.data.graph.member: color",
     "steps.train.train.data.weight: is of nodes, but examples are pairs of them (graph.pairs): "
     "remove it\n"
     "steps.train.train.data.limit: is of nodes, but examples are pairs of them (graph.pairs): "
     "remove it\n"
     "steps.train.train.data.graph.member: makes examples of small graphs, and pairs of pairs of "
     "nodes: remove one\n"},
    {"steps.train.train.data.split: {ordered: {validation: 0.1, test: 0.1}}",
     "steps.train.train.data.split: is of nodes, but what graph.pairs splits are arcs: use "
     "random\n"},
};

TEST_F(ValidateTest, ChecksPairsOfNodes) {
  for (const Case& test : kPairCases) {
    const std::string base = test.changes[0] == '\0' ? kPairs : std::string(kPairs) + ", ";
    EXPECT_EQ(Check("{" + base + test.changes + "}"), test.errors) << test.changes;
  }
  Check(std::string("{") + kPairs + ", steps.train.cross_validation: {k_fold: {folds: 3}}}");
  EXPECT_EQ(unimplemented_,
            "steps.train.cross_validation: folds of arcs (graph.pairs) are not built yet\n");
}

}  // namespace
}  // namespace beamline::pipeline
