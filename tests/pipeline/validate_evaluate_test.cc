// Evaluate steps: resampling, importance, histograms.
#include <gtest/gtest.h>

#include <string>

#include "tests/pipeline/validate_fixture.h"

namespace beamline::pipeline {
namespace {

using testing::Case;
using testing::ValidateTest;

constexpr Case kCases[] = {
    {"steps.evaluate.evaluate.bootstrap: {}, steps.evaluate.evaluate.importance: {}, "
     "steps.evaluate.evaluate.histograms: [{column: length}, {column: price, bins: 10, min: 0, "
     "max: 5}]",
     ""},
    {"steps.evaluate.evaluate.bootstrap: {resamples: 99, confidence: 1}",
     "steps.evaluate.evaluate.bootstrap.resamples: must be from 100 to 100000, not 99\n"
     "steps.evaluate.evaluate.bootstrap.confidence: must be from 1e-06 to 0.999999, not 1\n"},
    {"steps.evaluate.evaluate.importance: {repeats: 101, metric: accurracy}",
     "steps.evaluate.evaluate.importance.repeats: must be from 1 to 100, not 101\n"
     "steps.evaluate.evaluate.importance.metric: \"accurracy\" is unknown: there is no such metric "
     "(did you mean \"accuracy\"?): there are accuracy, auc_macro, balanced_accuracy, "
     "calibration_error, f1, f1_macro, f1_micro, f1_weighted, log_loss, perplexity, precision, "
     "recall\n"},
    {"steps.evaluate.evaluate.importance: {metric: f1}, steps.evaluate.evaluate.metrics: "
     "[accuracy]",
     "steps.evaluate.evaluate.importance.metric: \"f1\" is not computed by this step: add it to "
     "its metrics\n"},
    {"steps.evaluate.evaluate.importance: {}, steps.evaluate.evaluate.metrics: [f1], "
     "steps.publish.publish.requirements: []",
     "steps.evaluate.evaluate.importance.metric: is missing: name the one of the step's metrics "
     "that columns are compared by\n"},
    {"steps.evaluate.evaluate.importance: {}, steps.train.train.data.windows: {steps: 4}, "
     "steps.train.train.network.layers: [{reshape: {}}, {dense: {}}], "
     "steps.train.train.data.split: {ordered: {validation: 0.2, test: 0.2}}",
     "steps.evaluate.evaluate.importance: the model sees many rows at once, and permuted rows are "
     "no sequences: remove importance\n"},
    {"steps.evaluate.evaluate.histograms: [{column: lenght, bins: 1001}, {column: color}, {}, "
     "{column: length, min: 3, max: 3}]",
     "steps.evaluate.evaluate.histograms.0.bins: must be from 1 to 1000, not 1001\n"
     "steps.evaluate.evaluate.histograms.0.column: the data has no column \"lenght\" (did you mean "
     "\"length\"?)\n"
     "steps.evaluate.evaluate.histograms.1.column: column \"color\" is text: histograms by class "
     "are of plain numbers\n"
     "steps.evaluate.evaluate.histograms.2.column: is missing: name a column of plain numbers\n"
     "steps.evaluate.evaluate.histograms.3.max: must be above min\n"},
    {"steps.evaluate.evaluate.histograms: [{column: length}], steps.train.train.data.target: "
     "price, steps.train.train.network: {layers: [{dense: {}}], loss: {mean_squared_error: {}}, "
     "optimizer: {adam: "
     "{}}}, steps.train.train.data.split: {random: {validation: 0.2, test: 0.2}}, "
     "steps.publish.publish.requirements: []",
     "steps.evaluate.evaluate.histograms: are by classes of rows, but the model predicts none: "
     "remove them\n"},
};

constexpr Case kPredictions[] = {
    {"steps.publish.predict: {model: train}", ""},
    {"steps.publish.predict: {model: train, part: train}", ""},
    {"steps.publish.predict: {model: projects/p/models/m/versions/1, input: other}", ""},
    {"steps.publish.predict: {}", "steps.publish.predict.model: is missing: name a train step\n"},
    {"steps.publish.predict: {model: evaluate}",
     "steps.publish.predict.model: \"evaluate\" is no train step of this pipeline and no "
     "\"projects/P/models/M/versions/V\"\n"},
    {"steps.publish.predict: {model: train, input: nothing, part: test}",
     "steps.publish.predict.part: only one of part and input may be given: all rows of an input "
     "are used\n"
     "steps.publish.predict.input: there is no input \"nothing\"\n"},
    {"steps.publish.predict: {model: projects/p/models/m/versions/1}",
     "steps.publish.predict.input: is missing: a registered model has no rows of its own in this "
     "pipeline\n"},
    {"steps.publish.predict: {model: train, part: test}, steps.train.train.data.split: {random: "
     "{validation: 0.2}}",
     "steps.publish.predict.part: the split of step \"train\" has no test rows: add a split, or "
     "give an input\n"},
    {"steps.publish.predict: {model: train}, steps.publish.resources: {gpus: 1, device: cpu}",
     "steps.publish.resources.device: is cpu, but gpus is 1: leave gpus out, or set device to cuda "
     "or any\n"},
};

TEST_F(ValidateTest, Predictions) {
  for (const Case& c : kPredictions) {
    EXPECT_EQ(Check("{" + std::string(c.changes) + "}"), c.errors) << c.changes;
    EXPECT_EQ(unimplemented_, "") << c.changes;
  }
}

TEST_F(ValidateTest, PredictionsNeedNoTargetButTheFeatures) {
  v1::Dataset& other = datasets_["flowers2"];
  for (int i = other.columns_size() - 1; i >= 0; --i) {
    const std::string& name = other.columns(i).name();
    if (name == "species" || name == "width") other.mutable_columns()->DeleteSubrange(i, 1);
  }
  EXPECT_EQ(Check("{steps.publish.predict: {model: train, input: other}}"),
            "steps.publish.predict.input: lacks columns of input \"table\": width\n");
  EXPECT_EQ(Check("{steps.evaluate.evaluate: {model: train, input: other}, "
                  "steps.publish.publish.requirements: []}"),
            "steps.evaluate.evaluate.input: lacks columns of input \"table\": width, species\n");
}

TEST_F(ValidateTest, Evaluations) {
  for (const Case& c : kCases) {
    EXPECT_EQ(Check("{" + std::string(c.changes) + "}"), c.errors) << c.changes;
    EXPECT_EQ(unimplemented_, "") << c.changes;
  }
}

TEST_F(ValidateTest, HistogramsOfManyClasses) {
  datasets_["flowers"].mutable_columns(3)->mutable_statistics()->set_distinct(2000);
  EXPECT_EQ(Check("{steps.evaluate.evaluate.histograms: [{column: length}]}"),
            "steps.evaluate.evaluate.histograms: have 200000 counts, of 2000 classes, but at most "
            "100000 may be asked for: take fewer bins or columns\n");
}

}  // namespace
}  // namespace beamline::pipeline
