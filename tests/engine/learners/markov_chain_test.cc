#include "engine/learners/markov_chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <set>

#include "engine/core/philox.h"
#include "tests/engine/learners/classic.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

MemoryBatchSource Codes(std::vector<int32_t> codes, int64_t width) {
  MemoryBatch batch;
  batch.layout.code_columns = width;
  batch.rows = static_cast<int64_t>(codes.size()) / width;
  batch.codes = std::move(codes);
  return MemoryBatchSource(std::move(batch));
}

std::unique_ptr<Learner> Train(const MarkovSpec& spec, const BatchSource& data) {
  auto learner = MakeMarkovChain(spec, {data.layout(), &data});
  testing::TrainFully(learner.get());
  return learner;
}

// 0 1 0 0 1 2: after 0 come 1, 0, 1; after 1 come 0, 2.
TEST(MarkovChainTest, CountsByHand) {
  const MemoryBatchSource data = Codes({0, 1, 0, 0, 1, 2}, 6);
  MarkovSpec spec;
  spec.vocabulary = 3;
  spec.alpha = 0.5;
  const auto learner = Train(spec, data);
  const MemoryBatchSource asked = Codes({0, 1, 2, 0, -1, -1}, 6);
  const Predictions made = learner->Predict(asked);
  ASSERT_EQ(made.probabilities.shape(), Shape({1, 5, 3}));
  testing::ExpectNear(made.probabilities.values<float>(),
                      {1.5 / 4.5, 2.5 / 4.5, 0.5 / 4.5, 1.5 / 3.5, 0.5 / 3.5, 1.5 / 3.5,  //
                       1.0 / 3, 1.0 / 3, 1.0 / 3, 1.5 / 4.5, 2.5 / 4.5, 0.5 / 4.5},
                      1e-6);
  EXPECT_EQ(made.outputs.shape(), Shape({1, 0}));
  // 1 after 0, 2 after 1, 0 after 2; the rest is unknown.
  EXPECT_NEAR(learner->Evaluate(asked).loss,
              -(std::log(2.5 / 4.5) + std::log(1.5 / 3.5) + std::log(1.0 / 3)) / 3, 1e-9);
}

// Order 0: 1, 0, 0, 1, 2 with 3 types of 5: p(0) = p(1) = (2 + 3 / 3) / 8, p(2) = 2 / 8.
TEST(MarkovChainTest, WittenBellByHand) {
  const MemoryBatchSource data = Codes({0, 1, 0, 0, 1, 2}, 6);
  MarkovSpec spec;
  spec.vocabulary = 3;
  spec.order = 2;
  spec.smoothing = MarkovSmoothing::kWittenBell;
  const auto learner = Train(spec, data);
  const Predictions made = learner->Predict(Codes({0, 1, 2, 0, -1, -1}, 6));
  const double zero = 3.0 / 8, two = 2.0 / 8;
  // After 0: 3 followers of 2 types. After 0 1: 0 and 2; one step back, after 1: the same two.
  const double one_after_0 = (2 + 2 * zero) / 5;
  const double zero_after_1 = (1 + 2 * zero) / 4, two_after_1 = (1 + 2 * two) / 4;
  const std::span<const float> p = made.probabilities.values<float>();
  EXPECT_NEAR(p[1], one_after_0, 1e-6);
  EXPECT_NEAR(p[3], (1 + 2 * zero_after_1) / 4, 1e-6);
  EXPECT_NEAR(p[5], (1 + 2 * two_after_1) / 4, 1e-6);
  EXPECT_NEAR(p[6], zero, 1e-6);  // 2 was never followed
}

TEST(MarkovChainTest, ProbabilitiesSumToOneAndGiveTheLoss) {
  std::vector<int32_t> codes;
  const Philox random(5, 5);
  for (uint64_t i = 0; i < 3000; ++i) codes.push_back(static_cast<int32_t>(random.Below(i, 8)) - 1);
  const MemoryBatchSource data = Codes(codes, 30);
  for (const auto smoothing : {MarkovSmoothing::kAdditive, MarkovSmoothing::kWittenBell}) {
    MarkovSpec spec;
    spec.vocabulary = 7;
    spec.order = 3;
    spec.smoothing = smoothing;
    const auto learner = Train(spec, data);
    const Predictions made = learner->Predict(data);
    double sum = 0, judged = 0;
    for (size_t row = 0; row < 100; ++row) {
      for (size_t at = 1; at < 30; ++at) {
        const auto p = made.probabilities.values<float>().subspan((row * 29 + at - 1) * 7, 7);
        double total = 0;
        for (const float x : p) total += static_cast<double>(x);
        EXPECT_NEAR(total, 1, 1e-5);
        const int32_t code = codes[row * 30 + at];
        if (code < 0) continue;
        sum -= std::log(static_cast<double>(p[static_cast<size_t>(code)]));
        judged += 1;
      }
    }
    EXPECT_NEAR(learner->Evaluate(data).loss, sum / judged, 1e-5);
  }
}

