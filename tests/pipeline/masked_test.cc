// Masked prediction: from a text to guesses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "pipeline/predict.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using testing::Bench;
using ::testing::HasSubstr;
using testing::Metric;
using testing::Rows;

constexpr char kMasked[] = R"(
name: refrain
seed: 1
inputs: {text: {dataset: d}}
steps:
  - name: train
    train:
      data:
        input: text
        objective: masked
        windows: {steps: 12, stride: 5}
        split: {ordered: {test: 0.2}}
      network:
        layers:
          - embedding: {dimension: 16, tokens: true}
          - lstm: {units: 24, sequence: true, bidirectional: true}
          - dense: {}
        optimizer: {adam: {learning_rate: 0.01}}
        batch_size: 16
        epochs: 30
  - name: evaluate
    evaluate: {model: train}
)";

Table Refrain(int times) {
  std::vector<std::string> characters;
  for (int i = 0; i < times; ++i) {
    for (const char c : std::string("row row row your boat, gently down the stream.\n")) {
      characters.emplace_back(1, c);
    }
  }
  return Table({Column::OfStrings("character", characters)});
}

TEST(MaskedTest, GuessesWhatIsHidden) {
  Bench bench(kMasked);
  bench.AddTable("text", Refrain(40));
  const v1::TaskEnd end = bench.RunAll();
  EXPECT_LT(Metric(end, "log_loss"), 0.4);
  EXPECT_GT(Metric(end, "accuracy"), 0.9);
  EXPECT_NEAR(Metric(end, "perplexity"), std::exp(Metric(end, "log_loss")), 1e-9);
  // The loss is over the same tokens: the mask is fixed where a model is measured.
  EXPECT_NEAR(Metric(end, "loss"), Metric(end, "log_loss"), 1e-4);

  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  const auto said = predictor->Predict(Rows(R"([{"character": "g_ntly d_wn"}])")).value();
  ASSERT_EQ(said[0].steps_size(), 11);
  EXPECT_EQ(said[0].steps(1).label(), "e");
  EXPECT_EQ(said[0].steps(8).label(), "o");
  EXPECT_THAT(
      predictor->Predict(Rows(R"([{"character": "gently down the stream"}])")).status().message(),
      HasSubstr("row 1: has 22 steps: the model sees 12 at once"));
}

}  // namespace
}  // namespace beamline::pipeline
