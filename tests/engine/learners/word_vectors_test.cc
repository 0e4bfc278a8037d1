#include "engine/learners/word_vectors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/core/philox.h"
#include "engine/learners/word_neighbours.h"
#include "engine/learners/word_places.h"
#include "tests/engine/learners/classic.h"

namespace beamline::engine {
namespace {

MemoryBatchSource Codes(std::vector<int32_t> codes, int64_t width) {
  MemoryBatch batch;
  batch.layout.code_columns = width;
  batch.rows = static_cast<int64_t>(codes.size()) / width;
  batch.codes = std::move(codes);
  return MemoryBatchSource(std::move(batch));
}

Tensor WeightOf(const Learner& learner, const std::string& name) {
  for (NamedTensor& weight : learner.Weights()) {
    if (weight.name == name) return std::move(weight.tensor);
  }
  ADD_FAILURE() << "no weight " << name;
  return Tensor();
}

// Those of word_vectors_reference.py.
WordVectorsSpec Referred(bool bag) {
  WordVectorsSpec spec;
  spec.vocabulary = 23;
  if (bag) spec.architecture = WordArchitecture::kBagOfWords;
  spec.dimensions = 19;
  spec.reach = 3;
  spec.negatives = bag ? 5 : 7;
  spec.subsample = bag ? 0 : 0.02;
  spec.learning_rate = 0.08;
  spec.epochs = 3;
  spec.batch_size = 24;
  spec.seed = 11;
  return spec;
}

MemoryBatchSource ReferredCodes() {
  const std::vector<double> codes = testing::Recorded("codes");
  return Codes({codes.begin(), codes.end()}, 17);
}

TEST(WordVectorsTest, FollowTheDefinition) {
  const MemoryBatchSource data = ReferredCodes();
  for (const bool bag : {false, true}) {
    const std::string name = bag ? "bag_of_words" : "skip_gram";
    const auto learner = MakeWordVectors(Referred(bag), {data.layout(), &data});
    const std::vector<double> losses = testing::Recorded(name + "_losses");
    const std::vector<StepReport> reports = testing::TrainFully(learner.get());
    ASSERT_EQ(reports.size(), losses.size());
    for (size_t i = 0; i < losses.size(); ++i) EXPECT_NEAR(reports[i].loss, losses[i], 2e-5);
    for (const char* weight : {"vectors", "contexts"}) {
      testing::ExpectNear(WeightOf(*learner, weight).values<float>(),
                          testing::Recorded(name + "_" + weight), 2e-5);
    }
    EXPECT_NEAR(learner->Evaluate(data).loss, testing::Recorded(name + "_measured")[0], 2e-5);
  }
}

TEST(WordVectorsTest, KeepTheirPromises) {
  const MemoryBatchSource data = ReferredCodes();
  for (const bool bag : {false, true}) {
    testing::ExpectToHold(
        [&](const LearnerData& on, int threads) {
          WordVectorsSpec spec = Referred(bag);
          spec.threads = threads;
          return MakeWordVectors(spec, on);
        },
        data, &data);
  }
}

// Sentences of a language whose words are of five classes: which class follows is a matter of
// the classes alone, and each word of a class is as good as another.
constexpr int64_t kClasses = 5, kWordsOfClass = 12, kSentence = 16;
std::vector<int32_t> Language(int64_t sentences, uint64_t seed) {
  const Philox random(seed, 77);
  std::vector<int32_t> codes;
  uint64_t counter = 0;
  for (int64_t i = 0; i < sentences; ++i) {
    auto kind = static_cast<int64_t>(random.Below(counter++, kClasses));
    for (int64_t k = 0; k < kSentence; ++k) {
      const auto word = static_cast<int64_t>(random.Below(counter++, kWordsOfClass));
      codes.push_back(static_cast<int32_t>(1 + kind * kWordsOfClass + word));
      // Mostly the next class, else any.
      kind = random.Uniform(counter++) < 0.85f
                 ? (kind + 1) % kClasses
                 : static_cast<int64_t>(random.Below(counter++, kClasses));
    }
  }
  return codes;
}

// Share of the three nearest words of each that are of its class. gensim 4.4 with the same
// settings: 1 (skip-gram) and 1 (bag of words).
TEST(WordVectorsTest, WordsOfAClassAreNeighbours) {
  const MemoryBatchSource data = Codes(Language(1500, 1), kSentence);
  const MemoryBatchSource other = Codes(Language(300, 2), kSentence);
  for (const bool bag : {false, true}) {
    WordVectorsSpec spec;
    spec.vocabulary = 1 + kClasses * kWordsOfClass;
    spec.dimensions = 16;
    spec.reach = 1;
    spec.subsample = 0;
    spec.learning_rate = bag ? 0.1 : 0.05;
    if (bag) spec.architecture = WordArchitecture::kBagOfWords;
    const auto learner = MakeWordVectors(spec, {data.layout(), &data});
    const double before = learner->Evaluate(other).loss;
    EXPECT_NEAR(before, 6 * std::log(2), 0.15);  // contexts are zeros; a few negatives do not count
    const std::vector<StepReport> reports = testing::TrainFully(learner.get());
    EXPECT_LT(reports.back().training_loss, reports[46].training_loss);
    EXPECT_LT(learner->Evaluate(other).loss, before - 0.5);
    const Tensor vectors = WeightOf(*learner, "vectors");
    std::vector<std::vector<int32_t>> own;
    for (int32_t code = 0; code < spec.vocabulary; ++code) own.push_back({code});
    const auto nearest = NearestCodes(vectors, vectors, own, 3);
    int right = 0;
    for (int64_t code = 1; code < spec.vocabulary; ++code) {
      for (const int32_t neighbour : nearest[static_cast<size_t>(code)]) {
        EXPECT_NE(neighbour, 0);
        right += (neighbour - 1) / kWordsOfClass == (code - 1) / kWordsOfClass;
      }
    }
    EXPECT_GE(right, 3 * kClasses * kWordsOfClass * 95 / 100) << bag;
  }
}

TEST(WordVectorsTest, PredictionsAreMeansOfVectorsOfLengthOne) {
  const MemoryBatchSource data = ReferredCodes();
  const auto learner = MakeWordVectors(Referred(false), {data.layout(), &data});
  testing::TrainFully(learner.get());
  std::vector<int32_t> asked(3 * 17, -1);
  asked[0] = 3;
  asked[17] = 3;
  asked[18] = 4;
  asked[20] = 21;  // of which the training knows nothing
  asked[34] = 21;
  const Predictions said = learner->Predict(Codes(asked, 17));
  ASSERT_EQ(said.probabilities.shape(), Shape({3, 19}));
  const Tensor tensor = WeightOf(*learner, "vectors");
  const std::span<const float> vectors = tensor.values<float>();
  const std::span<const float> p = said.probabilities.values<float>();
  double one = 0, two = 0;
  for (size_t k = 0; k < 19; ++k) {
    const double sum = double{vectors[3 * 19 + k]} + double{vectors[4 * 19 + k]};
    one += double{vectors[3 * 19 + k]} * double{vectors[3 * 19 + k]};
    two += sum * sum;
    EXPECT_EQ(vectors[21 * 19 + k], 0);
    EXPECT_EQ(p[2 * 19 + k], 0);
  }
  for (size_t k = 0; k < 19; ++k) {
    EXPECT_NEAR(p[k], vectors[3 * 19 + k] / std::sqrt(one), 1e-6);
    EXPECT_NEAR(p[19 + k], (vectors[3 * 19 + k] + vectors[4 * 19 + k]) / std::sqrt(two), 1e-6);
  }
}

TEST(WordVectorsTest, NoiseIsDrawnByCountsAndFrequentCodesStayLessOften) {
  const std::vector<int64_t> counts = {0, 1, 16, 81, 0, 256, 10000};
  const WordNoise noise(counts, 0.01);
  const Philox random(3, 3);
  constexpr int kDraws = 200'000;
  std::vector<double> drawn(counts.size()), stays(counts.size());
  for (int i = 0; i < kDraws; ++i) {
    const PhiloxBlock block = random.Block(static_cast<uint64_t>(i));
    drawn[static_cast<size_t>(noise.Draw(block.word[0]))] += 1.0 / kDraws;
    for (size_t code = 0; code < counts.size(); ++code) {
      const auto at = static_cast<int32_t>(code);
      stays[code] += noise.Knows(at) && noise.Stays(at, block.word[1]) ? 1.0 / kDraws : 0;
    }
  }
  // 1, 8, 27, 64 and 1000 of 1100.
  const std::vector<double> powers = {0, 1, 8, 27, 0, 64, 1000};
  for (size_t code = 0; code < counts.size(); ++code) {
    EXPECT_NEAR(drawn[code], powers[code] / 1100, 0.004) << code;
    const double share = static_cast<double>(counts[code]) / 10354;
    const double chance = share > 0 ? std::min(1.0, std::sqrt(0.01 / share)) : 0;
    EXPECT_NEAR(stays[code], chance, 0.004) << code;
    EXPECT_EQ(drawn[code] > 0, counts[code] > 0);
  }
  EXPECT_FALSE(noise.Knows(-1));
}

TEST(WordVectorsTest, NearestCodesByHand) {
  const Tensor vectors = Tensor::From<float>({5, 2}, {0, 0, 3, 0, 1, 1, 0, 0.5f, 6, 0});
  const Tensor points = Tensor::From<float>({2, 2}, {2, 0.1f, -1, 0});
  const std::vector<std::vector<int32_t>> except = {{2}, {}};
  using Lists = std::vector<std::vector<int32_t>>;
  EXPECT_EQ(NearestCodes(vectors, points, except, 2), (Lists{{1, 4}, {3, 2}}));
  EXPECT_EQ(NearestCodes(vectors, points, except, 9), (Lists{{1, 4, 3}, {3, 2, 1, 4}}));
}

TEST(WordVectorsTest, RefuseWhatTheyCannotLearnFrom) {
  const MemoryBatchSource data = ReferredCodes();
  WordVectorsSpec spec = Referred(false);
  const auto make = [&](const BatchSource& source) {
    return testing::ErrorOf([&] { MakeWordVectors(spec, {source.layout(), &source}); });
  };
  EXPECT_EQ(make(data), "");
  EXPECT_THAT(make(Codes({-1, -1}, 2)), ::testing::HasSubstr("no training row has a known code"));
  EXPECT_THAT(make(Codes({1, 23}, 2)), ::testing::HasSubstr("row 0 has the code 23"));
  MemoryBatch weighted;
  weighted.rows = 1;
  weighted.layout.code_columns = 2;
  weighted.layout.has_weights = true;
  weighted.codes = {1, 2};
  weighted.weights = {1};
  EXPECT_THAT(make(MemoryBatchSource(weighted)), ::testing::HasSubstr("remove the weight column"));
  spec.reach = 0;
  EXPECT_THAT(make(data), ::testing::HasSubstr("reach"));
  spec = Referred(false);
  const auto learner = MakeWordVectors(spec, {data.layout(), &data});
  std::vector<NamedTensor> weights = learner->Weights();
  ASSERT_EQ(weights[1].name, "counts");
  weights[1].tensor.values<int64_t>()[0] = -1;
  EXPECT_THAT(testing::ErrorOf([&] { learner->SetWeights(weights); }),
              ::testing::HasSubstr("damaged"));
}

}  // namespace
}  // namespace beamline::engine
