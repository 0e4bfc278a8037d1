#include "pipeline/yaml.h"

#include <gtest/gtest.h>

#include <string>

#include "google/protobuf/util/message_differencer.h"

namespace beamline::pipeline {
namespace {

constexpr char kGood[] = R"(
# Signal against background.
name: events
description: "a \"test\""
seed: 7
inputs:
  events: {file: events.csv, options: {header: absent, column_names: [a, b, y]}}
steps:
  - name: train
    resources: {cpus: 2, memory_bytes: 512 MiB}
    timeout_seconds: 10 min
    train:
      data:
        input: events
        target: 4
        split: {random: {validation: 0.1, test: 0.2}}
        transforms:
          - standardize:
          - impute: {strategy: median}
      network:
        layers:
          - dense: {units: 30, activation: relu}
          - batch_norm: {}
          - dense: {}
        loss:
          binary_cross_entropy:
          class_weights: {"0": 1, signal: 2.5}
        optimizer: {adam: {learning_rate: 1e-3}}
  - name: evaluate
    evaluate: {model: train, part: test}
  - name: publish
    publish:
      model: train
      name: events
      requirements: [{evaluation: evaluate, metric: auc, at_least: 0.0}]
)";

std::string Errors(std::string_view text) {
  return FormatViolations(ParseDefinition(text).violations, "");
}

TEST(Yaml, ReadsEverythingByTheSchema) {
  const ParsedDefinition parsed = ParseDefinition(kGood);
  ASSERT_EQ(FormatViolations(parsed.violations, ""), "");
  const v1::PipelineDefinition& definition = parsed.definition;
  EXPECT_EQ(definition.seed(), 7);
  EXPECT_EQ(definition.inputs().at("events").options().header(), v1::ImportOptions::HEADER_ABSENT);
  const v1::Step& step = definition.steps(0);
  EXPECT_EQ(step.resources().memory_bytes(), int64_t{512} << 20);
  EXPECT_EQ(step.timeout_seconds(), 600);
  const v1::TrainStep& train = step.train();
  EXPECT_EQ(train.data().target(), "4");
  EXPECT_TRUE(train.data().transforms(0).has_standardize());
  EXPECT_EQ(train.data().transforms(1).impute().strategy(), v1::Impute::STRATEGY_MEDIAN);
  EXPECT_EQ(train.network().layers(0).dense().activation(), v1::ACTIVATION_RELU);
  EXPECT_TRUE(train.network().layers(1).has_batch_norm());
  EXPECT_TRUE(train.network().loss().has_binary_cross_entropy());
  EXPECT_EQ(train.network().loss().class_weights().at("signal"), 2.5);
  EXPECT_EQ(train.network().optimizer().adam().learning_rate(), 1e-3);
  EXPECT_TRUE(definition.steps(2).publish().requirements(0).has_at_least());
}

TEST(Yaml, RemembersWhereFieldsStand) {
  const Positions positions = ParseDefinition(kGood).positions;
  EXPECT_EQ(positions.at("steps.train.train.data.target").line, 15);
  EXPECT_EQ(positions.at("steps.train.train.data.target").column, 9);
  EXPECT_EQ(positions.at("steps.train.train.network.layers.1").line, 23);
  EXPECT_EQ(positions.at("inputs.events").line, 7);
}

TEST(Yaml, WritesWhatItReads) {
  const v1::PipelineDefinition definition = ParseDefinition(kGood).definition;
  const std::string text = WriteYaml(definition);
  const ParsedDefinition again = ParseDefinition(text);
  EXPECT_EQ(FormatViolations(again.violations, ""), "") << text;
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(again.definition, definition))
      << text;
  EXPECT_EQ(WriteYaml(again.definition), text);
  EXPECT_NE(text.find("memory_bytes: 512 MiB"), std::string::npos) << text;
  EXPECT_NE(text.find("target: \"4\""), std::string::npos) << text;
}

TEST(Yaml, ReadsJsonToo) {
  const ParsedDefinition parsed = ParseDefinition(
      "{\"name\": \"a\", \"seed\": 3,\n\t\"steps\": [{\"name\": \"t\", \"train\": {}}]}");
  EXPECT_EQ(FormatViolations(parsed.violations, ""), "");
  EXPECT_EQ(parsed.definition.seed(), 3);
}

struct Case {
  const char* text;
  const char* errors;
};

