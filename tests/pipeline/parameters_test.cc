#include "pipeline/parameters.h"

#include <gtest/gtest.h>

#include "pipeline/text_value.h"
#include "pipeline/yaml.h"

namespace beamline::pipeline {
namespace {

constexpr char kDefinition[] = R"(
name: p
inputs: {events: {file: a.csv, options: {header: absent}}}
parameters:
  - {name: rate, path: steps.train.train.network.optimizer.adam.learning_rate}
steps:
  - name: train
    train:
      data: {input: events, features: [a]}
      network:
        layers: [{name: hidden, dense: {units: 4}}, {dense: {}}]
        optimizer: {sgd: {learning_rate: 0.5}}
)";

class ParametersTest : public testing::Test {
 protected:
  // Applies `{key: value}`, both as YAML.
  std::string Apply(const std::string& yaml) {
    definition_ = ParseDefinition(kDefinition).definition;
    TextValue value;
    Violations violations;
    EXPECT_TRUE(ReadYaml(yaml, &value, &violations));
    return FormatViolations(ApplyParameters(ToProto(value).struct_value().fields(), &definition_),
                            "");
  }
  const v1::TrainStep& train() const { return definition_.steps(0).train(); }

  v1::PipelineDefinition definition_;
};

TEST_F(ParametersTest, SetByNameAndByPath) {
  EXPECT_EQ(Apply("rate: 0.01"), "");
  EXPECT_EQ(train().network().optimizer().adam().learning_rate(), 0.01);
  EXPECT_FALSE(train().network().optimizer().has_sgd());
  EXPECT_EQ(Apply("rate: \"0.02\""), "");
  EXPECT_EQ(train().network().optimizer().adam().learning_rate(), 0.02);
  EXPECT_EQ(Apply("seed: 5"), "");
  EXPECT_EQ(definition_.seed(), 5);
  EXPECT_EQ(Apply("steps.train.train.network.layers.hidden.dense.units: 8"), "");
  EXPECT_EQ(train().network().layers(0).dense().units(), 8);
  EXPECT_EQ(Apply("steps.0.train.network.layers.1.dense.activation: tanh"), "");
  EXPECT_EQ(train().network().layers(1).dense().activation(), v1::ACTIVATION_TANH);
  EXPECT_EQ(Apply("steps.train.resources.memory_bytes: 2 GiB"), "");
  EXPECT_EQ(definition_.steps(0).resources().memory_bytes(), int64_t{2} << 30);
  EXPECT_EQ(Apply("inputs.events.dataset: d1"), "");
  EXPECT_EQ(definition_.inputs().at("events").dataset(), "d1");
}

TEST_F(ParametersTest, SetListsMessagesAndNothing) {
  EXPECT_EQ(Apply("steps.train.train.data.features: [b, c]"), "");
  EXPECT_EQ(train().data().features_size(), 2);
  EXPECT_EQ(Apply("steps.train.train.data.features: \"[d, e, f]\""), "");
  EXPECT_EQ(train().data().features_size(), 3);
  EXPECT_EQ(Apply("steps.train.train.network.optimizer: {adamw: {weight_decay: 0.1}}"), "");
  EXPECT_EQ(train().network().optimizer().adamw().weight_decay(), 0.1);
  EXPECT_EQ(Apply("steps.train.train.network.layers.0: {dropout: {rate: 0.5}}"), "");
  EXPECT_EQ(train().network().layers(0).dropout().rate(), 0.5);
  EXPECT_EQ(Apply("steps.train.train.data.features: null"), "");
  EXPECT_EQ(train().data().features_size(), 0);
  EXPECT_EQ(Apply("steps.train.train.network.loss.class_weights.x: 2"), "");
  EXPECT_EQ(train().network().loss().class_weights().at("x"), 2);
}

TEST_F(ParametersTest, SayWhatIsWrong) {
  EXPECT_EQ(Apply("rat: 1"), "rat: no parameter of that name (did you mean \"rate\"?)\n");
  EXPECT_EQ(Apply("rate: fast"), "rate: expected a number, not \"fast\"\n");
  EXPECT_EQ(Apply("stps.train: 1"),
            "stps.train: the definition has no field \"stps\" (did you mean \"steps\"?)\n");
  EXPECT_EQ(Apply("steps.tran.name: x"),
            "steps.tran.name: \"steps\" has 1 elements and none is \"tran\" (did you mean "
            "\"train\"?)\n");
  EXPECT_EQ(Apply("steps.train.train.network.layers.7.dense.units: 3"),
            "steps.train.train.network.layers.7.dense.units: \"steps.train.train.network.layers\" "
            "has 2 elements and none is \"7\"\n");
  EXPECT_EQ(Apply("seed.x: 3"), "seed.x: \"seed\" is a single value: nothing is inside it\n");
  EXPECT_EQ(Apply("steps..name: 3"), "steps..name: \"steps\" has 1 elements and none is \"\"\n");
  EXPECT_EQ(Apply("steps.train.train.data.features.0: a"),
            "steps.train.train.data.features.0: \"steps.train.train.data.features\" is set as a "
            "whole: give a list\n");
  EXPECT_EQ(Apply("{seed: x, rate: y}"),
            "rate: expected a number, not \"y\"\nseed: expected a number, not \"x\"\n");
}

TEST_F(ParametersTest, InputsAreReplaced) {
  definition_ = ParseDefinition(kDefinition).definition;
  google::protobuf::Map<std::string, std::string> inputs;
  inputs["events"] = "projects/p/datasets/d";
  inputs["event"] = "x";
  EXPECT_EQ(FormatViolations(ApplyInputs(inputs, &definition_), ""),
            "inputs.event: the definition has no input of that name (did you mean \"events\"?)\n");
  EXPECT_EQ(definition_.inputs().at("events").dataset(), "projects/p/datasets/d");
  EXPECT_FALSE(definition_.inputs().at("events").has_options());
}

}  // namespace
}  // namespace beamline::pipeline
