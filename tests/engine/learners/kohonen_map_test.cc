#include "engine/learners/kohonen_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/engine/learners/classic.h"

namespace beamline::engine {
namespace {

// The batch rule written in NumPy without separating the grid's sides, from the same first units.
TEST(KohonenMapTest, FindsTheUnitsOfNumPy) {
  const MemoryBatchSource data(testing::Waves(250, 3, 0.75));
  KohonenSpec spec;
  spec.rows = 4;
  spec.columns = 6;
  spec.epochs = 8;
  const auto learner = MakeKohonenMap(spec, {data.layout(), &data});
  std::vector<float> first(4 * 6 * 3);
  std::vector<int64_t> rows(24);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int64_t>(10 * i);
  data.Gather(rows, {.features = first.data()});
  std::vector<NamedTensor> weights;
  weights.push_back({"units", Tensor::From({4, 6, 3}, first)});
  learner->SetWeights(weights);
  testing::TrainFully(learner.get());
  testing::ExpectNear(learner->Weights()[0].tensor.values<float>(),
                      testing::Recorded("kohonen_units"), 2e-5);
  const Predictions made = learner->Predict(data);
  testing::ExpectNear(made.codes.values<float>(), testing::Recorded("kohonen_places"), 0);
}

// The online rule, written in NumPy with the same order of rows.
TEST(KohonenMapTest, LearnsRowByRowAsNumPy) {
  MemoryBatch batch = testing::Waves(250, 3, 0.75);
  for (const char* name : {"kohonen_online", "kohonen_weighted"}) {
    SCOPED_TRACE(name);
    if (std::string(name) == "kohonen_weighted") {
      batch.layout.has_weights = true;
      for (int i = 0; i < 250; ++i) batch.weights.push_back(static_cast<float>(i % 3));
    }
    const MemoryBatchSource data(batch);
    const KohonenSpec spec = {.rows = 4,
                              .columns = 6,
                              .epochs = 8,
                              .online = true,
                              .first_learning_rate = 0.4,
                              .last_learning_rate = 0.02,
                              .seed = 5};
    const auto learner = MakeKohonenMap(spec, {data.layout(), &data});
    std::vector<float> first(4 * 6 * 3);
    std::vector<int64_t> rows(24);
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int64_t>(10 * i);
    data.Gather(rows, {.features = first.data()});
    std::vector<NamedTensor> weights;
    weights.push_back({"units", Tensor::From({4, 6, 3}, first)});
    learner->SetWeights(weights);
    const std::vector<StepReport> reports = testing::TrainFully(learner.get());
    EXPECT_EQ(reports.size(), 8);
    EXPECT_NEAR(reports.front().learning_rate, 0.4, 1e-12);
    EXPECT_NEAR(reports.back().learning_rate, 0.02, 1e-12);
    EXPECT_LT(reports.back().loss, reports.front().loss);
    testing::ExpectNear(learner->Weights()[0].tensor.values<float>(), testing::Recorded(name),
                        2e-5);
  }
}

// Points of a square: neighbours on the map are neighbours in the plane, and the map fills it.
TEST(KohonenMapTest, UnfoldsASquare) {
  MemoryBatch batch;
  batch.rows = 40 * 40;
  batch.layout.features = 2;
  for (int i = 0; i < 1600; ++i) {
    batch.features.push_back(static_cast<float>(i % 40) / 39);
    batch.features.push_back(static_cast<float>(i / 40) / 39);
  }
  const MemoryBatchSource data(batch);
  KohonenSpec spec;
  spec.rows = spec.columns = 8;
  spec.epochs = 40;
  const auto learner = MakeKohonenMap(spec, {data.layout(), &data});
  const double before = learner->Evaluate(data).loss;
  testing::TrainFully(learner.get());
  EXPECT_LT(learner->Evaluate(data).loss, before);
  EXPECT_LT(learner->Evaluate(data).loss, 1.0 / 12 / 64 * 1.6);  // 1: 64 squares, perfectly
  // Topographic error: the second nearest unit of a row is beside the nearest.
  const std::vector<NamedTensor> weights = learner->Weights();
  const std::span<const float> units = weights[0].tensor.values<float>();
  int apart = 0;
  for (size_t row = 0; row < 1600; ++row) {
    std::vector<std::pair<float, int>> near;
    for (int u = 0; u < 64; ++u) {
      const float x = units[static_cast<size_t>(2 * u)] - batch.features[2 * row];
      const float y = units[static_cast<size_t>(2 * u + 1)] - batch.features[2 * row + 1];
      near.push_back({x * x + y * y, u});
    }
    std::sort(near.begin(), near.end());
    const int dr = near[0].second / 8 - near[1].second / 8;
    const int dc = near[0].second % 8 - near[1].second % 8;
    apart += std::max(std::abs(dr), std::abs(dc)) > 1 ? 1 : 0;
  }
  EXPECT_LT(apart / 1600.0, 0.03);
}

TEST(KohonenMapTest, KeepsItsPromises) {
  MemoryBatch batch = testing::Blobs(3000, 4, 5, 7);
  batch.layout.has_weights = true;
  for (int i = 0; i < 3000; ++i) batch.weights.push_back(static_cast<float>(i % 3));
  const MemoryBatchSource data(batch);
  for (const bool online : {false, true}) {
    testing::ExpectToHold(
        [&](const LearnerData& on, int threads) {
          KohonenSpec spec;
          spec.rows = 3;
          spec.columns = 7;
          spec.epochs = 5;
          spec.last_radius = 0.05;
          spec.online = online;
          spec.threads = threads;
          return MakeKohonenMap(spec, on);
        },
        data, &data);
  }
}

// So many numbers that threads share the units of a row.
TEST(KohonenMapTest, LearnsRowByRowWithSeveralThreads) {
  const MemoryBatchSource data(testing::Blobs(40, 3000, 3, 7));
  std::vector<float> units;
  for (const int threads : {1, 3}) {
    const auto learner =
        MakeKohonenMap({.rows = 5, .columns = 5, .epochs = 2, .online = true, .threads = threads},
                       {data.layout(), &data});
    testing::TrainFully(learner.get());
    const std::vector<NamedTensor> weights = learner->Weights();
    const std::span<const float> values = weights[0].tensor.values<float>();
    if (threads == 1) units.assign(values.begin(), values.end());
    EXPECT_TRUE(std::equal(units.begin(), units.end(), values.begin(), values.end()));
  }
}

TEST(KohonenMapTest, SaysWhatIsWrong) {
  const MemoryBatchSource data(testing::Waves(20, 3, 0.75));
  for (const double rate : {0.0, 1.5}) {
    EXPECT_NE(
        testing::ErrorOf([&] {
          MakeKohonenMap({.online = true, .last_learning_rate = rate}, {data.layout(), &data});
        }).find("learning rates above 0 and at most 1"),
        std::string::npos);
  }
}

}  // namespace
}  // namespace beamline::engine
