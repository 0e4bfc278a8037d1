// Word vectors: from a text to neighbours, in searches, and as what a network begins with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "engine/core/philox.h"
#include "pipeline/model_file.h"
#include "pipeline/predict.h"
#include "pipeline/validate.h"
#include "pipeline/violation.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using testing::Bench;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Metric;
using testing::Rows;
using ::testing::StartsWith;

constexpr char kWords[] = R"(
name: sentences
seed: 5
inputs: {text: {dataset: d}}
steps:
  - name: train
    train:
      data:
        input: text
        objective: embed
        features: [word]
        windows: {steps: 16}
        split: {ordered: {validation: 0.1, test: 0.1}}
      word_vectors: {dimensions: 12, reach: 1, subsample: 0, learning_rate: 0.1, epochs: 6}
  - name: evaluate
    evaluate: {model: train}
  - name: language
    train:
      data:
        input: text
        objective: next_token
        features: [word]
        windows: {steps: 8}
      network:
        layers:
          - {name: vectors, embedding: {dimension: 12, tokens: true}}
          - {name: reader, lstm: {units: 4, sequence: true}}
          - {name: head, dense: {}}
        optimizer: {sgd: {learning_rate: 1.0e-12}}
        epochs: 1
      initial_model: train
)";

// Sentences "article noun verb", of ten words of each kind: "a3 n7 v0 a1 ...".
Table Sentences(int64_t words) {
  const engine::Philox random(4, 4);
  std::vector<std::string> all;
  for (int64_t i = 0; i < words; ++i) {
    all.push_back(std::string(1, "anv"[i % 3]) +
                  std::to_string(random.Below(static_cast<uint64_t>(i), 10)));
  }
  return Table({Column::OfStrings("word", all)});
}

class WordVectorsPipeline : public ::testing::Test {
 protected:
  WordVectorsPipeline() : bench_(kWords) { bench_.AddTable("text", Sentences(12000)); }
  v1::TaskEnd Run(const std::string& step) {
    v1::TaskEnd end = bench_.Run(step);
    EXPECT_EQ(end.result().failure().message(), "") << step;
    return end;
  }

  Bench bench_;
};

TEST_F(WordVectorsPipeline, NeighboursAreOfTheSameKind) {
  const v1::TaskEnd trained = Run("train");
  const v1::TaskEnd measured = Run("evaluate");
  const double loss = Metric(measured, "loss");
  EXPECT_LT(loss, 0.95 * 6 * std::log(2));
  EXPECT_EQ(measured.result().result().metrics().size(), 1);
  EXPECT_NEAR(trained.result().result().metrics().at("validation_loss"), loss, 0.1);
  const ModelFile model = DecodeModel(bench_.ModelBytes("train")).value();
  ASSERT_EQ(model.card.classes_size(), 31);
  EXPECT_EQ(model.card.classes(0), "");
  std::vector<std::string> shapes;
  for (const engine::NamedTensor& tensor : model.tensors) {
    shapes.push_back(tensor.name + " " + std::to_string(tensor.tensor.shape().dim(0)));
  }
  EXPECT_THAT(shapes, ElementsAre("contexts 31", "counts 31", "vectors 31"));

  const auto predictor = Predictor::Load(bench_.ModelBytes("train")).value();
  PredictOptions options;
  options.drawing.tokens = 9;
  const auto said =
      predictor
          ->Predict(Rows(R"([{"word": ["n4"]}, {"word": ["v1", "v2"]}, {"word": ["x", "a0"]}])"),
                    options)
          .value();
  double squares = 0;
  for (const double x : said[0].embedding()) squares += x * x;
  EXPECT_EQ(said[0].embedding_size(), 12);
  EXPECT_NEAR(squares, 1, 1e-6);
  ASSERT_EQ(said[0].tokens_size(), 9);
  for (const std::string& token : said[0].tokens()) {
    EXPECT_THAT(token, StartsWith("n"));
    EXPECT_NE(token, "n4");
  }
  // Eight are left beside two, and the next one is of another kind.
  for (int i = 0; i < 8; ++i) EXPECT_THAT(said[1].tokens(i), StartsWith("v"));
  EXPECT_THAT(said[2].tokens(0), StartsWith("a"));
}

// A blank between sentences is no word.
TEST(WordVectorsOfTexts, MissingWordsAreNone) {
  Bench bench(kWords);
  const Table whole = Sentences(12000);
  std::vector<std::string> words;
  for (int64_t i = 0; i < whole.rows(); ++i) {
    words.push_back(i % 7 == 3 ? "" : whole.Get("word").Text(i));
  }
  bench.AddTable("text", Table({Column::OfStrings("word", words)}));
  ASSERT_EQ(bench.Run("train").result().failure().message(), "");
  const ModelFile model = DecodeModel(bench.ModelBytes("train")).value();
  EXPECT_EQ(model.tensors[1].tensor.values<int64_t>()[0], 0);
  for (const float x : model.tensors[2].tensor.values<float>().first(12)) EXPECT_EQ(x, 0);
  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  EXPECT_FALSE(predictor->Predict(Rows(R"([{"word": ["x"]}])")).ok());
}