TEST(MarkovChainTest, KeepsItsPromises) {
  MemoryBatch batch;
  batch.rows = 90;
  batch.layout.code_columns = 12;
  batch.layout.has_weights = true;
  const Philox random(6, 6);
  for (uint64_t i = 0; i < 90 * 12; ++i) {
    batch.codes.push_back(static_cast<int32_t>(random.Below(i, 6)) - 1);
  }
  for (int i = 0; i < 90; ++i) batch.weights.push_back(static_cast<float>(i % 3) * 0.7f);
  const MemoryBatchSource data(batch);
  testing::ExpectToHold(
      [](const LearnerData& on, int threads) {
        MarkovSpec spec;
        spec.vocabulary = 5;
        spec.order = 3;
        spec.smoothing = MarkovSmoothing::kWittenBell;
        spec.threads = threads;
        return MakeMarkovChain(spec, on);
      },
      data, &data);
}

TEST(MarkovChainTest, RefusesCountsThatAreNone) {
  const MemoryBatchSource data = Codes({0, 1, 0, 0, 1, 2}, 6);
  MarkovSpec spec;
  spec.vocabulary = 3;
  const auto learner = Train(spec, data);
  std::vector<NamedTensor> weights = learner->Weights();
  ASSERT_EQ(weights[2].name, "followers");
  weights[2].tensor.values<int64_t>()[0] = 1'000'000;
  EXPECT_THAT(testing::ErrorOf([&] { learner->SetWeights(weights); }),
              ::testing::HasSubstr("damaged"));
  spec.vocabulary = 2;
  EXPECT_THAT(testing::ErrorOf([&] { Train(spec, data); }), ::testing::HasSubstr("the code 2"));
}

std::string FileText(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Every tenth name is held back; "." stands before and behind each.
TEST(MarkovChainTest, FirstNames) {
  const std::string folder = testing::DatasetFolder("names");
  if (folder.empty()) GTEST_SKIP() << "data set names not found: set BEAMLINE_DATASETS";
  std::ifstream file(folder + "/names.txt");
  std::vector<int32_t> parts[2];
  std::string name;
  for (int i = 0; file >> name; ++i) {
    std::vector<int32_t> row(18, -1);
    row[0] = row[name.size() + 1] = 0;
    for (size_t k = 0; k < name.size(); ++k) row[k + 1] = name[k] - 'a' + 1;
    std::vector<int32_t>& part = parts[i % 10 == 0 ? 1 : 0];
    part.insert(part.end(), row.begin(), row.end());
  }
  const MemoryBatchSource training = Codes(parts[0], 18);
  const MemoryBatchSource test = Codes(parts[1], 18);
  const double published[] = {2.4563, 2.2256, 2.1314};
  for (int64_t order = 1; order <= 3; ++order) {
    MarkovSpec spec;
    spec.vocabulary = 27;
    spec.order = order;
    spec.alpha = 0.5;
    EXPECT_NEAR(Train(spec, training)->Evaluate(test).loss, published[order - 1], 1e-4);
  }
}

TEST(MarkovChainTest, TinyShakespeare) {
  const std::string folder = testing::DatasetFolder("tinyshakespeare");
  if (folder.empty()) GTEST_SKIP() << "data set tinyshakespeare not found: set BEAMLINE_DATASETS";
  const std::string text = FileText(folder + "/input.txt");
  const std::set<char> characters(text.begin(), text.end());
  std::vector<int32_t> codes;
  for (const char c : text) {
    codes.push_back(static_cast<int32_t>(std::distance(characters.begin(), characters.find(c))));
  }
  const auto cut = static_cast<int64_t>(codes.size()) - 111540;
  const MemoryBatchSource training = Codes({codes.begin(), codes.begin() + cut}, cut);
  const double recorded[] = {2.4858, 2.0492, 1.7738, 1.6688};
  for (const int64_t order : {2, 4}) {
    MarkovSpec spec;
    spec.vocabulary = static_cast<int64_t>(characters.size());
    spec.order = order;
    spec.smoothing = MarkovSmoothing::kWittenBell;
    const auto learner = Train(spec, training);
    // The same counts, for rows of another length.
    const MemoryBatchSource test = Codes({codes.begin() + cut, codes.end()}, 111540);
    const auto judge = MakeMarkovChain(spec, {test.layout()});
    judge->SetWeights(learner->Weights());
    EXPECT_NEAR(judge->Evaluate(test).loss, recorded[order - 1], 2e-3) << "order " << order;
  }
}

}  // namespace
}  // namespace beamline::engine
