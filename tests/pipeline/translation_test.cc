// From two columns of texts to a model that writes one from the other.
#include "pipeline/translation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "engine/core/philox.h"
#include "engine/nn/network_spec.h"
#include "pipeline/fitted.h"
#include "pipeline/model_file.h"
#include "pipeline/predict.h"
#include "pipeline/texts.h"
#include "pipeline/training.h"
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

// Words of "a" to "d", and what they are backwards.
constexpr char kReverse[] = R"(
name: reverse
seed: 1
inputs: {texts: {dataset: d}}
steps:
  - name: train
    train:
      data:
        input: texts
        objective: translate
        features: [text]
        target: reversed
        split: {random: {validation: 0.1, test: 0.2}}
      network:
        layers:
          - embedding: {dimension: 16, tokens: true}
          - {name: read, gru: {units: 16, sequence: true, bidirectional: true}}
          - {inputs: [target], embedding: {dimension: 16, tokens: true}}
          - {name: state, gru: {units: 32, sequence: true}}
          - {name: finds, inputs: [state, read], attention: {}}
          - {inputs: [state, finds], concat: {}}
          - dense: {units: 32, activation: tanh}
          - dense: {}
        optimizer: {adam: {learning_rate: 0.01}}
        batch_size: 32
        epochs: 12
  - name: evaluate
    evaluate: {model: train, bootstrap: {resamples: 100}}
)";

Table Texts(const std::vector<std::string>& from, const std::vector<std::string>& to) {
  return Table({Column::OfStrings("text", from), Column::OfStrings("reversed", to)});
}

Table Reversed(int rows, uint64_t seed = 3) {
  std::vector<std::string> from, to;
  for (int i = 0; i < rows; ++i) {
    const engine::Philox random(seed, static_cast<uint64_t>(i));
    std::string text;
    for (uint64_t k = 0; k < 1 + random.Below(0, 5); ++k) {
      text += static_cast<char>('a' + random.Below(1 + k, 4));
    }
    from.push_back(text);
    to.emplace_back(text.rbegin(), text.rend());
  }
  return Texts(from, to);
}

std::string FailureOf(Bench& bench) {
  const v1::TaskEnd end = bench.RunAll();
  const v1::Failure& failure = end.result().failure();
  return failure.field() + ": " + failure.message();
}

TEST(TranslationTest, LearnsToReverse) {
  Bench bench(kReverse);
  bench.AddTable("texts", Reversed(1200));
  const v1::TaskEnd end = bench.RunAll();
  EXPECT_GT(Metric(end, "exact_match"), 0.95);
  EXPECT_GT(Metric(end, "accuracy"), 0.98);
  EXPECT_NEAR(Metric(end, "perplexity"), std::exp(Metric(end, "log_loss")), 1e-9);
  EXPECT_NEAR(Metric(end, "loss"), Metric(end, "log_loss"), 1e-4);
  const auto& intervals = end.result().result().evaluation().intervals();
  ASSERT_TRUE(intervals.contains("exact_match"));
  EXPECT_LE(intervals.at("exact_match").low(), Metric(end, "exact_match"));

  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  const auto said =
      predictor->Predict(Rows(R"([{"text": "abcd"}, {"text": "d", "reversed": "?"}])")).value();
  EXPECT_EQ(said[0].label(), "dcba");
  EXPECT_THAT(said[0].tokens(), ElementsAre("d", "c", "b", "a"));
  ASSERT_EQ(said[0].probabilities_size(), 1);
  EXPECT_GT(said[0].probabilities(0), 0.5);
  EXPECT_LE(said[0].probabilities(0), 1);
  EXPECT_EQ(said[1].label(), "d");
  // A character that no training row had is read as unknown.
  EXPECT_TRUE(predictor->Predict(Rows(R"([{"text": "aé"}])")).ok());
  EXPECT_THAT(predictor->Predict(Rows(R"([{"text": "abcdab"}])")).status().message(),
              HasSubstr("row 1, column \"text\": the text has 6 characters, but the model reads at "
                        "most 5"));
  EXPECT_THAT(predictor->Predict(Rows(R"([{"text": null}])")).status().message(),
              HasSubstr("row 1, column \"text\": the text is missing"));
  EXPECT_THAT(predictor->Predict(Rows(R"([{"reversed": "ab"}])")).status().message(),
              HasSubstr("row 1, column \"text\": is missing"));
}

