#include "engine/learners/hopfield.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "engine/core/philox.h"
#include "tests/engine/learners/classic.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

MemoryBatch Signs(int64_t rows, int64_t units, uint64_t seed) {
  MemoryBatch batch;
  batch.rows = rows;
  batch.layout.features = units;
  const Philox random(seed, 0);
  for (int64_t i = 0; i < rows * units; ++i) {
    batch.features.push_back(random.Below(static_cast<uint64_t>(i), 2) == 1 ? 1.0f : -1.0f);
  }
  return batch;
}

// With a share of the features turned over.
MemoryBatch Disturbed(MemoryBatch batch, double share, uint64_t seed) {
  const Philox random(seed, 1);
  for (size_t i = 0; i < batch.features.size(); ++i) {
    if (static_cast<double>(random.Uniform(i)) < share) batch.features[i] *= -1;
  }
  return batch;
}

std::unique_ptr<Learner> Store(HopfieldRule rule, const BatchSource& data, int threads = 2) {
  HopfieldSpec spec;
  spec.rule = rule;
  spec.threads = threads;
  auto learner = MakeHopfield(spec, {data.layout(), &data});
  testing::TrainFully(learner.get());
  return learner;
}

// Mean of x_stored x_recalled over units, and the share of rows that come back whole.
struct Recall {
  double overlap = 0;
  double exact = 0;
};
Recall RecallOf(Learner* learner, const MemoryBatch& stored, const MemoryBatch& asked) {
  const Predictions made = learner->Predict(MemoryBatchSource(asked));
  const auto units = static_cast<size_t>(stored.layout.features);
  Recall recall;
  for (size_t row = 0; row < static_cast<size_t>(asked.rows); ++row) {
    double overlap = 0;
    for (size_t k = 0; k < units; ++k) {
      const double sign = stored.features[row * units + k] > 0 ? 1 : -1;
      overlap += sign * static_cast<double>(made.codes.values<float>()[row * units + k]);
    }
    overlap /= static_cast<double>(units);
    recall.overlap += overlap / static_cast<double>(asked.rows);
    recall.exact += overlap == 1 ? 1 / static_cast<double>(asked.rows) : 0;
  }
  return recall;
}

// Amit, Gutfreund, Sompolinsky 1985: up to 0.138 N random patterns Hebb's rule recalls nearly all
// of each; beyond it memory breaks down.
TEST(HopfieldTest, CapacityOfHebbIsThatOfTheory) {
  const auto overlap = [](double load) {
    const MemoryBatch patterns = Signs(static_cast<int64_t>(load * 500), 500, 3);
    const MemoryBatchSource data(patterns);
    const auto learner = Store(HopfieldRule::kHebb, data);
    return RecallOf(learner.get(), patterns, Disturbed(patterns, 0.05, 8)).overlap;
  };
  EXPECT_GT(overlap(0.05), 0.999);
  EXPECT_GT(overlap(0.12), 0.95);
  EXPECT_LT(overlap(0.22), 0.7);
}

TEST(HopfieldTest, StorkeyHoldsMoreThanHebb) {
  const MemoryBatch patterns = Signs(60, 300, 4);  // 0.2 N
  const MemoryBatchSource data(patterns);
  const MemoryBatch asked = Disturbed(patterns, 0.05, 2);
  const auto hebb = Store(HopfieldRule::kHebb, data);
  const auto storkey = Store(HopfieldRule::kStorkey, data);
  const auto inverse = Store(HopfieldRule::kPseudoInverse, data);
  EXPECT_LT(RecallOf(hebb.get(), patterns, asked).exact, 0.1);
  EXPECT_GT(RecallOf(storkey.get(), patterns, asked).exact, 0.9);
  EXPECT_GT(RecallOf(inverse.get(), patterns, asked).exact, 0.99);
}

// w_ij += (x_i x_j - x_i h_ji - h_ij x_j) / N with sums written out.
TEST(HopfieldTest, StorkeyByItsFormula) {
  const int n = 9;
  const MemoryBatch patterns = Signs(4, n, 6);
  double w[n][n] = {};
  for (int row = 0; row < 4; ++row) {
    const float* x = patterns.features.data() + row * n;
    double next[n][n] = {};
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j < n; ++j) {
        double ij = 0, ji = 0;
        for (int k = 0; k < n; ++k) {
          if (k == i || k == j) continue;
          ij += w[i][k] * x[k];
          ji += w[j][k] * x[k];
        }
        next[i][j] = i == j ? 0 : w[i][j] + (x[i] * x[j] - x[i] * ji - ij * x[j]) / n;
      }
    }
    std::copy(&next[0][0], &next[0][0] + n * n, &w[0][0]);
  }
  const MemoryBatchSource data(patterns);
  const std::vector<NamedTensor> weights = Store(HopfieldRule::kStorkey, data)->Weights();
  testing::ExpectNear(weights[0].tensor.values<float>(), {&w[0][0], &w[0][0] + n * n}, 1e-6);
}

