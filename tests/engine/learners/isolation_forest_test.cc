#include "engine/learners/isolation_forest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tests/engine/learners/classic.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

// The share of pairs in which the anomaly has the larger score; ties count half.
double AreaUnderCurve(std::span<const float> scores, const std::vector<int>& anomalies) {
  double above = 0, pairs = 0;
  for (size_t i = 0; i < anomalies.size(); ++i) {
    for (size_t j = 0; anomalies[i] == 1 && j < anomalies.size(); ++j) {
      if (anomalies[j] == 1) continue;
      pairs += 1;
      above += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
    }
  }
  return above / pairs;
}

TEST(IsolationForestTest, FindsThyroidsThatAreIll) {
  const std::string folder = testing::DatasetFolder("thyroid_anomaly");
  if (folder.empty()) GTEST_SKIP() << "data set thyroid_anomaly not found: set BEAMLINE_DATASETS";
  FILE* pipe = popen(("gzip -dc '" + folder + "/thyroid.csv.gz' | tail -n +2").c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  MemoryBatch batch;
  batch.layout.features = 6;
  std::vector<int> anomalies;
  for (;;) {
    int label = 0;
    float x[6];
    if (std::fscanf(pipe, "%d,%f,%f,%f,%f,%f,%f", &label, x, x + 1, x + 2, x + 3, x + 4, x + 5) !=
        7) {
      break;
    }
    anomalies.push_back(label);
    batch.features.insert(batch.features.end(), x, x + 6);
    ++batch.rows;
  }
  pclose(pipe);
  ASSERT_EQ(batch.rows, 3772);
  const MemoryBatchSource data(batch);
  double sum = 0;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    IsolationForestSpec spec;
    spec.seed = seed;
    const auto learner = MakeIsolationForest(spec, {data.layout(), &data});
    testing::TrainFully(learner.get());
    const double area =
        AreaUnderCurve(learner->Predict(data).row_losses.values<float>(), anomalies);
    RecordProperty("auc" + std::to_string(seed), std::to_string(area));
    sum += area;
  }
  EXPECT_GE(sum / 3, 0.975);  // scikit-learn: 0.978 +- 0.003
}

TEST(IsolationForestTest, ScoresAreThoseOfScikitLearn) {
  const MemoryBatchSource data(testing::Waves(300, 4, 2.5));
  IsolationForestSpec spec;
  spec.trees = 2000;
  spec.rows = 64;
  const auto learner = MakeIsolationForest(spec, {data.layout(), &data});
  testing::TrainFully(learner.get());
  const Predictions made = learner->Predict(data);
  // Means of 2000 random trees on both sides.
  testing::ExpectNear(made.row_losses.values<float>(), testing::Recorded("isolation_scores"),
                      0.012);
}

// Of one feature with two values, the only cut separates them: depths are 1 + c(rows of each).
TEST(IsolationForestTest, DepthsAreThoseOfThePaper) {
  MemoryBatch batch;
  batch.rows = 8;
  batch.layout.features = 2;
  batch.features = {0, 5, 0, 5, 0, 5, 0, 5, 0, 5, 0, 5, 0, 5, 9, 5};
  const MemoryBatchSource data(batch);
  IsolationForestSpec spec;
  spec.trees = 3;
  spec.rows = 8;
  const auto learner = MakeIsolationForest(spec, {data.layout(), &data});
  testing::TrainFully(learner.get());
  const auto c = [](int n) {
    double harmonic = 0;
    for (int i = 1; i < n; ++i) harmonic += 1.0 / i;
    return 2 * harmonic - 2.0 * (n - 1) / n;
  };
  const Predictions made = learner->Predict(data);
  const std::span<const float> scores = made.row_losses.values<float>();
  EXPECT_NEAR(scores[7], std::exp2(-1 / c(8)), 1e-6);
  EXPECT_NEAR(scores[0], std::exp2(-(1 + c(7)) / c(8)), 1e-6);
}

TEST(IsolationForestTest, RowsWithoutWeightAreNeverDrawn) {
  MemoryBatch batch = testing::Blobs(400, 3, 1, 4);
  batch.layout.has_weights = true;
  for (int i = 0; i < 400; ++i) {
    batch.weights.push_back(i % 2 == 0 ? 1.0f : 0.0f);
    if (i % 2 == 1) batch.features[static_cast<size_t>(3 * i)] = 1000;  // far from all others
  }
  const MemoryBatchSource data(batch);
  IsolationForestSpec spec;
  const auto learner = MakeIsolationForest(spec, {data.layout(), &data});
  testing::TrainFully(learner.get());
  for (const NamedTensor& weight : learner->Weights()) {
    if (weight.name != "thresholds") continue;
    for (const float threshold : weight.tensor.values<float>()) EXPECT_LT(threshold, 100);
  }
}

TEST(IsolationForestTest, KeepsItsPromises) {
  for (const bool weighs : {false, true}) {
    MemoryBatch batch = testing::Blobs(700, 4, 3, 1);
    batch.layout.has_weights = weighs;
    for (int i = 0; weighs && i < 700; ++i) batch.weights.push_back(static_cast<float>(i % 5));
    const MemoryBatchSource data(batch);
    testing::ExpectToHold(
        [](const LearnerData& on, int threads) {
          IsolationForestSpec spec;
          spec.trees = 12;
          spec.rows = 50;
          spec.threads = threads;
          return MakeIsolationForest(spec, on);
        },
        data, &data);
  }
}

TEST(IsolationForestTest, RefusesTreesWithoutEnd) {
  const MemoryBatchSource data(testing::Blobs(100, 3, 1, 4));
  IsolationForestSpec spec;
  const auto learner = MakeIsolationForest(spec, {data.layout(), &data});
  testing::TrainFully(learner.get());
  std::vector<NamedTensor> weights = learner->Weights();
  ASSERT_EQ(weights[0].name, "children");
  weights[0].tensor.values<int64_t>()[0] = 0;
  EXPECT_THAT(testing::ErrorOf([&] { learner->SetWeights(weights); }),
              ::testing::HasSubstr("damaged"));
}

}  // namespace
}  // namespace beamline::engine