// The way back: a side's codes are its own, as only those of a target have an end.
TEST(TranslationTest, BeginsWithTheModelOfTheWayBack) {
  std::string both = kReverse;
  const std::string train = both.substr(both.find("  - name: train"));
  std::string back = train.substr(0, train.find("  - name: evaluate"));
  back.replace(back.find("name: train"), 11, "name: back");
  back.replace(back.find("features: [text]"), 16, "features: [reversed]");
  back.replace(back.find("target: reversed"), 16, "target: text");
  Bench bench(both + back + "      initial_model: train\n");
  bench.AddTable("texts", Reversed(200));
  ASSERT_EQ(bench.Run("train").result().failure().message(), "");
  ASSERT_EQ(bench.Run("back").result().failure().message(), "");
  const v1::ModelCard card = DecodeModel(bench.ModelBytes("back")).value().card;
  const engine::data::FittedTransforms fitted = FromCard(card);
  EXPECT_EQ(fitted.columns[0].categories[0], "a");
  EXPECT_EQ(fitted.columns[1].categories[0], "");
}

// What greedy decoding writes is what the model says of its own text, and a row is an exact match
// if and only if its target is written.
TEST(TranslationTest, WritesWhatItSaysStepByStep) {
  Bench bench(kReverse);
  bench.definition().mutable_steps(0)->mutable_train()->mutable_network()->set_epochs(3);
  bench.AddTable("texts", Reversed(300));
  bench.RunAll();
  const ModelFile model = DecodeModel(bench.ModelBytes("train")).value();
  const Inference inference = PrepareInference(model.card);
  const auto learner = MakeLearner(inference);
  learner->SetWeights(model.tensors);
  const Table table = Reversed(200, 4);
  const auto rows = engine::data::AllRows(table);
  const TextSource source(inference.transforms, table, rows, model.card.data(), inference.layout,
                          {}, 1 << 20);
  const std::vector<Written> written = WriteTargets(*learner, source);
  const std::vector<TokenSums> sums = SumTranslated(*learner, source);
  const int64_t told = inference.layout.target_codes, all = inference.layout.code_columns;
  ASSERT_EQ(all, 5 + 6);
  int exact = 0, full = 0;
  for (const int64_t row : rows) {
    const Written& of_row = written[static_cast<size_t>(row)];
    std::vector<int32_t> codes(static_cast<size_t>(all));
    source.Gather({&row, 1}, {.codes = codes.data()});
    std::vector<int32_t> target(codes.end() - told, codes.end());
    // Its own text in place of the target.
    engine::MemoryBatch own;
    own.rows = 1;
    own.layout = inference.layout;
    own.codes = codes;
    std::fill(own.codes.end() - told, own.codes.end(), -1);
    std::copy(of_row.codes.begin(), of_row.codes.end(), own.codes.end() - told);
    const engine::Predictions said = learner->Predict(engine::MemoryBatchSource(own));
    const std::span<const float> p = said.probabilities.values<float>();
    const size_t vocabulary = p.size() / static_cast<size_t>(told);
    double probability = 1;
    for (size_t step = 0; step <= of_row.codes.size() && step + 1 < static_cast<size_t>(told);
         ++step) {
      const auto at = p.subspan(step * vocabulary, vocabulary);
      const auto best = std::max_element(at.begin() + 1, at.end()) - at.begin();
      EXPECT_EQ(best, step < of_row.codes.size() ? of_row.codes[step] : engine::kBoundaryCode);
      probability *= static_cast<double>(at[static_cast<size_t>(best)]);
    }
    EXPECT_EQ(probability, of_row.probability);
    full += static_cast<int64_t>(of_row.codes.size()) == told - 1 ? 1 : 0;
    target.erase(std::find(target.begin(), target.end(), engine::kBoundaryCode), target.end());
    EXPECT_EQ(sums[static_cast<size_t>(row)].whole == 1, of_row.codes == target) << row;
    exact += of_row.codes == target ? 1 : 0;
  }
  // Some of each, or nothing was compared.
  EXPECT_GT(exact, 10);
  EXPECT_LT(exact, 190);
  EXPECT_GT(full, 0);
}

