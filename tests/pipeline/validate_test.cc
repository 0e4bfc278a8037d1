#include "pipeline/validate.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/pipeline/validate_fixture.h"

namespace beamline::pipeline {
namespace {

using testing::AddNumber;
using testing::Case;
using testing::kBase;
using testing::ValidateTest;

TEST_F(ValidateTest, AcceptsWhatIsRight) {
  EXPECT_EQ(Check("{}"), "");
  EXPECT_EQ(unimplemented_, "");
  EXPECT_EQ(Check("steps.train.train.data.weight: weight"), "");
  EXPECT_EQ(Check("steps.train.train.network.layers.out.dense.units: 3"), "");
  EXPECT_EQ(Check("steps.train.train.network.loss: {class_weights: {setosa: 2}}"), "");
  EXPECT_EQ(Check("steps.evaluate.evaluate: {model: train, input: other}"), "");
  EXPECT_EQ(Check("steps.train.train.data.split: {modulo: {divisor: 5, validation: 0.1}}"), "");
}

constexpr Case kDefinitionCases[] = {
    {"name: Bad Name", "name: "},
    {"name: ''", "name: is missing: give 1 to 63 of a-z, 0-9 and '-'\n"},
    {"steps: null", "steps: are missing: a pipeline has at least one step\n"},
    {"steps.evaluate.name: train",
     "steps.1.name: a step before this one has the name \"train\" too: every step needs its own\n"
     "steps.publish.publish.requirements.0.evaluation: \"evaluate\" is no evaluate step of this "
     "pipeline\n"},
    {"inputs.table: {dataset: nowhere}",
     "inputs.table.dataset: there is no dataset \"nowhere\" in this project: upload it first\n"},
    {"inputs.table: {file: a.csv}",
     "inputs.table.file: \"a.csv\" is a local file: upload it and give the dataset's name for this "
     "input\n"},
    {"inputs.table: {}",
     "inputs.table: says none of \"file\", \"files\" and \"dataset\": give one of "
     "them\n"},
    {"inputs.table: {dataset: flowers, files: [a, b]}",
     "inputs.table: only one of file, files and dataset may be given\n"},
    {"inputs.table: {files: [a.gz, b.gz]}",
     "inputs.table.files: \"a.gz\", \"b.gz\" are local files: upload them and give the dataset's "
     "name for this input\n"},
    {"steps.evaluate.after: [trian]",
     "steps.evaluate.after.0: there is no step \"trian\" (did you mean \"train\"?)\n"},
    {"steps.train.after: [publish]",
     "steps.train: waits for itself: train after publish after evaluate after train\n"},
    {"steps.train.resources.cpus: -1",
     "steps.train.resources.cpus: must be from 0.1 to 1024, not -1\n"},
    {"steps.train.resources.memory_bytes: 1 KiB",
     "steps.train.resources.memory_bytes: must be from 16 MiB to 64 TiB\n"},
    {"parameters: [{name: rate, path: steps.train.train.rate}]",
     "parameters.0.path: \"steps.train.train\" has no field \"rate\": it has data, checkpoint, "
     "metrics, network, adversarial, linear, nearest_neighbours, naive_bayes, support_vectors, "
     "boosted_trees, random_forest, isolation_forest, k_means, principal_components, kohonen_map, "
     "markov_chain, hopfield, boltzmann, restricted_boltzmann, deep_belief, radial_basis, "
     "extreme_learning_machine, echo_state, liquid_state, command, word_vectors, initial_model\n"},
    {"steps.evaluate.evaluate: null",
     "steps.evaluate: does not say what it does: give one of prepare, train, evaluate, publish, "
     "scaling_study, command\n"
     "steps.publish.publish.requirements.0.evaluation: \"evaluate\" is no evaluate step of this "
     "pipeline\n"},
    {"steps.evaluate.evaluate.model: trains",
     "steps.evaluate.evaluate.model: \"trains\" is no train step of this pipeline and no "
     "\"projects/P/models/M/versions/V\" (did you mean \"train\"?)\n"
     "steps.publish.publish.requirements.0.evaluation: step \"evaluate\" measures \"trains\", not "
     "\"train\"\n"},
    {"steps.publish.publish.requirements.0.metric: rmse",
     "steps.publish.publish.requirements.0.metric: \"rmse\" is for numbers, but the target is "
     "classes: there are accuracy, auc_macro, balanced_accuracy, calibration_error, f1, f1_macro, "
     "f1_micro, f1_weighted, log_loss, perplexity, precision, recall, loss\n"},
    {"steps.publish.publish.requirements.0: {evaluation: evaluate, metric: f1}",
     "steps.publish.publish.requirements.0: does not say what is required: give at_least or "
     "at_most\n"},
    {"steps.publish.publish.name: ''",
     "steps.publish.publish.name: is missing: give the model's name in the registry\n"},
};

constexpr Case kDataCases[] = {
    {"steps.train.train.data.input: tabel",
     "steps.train.train.data.input: there is no input \"tabel\" (did you mean \"table\"?)\n"},
    {"steps.train.train.data.target: specie",
     "steps.train.train.data.target: the data has no column \"specie\" (did you mean "
     "\"species\"?)\n"},
    {"steps.train.train.data.features: [length, species]",
     "steps.train.train.data.features.1: \"species\" is the target: a model that sees it learns "
     "nothing else\n"},
    {"{steps.train.train.data.weight: weight, steps.train.train.data.features: [weight]}",
     "steps.train.train.data.features.0: \"weight\" is the weight: it is not known when the model "
     "is used\n"},
    {"steps.train.train.data.features: [lenght]",
     "steps.train.train.data.features.0: the data has no column \"lenght\" (did you mean "
     "\"length\"?)\n"},
    {"{steps.train.train.data.weight: color, steps.train.train.data.features: [length]}",
     "steps.train.train.data.weight: column \"color\" is text: weights are numbers\n"},
    {"steps.train.train.data.weight: negative",
     "steps.train.train.data.weight: the weights in column \"negative\" add up to nothing or "
     "less\n"},
    {"steps.train.train.data.weight: holes",
     "steps.train.train.data.weight: column \"holes\" has 7 missing values: every row needs a "
     "weight\n"},
    {"steps.train.train.data.target: kind",
     "steps.train.train.data.target: column \"kind\" has only one class (only): at least two are "
     "needed\n"},
    {"{steps.train.train.data.features: [holes], steps.train.train.data.transforms: "
     "[{standardize: {}}]}",
     "steps.train.train.data.transforms: column \"holes\" has 7 missing values: add impute, or "
     "exclude it\n"},
    {"steps.train.train.data.transforms: [{standardize: {}}]",
     "steps.train.train.data.transforms: column \"color\" is text: add one_hot or ordinal, or "
     "exclude it\n"},
    {"steps.train.train.data.transforms: [{one_hot: {}}, {columns: [width], log1p: {}}]",
     "steps.train.train.data.transforms.1.columns.0: column \"width\" has values down to -2: log1p "
     "needs all above -1\n"},
    {"steps.train.train.data.transforms: [{one_hot: {}}, {columns: [colour], standardize: {}}]",
     "steps.train.train.data.transforms.1.columns.0: \"colour\" is not among the features (did you "
     "mean \"color\"?)\n"},
    {"steps.train.train.data.transforms: [{columns: [color], standardize: {}}, {one_hot: {}}]",
     "steps.train.train.data.transforms.0.columns.0: column \"color\" is text: this transform "
     "cannot be applied to it\n"},
    {"steps.train.train.data.split: {random: {validation: 0.5, test: 0.5}}",
     "steps.train.train.data.split.random: validation and test take 1 of the rows: nothing is left "
     "for training\n"},
    {"steps.train.train.data.split: {random: {validation: 0.5, test: 1.5}}",
     "steps.train.train.data.split.random.test: must be from 0 to below 1, not 1.5\n"},
    {"steps.train.train.data.split: {input: {test: table, validation: 0.1}}",
     "steps.train.train.data.split.input.test: is the input that trains: the test would say "
     "nothing\n"},
    {"steps.train.train.data.split: {column: {column: color, test: [bleu], validation: [red]}}",
     "steps.train.train.data.split.column.test.0: no row has \"bleu\" in column \"color\" (did you "
     "mean \"blue\"?)\n"},
    {"{inputs.other.dataset: small, steps.evaluate.evaluate.input: other}",
     "steps.evaluate.evaluate.input: column \"color\" is a number there, but not in input "
     "\"table\": give both the same column_types\n"
     "steps.evaluate.evaluate.input: lacks columns of input \"table\": width, species\n"},
    {"steps.train.train.data.split: {random: {validation: 0.1}}", ""},
    {"{steps.train.train.data.split: {random: {validation: 0.1}}, "
     "steps.evaluate.evaluate.part: test}",
     "steps.evaluate.evaluate.part: the split of step \"train\" has no test rows: add a split, or "
     "give an input\n"},
};

constexpr Case kNetworkCases[] = {
    {"steps.train.train.network.layers: [{reshape: {shape: [1, 4]}}, {positions: {kind: "
     "sinusoidal}}, {attention: {units: 8, heads: 2, rotary: true}}, {reshape: {}}, "
     "{slice: {begin: 2, size: 4}}, {dense: {}}]",
     ""},
    {"steps.train.train.network.layers: [{reshape: {shape: [1, 3]}}, {attention: {units: 8, heads: "
     "3}}, {slice: {begin: 6, size: 4}}, {reshape: {}}, {dense: {}}]",
     "steps.train.train.network.layers.1.attention.heads: are 3, which do not divide the 8 units\n"
     "steps.train.train.network.layers.2.slice.size: ends at feature 10, but there are 8\n"},
    {"steps.train.train.network.layers: [{reshape: {shape: [4, 1]}}, {attention: {rotary: true}}, "
     "{reshape: {}}, {dense: {}}]",
     "steps.train.train.network.layers.1.attention.rotary: turns pairs of features, but a head has "
     "1: make it even\n"},
    {"steps.train.train.network: null",
     "steps.train.train.network: is missing: give the network to be trained, or another learner\n"},
    {"steps.train.train.network.layers: []",
     "steps.train.train.network.layers: are missing: the smallest network is [dense: {}]\n"},
    {"steps.train.train.network.layers.out.dense.units: 2",
     "steps.train.train.network.layers.1.dense.units: the last layer gives 2 numbers but the "
     "target has 3 classes: set units to 3 or leave it out\n"},
    {"steps.train.train.network.layers.hidden.dense.units: 0",
     "steps.train.train.network.layers.0.dense.units: is missing: only in the last layer it may be "
     "left out\n"},
    {"steps.train.train.network.layers.out.dense.activation: softmax",
     "steps.train.train.network.layers.1.dense.activation: the last layer must be linear: the loss "
     "applies sigmoid or softmax itself\n"},
    {"steps.train.train.network.layers.out.inputs: [hiden]",

     "steps.train.train.network.layers.1.inputs.0: no layer before this one is named \"hiden\" "
     "(did you mean \"hidden\"?)\n"},
    {"steps.train.train.network.layers.0.dropout.rate: 1",
     "steps.train.train.network.layers.0.dropout.rate: must be from 0 to below 1, not 1\n"},
    {"steps.train.train.network.layers.0: {name: hidden, embedding: {dimension: 2}}",
     "steps.train.train.network.layers: there is nothing to embed: add an ordinal transform to the "
     "data\n"},
    {"steps.train.train.network.layers.0: {name: hidden, inputs: [features, features], add: {}}",
     ""},
    {"{steps.train.train.network.layers: [{name: a, dense: {units: 3}}, {name: b, dense: {units: "
     "4}}, {inputs: [a, b], add: {}}, {dense: {}}]}",
     "steps.train.train.network.layers.2.inputs.1: \"b\" has 4 numbers, \"a\" has 3: only equal "
     "widths can be added\n"},
    {"steps.train.train.network.layers.hidden.dense.units: 1000000", ""},
    {"steps.train.train.network.layers: [{dense: {units: 100000}}, {dense: {units: 100000}}, "
     "{dense: {}}]",
     "steps.train.train.network.layers: the network has 10000900003 parameters and needs more than "
     "152602 MiB to train, but the step has 1 GiB: make it smaller, or raise "
     "resources.memory_bytes\n"},
    {"{steps.train.train.network.layers.hidden.dense.units: 30000, steps.train.train.network."
     "batch_size: 1000, steps.train.resources.memory_bytes: 16 MiB}",
     "steps.train.train.network.batch_size: training needs 29 MiB of memory, but the step "
     "has 16 MiB: batches of 16 fit; or use smaller layers, or raise resources.memory_bytes\n"},
    {"steps.train.train.network.layers: [{reshape: {shape: [2, 2, 1]}}, {conv: {units: 4, kernel: "
     "[2], padding: same, activation: relu}}, {max_pool: {size: [2]}}, {group_norm: {groups: 2}}, "
     "{conv_transpose: {units: 3, kernel: [2], stride: [2]}}, {average_pool: {size: [2]}}, "
     "{global_pool: {}}, {dense: {}}]",
     ""},
    {"steps.train.train.network.layers: [{reshape: {shape: [2, 2, 1]}}, {conv: {units: 4, kernel: "
     "[1, 1, 1], stride: [0], pad: [1], padding: same, groups: 3}}, {global_pool: {}}, {dense: "
     "{}}]",
     "steps.train.train.network.layers.1.conv.kernel: has one number for all axes, or one per "
     "axis: "
     "at most 2\n"
     "steps.train.train.network.layers.1.conv.stride.0: must be from 1 to 65536, not 0\n"
     "steps.train.train.network.layers.1.conv.pad: only one of pad and padding may be given\n"
     "steps.train.train.network.layers.1.conv.groups: must divide the channels of the input (1) "
     "and "
     "units (4), which 3 does not\n"},
    {"steps.train.train.network.layers: [{name: c, conv: {units: 4, kernel: [2]}}, {dense: {}}]",
     "steps.train.train.network: layer \"c\" expects images [batch, height, width, channels] or "
     "sequences [batch, steps, channels] but gets [32, 4]: put \"reshape: {shape: [2, 2, 1]}\" "
     "before it\n"},
    {"steps.train.train.network.loss: {mean_squared_error: {}}",
     "steps.train.train.data.target: column \"species\" is text and cannot be predicted as a "
     "number: use cross_entropy, or leave target_kind out\n"},
    {"steps.train.train.network.loss: {binary_cross_entropy: {}}",
     "steps.train.train.network.loss.binary_cross_entropy: is for two classes, but the target has "
     "3: use cross_entropy\n"},
    {"steps.train.train.network.loss: {cross_entropy: {}, class_weights: {setos: 2}}",
     "steps.train.train.network.loss.class_weights.setos: there is no such class (did you mean "
     "\"setosa\"?): there are setosa, versicolor, virginica\n"},
    {"steps.train.train.network.optimizer.adam.learning_rate: -0.1",
     "steps.train.train.network.optimizer.adam.learning_rate: must be from 1e-12 to 1000, not "
     "-0.1\n"},
    {"steps.train.train.network.batch_size: -3",
     "steps.train.train.network.batch_size: must be from 1 to 1048576, not -3\n"},
    {"steps.train.train.network.early_stopping.metric: auc",
     "steps.train.train.network.early_stopping.metric: \"auc\" is for two classes, but the target "
     "has 3: there are accuracy, auc_macro, balanced_accuracy, calibration_error, f1, f1_macro, "
     "f1_micro, f1_weighted, log_loss, perplexity, precision, recall, loss\n"},
    {"steps.train.train.data.split: {modulo: {divisor: 5}}",
     "steps.train.train.network.early_stopping: needs validation rows: give the split a validation "
     "part, such as \"split: {random: {validation: 0.1}}\"\n"},
};

TEST_F(ValidateTest, SaysWhatIsWrong) {
  for (const Case& test : kDefinitionCases) {
    const std::string errors = Check(test.changes);
    if (test.errors == std::string("name: ")) {  // The words are CheckUserId's.
      EXPECT_EQ(errors.substr(0, 6), test.errors);
    } else {
      EXPECT_EQ(errors, test.errors) << test.changes;
    }
  }
}

TEST_F(ValidateTest, ChecksDataAgainstTheSchema) {
  for (const Case& test : kDataCases) EXPECT_EQ(Check(test.changes), test.errors) << test.changes;
}

TEST_F(ValidateTest, ChecksNetworks) {
  for (const Case& test : kNetworkCases) {
    EXPECT_EQ(Check(test.changes), test.errors) << test.changes;
  }
}

TEST_F(ValidateTest, ChecksRegression) {
  const std::string regression =
      "steps.train.train.data.target: price, steps.train.train.network.loss: null, "
      "steps.train.train.network.early_stopping: {}, steps.train.train.data.split: {random: "
      "{validation: 0.1, test: 0.1}}, steps.publish.publish.requirements: []";
  EXPECT_EQ(Check("{" + regression + "}"), "");
  EXPECT_EQ(Check("{" + regression + ", steps.train.train.data.target: constant}"),
            "steps.train.train.data.target: column \"constant\" is 4 in every row: nothing can be "
            "learned\n");
  EXPECT_EQ(Check("{" + regression + ", steps.train.train.network.loss: {balanced: true}}"),
            "steps.train.train.network.loss: class weights are for classes, but the target is a "
            "number\n");
  EXPECT_EQ(Check("{" + regression + ", steps.train.train.metrics: [auc]}"),
            "steps.train.train.metrics.0: \"auc\" is for classes, but the target is a number: "
            "there are mae, r2, rmse, loss\n");
}

TEST_F(ValidateTest, ChecksRecurrentLayers) {
  const std::string at = "steps.train.train.network.layers";
  const auto check = [&](const std::string& layers) {
    const std::string errors =
        Check(at + ": [" + layers + ", {name: out, dense: {}}]") + unimplemented_;
    return errors.starts_with(at) ? errors.substr(at.size()) : errors;
  };
  EXPECT_EQ(check("{repeat: {steps: 4}}, {lstm: {units: 8, bidirectional: true, sequence: true}}, "
                  "{gru: {units: 6, sequence: true}}, {rnn: {units: 5, activation: relu}}"),
            "");
  EXPECT_EQ(check("{repeat: {}}, {lstm: {units: -1}}"),
            ".0.repeat.steps: must be from 1 to 65536, not 0\n" + at +
                ".1.lstm.units: must be from 1 to 65536, not -1\n");
  EXPECT_EQ(check("{repeat: {steps: 4}}, {gru: {units: 8, activation: relu}}"),
            ".1.gru.activation: is for rnn only: the gates of this layer are fixed\n");
  EXPECT_EQ(check("{repeat: {steps: 4}}, {rnn: {units: 8, activation: gelu}}"),
            ".1.rnn.activation: must be tanh or relu\n");
  const std::string flat = check("{name: cell, lstm: {units: 8}}");
  EXPECT_NE(flat.find("layer \"cell\" takes sequences [batch, steps, features]"), flat.npos)
      << flat;
}

TEST_F(ValidateTest, ChecksGpus) {
  const std::string train = "steps.train.resources";
  for (const char* good : {"{gpus: 1}", "{device: cuda}", "{gpus: 1, device: any}", "{device: any}",
                           "{gpus: 1, gpu_memory_bytes: 10 GiB}", "{device: cpu}"}) {
    EXPECT_EQ(Check(train + ": " + good) + unimplemented_, "") << good;
    EXPECT_EQ(Check(std::string("steps.evaluate.resources: ") + good) + unimplemented_, "") << good;
  }
  const Case cases[] = {
      {"steps.train.resources: {gpus: -1}", "steps.train.resources.gpus: must not be negative\n"},
      {"steps.train.resources: {gpus: 1, device: cpu}",
       "steps.train.resources.device: is cpu, but gpus is 1: leave gpus out, or set device to cuda "
       "or any\n"},
      {"steps.train.resources: {gpu_memory_bytes: 1 GiB}",
       "steps.train.resources.gpu_memory_bytes: is for steps with a graphics processor: set gpus "
       "to 1 too\n"},
      {"steps.publish.resources: {device: cuda}",
       "steps.publish.resources: a publish step computes nothing: leave gpus and device out\n"},
      // What fits into main memory need not fit into the GPU's.
      {"steps.train.resources: {gpus: 1, gpu_memory_bytes: 1}",
       "steps.train.train.network.layers: the network has "},
  };
  for (const Case& test : cases) {
    const std::string errors = Check(test.changes);
    EXPECT_EQ(errors.substr(0, std::string(test.errors).size()), test.errors) << test.changes;
  }
  EXPECT_NE(Check("steps.train.resources: {gpus: 1, gpu_memory_bytes: 1}")
                .find("or raise resources.gpu_memory_bytes"),
            std::string::npos);
}

TEST_F(ValidateTest, TellsWhatIsNotBuiltFromWhatIsWrong) {
  const Case cases[] = {
      {"steps.train.resources.gpus: 2", "steps.train.resources.gpus: training on several"},
      {"steps.evaluate: {name: evaluate, scaling_study: {step: train, vary: {workers: [1, 2]}}}",
       "steps.evaluate.scaling_study.vary.workers: "},
      {"steps.train.resources.workers: {min: 2, max: 4}", "steps.train.resources.workers: "},
  };
  for (const Case& test : cases) {
    Check(test.changes);
    EXPECT_EQ(unimplemented_.substr(0, std::string(test.errors).size()), test.errors)
        << test.changes;
  }
}

TEST_F(ValidateTest, FindsEverythingAtOnceWithPositions) {
  const std::string text = std::string(kBase) + "  - name: train2\n    train: {}\n";
  const ParsedDefinition parsed = ParseDefinition(text);
  options_.positions = &parsed.positions;
  const Verdict verdict = Validate(parsed.definition, options_);
  EXPECT_EQ(
      FormatViolations(verdict.violations, "p"),
      "p:27:5: steps.train2.train.data.input: is missing: name one of the inputs (other, "
      "table)\n"
      "p:27:5: steps.train2.train.data.target: is missing: name the column to be predicted, or "
      "learn without one by objective: reconstruct\n"
      "p:27:5: steps.train2.train.network: is missing: give the network to be trained, or another "
      "learner\n");
  EXPECT_EQ(verdict.ToStatus().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ValidateTest, WithoutSchemasFilesAreAccepted) {
  options_ = {};
  EXPECT_EQ(Check("inputs.table: {file: a.csv}"), "");
  EXPECT_EQ(Check("steps.train.train.data.target: anything"), "");
}

}  // namespace
}  // namespace beamline::pipeline
