// Models that generate, from the definition to samples.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "engine/core/philox.h"
#include "pipeline/predict.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using testing::Bench;
using ::testing::HasSubstr;

constexpr char kDefinition[] = R"(
name: ring
seed: 3
inputs: {points: {dataset: d}}
steps:
  - name: train
    train:
      data:
        input: points
        exclude: [name]
        split: {random: {validation: 0.1}}
      adversarial:
        latent: 2
        gradient_penalty: 0.02
        batch_size: 128
        epochs: 40
        generator:
          layers:
            - dense: {units: 64, activation: relu}
            - dense: {units: 64, activation: relu}
            - dense: {units: 64, activation: relu}
            - dense: {}
          optimizer: {adam: {learning_rate: 0.002, beta1: 0.5, beta2: 0.9}}
        discriminator:
          layers:
            - dense: {units: 64, activation: tanh}
            - dense: {units: 64, activation: tanh}
            - dense: {units: 64, activation: tanh}
            - dense: {}
          optimizer: {adam: {learning_rate: 0.002, beta1: 0.5, beta2: 0.9}}
  - name: publish
    publish: {model: train, name: ring}
)";

constexpr double kDeviation = 1;
constexpr double kRadius = 20;

// Eight normal distributions around (1000, -50), the rows in turn.
Table Points(int64_t rows) {
  const engine::Philox random(1, 2);
  std::vector<double> x, y;
  std::vector<std::string> name;
  for (int64_t i = 0; i < rows; ++i) {
    const auto at = static_cast<uint64_t>(2 * i);
    const double angle = static_cast<double>(i % 8) * std::acos(-1.0) / 4;
    x.push_back(1000 + kRadius * std::cos(angle) + kDeviation * random.Normal(at));
    y.push_back(-50 + kRadius * std::sin(angle) + kDeviation * random.Normal(at + 1));
    name.emplace_back("row");
  }
  return Table({Column::Of("x", x), Column::Of("y", y), Column::OfStrings("name", name)});
}

google::protobuf::RepeatedPtrField<google::protobuf::Struct> Rows(int count) {
  google::protobuf::RepeatedPtrField<google::protobuf::Struct> rows;
  for (int i = 0; i < count; ++i) rows.Add();
  return rows;
}

v1::TaskEnd Passed(v1::TaskEnd end) {
  EXPECT_EQ(end.result().failure().message(), "");
  EXPECT_EQ(end.result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED);
  return end;
}

// A short training, where only its being the same counts.
void Shorten(Bench& bench) {
  bench.definition().mutable_steps(0)->mutable_train()->mutable_adversarial()->set_epochs(2);
}

TEST(Adversarial, DrawsSamplesOfEveryMode) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(8000));
  const v1::TaskEnd trained = Passed(bench.Run("train"));
  const v1::ModelCard& card = trained.result().card();
  EXPECT_FALSE(card.has_network());
  EXPECT_EQ(card.adversarial().loss(), v1::ADVERSARIAL_LOSS_NON_SATURATING);
  EXPECT_EQ(card.adversarial().discriminator_steps(), 1);
  EXPECT_EQ(card.adversarial().generator().layers(3).dense().units(), 2);
  EXPECT_EQ(card.parameter_count(), 2 * 64 + 64 + 2 * (64 * 64 + 64) + 64 * 2 + 2);
  // 2 log 2: nobody can tell them apart.
  EXPECT_NEAR(trained.result().result().metrics().at("validation_loss"), 2 * std::log(2), 0.1);
  Passed(bench.Run("publish"));

  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  const auto samples = predictor->Predict(Rows(2000)).value();
  ASSERT_EQ(samples.size(), 2000u);
  std::vector<int> of_mode(8);
  int good = 0;
  for (const v1::Prediction& sample : samples) {
    ASSERT_EQ(sample.sample_size(), 2);  // In the scale of the columns.
    for (int mode = 0; mode < 8; ++mode) {
      const double angle = mode * std::acos(-1.0) / 4;
      const double dx = sample.sample(0) - 1000 - kRadius * std::cos(angle);
      const double dy = sample.sample(1) + 50 - kRadius * std::sin(angle);
      if (std::hypot(dx, dy) > 4 * kDeviation) continue;
      ++of_mode[static_cast<size_t>(mode)];
      ++good;
    }
  }
  EXPECT_GE(good, 1800);
  for (const int count : of_mode) EXPECT_GE(count, 2000 / 80);
}

TEST(Adversarial, TheSameNumberGivesTheSameSample) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(500));
  Shorten(bench);
  Passed(bench.Run("train"));
  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  const auto all = predictor->Predict(Rows(20)).value();
  const auto some = predictor->Predict(Rows(3), {.first_sample = 10}).value();
  EXPECT_EQ(some[2].SerializeAsString(), all[12].SerializeAsString());
  EXPECT_NE(all[0].SerializeAsString(), all[1].SerializeAsString());
  const auto far = predictor->Predict(Rows(1), {.first_sample = int64_t{1} << 40}).value();
  EXPECT_NE(far[0].SerializeAsString(), all[0].SerializeAsString());
  EXPECT_THAT(std::string(predictor->Predict(Rows(1), {.first_sample = -1}).status().message()),
              HasSubstr("first_sample: must be from 0"));
  EXPECT_THAT(std::string(predictor->Predict(Rows(1), {.reconstruction = true}).status().message()),
              HasSubstr("reconstructs nothing"));
}

TEST(Adversarial, GivesTheSameModelAfterAnyCheckpointAndForAnyThreads) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(500));
  Shorten(bench);
  v1::TrainStep& train = *bench.definition().mutable_steps(0)->mutable_train();
  train.mutable_adversarial()->set_discriminator_steps(2);
  Passed(bench.Run("train"));
  const std::string model = bench.ModelBytes("train");
  train.mutable_checkpoint()->set_every_steps(3);
  Passed(bench.Run("train"));
  ASSERT_FALSE(bench.sink().checkpoints.empty());
  v1::TaskStart start = bench.Start("train");
  start.set_threads(3);
  start.mutable_attempt()->mutable_checkpoint();
  (*start.mutable_input_paths())["checkpoint"] = bench.sink().checkpoints.back().path();
  bench.sink().events.clear();
  Passed(bench.Run("train", start));
  EXPECT_EQ(bench.ModelBytes("train") == model, true);
  // It did go on, and says what both networks lose.
  bool resumed = false, generator_loss = false;
  for (const v1::Event& event : bench.sink().events) {
    resumed = resumed || event.log().text().starts_with("goes on from step ");
    generator_loss = generator_loss || event.metric().name() == "generator_loss";
  }
  EXPECT_TRUE(resumed);
  EXPECT_TRUE(generator_loss);
}

}  // namespace
}  // namespace beamline::pipeline