TEST(TranslationTest, TokensAreCharactersOrWords) {
  using v1::Translation;
  EXPECT_THAT(TextTokens("aé €𝄞", Translation::TOKENS_UNSPECIFIED),
              ElementsAre("a", "é", " ", "€", "𝄞"));
  EXPECT_THAT(TextTokens("  the\tlittle\xC2\xA0house\n", Translation::TOKENS_WORDS),
              ElementsAre("the", "little", "house"));
  EXPECT_THAT(TextTokens("zero\xE2\x80\x8Bwidth", Translation::TOKENS_WORDS),
              ElementsAre("zero\xE2\x80\x8Bwidth"));
  EXPECT_THAT(TextTokens(" \n", Translation::TOKENS_WORDS), ElementsAre());
  EXPECT_EQ(JoinTokens({"a", "b"}, Translation::TOKENS_WORDS), "a b");
  EXPECT_EQ(JoinTokens({"a", "b"}, Translation::TOKENS_CHARACTERS), "ab");
}

TEST(TranslationTest, VocabulariesAreOfTheTrainingRows) {
  const Table table = Texts({"ba", "xc", "ab", "b"}, {"1", "9", "22", "3"});
  SplitExamples parts;
  parts.train.heads = parts.training_rows = {0, 2};
  parts.validation.heads = {3};
  parts.test.heads = {1};
  v1::TrainingData data;
  data.set_objective(v1::OBJECTIVE_TRANSLATE);
  data.add_features("text");
  data.set_target("reversed");
  const auto fitted = FitTexts(table, parts, &data);
  EXPECT_THAT(fitted.columns[0].categories, ElementsAre("a", "b"));
  EXPECT_THAT(fitted.columns[1].categories, ElementsAre("", "1", "2"));
  EXPECT_EQ(data.translation().max_source(), 2);
  EXPECT_EQ(data.translation().max_target(), 2);
  engine::BatchLayout layout;
  layout.code_columns = 5;
  layout.target_codes = 3;
  for (const int64_t memory_bytes : {0, 1000}) {
    const TextSource source(fitted, table, {1, 2}, data, layout, {}, memory_bytes);
    std::vector<int32_t> codes(10);
    const std::vector<int64_t> both = {0, 1};
    source.Gather(both, {.codes = codes.data()});
    // "x", "c" and "9" are unknown; each target ends with the boundary.
    EXPECT_THAT(codes, ElementsAre(0, 0, 0, 1, -1, 1, 2, 3, 3, 1)) << memory_bytes;
  }
}

TEST(TranslationTest, LearnsWords) {
  Bench bench(kReverse);
  v1::TrainStep& train = *bench.definition().mutable_steps(0)->mutable_train();
  train.mutable_data()->mutable_translation()->set_tokens(v1::Translation::TOKENS_WORDS);
  std::vector<std::string> from, to;
  const std::vector<std::string> words = {"one", "two", "three", "four"};
  const std::vector<std::string> others = {"eins", "zwei", "drei", "vier"};
  for (size_t i = 0; i < 320; ++i) {
    from.push_back(words[i % 4] + "  " + words[i / 4 % 4]);
    to.push_back(others[i / 4 % 4] + " " + others[i % 4]);
  }
  bench.AddTable("texts", Texts(from, to));
  EXPECT_GT(Metric(bench.RunAll(), "exact_match"), 0.95);
  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  const auto said = predictor->Predict(Rows(R"([{"text": "one\tfour"}])")).value();
  EXPECT_EQ(said[0].label(), "vier eins");
}

// Why such texts cannot be learned.
std::string Refused(const std::vector<std::string>& from, const std::vector<std::string>& to,
                    int64_t max_target = 0) {
  SplitExamples parts;
  for (size_t i = 0; i < from.size(); ++i) parts.train.heads.push_back(static_cast<int64_t>(i));
  parts.training_rows = parts.train.heads;
  v1::TrainingData data;
  data.set_objective(v1::OBJECTIVE_TRANSLATE);
  data.add_features("text");
  data.set_target("reversed");
  data.mutable_translation()->set_max_target(max_target);
  data.mutable_translation()->set_tokens(v1::Translation::TOKENS_WORDS);
  try {
    FitTexts(Texts(from, to), parts, &data);
  } catch (const engine::Error& error) {
    return error.what();
  }
  return "";
}

