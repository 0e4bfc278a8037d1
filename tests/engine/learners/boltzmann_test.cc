#include "engine/learners/boltzmann.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "engine/core/philox.h"
#include "tests/engine/learners/classic.h"

namespace beamline::engine {
namespace {

// Bits of which the last is the exclusive or of the first two.
MemoryBatch ExclusiveOr(int64_t rows) {
  MemoryBatch batch;
  batch.rows = rows;
  batch.layout.features = 3;
  const Philox random(5, 5);
  for (int64_t row = 0; row < rows; ++row) {
    const uint64_t bits = random.Below(static_cast<uint64_t>(row), 4);
    const auto a = static_cast<float>(bits & 1), b = static_cast<float>(bits >> 1);
    batch.features.insert(batch.features.end(), {a, b, a == b ? 0.0f : 1.0f});
  }
  return batch;
}

struct Machine {
  int units = 0;
  std::vector<double> biases, couplings;

  explicit Machine(const Learner& learner) {
    const std::vector<NamedTensor> weights = learner.Weights();
    const auto b = weights[0].tensor.values<float>(), w = weights[1].tensor.values<float>();
    units = static_cast<int>(b.size());
    biases.assign(b.begin(), b.end());
    couplings.assign(w.begin(), w.end());
  }
  double Coupling(int i, int j) const { return couplings[static_cast<size_t>(i * units + j)]; }
  // Mean log probability of rows of three bits, all states of all units counted.
  double LogLikelihood(const MemoryBatch& batch) const {
    double total = 0, of_visible[8] = {};
    for (int state = 0; state < 1 << units; ++state) {
      double energy = 0;
      for (int i = 0; i < units; ++i) {
        if ((state >> i & 1) == 0) continue;
        energy -= biases[static_cast<size_t>(i)];
        for (int j = 0; j < i; ++j) {
          if ((state >> j & 1) != 0) energy -= Coupling(i, j);
        }
      }
      total += std::exp(-energy);
      of_visible[state & 7] += std::exp(-energy);
    }
    double sum = 0;
    for (size_t row = 0; row < static_cast<size_t>(batch.rows); ++row) {
      const float* v = batch.features.data() + 3 * row;
      sum += std::log(of_visible[static_cast<int>(v[0] + 2 * v[1] + 4 * v[2])] / total);
    }
    return sum / static_cast<double>(batch.rows);
  }
};

// With many rows, chains and sweeps one step moves along the exact gradient of the likelihood.
TEST(BoltzmannTest, AStepFollowsTheGradientOfTheLikelihood) {
  for (const int64_t hidden : {0, 2}) {
    const MemoryBatch batch = ExclusiveOr(40000);
    const MemoryBatchSource data(batch);
    BoltzmannSpec spec;
    spec.hidden = hidden;
    spec.batch_size = 40000;
    spec.sweeps = 25;
    spec.threads = 2;
    const auto learner = MakeBoltzmann(spec, {data.layout(), &data});
    std::vector<NamedTensor> weights = learner->Weights();
    const auto units = static_cast<size_t>(3 + hidden);
    for (size_t i = 0; i < units; ++i) {
      weights[0].tensor.values<float>()[i] = std::sin(1.0f + static_cast<float>(i));
      for (size_t j = 0; j < i; ++j) {
        const float value = std::sin(2.0f + static_cast<float>(3 * i + 5 * j));
        weights[1].tensor.values<float>()[i * units + j] = value;
        weights[1].tensor.values<float>()[j * units + i] = value;
      }
    }
    learner->SetWeights(weights);
    const Machine before(*learner);
    StepReport report;
    ASSERT_TRUE(learner->Step(&report));
    const Machine after(*learner);
    for (size_t i = 0; i < units; ++i) {
      Machine up = before, down = before;
      up.biases[i] += 1e-4;
      down.biases[i] -= 1e-4;
      const double of_bias = (up.LogLikelihood(batch) - down.LogLikelihood(batch)) / 2e-4;
      EXPECT_NEAR((after.biases[i] - before.biases[i]) / 0.01, of_bias, 0.012);
      for (size_t j = 0; j < i; ++j) {
        up = down = before;
        up.couplings[i * units + j] += 1e-4;
        down.couplings[i * units + j] -= 1e-4;
        const double gradient = (up.LogLikelihood(batch) - down.LogLikelihood(batch)) / 2e-4;
        EXPECT_NEAR((after.couplings[i * units + j] - before.couplings[i * units + j]) / 0.01,
                    gradient, 0.012);
        EXPECT_EQ(after.Coupling(static_cast<int>(j), static_cast<int>(i)),
                  after.Coupling(static_cast<int>(i), static_cast<int>(j)));
      }
      EXPECT_EQ(after.Coupling(static_cast<int>(i), static_cast<int>(i)), 0);
    }
  }
}

// Pairs say all of bits that repeat each other, and nothing of an exclusive or.
TEST(BoltzmannTest, LearnsWhatPairsSay) {
  const auto likelihood = [&](const MemoryBatch& batch) {
    const MemoryBatchSource data(batch);
    BoltzmannSpec spec;
    spec.learning_rate = 0.05;
    spec.batch_size = 100;
    spec.sweeps = 3;
    spec.epochs = 500;
    const auto learner = MakeBoltzmann(spec, {data.layout(), &data});
    testing::TrainFully(learner.get());
    return Machine(*learner).LogLikelihood(batch);
  };
  MemoryBatch batch = ExclusiveOr(400);
  EXPECT_NEAR(likelihood(batch), -3 * std::log(2.0), 0.05);
  for (size_t row = 0; row < 400; ++row) batch.features[3 * row + 2] = batch.features[3 * row];
  EXPECT_NEAR(likelihood(batch), -2 * std::log(2.0), 0.1);
}

TEST(BoltzmannTest, KeepsItsPromises) {
  for (const int64_t hidden : {0, 3}) {
    MemoryBatch batch = ExclusiveOr(70);
    batch.layout.has_weights = true;
    for (int i = 0; i < 70; ++i) {
      batch.features[static_cast<size_t>(3 * i)] = 0.25f;  // constant
      batch.weights.push_back(static_cast<float>(i % 3));
    }
    const MemoryBatchSource data(batch);
    testing::ExpectToHold(
        [&](const LearnerData& on, int threads) {
          return MakeBoltzmann(
              {.hidden = hidden, .epochs = 3, .batch_size = 20, .sweeps = 2, .threads = threads},
              on);
        },
        data, &data);
  }
}

TEST(BoltzmannTest, SaysWhatDoesNotFit) {
  MemoryBatch batch = ExclusiveOr(30);
  batch.features[9] = -1;
  const MemoryBatchSource data(batch);
  const auto learner = MakeBoltzmann({}, {data.layout(), &data});
  EXPECT_THAT(testing::ErrorOf([&] { testing::TrainFully(learner.get()); }),
              ::testing::HasSubstr("row 3 has a feature of -1"));
}

}  // namespace
}  // namespace beamline::engine
