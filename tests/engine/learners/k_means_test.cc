#include "engine/learners/k_means.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/learners/cluster.h"
#include "tests/engine/learners/classic.h"

namespace beamline::engine {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<Learner> FiveFromFirstRows(const MemoryBatchSource& data) {
  KMeansSpec spec;
  spec.clusters = 5;
  spec.tolerance = 0;
  auto learner = MakeKMeans(spec, {data.layout(), &data});
  std::vector<float> first(20);
  const std::vector<int64_t> rows = {0, 1, 2, 3, 4};
  data.Gather(rows, {.features = first.data()});
  std::vector<NamedTensor> weights;
  weights.push_back({"centres", Tensor::From({5, 4}, first)});
  learner->SetWeights(weights);
  testing::TrainFully(learner.get());
  return learner;
}

TEST(KMeansTest, FindsTheCentresOfScikitLearn) {
  const MemoryBatchSource data(testing::Waves(200, 4, 0.5));
  const auto learner = FiveFromFirstRows(data);
  testing::ExpectNear(learner->Weights()[0].tensor.values<float>(),
                      testing::Recorded("k_means_centres"), 1e-5);
  EXPECT_NEAR(learner->Evaluate(data).loss * 800, testing::Recorded("k_means_inertia")[0], 1e-3);
  const Predictions made = learner->Predict(data);
  const std::vector<double> labels = testing::Recorded("k_means_labels");
  for (size_t row = 0; row < 200; ++row) {
    const auto distances = made.codes.values<float>().subspan(row * 5, 5);
    const auto least = std::min_element(distances.begin(), distances.end());
    EXPECT_EQ(static_cast<double>(least - distances.begin()), labels[row]);
    EXPECT_EQ(made.clusters.values<int64_t>()[row], least - distances.begin());
    EXPECT_NEAR(made.row_losses.values<float>()[row], *least * *least / 4, 1e-4);
  }
}

TEST(KMeansTest, WeighsRowsAsScikitLearnDoes) {
  MemoryBatch batch = testing::Waves(200, 4, 0.5);
  batch.layout.has_weights = true;
  for (int i = 0; i < 200; ++i) batch.weights.push_back(static_cast<float>(1 + i % 3));
  const MemoryBatchSource data(batch);
  testing::ExpectNear(FiveFromFirstRows(data)->Weights()[0].tensor.values<float>(),
                      testing::Recorded("k_means_weighted_centres"), 1e-5);
  batch.weights[7] = -1;
  const MemoryBatchSource negative(batch);
  EXPECT_THAT(testing::ErrorOf([&] { FiveFromFirstRows(negative); }), HasSubstr("row 7"));
}

TEST(KMeansTest, KeepsItsPromises) {
  for (const int64_t starts : {1, 3}) {
    MemoryBatch batch = testing::Blobs(5000, 5, 6, 3);
    batch.layout.has_weights = true;
    for (int i = 0; i < 5000; ++i) batch.weights.push_back(static_cast<float>(i % 4));
    const MemoryBatchSource data(batch);
    batch.rows = 0;
    testing::ExpectToHold(
        [&](const LearnerData& on, int threads) {
          KMeansSpec spec;
          spec.clusters = 7;
          spec.starts = starts;
          spec.max_iterations = 12;
          spec.threads = threads;
          return MakeKMeans(spec, on);
        },
        data, &data);
  }
}

TEST(KMeansTest, TheBestOfManyStartsCounts) {
  const MemoryBatchSource data(testing::Blobs(600, 3, 8, 5));
  const auto loss = [&](int64_t starts, uint64_t seed) {
    KMeansSpec spec;
    spec.clusters = 8;
    spec.starts = starts;
    spec.seed = seed;
    const auto learner = MakeKMeans(spec, {data.layout(), &data});
    testing::TrainFully(learner.get());
    return learner->Evaluate(data).loss;
  };
  double least = 1e9, most = 0;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    least = std::min(least, loss(1, seed));
    most = std::max(most, loss(1, seed));
    EXPECT_LE(loss(6, seed), loss(1, seed) * (1 + 1e-6));
  }
  EXPECT_GT(most, least * 1.05);  // starts differ, or else this shows nothing
}

TEST(KMeansTest, DrawsFarRowsAndNoneWithoutWeight) {
  MemoryBatch batch;
  batch.rows = 300;
  batch.layout.features = 1;
  batch.layout.has_weights = true;
  for (int i = 0; i < 300; ++i) {  // three heaps, one of which weighs nothing
    batch.features.push_back(static_cast<float>(1000 * (i % 3) + i / 300.0));
    batch.weights.push_back(i % 3 == 2 ? 0.0f : 1.0f);
  }
  const MemoryBatchSource data(batch);
  ThreadPool pool(2);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Matrix centres = DrawCentres(ClusterRows(data, &pool), 2, seed, 0, &pool);
    EXPECT_NEAR(std::abs(centres.At(0, 0) - centres.At(1, 0)), 1000, 2) << "seed " << seed;
    EXPECT_LT(std::max(centres.At(0, 0), centres.At(1, 0)), 1500) << "seed " << seed;
  }
}

TEST(KMeansTest, ManyCopiesOfFewRowsLeaveNoCentreWithoutNumbers) {
  MemoryBatch batch;
  batch.rows = 30;
  batch.layout.features = 2;
  for (int i = 0; i < 30; ++i) batch.features.insert(batch.features.end(), {float(i % 2), 1.0f});
  const MemoryBatchSource data(batch);
  KMeansSpec spec;
  spec.clusters = 5;
  const auto learner = MakeKMeans(spec, {data.layout(), &data});
  testing::TrainFully(learner.get());
  EXPECT_EQ(learner->Evaluate(data).loss, 0);
}

TEST(KMeansTest, SaysWhatDoesNotFit) {
  const MemoryBatchSource data(testing::Blobs(20, 3, 2, 1));
  KMeansSpec spec;
  spec.clusters = 21;
  EXPECT_THAT(testing::ErrorOf([&] {
                MakeKMeans(spec, {data.layout(), &data});
              }),
              HasSubstr("lower clusters"));
  BatchLayout codes;
  codes.features = 1;
  codes.code_columns = 1;
  EXPECT_THAT(testing::ErrorOf([&] { MakeKMeans(spec, {codes}); }), HasSubstr("one_hot"));
}

}  // namespace
}  // namespace beamline::engine