TEST(Yaml, SaysWhatIsWrongAndWhere) {
  const Case cases[] = {
      {"", "1:1: the text is empty: a definition has at least a name and steps\n"},
      {"# nothing\n", "1:1: the text is empty: a definition has at least a name and steps\n"},
      {"just text",
       "1:1: expected a mapping with name, description, seed, inputs, steps, parameters, not "
       "\"just text\"\n"},
      {"nam: x", "1:1: nam: unknown field \"nam\" (did you mean \"name\"?)\n"},
      {"name: x\nzebra: 1",
       "2:1: zebra: unknown field \"zebra\": there are name, description, seed, inputs, steps, "
       "parameters\n"},
      {"seed: many", "1:7: seed: expected a number, not \"many\"\n"},
      {"seed: 1.5", "1:7: seed: expected a whole number, not \"1.5\"\n"},
      {"seed: -1", "1:7: seed: must be from 0 to 18446744073709551615, not \"-1\"\n"},
      {"seed: [1]", "1:7: seed: expected a single value, not a list\n"},
      {"name:", "1:1: name: has no value\n"},
      {"name: a\nname: b", "2:1: name: is given twice, first on line 1\n"},
      {"steps: train", "1:8: steps: expected a list, not \"train\": write [train]\n"},
      {"inputs: [a]", "1:9: inputs: expected a mapping, not a list\n"},
      {"inputs:\n  a: {file: x, dataset: y}",
       "2:16: inputs.a.dataset: only one of file (line 2) and dataset may be given\n"},
      {"inputs:\n  a: {file: x}\n  a: {file: y}",
       "3:3: inputs.a: is given twice, first on line 2\n"},
      {"steps:\n- name: t\n  resources: {memory_bytes: 12 parsecs}",
       "3:29: steps.t.resources.memory_bytes: expected a size such as 512 MiB, not \"12 "
       "parsecs\"\n"},
      {"steps:\n- name: t\n  timeout_seconds: soon",
       "3:20: steps.t.timeout_seconds: expected a duration such as 10 min, not \"soon\"\n"},
      {"steps:\n- train:\n    network:\n      layers:\n      - dense: {units: 3, activation: rely}",
       "5:39: steps.0.train.network.layers.0.dense.activation: \"rely\" is not one of linear, "
       "relu, "
       "leaky_relu, elu, selu, gelu, silu, tanh, sigmoid, softplus, softmax (did you mean "
       "\"relu\"?)\n"},
      {"steps:\n- train:\n    network:\n      optimizer: {learning_rate: 0.1}",
       "4:19: steps.0.train.network.optimizer.learning_rate: unknown field \"learning_rate\"; it "
       "belongs into sgd or adam or adamw or rmsprop or adagrad or lamb\n"},
      {"steps:\n- train:\n    network:\n      loss: {cross_entropy: {label_smoothing: .nan}}",
       "4:47: steps.0.train.network.loss.cross_entropy.label_smoothing: expected a number, not "
       "\".nan\"\n"},
      {"steps:\n- publish:\n    name: x\n  train: {}",
       "4:3: steps.0.train: only one of publish (line 2) and train may be given\n"},
      {"name: x\nsteps: [}\n", "2:9: not YAML: illegal flow end\n"},
      {"name: x\n---\nname: y",
       "3:1: the text has a second document (after \"---\"): give one a file\n"},
      {"name: \xff", "1:7: the text is not UTF-8: save the file in that encoding\n"},
      {"a: &x [*x]", "1:8: an alias (*) may not stand inside what it refers to\n"},
      {"? [a]\n: b", "1:3: a key must be text, not a list\n"},
      {"seed: x\nnam: y\nsteps: 3",
       "1:7: seed: expected a number, not \"x\"\n"
       "2:1: nam: unknown field \"nam\" (did you mean \"name\"?)\n"
       "3:8: steps: expected a list, not \"3\": write [3]\n"},
  };
  for (const Case& test : cases) EXPECT_EQ(Errors(test.text), test.errors) << test.text;
}

TEST(Yaml, IsBounded) {
  EXPECT_EQ(Errors(std::string(kMaxDefinitionBytes + 1, '#')),
            "the text has 1048577 bytes; at most 1048576 are read\n");
  EXPECT_EQ(Errors(std::string(65, '[') + std::string(65, ']')),
            "1:65: nested deeper than 64 levels\n");
  EXPECT_NE(Errors(std::string(500'000, '[')).find("nested deeper"), std::string::npos);
  // A billion laughs: each list holds the one before it ten times.
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    bomb += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 10; ++i) bomb += std::string(i > 0 ? "," : "") + "*" + char(c - 1);
    bomb += "]\n";
  }
  EXPECT_NE(Errors(bomb).find("more than 200000 values"), std::string::npos);
}

TEST(Yaml, AliasesWork) {
  const ParsedDefinition parsed = ParseDefinition(
      "name: x\nsteps:\n- name: a\n  resources: &big {cpus: 4}\n- {name: b, resources: *big}");
  EXPECT_EQ(FormatViolations(parsed.violations, ""), "");
  EXPECT_EQ(parsed.definition.steps(1).resources().cpus(), 4);
}

}  // namespace
}  // namespace beamline::pipeline
