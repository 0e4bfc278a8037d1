// Objective kTranslate: what a network sees of source and target, and what counts.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/error.h"
#include "engine/learners/learner.h"
#include "tests/engine/learners/families.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

constexpr int64_t kSource = 7, kTarget = 5;

MemoryBatchSource Source(std::vector<int32_t> codes, std::vector<float> weights = {}) {
  MemoryBatch batch;
  batch.layout.code_columns = kSource + kTarget;
  batch.layout.target_codes = kTarget;
  batch.rows = static_cast<int64_t>(codes.size()) / (kSource + kTarget);
  batch.codes = std::move(codes);
  batch.layout.has_weights = !weights.empty();
  batch.weights = std::move(weights);
  return MemoryBatchSource(std::move(batch));
}

std::unique_ptr<Learner> Trained(const NetworkSpec& spec) {
  static const MemoryBatchSource kData = testing::FamilyTexts();
  auto learner = testing::Make(spec, kData);
  testing::Train(learner.get());
  return learner;
}

std::vector<float> Say(Learner& learner, std::vector<int32_t> codes) {
  const MemoryBatchSource source = Source(std::move(codes));
  const Predictions said = learner.Predict(source);
  EXPECT_EQ(said.probabilities.shape(), Shape({source.rows(), kTarget, 9}));
  const std::span<const float> p = said.probabilities.values<float>();
  return {p.begin(), p.end()};
}

const std::vector<int32_t> kRow = {4, 5, 6, -1, -1, -1, -1, 2, 3, 4, 1, -1};

class TranslationTest : public ::testing::TestWithParam<testing::Family> {};

TEST_P(TranslationTest, NoTokenIsToldFromThoseBehindIt) {
  const auto learner = Trained(GetParam().network());
  const std::vector<float> whole = Say(*learner, kRow);
  for (int64_t known = 0; known <= 3; ++known) {
    std::vector<int32_t> row = kRow;
    for (int64_t step = known; step < kTarget; ++step) {
      row[static_cast<size_t>(kSource + step)] = step % 2 == 0 ? 8 : -1;
    }
    const std::vector<float> part = Say(*learner, row);
    // The step behind those that are known is the last that is right, to the bit.
    for (int64_t i = 0; i < (known + 1) * 9; ++i) {
      ASSERT_EQ(part[static_cast<size_t>(i)], whole[static_cast<size_t>(i)]) << known << ", " << i;
    }
    EXPECT_NE(part, whole) << known;
  }
}

TEST_P(TranslationTest, TheSourceIsSeenToItsEnd) {
  const auto learner = Trained(GetParam().network());
  const std::vector<float> said = Say(*learner, kRow);
  for (const size_t place : {0, 1, 2}) {
    std::vector<int32_t> row = kRow;
    row[place] = 9;
    EXPECT_NE(Say(*learner, row), said) << place;
  }
  std::vector<int32_t> longer = kRow;
  longer[3] = 9;
  EXPECT_NE(Say(*learner, longer), said);
}

TEST_P(TranslationTest, TheLossIsOverTheTargetsTokensAndEnds) {
  NetworkSpec spec = GetParam().network();
  spec.loss.label_smoothing = 0;
  const auto learner = Trained(spec);
  std::vector<int32_t> codes = kRow;
  const std::vector<int32_t> other = {1, 2, 3, 4, 5, 6, 7, 8, 1, -1, -1, -1};
  codes.insert(codes.end(), other.begin(), other.end());
  const std::vector<float> p = Say(*learner, codes);
  const auto nats = [&](size_t row, size_t step) {
    const int32_t label = codes[row * 12 + 7 + step];
    return -std::log(static_cast<double>(p[(row * 5 + step) * 9 + static_cast<size_t>(label)]));
  };
  const double first = nats(0, 0) + nats(0, 1) + nats(0, 2) + nats(0, 3);
  const double second = nats(1, 0) + nats(1, 1);
  const Evaluation even = learner->Evaluate(Source(codes));
  EXPECT_EQ(even.weight_sum, 6);
  EXPECT_NEAR(even.loss, (first + second) / 6, 1e-5);
}

TEST_P(TranslationTest, RowsHaveWeights) {
  NetworkSpec spec = GetParam().network();
  spec.loss.label_smoothing = 0;
  static const MemoryBatchSource kData = testing::FamilyTexts();
  std::vector<int32_t> codes(static_cast<size_t>(kData.rows() * 12));
  std::vector<int64_t> rows;
  for (int64_t row = 0; row < kData.rows(); ++row) rows.push_back(row);
  kData.Gather(rows, {.codes = codes.data()});
  const MemoryBatchSource weighted =
      Source(codes, std::vector<float>(static_cast<size_t>(kData.rows()), 2.0F));
  const auto plain = Trained(spec);
  const auto heavy = testing::Make(spec, weighted);
  testing::Train(heavy.get());
  // All weigh the same, so that nothing changes but their sum.
  const Evaluation one = plain->Evaluate(kData), two = heavy->Evaluate(weighted);
  EXPECT_NEAR(one.loss, two.loss, 1e-4);
  EXPECT_EQ(two.weight_sum, 2 * one.weight_sum);
}

INSTANTIATE_TEST_SUITE_P(
    Networks, TranslationTest,
    ::testing::Values(testing::Family{"transformer", testing::Translator, testing::FamilyTexts},
                      testing::Family{"recurrent", testing::RecurrentTranslator,
                                      testing::FamilyTexts}),
    [](const auto& info) { return std::string(info.param.name); });

std::string Refused(const NetworkSpec& spec, const MemoryBatchSource& data) {
  try {
    testing::Make(spec, data);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(TranslationDataTest, MustHaveSourceAndTarget) {
  const MemoryBatchSource tokens = testing::FamilyTokens();
  EXPECT_NE(Refused(testing::Translator(), tokens).find("needs a source and a target"),
            std::string::npos);
  NetworkSpec other = testing::Translator();
  other.objective = Objective::kNextToken;
  EXPECT_NE(Refused(other, tokens).find("takes \"target\""), std::string::npos)
      << Refused(other, tokens);
}

// Sources and targets of as many steps: each is left out behind its own end.
TEST(TranslationDataTest, ATargetAsLongAsTheSourceHasItsOwnEnd) {
  MemoryBatch batch;
  batch.layout.code_columns = 10;
  batch.layout.target_codes = 5;
  batch.rows = 2;
  batch.codes = {4, 5, -1, -1, -1, 2, 3, 4, 5, 1, 4, 5, 6, 7, 8, 2, 1, -1, -1, -1};
  const MemoryBatchSource source(batch);
  const auto learner = testing::Make(testing::Translator(), source);
  testing::Train(learner.get());
  const auto say = [&](const MemoryBatch& of) {
    const Predictions said = learner->Predict(MemoryBatchSource(of));
    const std::span<const float> p = said.probabilities.values<float>();
    return std::vector<float>(p.begin(), p.end());
  };
  // The fifth token of the first row is told from the fourth, though its source has two.
  MemoryBatch other = batch;
  other.codes[8] = 8;
  const std::vector<float> before = say(batch), after = say(other);
  EXPECT_NE(std::vector<float>(before.begin() + 36, before.begin() + 45),
            std::vector<float>(after.begin() + 36, after.begin() + 45));
  EXPECT_EQ(std::vector<float>(before.begin(), before.begin() + 36),
            std::vector<float>(after.begin(), after.begin() + 36));
}

}  // namespace
}  // namespace beamline::engine
