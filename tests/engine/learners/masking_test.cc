// Masked prediction: what is hidden, and what a network learns from it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/learners/masking.h"
#include "engine/nn/network.h"
#include "tests/engine/learners/toy.h"
#include "tests/engine/learners/transformer.h"

namespace beamline::engine {
namespace {

using ::testing::HasSubstr;
using testing::Make;
using testing::TokenRows;
using testing::Train;

// Of all codes the given shares, and of those that are changed each other code as often.
TEST(TokenMaskTest, HidesTheSharesThatItIsToldTo) {
  const TokenMask mask({.share = 0.15, .masked = 0.8, .random = 0.1}, 11, 3, 7);
  int chosen = 0, masked = 0, other = 0;
  std::vector<int> drawn(11);
  constexpr int kRows = 20000, kColumns = 10;
  for (int row = 0; row < kRows; ++row) {
    for (int column = 0; column < kColumns; ++column) {
      int32_t code = 4;
      if (!mask.Hide(row, column, &code)) {
        EXPECT_EQ(code, 4);
        continue;
      }
      ++chosen;
      masked += code == 0 ? 1 : 0;
      other += code != 0 && code != 4 ? 1 : 0;
      ++drawn[static_cast<size_t>(code)];
    }
  }
  EXPECT_NEAR(chosen / double{kRows * kColumns}, 0.15, 0.003);
  EXPECT_NEAR(masked / double(chosen), 0.8, 0.01);
  EXPECT_NEAR(other / double(chosen), 0.09, 0.006);  // a tenth of those drawn is 4 again
  for (int code = 1; code <= 10; ++code) {
    if (code == 4) continue;
    EXPECT_NEAR(drawn[static_cast<size_t>(code)] / double(chosen), 0.01, 0.003) << code;
  }
}

TEST(TokenMaskTest, DependsOnSeedStepAndPlaceAloneAndLeavesUnknownCodes) {
  const MaskingSpec spec{.share = 0.5};
  const auto hidden = [&](uint64_t seed, uint64_t step) {
    std::string all;
    for (int64_t row = 0; row < 50; ++row) {
      for (int64_t column = 0; column < 8; ++column) {
        int32_t code = 5;
        TokenMask(spec, 9, seed, step).Hide(row, column, &code);
        all += static_cast<char>('0' + code);
      }
    }
    return all;
  };
  EXPECT_EQ(hidden(1, 2), hidden(1, 2));
  EXPECT_NE(hidden(1, 2), hidden(1, 3));
  EXPECT_NE(hidden(1, 2), hidden(2, 2));
  const TokenMask all({.share = 1, .masked = 1, .random = 0}, 9, 1, 1);
  for (const int32_t kept : {0, -1}) {
    int32_t code = kept;
    EXPECT_FALSE(all.Hide(3, 3, &code));
    EXPECT_EQ(code, kept);
  }
}

// Codes from 1 on, as the data has them: 0 stands for what is hidden.
MemoryBatchSource Tokens(int64_t rows, uint64_t seed) {
  const MemoryBatchSource from = TokenRows(rows, 12, 10, seed, true);
  MemoryBatch batch;
  batch.rows = rows;
  batch.layout = from.layout();
  batch.codes.resize(static_cast<size_t>(rows * 12));
  std::vector<int64_t> all;
  for (int64_t row = 0; row < rows; ++row) all.push_back(row);
  from.Gather(all, {.codes = batch.codes.data()});
  for (int32_t& code : batch.codes) code = code < 0 ? code : code + 1;
  return MemoryBatchSource(std::move(batch));
}

NetworkSpec Encoder() {
  NetworkSpec spec = testing::MakeLanguageModel({.vocabulary = 11, .width = 16, .hidden = 32});
  for (LayerSpec& layer : spec.layers) {
    if (layer.kind == LayerKind::kAttention) layer.causal = false;
    if (layer.kind == LayerKind::kAttention) layer.mask_padding = false;
  }
  spec.objective = Objective::kMasked;
  spec.masking.share = 0.2;
  spec.batch_size = 16;
  spec.epochs = 30;
  return spec;
}

TEST(MaskedLearnerTest, LearnsWhatIsHidden) {
  const MemoryBatchSource training = Tokens(400, 1);
  const MemoryBatchSource other = Tokens(200, 2);
  const auto learner = Make(Encoder(), training);
  const double before = learner->Evaluate(other).loss;
  Train(learner.get());
  const Evaluation after = learner->Evaluate(other);
  EXPECT_GT(before, 2);      // ln 10 = 2.3
  EXPECT_LT(after.loss, 1);  // a tenth of the tokens follows from nothing
  EXPECT_EQ(learner->Evaluate(other).loss, after.loss);
  // Some 8 of 12 tokens a row are known, of which a fifth are hidden.
  EXPECT_NEAR(after.weight_sum, 200 * 10 * 0.2, 60);

  // In prediction nothing is hidden but what the row itself leaves out.
  MemoryBatch batch;
  batch.rows = 1;
  batch.layout = training.layout();
  batch.codes = {1, 2, 5, 0, 2, 5, 4, 1, 2, 5, 4, 1};  // 3 t + 1: 0 1 4 3 0 1 4 3 0 1 4, and 1
  const Predictions said = learner->Predict(MemoryBatchSource(std::move(batch)));
  const std::span<const float> p = said.probabilities.values<float>().subspan(3 * 11, 11);
  EXPECT_THAT(std::max_element(p.begin(), p.end()) - p.begin(), ::testing::AnyOf(4, 1));
}

TEST(MaskedLearnerTest, SaysWhatToChange) {
  const MemoryBatchSource training = Tokens(20, 1);
  const auto error = [&](const NetworkSpec& spec) -> std::string {
    try {
      Make(spec, training);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  NetworkSpec spec = Encoder();
  EXPECT_EQ(error(spec), "");
  spec.masking.random = 0.3;
  EXPECT_THAT(error(spec), HasSubstr("masked and random together at most 1"));
  spec = Encoder();
  spec.masking.share = 0;
  EXPECT_THAT(error(spec), HasSubstr("the share must be above 0"));
  spec = Encoder();
  spec.loss.kind = LossKind::kMeanSquaredError;
  EXPECT_THAT(error(spec), HasSubstr("the hidden token is a class, but the loss is mse"));
}

}  // namespace
}  // namespace beamline::engine