TEST_F(WordVectorsPipeline, VectorsOfOneCallAreBounded) {
  Run("train");
  ModelFile model = DecodeModel(bench_.ModelBytes("train")).value();
  for (engine::NamedTensor& tensor : model.tensors) {
    if (tensor.name == "counts") continue;
    tensor.tensor = engine::Tensor(engine::Shape({31, 4096}), engine::DType::kFloat32);
  }
  model.card.mutable_learner()->mutable_word_vectors()->set_dimensions(4096);
  const auto predictor = Predictor::Load(EncodeModel(model).value()).value();
  std::string rows = R"([{"word": ["n1"]})";
  for (int i = 1; i < 1025; ++i) rows += R"(, {"word": ["n1"]})";
  EXPECT_EQ(predictor->Predict(Rows(rows + "]")).status().message(),
            "there are 1025 rows; at most 1024 vectors are given at once by this model");
}

TEST_F(WordVectorsPipeline, RefusesWhatItCannotAnswer) {
  Run("train");
  const auto predictor = Predictor::Load(bench_.ModelBytes("train")).value();
  const auto error = [&](const std::string& rows, const PredictOptions& options = {}) {
    return std::string(predictor->Predict(Rows(rows), options).status().message());
  };
  EXPECT_THAT(error(R"([{"word": ["n1"]}, {"word": ["x"]}])"),
              HasSubstr("row 2: the model knows none of its tokens"));
  EXPECT_THAT(error(R"([{"word": []}])"), HasSubstr("row 1: has 0 steps"));
  PredictOptions options;
  options.drawing.tokens = 3;
  options.drawing.temperature = 0.5;
  EXPECT_THAT(error(R"([{"word": ["n1"]}])", options), HasSubstr("temperature"));
}

// With a rate of nearly nothing the network's table stays what it begins with.
TEST_F(WordVectorsPipeline, NetworksBeginWithThem) {
  Run("train");
  Run("language");
  const ModelFile words = DecodeModel(bench_.ModelBytes("train")).value();
  const ModelFile network = DecodeModel(bench_.ModelBytes("language")).value();
  const engine::Tensor* table = nullptr;
  for (const engine::NamedTensor& tensor : network.tensors) {
    if (tensor.name == "vectors.table") table = &tensor.tensor;
  }
  ASSERT_NE(table, nullptr);
  const auto vectors = words.tensors[2].tensor.values<float>();
  ASSERT_EQ(table->values<float>().size(), vectors.size());
  for (size_t i = 0; i < vectors.size(); ++i)
    EXPECT_NEAR(table->values<float>()[i], vectors[i], 1e-6);
}

TEST_F(WordVectorsPipeline, NetworksNeedALayerForThem) {
  EXPECT_EQ(FormatViolations(Validate(bench_.definition()).violations, ""), "");
  v1::Layer& layer =
      *bench_.definition().mutable_steps(2)->mutable_train()->mutable_network()->mutable_layers(0);
  layer.set_name("words");
  EXPECT_EQ(
      FormatViolations(Validate(bench_.definition()).violations, ""),
      "steps.language.train.initial_model: step \"train\" makes vectors of tokens, and no layer "
      "takes them: give an embedding the name \"vectors\"\n");
}

// A rung of successive halving goes on to what a whole training gives.
TEST_F(WordVectorsPipeline, EpochsAreDealtOut) {
  Run("train");
  const std::string whole = bench_.ModelBytes("train");
  v1::Search& search = *bench_.definition().mutable_steps(0)->mutable_search();
  search.mutable_successive_halving()->set_trials(2);
  (*search.mutable_space())["train.word_vectors.reach"]
      .mutable_choice()
      ->add_values()
      ->set_number_value(1);
  v1::TaskStart start = bench_.Start("train");
  v1::Trial& trial = *start.mutable_attempt()->mutable_trial();
  trial.set_number(1);
  trial.set_epochs(2);
  const v1::TaskEnd end = bench_.Run("train", start);
  ASSERT_EQ(end.result().failure().message(), "");
  EXPECT_EQ(end.result().result().metrics().at("epochs"), 2);
  EXPECT_TRUE(end.artifact_paths().contains("checkpoint"));
}

}  // namespace
}  // namespace beamline::pipeline
