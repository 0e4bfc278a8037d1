// Transformers, from definition to training: layers, next tokens, bits, checkpoints.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "engine/backend/backend.h"
#include "engine/nn/network.h"
#include "tests/engine/learners/toy.h"
#include "tests/engine/learners/transformer.h"

namespace beamline::engine {
namespace {

using testing::EncoderDecoder;
using ::testing::HasSubstr;
using testing::LanguageModel;
using testing::Make;
using testing::MakeLanguageModel;
using testing::TokenRows;
using testing::Train;
using testing::WeightBytes;

template <typename Action>
std::string ErrorOf(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(TransformerTest, LearnsWhatTokenFollows) {
  const MemoryBatchSource training = TokenRows(400, 13, 11, 1);
  const MemoryBatchSource test = TokenRows(100, 13, 11, 2);
  for (const bool rotary : {false, true}) {
    LanguageModel model;
    model.rotary = rotary;
    NetworkSpec spec = MakeLanguageModel(model);
    spec.epochs = 6;
    const auto learner = Make(spec, training, &test);
    EXPECT_NEAR(learner->Evaluate(test).loss, std::log(11.0), 0.5);
    const StepReport report = Train(learner.get());
    // The entropy of what is drawn is 0.33 nats.
    EXPECT_LT(report.validation_loss, 0.6);
    const Evaluation evaluation = learner->Evaluate(test);
    EXPECT_EQ(evaluation.weight_sum, 100 * 12);
  }
}

TEST(TransformerTest, PredictsTheNextTokenAtEveryStep) {
  const MemoryBatchSource data = TokenRows(30, 7, 11, 1);
  const NetworkSpec spec = MakeLanguageModel({});
  const auto learner = Make(spec, data);
  const Predictions predictions = learner->Predict(data);
  ASSERT_EQ(predictions.probabilities.shape(), Shape({30, 6, 11}));
  const std::span<const float> p = predictions.probabilities.values<float>();
  double sum = 0;
  for (const float x : p) sum += x;
  EXPECT_NEAR(sum, 30 * 6, 1e-3);
  // Evaluation's loss is the mean of -log p of what follows.
  std::vector<int32_t> codes(30 * 7);
  std::vector<int64_t> rows(30);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int64_t>(i);
  BatchView view;
  view.codes = codes.data();
  data.Gather(rows, view);
  double loss = 0;
  for (size_t i = 0; i < 30; ++i) {
    for (size_t t = 0; t < 6; ++t) {
      loss -= std::log(p[(i * 6 + t) * 11 + static_cast<size_t>(codes[i * 7 + t + 1])]);
    }
  }
  EXPECT_NEAR(learner->Evaluate(data).loss, loss / (30 * 6), 1e-5);
}

TEST(TransformerTest, ACausalModelDoesNotSeeWhatFollows) {
  MemoryBatch batch;
  batch.rows = 2;
  batch.layout.code_columns = 6;
  batch.codes = {1, 2, 3, 4, 5, 6, 1, 2, 3, 9, 8, 7};
  const MemoryBatchSource data(std::move(batch));
  for (const bool rotary : {false, true}) {
    LanguageModel model;
    model.rotary = rotary;
    const NetworkSpec spec = MakeLanguageModel(model);
    const Predictions predictions = Make(spec, data)->Predict(data);
    const std::span<const float> p = predictions.outputs.values<float>();
    for (size_t i = 0; i < 3 * 11; ++i) EXPECT_EQ(p[i], p[5 * 11 + i]);
    EXPECT_NE(p[3 * 11], p[8 * 11]);
  }
}

TEST(TransformerTest, UnknownTokensWeighNothing) {
  const MemoryBatchSource data = TokenRows(30, 7, 11, 1, true);
  const NetworkSpec spec = MakeLanguageModel({});
  const auto learner = Make(spec, data);
  double known = 0;
  for (int64_t i = 0; i < 30; ++i) known += i % 3 == 2 ? static_cast<double>(i % 7) : 6;
  EXPECT_EQ(learner->Evaluate(data).weight_sum, known);
  EXPECT_TRUE(std::isfinite(Train(learner.get()).loss));
}

MemoryBatchSource PaddedRows(int64_t rows) {
  MemoryBatch batch;
  batch.rows = rows;
  batch.layout.code_columns = 5;
  batch.layout.features = 12;
  batch.layout.targets = 1;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < 5; ++j) {
      batch.codes.push_back(j <= i % 5 ? static_cast<int32_t>((i + 2 * j) % 11) : -1);
    }
    for (int64_t j = 0; j < 12; ++j) batch.features.push_back(0.1f * static_cast<float>(i * j % 7));
    batch.targets.push_back(0.5f * static_cast<float>(i % 4));
  }
  return MemoryBatchSource(std::move(batch));
}

TEST(TransformerTest, BitsDependOnNeitherThreadsNorInstructionSet) {
  const MemoryBatchSource tokens = TokenRows(20, 40, 11, 1);
  const MemoryBatchSource padded = PaddedRows(30);
  LanguageModel model;
  model.width = 48;
  model.hidden = 100;
  std::vector<std::string> expected(3);
  for (const std::string_view backend : AvailableBackends()) {
    if (!backend.starts_with("cpu")) continue;
    for (const int threads : {1, 2, 3, 4, 8}) {
      for (size_t i = 0; i < 3; ++i) {
        model.rotary = i == 1;
        NetworkSpec spec = i == 2 ? EncoderDecoder() : MakeLanguageModel(model);
        spec.backend = backend;
        spec.threads = threads;
        spec.epochs = 1;
        const auto learner = Make(spec, i == 2 ? padded : tokens);
        Train(learner.get());
        const std::string bytes = WeightBytes(*learner);
        if (expected[i].empty()) expected[i] = bytes;
        EXPECT_TRUE(bytes == expected[i]) << backend << ", " << threads << ", model " << i;
      }
    }
  }
}

TEST(TransformerTest, AgreesWithTheReference) {
  const MemoryBatchSource tokens = TokenRows(32, 9, 11, 1, true);
  const MemoryBatchSource padded = PaddedRows(32);
  for (const bool decoder : {false, true}) {
    NetworkSpec spec = decoder ? EncoderDecoder() : MakeLanguageModel({});
    const auto fast = Make(spec, decoder ? padded : tokens);
    spec.backend = "reference";
    const auto slow = Make(spec, decoder ? padded : tokens);
    StepReport a, b;
    while (fast->Step(&a) && slow->Step(&b)) EXPECT_NEAR(a.loss, b.loss, 1e-4);
  }
}

TEST(TransformerTest, ResumesAtEveryStepWithTheSameBits) {
  const MemoryBatchSource training = TokenRows(30, 9, 11, 1, true);
  const MemoryBatchSource validation = TokenRows(10, 9, 11, 2);
  NetworkSpec spec = MakeLanguageModel({});
  spec.early_stopping.patience = 2;
  const auto whole = Make(spec, training, &validation);
  Train(whole.get());
  const std::string expected = WeightBytes(*whole);
  for (int64_t cut = 0; cut <= whole->step(); ++cut) {
    const auto first = Make(spec, training, &validation);
    Train(first.get(), cut);
    std::string checkpoint;
    first->Save(&checkpoint);
    const auto second = Make(spec, training, &validation);
    second->Load(checkpoint);
    Train(second.get());
    EXPECT_TRUE(WeightBytes(*second) == expected) << cut;
  }
}

TEST(TransformerTest, CostCountsAttention) {
  BatchLayout layout;
  layout.code_columns = 101;
  NetworkSpec spec = MakeLanguageModel({});
  const NetworkCost with = EstimateCost(spec, layout);
  // Two blocks, each two products of 100 * 101 / 2 pairs and 8 units, beside the dense layers.
  const int64_t attention = 2 * 2 * 2 * 5050 * 8;
  const int64_t dense = 2 * 100 * (2 * (8 * 24 + 8 * 8 + 2 * 8 * 16) + 8 * 11);
  EXPECT_EQ(with.flops_per_row, attention + dense);
}

TEST(TransformerTest, SaysWhatToChange) {
  BatchLayout layout;
  layout.code_columns = 5;
  layout.features = 6;
  const auto error = [&](const NetworkSpec& spec) {
    return ErrorOf([&] { BuildNetwork(spec, layout, 2, NetworkMode::kTraining); });
  };
  NetworkSpec spec = MakeLanguageModel({});
  EXPECT_EQ(error(spec), "");
  spec.loss.kind = LossKind::kMeanSquaredError;
  EXPECT_THAT(error(spec), HasSubstr("the next token is a class, but the loss is mse"));
  spec = MakeLanguageModel({});
  spec.layers.back().units = 10;
  EXPECT_THAT(error(spec), HasSubstr("need [2, 4, 11]: set its units to 11"));
  spec = MakeLanguageModel({});
  spec.layers[0].categories = {1};
  EXPECT_THAT(error(spec), HasSubstr("vocabulary of at least two"));
  spec.layers[0].categories = {4, 4, 4, 4};
  EXPECT_THAT(error(spec), HasSubstr("give it one number of categories"));
  spec = MakeLanguageModel({});
  spec.layers[0].tokens = false;
  EXPECT_THAT(error(spec), HasSubstr("or an embedding with tokens, before it"));
  LanguageModel model;
  model.heads = 3;
  EXPECT_THAT(error(MakeLanguageModel(model)), HasSubstr("make units a multiple of heads"));
  model.heads = 8;
  model.rotary = true;
  EXPECT_THAT(error(MakeLanguageModel(model)), HasSubstr("make units / heads even"));
  spec = EncoderDecoder();
  EXPECT_THAT(error(spec), HasSubstr("cannot give [2, 6] the shape"));
  spec.layers[9].shape = {2, 3};
  EXPECT_EQ(error(spec), "");
  spec.layers[3].inputs = {"encoder_norm1", "encoder_norm1", "encoder_norm1"};
  EXPECT_THAT(error(spec), HasSubstr("takes fewer inputs but has 3"));
  spec.layers[3].inputs = {};
  for (LayerSpec& layer : spec.layers) {
    if (layer.name == "first") layer.begin = 10;
    if (layer.name == "decoder_attention") layer.inputs = {"encoder_sum2", "decoder_norm1"};
  }
  EXPECT_THAT(error(spec), HasSubstr("leaves out padding"));
  for (LayerSpec& layer : spec.layers) {
    if (layer.name == "decoder_attention") layer.inputs = {"decoder_norm1", "encoder_sum2"};
  }
  EXPECT_THAT(error(spec), HasSubstr("choose begin and size within them"));
}

}  // namespace
}  // namespace beamline::engine