TEST(TranslationTest, TextsThatCannotBeLearnedAreNamed) {
  EXPECT_EQ(Refused({"a", "b"}, {"x", "x y"}, 2), "");
  EXPECT_EQ(Refused({"a", "b", "c"}, {"x", "x y z", "y"}, 2),
            "row 2, column \"reversed\": the text has 3 words, but max_target is 2: set it to 3, "
            "leave it out, or shorten the text");
  EXPECT_EQ(Refused({"a", "b", "c\xFF"}, {"x", "y", "z"}),
            "row 3, column \"text\": the text is not UTF-8 (byte 2): convert the file");
  EXPECT_EQ(Refused({"a", "b"}, {"x", ""}),
            "row 2, column \"reversed\": the text is missing: remove the row");
  EXPECT_EQ(Refused({"a", " "}, {"x", "y"}),
            "row 2, column \"text\": the text has no words: remove the row");
}

TEST(TranslationTest, TheStepNamesTheField) {
  Bench bench(kReverse);
  v1::TrainingData& data = *bench.definition().mutable_steps(0)->mutable_train()->mutable_data();
  data.mutable_translation()->set_max_target(2);
  bench.AddTable("texts", Reversed(50));
  EXPECT_THAT(FailureOf(bench),
              HasSubstr("steps.train.train.data.translation: row 2, column \"reversed\": the text "
                        "has 5 characters, but max_target is 2"));
}

// Each token is a pass over source and target: long texts come in several calls.
TEST(TranslationTest, RowsOfOneCallAreBounded) {
  Bench bench(R"(
name: long
seed: 1
inputs: {texts: {dataset: d}}
steps:
  - name: train
    train:
      data:
        input: texts
        objective: translate
        features: [text]
        target: reversed
        translation: {max_source: 4000, max_target: 40}
      network:
        layers:
          - {name: read, embedding: {dimension: 2, tokens: true}}
          - {name: told, inputs: [target], embedding: {dimension: 2, tokens: true}}
          - {inputs: [told, read], attention: {}}
          - dense: {}
        epochs: 1
)");
  bench.AddTable("texts", Reversed(8));
  EXPECT_EQ(bench.RunAll().result().failure().message(), "");
  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  std::string rows = R"([{"text": "a"})";
  for (int i = 1; i < 104; ++i) rows += R"(, {"text": "a"})";
  EXPECT_EQ(predictor->Predict(Rows(rows + "]")).status().message(),
            "there are 104 rows; at most 103 are translated at once by this model");
  const auto said = predictor->Predict(Rows(R"([{"text": "a"}])")).value();
  EXPECT_LE(said[0].tokens_size(), 40);

  ModelFile model = DecodeModel(bench.ModelBytes("train")).value();
  model.card.mutable_data()->mutable_translation()->set_max_target(40'000);
  const auto longer = Predictor::Load(EncodeModel(model).value()).value();
  EXPECT_EQ(longer->Predict(Rows(R"([{"text": "a"}])")).status().message(),
            "texts of up to 4000 and 40000 tokens are too long to be translated while one waits: "
            "let a predict step do it");
}

TEST(TranslationTest, WatchesExactMatch) {
  Bench bench(kReverse);
  v1::TrainStep& train = *bench.definition().mutable_steps(0)->mutable_train();
  train.mutable_network()->mutable_early_stopping()->set_metric("exact_match");
  train.mutable_network()->mutable_early_stopping()->set_patience(3);
  train.mutable_network()->mutable_loss()->mutable_cross_entropy()->set_label_smoothing(0.1);
  bench.AddTable("texts", Reversed(600));
  EXPECT_GT(Metric(bench.RunAll(), "exact_match"), 0.5);
  bool told = false;
  for (const v1::Event& event : bench.sink().events) {
    told = told || event.metric().name() == "validation_exact_match";
  }
  EXPECT_TRUE(told);
}

}  // namespace
}  // namespace beamline::pipeline
