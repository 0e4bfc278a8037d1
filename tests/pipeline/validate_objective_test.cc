// Definitions without a target, and features that are images.
#include <gtest/gtest.h>

#include <string>

#include "tests/pipeline/validate_fixture.h"

namespace beamline::pipeline {
namespace {

using testing::Case;
using testing::ValidateTest;

// Changes that make the base definition one that reconstructs its features.
constexpr char kReconstruct[] =
    "steps.train.train.data.objective: reconstruct, steps.train.train.data.target: null, "
    "steps.train.train.data.split: {random: {validation: 0.2, test: 0.2}}, "
    "steps.train.train.network.loss: null, steps.train.train.network.early_stopping: {metric: "
    "mse}, "
    "steps.publish.publish.requirements: [{evaluation: evaluate, metric: mse, at_most: 1}]";

constexpr Case kReconstructionCases[] = {
    {"", ""},
    {"steps.train.train.network.layers.out.dense.units: 4", ""},
    {"steps.train.train.network.layers.out.dense.units: 3",
     "steps.train.train.network.layers.1.dense.units: the last layer gives 3 numbers but there are "
     "4 features to reconstruct: set units to 4 or leave it out\n"},
    {"steps.train.train.data.target: species",
     "steps.train.train.data.target: must not be given with objective: reconstruct: remove it, and "
     "list \"species\" in exclude if the network shall not see it; or remove objective\n"},
    {"steps.train.train.data.target_kind: regression",
     "steps.train.train.data.target_kind: is for targets, but objective: reconstruct has none: "
     "remove it\n"},
    {"steps.train.train.data.split: {stratified: {validation: 0.2, test: 0.2}}",
     "steps.train.train.data.split.stratified: there is no target whose classes could be kept in "
     "proportion: use random\n"},
    {"steps.train.train.network.loss: {cross_entropy: {}}",
     "steps.train.train.network.loss.cross_entropy: is for classes, but the features are "
     "reconstructed: use mean_squared_error, or binary_cross_entropy for features in [0, 1]\n"},
    {"steps.publish.publish.requirements.0: {evaluation: evaluate, metric: auc, at_least: 0.9}",
     "steps.publish.publish.requirements.0.metric: \"auc\" needs to know which rows are anomalies: "
     "give the evaluate step anomaly: {column}: there are mse, mae, loss\n"},
    {"steps.train.train.metrics: [accuracy]",
     "steps.train.train.metrics.0: \"accuracy\" is for predictions, but the model reconstructs its "
     "features: there are mse, mae, loss\n"},
    {"steps.train.train.data.train_on: {column: species, values: [setosa, versicolour]}",
     "steps.train.train.data.train_on.values.1: no row has \"versicolour\" in column \"species\" "
     "(did you mean \"versicolor\"?)\n"},
    {"steps.train.train.data.train_on: {column: specie}",
     "steps.train.train.data.train_on.values: are missing: give the values of the rows to learn "
     "from\n"
     "steps.train.train.data.train_on.column: the data has no column \"specie\" (did you mean "
     "\"species\"?)\n"},
    {"steps.train.train.data.limit: -5",
     "steps.train.train.data.limit: must be from 1 to 1e+15, not -5\n"},
    {"steps.evaluate.evaluate.anomaly: {column: species, values: [virginica]}", ""},
    {"steps.evaluate.evaluate.anomaly: {column: species}",
     "steps.evaluate.evaluate.anomaly.values: are missing: column \"species\" is neither true or "
     "false nor 0 and 1; give the values of anomalies\n"},
    {"steps.evaluate.evaluate.anomaly: {column: color, values: [red]}",
     "steps.evaluate.evaluate.anomaly.column: \"color\" is a feature of step \"train\", which "
     "would see the answer: add it to that step's data.exclude\n"},
};

TEST_F(ValidateTest, ChecksReconstruction) {
  for (const Case& test : kReconstructionCases) {
    const std::string base =
        test.changes[0] == '\0' ? kReconstruct : std::string(kReconstruct) + ", ";
    EXPECT_EQ(Check("{" + base + test.changes + "}"), test.errors) << test.changes;
  }
  EXPECT_EQ(Check("{steps.evaluate.evaluate.anomaly: {column: kind, values: [only]}}"),
            "steps.evaluate.evaluate.anomaly: is for models that reconstruct, but step \"train\" "
            "predicts \"species\": remove it, or give that step's data objective: reconstruct in "
            "place of target\n");
  EXPECT_EQ(Check("steps.train.train.data.target: null"),
            "steps.train.train.data.target: is missing: name the column to be predicted, or learn "
            "without one by objective: reconstruct\n");
}

TEST_F(ValidateTest, KnowsTheFeaturesOfImages) {
  v1::Dataset& flowers = datasets_["flowers"];
  v1::Column& image = *flowers.add_columns();
  image.set_name("image");
  image.set_type(v1::COLUMN_TYPE_UINT8);
  image.add_item_shape(4);
  image.add_item_shape(5);
  image.mutable_statistics()->set_count(3000);
  image.mutable_statistics()->set_max(255);
  const std::string features = "steps.train.train.data.features: [image, length, color], ";
  EXPECT_EQ(Check("{" + features + "steps.train.train.network.layers.hidden.dense.units: 3}"), "");
  EXPECT_EQ(Check("{" + features + kReconstruct +
                  ", steps.train.train.network.layers.out.dense.units: 7}"),
            "steps.train.train.network.layers.1.dense.units: the last layer gives 7 numbers but "
            "there are 23 features to reconstruct: set units to 23 or leave it out\n");
  EXPECT_EQ(Check("{" + features +
                  "steps.train.train.data.transforms: [{one_hot: {}}, {columns: [image], scale: "
                  "{factor: 0.1, offset: -1}}, {columns: [image], standardize: {whole: true}}]}"),
            "");
}

}  // namespace
}  // namespace beamline::pipeline