// Mean images of digits of semeion, 15% of the pixels turned over: the figures of its README.
TEST(HopfieldTest, Semeion) {
  const std::string folder = testing::DatasetFolder("semeion");
  if (folder.empty()) GTEST_SKIP() << "data set semeion not found: set BEAMLINE_DATASETS";
  std::ifstream file(folder + "/semeion.txt");
  std::vector<std::vector<double>> sums(10, std::vector<double>(256));
  std::vector<double> counts(10);
  std::string pixels;
  size_t digit = 0;
  while (file >> pixels >> digit) {
    counts[digit] += 1;
    for (size_t k = 0; k < 256; ++k) sums[digit][k] += pixels[k] == '1' ? 1 : 0;
  }
  const auto recall = [&](HopfieldRule rule, size_t digits) {
    MemoryBatch stored, asked;
    stored.rows = static_cast<int64_t>(digits);
    stored.layout.features = 256;
    for (size_t d = 0; d < digits; ++d) {
      for (size_t k = 0; k < 256; ++k) {
        stored.features.push_back(sums[d][k] / counts[d] > 0.5 ? 1.0f : -1.0f);
      }
    }
    const MemoryBatchSource data(stored);
    const auto learner = Store(rule, data);
    Recall mean;
    for (uint64_t seed = 0; seed < 20; ++seed) {
      const Recall one = RecallOf(learner.get(), stored, Disturbed(stored, 0.15, seed));
      mean.overlap += one.overlap / 20;
      mean.exact += one.exact / 20;
    }
    return mean;
  };
  EXPECT_GE(recall(HopfieldRule::kHebb, 2).exact, 0.99);
  EXPECT_GE(recall(HopfieldRule::kHebb, 3).exact, 0.95);
  EXPECT_LT(recall(HopfieldRule::kHebb, 5).exact, 0.25);  // 0.05 there
  EXPECT_NEAR(recall(HopfieldRule::kHebb, 10).overlap, 0.579, 0.05);
  EXPECT_EQ(recall(HopfieldRule::kHebb, 10).exact, 0);
  EXPECT_GE(recall(HopfieldRule::kPseudoInverse, 10).exact, 0.99);
}

TEST(HopfieldTest, KeepsItsPromises) {
  for (const auto rule :
       {HopfieldRule::kHebb, HopfieldRule::kStorkey, HopfieldRule::kPseudoInverse}) {
    MemoryBatch batch = Signs(20, 40, 1);
    for (size_t i = 0; i < batch.features.size(); i += 40) batch.features[i] = 0;  // constant
    const MemoryBatchSource data(batch);
    testing::ExpectToHold(
        [&](const LearnerData& on, int threads) {
          HopfieldSpec spec;
          spec.rule = rule;
          spec.threads = threads;
          return MakeHopfield(spec, on);
        },
        data, &data);
  }
}

TEST(HopfieldTest, ReconstructsInTheScaleOfTheFeatures) {
  MemoryBatch batch = Signs(3, 50, 2);
  for (float& x : batch.features) x = x > 0 ? 1 : 0;
  const MemoryBatchSource data(batch);
  const auto learner = Store(HopfieldRule::kPseudoInverse, data);
  EXPECT_EQ(learner->Evaluate(data).loss, 0);
}

TEST(HopfieldTest, SaysWhatDoesNotFit) {
  MemoryBatch batch = Signs(30, 20, 2);
  const MemoryBatchSource many(batch);
  EXPECT_THAT(testing::ErrorOf([&] { Store(HopfieldRule::kPseudoInverse, many); }),
              ::testing::HasSubstr("as many rows as there are features"));
  batch.layout.has_weights = true;
  batch.weights.assign(30, 1);
  const MemoryBatchSource weighted(batch);
  EXPECT_THAT(testing::ErrorOf([&] { Store(HopfieldRule::kHebb, weighted); }),
              ::testing::HasSubstr("remove the weight column"));
}

}  // namespace
}  // namespace beamline::engine
