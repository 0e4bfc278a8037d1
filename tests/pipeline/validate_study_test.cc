// Scaling studies.
#include "tests/pipeline/validate_fixture.h"

namespace beamline::pipeline {
namespace {

using testing::ValidateTest;

// In the place of the publish step.
std::string Study(const std::string& study) {
  return "steps.publish: {name: study, scaling_study: " + study + "}";
}
std::string Vary(const std::string& vary) { return Study("{step: train, vary: " + vary + "}"); }

TEST_F(ValidateTest, AcceptsStudies) {
  for (const std::string& good : {
           Vary("{threads: [1, 2, 4]}"),
           Vary("{rows: [10, 50], train.network.layers.hidden.dense.units: [4, 8, 16]}"),
           Vary("{train.network.batch_size: [8, 16], train.network.optimizer: [{sgd: "
                "{learning_rate: 0.1}}, {adam: {}}]}"),
           Study("{step: train, vary: {threads: [2]}, repeats: 20}"),
           "parameters: [{name: width, path: "
           "steps.0.train.network.layers.hidden.dense.units}]\n" +
               Vary("{width: [4, 8]}"),
       }) {
    EXPECT_EQ(Check(good) + unimplemented_, "") << good;
  }
}

TEST_F(ValidateTest, RefusesStudiesThatCannotRun) {
  const std::string at = "steps.study.scaling_study";
  const std::string threads = at + ".vary.threads";
  const struct {
    std::string changes;
    std::string errors;
  } cases[] = {
      {Study("{step: trian, vary: {threads: [1]}}"),
       at + ".step: \"trian\" is no train step of this pipeline (did you mean \"train\"?)\n"},
      {Study("{step: evaluate, vary: {threads: [1]}}"),
       at + ".step: \"evaluate\" is no train step of this pipeline"},
      {Study("{step: study, vary: {threads: [1]}}"),
       at + ".step: \"study\" is no train step of this pipeline"},
      {"steps.train.cross_validation: {k_fold: {folds: 3}}\n" + Vary("{threads: [1]}"),
       at + ".step: \"train\" has cross_validation: a study repeats plain train steps\n"},
      {Study("{step: train}"), at + ".vary: has 0 keys: give 1 to 8"},
      {Study("{step: train, vary: {threads: [1]}, repeats: 21}"),
       at + ".repeats: must be from 1 to 20, not 21\n"},
      {Vary("{threads: []}"), threads + ": is empty: list the values to be tried\n"},
      {Vary("{threads: [1, 2, 1]}"), threads + ": has 1 twice\n"},
      {Vary("{threads: [0.5]}"), threads + ": needs whole numbers from 1 to 1024, not 0.5\n"},
      {Vary("{threads: ['two']}"), threads + ": needs whole numbers from 1 to 1024, not two\n"},
      {Vary("{rows: [0]}"), at + ".vary.rows: needs whole numbers from 1 to "},
      {Vary("{rows: [10], train.data.limit: [20]}"),
       at + ".vary.train.data.limit: leads to the same place as \"rows\"\n"},
      {Vary("{resources.cpus: [1]}"), at + ".vary.resources.cpus: leads to "
                                           "\"steps.study.resources.cpus\": rows, threads, and "
                                           "what is below train of \"train\" can be varied"},
      {"parameters: [{name: rows, path: steps.train.train.network.epochs}]\n" +
           Vary("{rows: [10]}"),
       at + ".vary.rows: is a parameter of this pipeline too"},
      {"parameters: [{name: other, path: seed}]\n" + Vary("{other: [10]}"),
       at + ".vary.other: leads to \"seed\": rows, threads"},
      // Each value is tried on the definition.
      {Vary("{train.network.layers.hidden.dense.units: [4, many]}"),
       at + ".vary.train.network.layers.hidden.dense.units: with many: "},
      {Vary("{train.network.layers.hidden.dense.units: [4, -1]}"),
       at + ".vary.train.network.layers.hidden.dense.units: with -1: "
            "steps.study.train.network.layers.0.dense.units must "},
      {Vary("{train.no.such.field: [4]}"), at + ".vary.train.no.such.field: with 4: "},
      {Vary("{train.linear.penalty: [1]}"),
       at + ".vary.train.linear.penalty: with 1: another learner takes the step's place"},
      {"steps.publish: {name: study, resources: {cpus: 2}, scaling_study: {step: train, vary: "
       "{rows: [10]}}}",
       "steps.study.resources: is the studied step's"},
      {"steps.publish: {name: study, timeout_seconds: 9, scaling_study: {step: train, vary: "
       "{rows: [10]}}}",
       "steps.study.timeout_seconds: is the studied step's"},
  };
  for (const auto& test : cases) {
    const std::string errors = Check(test.changes);
    EXPECT_EQ(errors.substr(0, test.errors.size()), test.errors) << test.changes;
  }
  std::string many = "{rows: [";
  for (int i = 1; i <= 101; ++i) many += std::to_string(i) + ", ";
  const std::string errors = Check(Vary(many + "102], threads: [1, 2]}"));
  EXPECT_EQ(errors, at + ".vary: makes more than 200 combinations: list fewer values\n");
}

// Every wrong value of every key, whatever else is wrong with values.
TEST_F(ValidateTest, AllIsSaidAtOnce) {
  const std::string at = "steps.study.scaling_study.vary.";
  const std::string errors =
      Check(Vary("{rows: [20, -5], threads: [0, 1], train.network.batch_size: [8, -8, -9], "
                 "train.network.epochs: [0.5]}"));
  for (const char* wrong :
       {"rows: needs whole numbers from 1 to ",
        "threads: needs whole numbers from 1 to 1024, not 0", "train.network.batch_size: with -8: ",
        "train.network.batch_size: with -9: ", "train.network.epochs: with 0.5: "}) {
    EXPECT_NE(errors.find(at + wrong), std::string::npos) << wrong << "\n" << errors;
  }
  EXPECT_EQ(errors.find("with 8: "), std::string::npos) << errors;
}

TEST_F(ValidateTest, EachOfManyValuesIsTried) {
  std::string many;
  for (int i = 1; i <= 40; ++i) many += std::to_string(i) + ", ";
  const std::string key = "train.network.layers.hidden.dense.units";
  EXPECT_EQ(Check(Vary("{" + key + ": [" + many + "41]}")), "");
  const std::string errors = Check(Vary("{" + key + ": [" + many + "-1]}"));
  const std::string refusal = "steps.study.scaling_study.vary." + key + ": with -1: ";
  EXPECT_EQ(errors.substr(0, refusal.size()), refusal);
}

// A model that a training begins with, and tables that steps make, are there for values too.
TEST_F(ValidateTest, ValuesAreTriedWhereTheirTrainingStands) {
  const std::string base = std::string(testing::kBase) + R"(
  - name: further
    train:
      data:
        input: table
        target: species
        features: [length, width, color]
        split: {stratified: {validation: 0.2, test: 0.2}}
      initial_model: train
      network:
        layers:
          - {name: hidden, dense: {units: 8, activation: relu}}
          - {name: out, dense: {}}
        loss: {cross_entropy: {}}
        optimizer: {adam: {}}
)";
  const std::string vary =
      "steps.publish: {name: study, after: [evaluate], scaling_study: {step: "
      "further, vary: {train.network.batch_size: ";
  ASSERT_EQ(Check("seed: 1", base), "");
  EXPECT_EQ(Check(vary + "[8, 16]}}}", base), "");
  EXPECT_NE(Check(vary + "[8, -1]}}}", base).find("batch_size: with -1: "), std::string::npos);
}

TEST_F(ValidateTest, SeveralWorkersAndProgramsAreNotBuilt) {
  EXPECT_EQ(Check(Vary("{workers: [1, 2, 4]}")), "");
  EXPECT_EQ(unimplemented_,
            "steps.study.scaling_study.vary.workers: training of one model on several workers is "
            "not built yet: vary threads\n");
}

}  // namespace
}  // namespace beamline::pipeline
