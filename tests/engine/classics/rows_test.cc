// Nearest neighbours and naive Bayes.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/backend/cpu/isa.h"
#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/learners/naive_bayes.h"
#include "engine/learners/nearest_neighbours.h"
#include "tests/engine/classics/fixture.h"

namespace beamline::engine::testing {
namespace {

// scikit-learn asks for two rows of the training, too.
std::vector<double> ProbesAndRows(const Case& recorded) {
  std::vector<double> probes = recorded.at("probes");
  const std::vector<double>& x = recorded.at("x");
  probes.insert(probes.end(), x.begin(), x.begin() + 10);
  return probes;
}

TEST(NearestNeighbours, AreScikitLearns) {
  for (const std::string target : {"classes", "numbers"}) {
    for (const bool by_distance : {false, true}) {
      const std::string name = "neighbours_" + target + (by_distance ? "_distance" : "_uniform");
      SCOPED_TRACE(name);
      const Case& recorded = FixtureCase(name);
      const MemoryBatchSource rows = RowsOf(recorded, false);
      const auto learner = MakeNearestNeighbours({.neighbours = 4, .by_distance = by_distance},
                                                 {.layout = rows.layout(), .training = &rows});
      StepReport report;
      ASSERT_TRUE(learner->Step(&report));
      EXPECT_FALSE(report.has_loss);
      ExpectNear(Said(*learner, ProbesOf(recorded, ProbesAndRows(recorded))),
                 recorded.at("predicted"), 1e-6);
    }
  }
}

// With one neighbour whose target is its number, what is said is who was nearest.
TEST(NearestNeighbours, AreTheSameRowsInTheSameOrder) {
  const Case& recorded = FixtureCase("neighbours_classes_uniform");
  MemoryBatch batch;
  batch.layout.features = 5;
  batch.layout.targets = 1;
  for (const double x : recorded.at("x")) batch.features.push_back(static_cast<float>(x));
  batch.rows = 80;
  const std::vector<double>& neighbours = recorded.at("neighbours");
  for (int k = 1; k <= 4; ++k) {
    // The mean of the first k, times k, less that of the first k - 1: the k-th.
    batch.targets.clear();
    for (int i = 0; i < 80; ++i) batch.targets.push_back(static_cast<float>(i));
    const MemoryBatchSource rows(batch);
    const LearnerData data{.layout = rows.layout(), .training = &rows};
    const auto some = MakeNearestNeighbours({.neighbours = k}, data);
    StepReport report;
    some->Step(&report);
    const std::vector<double> said = Said(*some, ProbesOf({{"x", recorded.at("x")},
                                                           {"y", std::vector<double>(80)},
                                                           {"weights", std::vector<double>(80)}},
                                                          ProbesAndRows(recorded)));
    for (size_t i = 0; i < said.size(); ++i) {
      double sum = 0;
      for (int n = 0; n < k; ++n) sum += neighbours[4 * i + static_cast<size_t>(n)];
      EXPECT_NEAR(said[i] * k, sum, 1e-3) << i << " " << k;
    }
  }
}

TEST(NearestNeighbours, TakeTheFirstOfRowsThatAreEquallyNear) {
  MemoryBatch batch;
  batch.layout.features = 1;
  batch.layout.targets = 1;
  batch.features = {3, 1, -1, 1, -1};
  batch.targets = {0, 10, 20, 30, 40};
  batch.rows = 5;
  const MemoryBatchSource rows(batch);
  batch.features = {0};
  batch.targets = {0};
  batch.rows = 1;
  const MemoryBatchSource probe(batch);
  for (const auto& [neighbours, mean] : {std::pair(1, 10.0), {2, 15.0}, {3, 20.0}}) {
    const auto learner = MakeNearestNeighbours({.neighbours = neighbours},
                                               {.layout = rows.layout(), .training = &rows});
    StepReport report;
    learner->Step(&report);
    EXPECT_EQ(Said(*learner, probe), std::vector<double>{mean}) << neighbours;
  }
}

// Rows of many features are screened in float. Far from 0, where floats tell little of distances,
// all are compared in double, as where products of floats are lost (2^-76, 1e-23) or infinite
// (2^63, 1e19); in all cases the neighbours are those of plain loops, ties included.
TEST(NearestNeighbours, ScreeningChangesNothing) {
  constexpr int64_t kRows = 1500, kFeatures = 48, kProbes = 70, kNeighbours = 9;
  const Philox random(3, 4);
  for (const auto& [middle, scale] :
       {std::pair(0.0F, 1.0F), {30.0F, 1.0F}, {5000.0F, 1.0F}, {0.0F, 0x1p-76F}, {0.0F, 0x1p63F}}) {
    MemoryBatch batch, probes;
    batch.layout.features = probes.layout.features = kFeatures;
    batch.layout.targets = probes.layout.targets = 1;
    const auto add = [&](int64_t row, uint64_t stream, MemoryBatch* to) {
      for (int64_t f = 0; f < kFeatures; ++f) {
        // Every tenth row is the one before it again.
        const int64_t same = row % 10 == 9 ? row - 1 : row;
        const auto at = stream + static_cast<uint64_t>(same * kFeatures + f);
        to->features.push_back(scale * (middle + std::round(8 * random.Normal(at)) / 8));
      }
      to->targets.push_back(static_cast<float>(row));
      ++to->rows;
    };
    for (int64_t row = 0; row < kRows; ++row) add(row, 0, &batch);
    for (int64_t row = 0; row < kProbes; ++row) add(row, 1 << 20, &probes);
    std::vector<double> expected;
    for (int64_t i = 0; i < kProbes; ++i) {
      std::vector<std::pair<double, int64_t>> squares;
      for (int64_t row = 0; row < kRows; ++row) {
        double square = 0;
        for (int64_t f = 0; f < kFeatures; ++f) {
          const double difference =
              static_cast<double>(probes.features[static_cast<size_t>(i * kFeatures + f)]) -
              static_cast<double>(batch.features[static_cast<size_t>(row * kFeatures + f)]);
          square += difference * difference;
        }
        squares.emplace_back(square, row);
      }
      std::sort(squares.begin(), squares.end());
      double sum = 0;
      for (int64_t k = 0; k < kNeighbours; ++k) {
        sum += static_cast<double>(squares[static_cast<size_t>(k)].second);
      }
      expected.push_back(static_cast<float>(sum / kNeighbours));
    }
    const MemoryBatchSource rows(batch), asked(probes);
    const auto learner = MakeNearestNeighbours({.neighbours = kNeighbours},
                                               {.layout = rows.layout(), .training = &rows});
    StepReport report;
    learner->Step(&report);
    EXPECT_EQ(Said(*learner, asked), expected) << middle << " " << scale;
  }
}

TEST(NearestNeighbours, DistancesAreTheSameForEveryInstructionSet) {
  constexpr int64_t kCount = 7, kFeatures = 37;
  const Philox random(1, 2);
  std::vector<float> x, block;
  for (uint64_t i = 0; i < kCount * kFeatures; ++i) x.push_back(random.Normal(i));
  for (uint64_t i = 0; i < cpu::kLanes * kFeatures; ++i) {
    block.push_back(random.Normal(1000 + i));
  }
  std::vector<double> expected(kCount * cpu::kLanes);
  for (size_t i = 0; i < expected.size(); ++i) {
    for (int64_t f = 0; f < kFeatures; ++f) {
      const auto row = static_cast<int64_t>(i) / cpu::kLanes;
      const auto lane = static_cast<int64_t>(i) % cpu::kLanes;
      const double difference =
          static_cast<double>(x[static_cast<size_t>(row * kFeatures + f)]) -
          static_cast<double>(block[static_cast<size_t>(f * cpu::kLanes + lane)]);
      // Not fused with the sum.
      const volatile double square = difference * difference;
      expected[i] += square;
    }
  }
  for (const cpu::Isa& isa : cpu::Isas()) {
    if (!isa.Runs()) continue;
    std::vector<double> squares(expected.size());
    isa.learner_kernels.SquaredDistances(x.data(), kCount, kFeatures, block.data(), squares.data());
    EXPECT_EQ(squares, expected) << isa.name;
  }
}

TEST(NearestNeighbours, SameBitsAndMessages) {
  const MemoryBatchSource rows = RowsOf(FixtureCase("neighbours_classes_uniform"), false);
  ExpectSameBits(
      [&](int threads, bool trains) {
        return MakeNearestNeighbours(
            {.neighbours = 3, .threads = threads},
            {.layout = rows.layout(), .training = trains ? &rows : nullptr});
      },
      rows);
  EXPECT_THROW(
      MakeNearestNeighbours({.neighbours = 81}, {.layout = rows.layout(), .training = &rows}),
      Error);
  const MemoryBatchSource weighted = RowsOf(FixtureCase("naive_bayes"), true);
  EXPECT_THROW(MakeNearestNeighbours({}, {.layout = weighted.layout(), .training = &weighted}),
               Error);
}

// A parameter as a model has it: two floats.
std::vector<double> Sum(const Learner& learner, const std::string& name) {
  std::vector<double> sum = WeightOf(learner, name);
  const std::vector<double> rest = WeightOf(learner, name + ".rest");
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += rest[i];
  return sum;
}

TEST(NaiveBayes, IsScikitLearns) {
  const Case& recorded = FixtureCase("naive_bayes");
  const MemoryBatchSource rows = RowsOf(recorded, true);
  const auto learner =
      MakeNaiveBayes({.smoothing = 1e-3}, {.layout = rows.layout(), .training = &rows});
  StepReport report;
  ASSERT_TRUE(learner->Step(&report));
  ExpectNear(Sum(*learner, "means"), recorded.at("means"), 1e-9);
  ExpectNear(Sum(*learner, "variances"), recorded.at("variances"), 1e-9);
  ExpectNear(Sum(*learner, "priors"), recorded.at("priors"), 1e-9);
  ExpectNear(Said(*learner, ProbesOf(recorded, recorded.at("probes"))), recorded.at("predicted"),
             1e-7);  // Probabilities are floats.
}

TEST(NaiveBayes, SameBitsAndMessages) {
  const MemoryBatchSource rows = RowsOf(FixtureCase("naive_bayes"), true);
  ExpectSameBits(
      [&](int threads, bool trains) {
        return MakeNaiveBayes({.threads = threads},
                              {.layout = rows.layout(), .training = trains ? &rows : nullptr});
      },
      rows);
  const MemoryBatchSource numbers = RowsOf(FixtureCase("ridge"), true);
  EXPECT_THROW(MakeNaiveBayes({}, {.layout = numbers.layout(), .training = &numbers}), Error);
  MemoryBatch batch;
  batch.layout.features = 1;
  batch.layout.classes = 2;
  batch.features = {1, 2, 3, 4};
  batch.labels = {0, 0, 1, 1};
  batch.rows = 4;
  batch.layout.has_weights = true;
  batch.weights = {1, 1, 1, -2};
  const MemoryBatchSource negative(batch);
  const auto learner = MakeNaiveBayes({}, {.layout = batch.layout, .training = &negative});
  StepReport report;
  EXPECT_THROW(learner->Step(&report), Error);
}

}  // namespace
}  // namespace beamline::engine::testing
