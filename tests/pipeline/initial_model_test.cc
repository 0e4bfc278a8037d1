// Training that begins with what another model learned.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/core/philox.h"
#include "pipeline/expand.h"
#include "pipeline/model_file.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using testing::Bench;
using ::testing::HasSubstr;

double Metric(const v1::TaskEnd& end, const std::string& name) {
  EXPECT_EQ(end.result().failure().message(), "");
  return end.result().result().evaluation().metrics().at(name);
}

// One text to learn from without labels; few labelled words, in which most letters do not occur.
constexpr char kDownstream[] = R"(
name: fine-tuned
seed: 3
inputs: {text: {dataset: d}, words: {dataset: e}}
steps:
  - name: encoder
    train:
      data:
        input: text
        objective: masked
        windows: {steps: 8}
      network:
        layers: &layers
          - {name: characters, embedding: {dimension: 12, tokens: true}}
          - {name: reader, lstm: {units: 24, sequence: true, bidirectional: true}}
          - {name: head, dense: {}}
        optimizer: {adam: {learning_rate: 0.01}}
        batch_size: 16
        epochs: 12
  - name: random
    train: &classifier
      data:
        input: words
        target: kind
        transforms: [{ordinal: {}}]
        features: [character]
        sequences: {by: word, max_steps: 8}
        split: {column: {column: part, test: [test]}}
      network:
        layers:
          - {name: characters, embedding: {dimension: 12, tokens: true}}
          - {name: reader, lstm: {units: 24, bidirectional: true}}
          - {name: class, dense: {}}
        optimizer: {adam: {learning_rate: 0.003}}
        batch_size: 4
        epochs: 40
  - name: begun
    train: *classifier
  - name: random-measured
    evaluate: {model: random, metrics: [accuracy, log_loss]}
  - name: begun-measured
    evaluate: {model: begun, metrics: [accuracy, log_loss]}
)";

// Letters of two kinds, 30 of each, that stand together: all of a word are of its kind, but for one
// in ten.
std::string Word(uint64_t number, bool second, uint64_t length) {
  const engine::Philox random(21, number);
  std::string word;
  for (uint64_t i = 0; i < length; ++i) {
    const bool other = random.Below(i, 10) == 0;
    const uint64_t letter = 2 * random.Below(100 + i, 30) + (second != other ? 1 : 0);
    word += static_cast<char>('A' + letter);
  }
  return word;
}

Table Text(uint64_t words) {
  std::vector<std::string> characters;
  for (uint64_t i = 0; i < words; ++i) {
    for (const char c : Word(i, i % 2 == 1, 8)) characters.emplace_back(1, c);
  }
  return Table({Column::OfStrings("character", characters)});
}

Table Words(uint64_t train, uint64_t test) {
  std::vector<std::string> character, word, kind, part;
  for (uint64_t i = 0; i < train + test; ++i) {
    for (const char c : Word(1'000'000 + i, i % 2 == 1, 4)) {
      character.emplace_back(1, c);
      word.push_back("w" + std::to_string(i));
      kind.emplace_back(i % 2 == 1 ? "second" : "first");
      part.emplace_back(i < train ? "train" : "test");
    }
  }
  return Table({Column::OfStrings("character", character), Column::OfStrings("word", word),
                Column::OfStrings("kind", kind), Column::OfStrings("part", part)});
}

TEST(InitialModelTest, WhatAnEncoderLearnedWithoutLabelsHelpsAClassifier) {
  Bench bench(kDownstream);
  bench.definition().mutable_steps(2)->mutable_train()->set_initial_model("encoder");
  bench.AddTable("text", Text(1500));
  bench.AddTable("words", Words(8, 400));
  for (const char* step : {"encoder", "random", "begun"}) {
    EXPECT_EQ(bench.Run(step).result().failure().message(), "") << step;
  }
  const double random = Metric(bench.Run("random-measured"), "accuracy");
  const double begun = Metric(bench.Run("begun-measured"), "accuracy");
  RecordProperty("random", std::to_string(random));
  RecordProperty("begun", std::to_string(begun));
  EXPECT_GT(begun, random + 0.1);
  EXPECT_GT(begun, 0.85);
}

// Without a step of training the weights are those of the model it begins with.
TEST(InitialModelTest, TakesWeightsByNameAndCodesByColumn) {
  Bench bench(kDownstream);
  bench.definition().mutable_steps(0)->mutable_train()->mutable_network()->set_epochs(1);
  v1::TrainStep& begun = *bench.definition().mutable_steps(2)->mutable_train();
  begun.set_initial_model("encoder");
  begun.mutable_network()->set_epochs(1);
  begun.mutable_network()->mutable_optimizer()->mutable_sgd()->set_learning_rate(1e-12);
  bench.AddTable("text", Text(100));
  bench.AddTable("words", Words(10, 10));
  bench.Run("encoder");
  const v1::TaskEnd end = bench.Run("begun");
  EXPECT_EQ(end.result().failure().message(), "");
  const ModelFile before = DecodeModel(bench.ModelBytes("encoder")).value();
  const ModelFile after = DecodeModel(bench.ModelBytes("begun")).value();
  int taken = 0;
  for (const engine::NamedTensor& weight : after.tensors) {
    for (const engine::NamedTensor& other : before.tensors) {
      if (other.name != weight.name) continue;
      EXPECT_EQ(other.tensor.shape(), weight.tensor.shape()) << weight.name;
      const auto a = weight.tensor.values<float>();
      const auto b = other.tensor.values<float>();
      for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-6) << weight.name;
      ++taken;
    }
  }
  EXPECT_EQ(taken, 7);  // the table, three of each direction
  EXPECT_EQ(after.card.code_sizes(0), before.card.code_sizes(0));

  begun.mutable_network()->mutable_layers(0)->set_name("other");
  begun.mutable_network()->mutable_layers(1)->set_name("names");
  const v1::TaskEnd nothing = bench.Run("begun");
  EXPECT_THAT(nothing.result().failure().message(),
              HasSubstr("give layers that are alike one name"));
  EXPECT_EQ(nothing.result().failure().field(), "steps.begun.train.initial_model");
}

TEST(InitialModelTest, IsWaitedForAndHandedOver) {
  Bench bench(kDownstream);
  bench.definition().mutable_steps(2)->mutable_train()->set_initial_model("encoder");
  PlannedTask task = PlanTask(bench.definition(), bench.definition().steps(2), {});
  EXPECT_THAT(task.dependencies, ::testing::ElementsAre("encoder"));
  ASSERT_EQ(task.artifacts.size(), 1U);
  EXPECT_EQ(task.artifacts[0].key(), "encoder/model");
  const std::string registered = "projects/p/models/m/versions/2";
  bench.definition().mutable_steps(2)->mutable_train()->set_initial_model(registered);
  task = PlanTask(bench.definition(), bench.definition().steps(2), {});
  EXPECT_THAT(task.models, ::testing::ElementsAre(registered));
  EXPECT_THAT(task.dependencies, ::testing::IsEmpty());
}

}  // namespace
}  // namespace beamline::pipeline
