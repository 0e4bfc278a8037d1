#include "engine/learners/restricted_boltzmann.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/core/philox.h"
#include "tests/engine/learners/classic.h"

namespace beamline::engine {
namespace {

using ::testing::HasSubstr;

// Rows of bits in which the second half repeats the first.
MemoryBatch Doubled(int64_t rows, int64_t half) {
  MemoryBatch batch;
  batch.rows = rows;
  batch.layout.features = 2 * half;
  const Philox random(3, 3);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t k = 0; k < 2 * half; ++k) {
      batch.features.push_back(
          static_cast<float>(random.Below(static_cast<uint64_t>(row * half + k % half), 2)));
    }
  }
  return batch;
}

struct Machine {
  std::vector<double> hidden_bias, visible_bias, weights;  // weights [features, hidden]

  explicit Machine(const Learner& learner) {
    const auto of = [&](size_t i) {
      const std::vector<NamedTensor> all = learner.Weights();
      const std::span<const float> values = all[i].tensor.values<float>();
      return std::vector<double>(values.begin(), values.end());
    };
    hidden_bias = of(0);
    visible_bias = of(1);
    weights = of(2);
  }
  // -log of the unnormalised probability of a visible state, hidden ones summed over.
  double FreeEnergy(const std::vector<double>& v) const {
    double energy = 0;
    for (size_t i = 0; i < v.size(); ++i) energy -= v[i] * visible_bias[i];
    for (size_t j = 0; j < hidden_bias.size(); ++j) {
      double x = hidden_bias[j];
      for (size_t i = 0; i < v.size(); ++i) x += v[i] * weights[i * hidden_bias.size() + j];
      energy -= std::log1p(std::exp(x));
    }
    return energy;
  }
  // Mean log probability of the data by counting all visible states.
  double LogLikelihood(const MemoryBatch& batch) const {
    const auto size = static_cast<size_t>(batch.layout.features);
    double total = 0;
    for (uint64_t state = 0; state < uint64_t{1} << size; ++state) {
      std::vector<double> v(size);
      for (size_t i = 0; i < size; ++i) v[i] = static_cast<double>(state >> i & 1);
      total += std::exp(-FreeEnergy(v));
    }
    double sum = 0;
    for (size_t row = 0; row < static_cast<size_t>(batch.rows); ++row) {
      sum -= FreeEnergy({batch.features.begin() + static_cast<int64_t>(row * size),
                         batch.features.begin() + static_cast<int64_t>((row + 1) * size)});
    }
    return sum / static_cast<double>(batch.rows) - std::log(total);
  }
};

RestrictedBoltzmannSpec Small() {
  RestrictedBoltzmannSpec spec;
  spec.hidden = 12;
  spec.epochs = 40;
  spec.batch_size = 20;
  return spec;
}

// The rows have 5 bits of entropy: no model says more than -5 log 2 of them.
TEST(RestrictedBoltzmannTest, LikelihoodApproachesTheEntropyOfTheData) {
  const MemoryBatch batch = Doubled(800, 5);
  const MemoryBatchSource data(batch);
  for (const bool persistent : {false, true}) {
    RestrictedBoltzmannSpec spec = Small();
    spec.persistent = persistent;
    spec.learning_rate = persistent ? 0.02 : 0.1;  // chains must keep up with the weights
    spec.epochs = 400;
    const auto learner = MakeRestrictedBoltzmann(spec, {data.layout(), &data});
    const double before = Machine(*learner).LogLikelihood(batch);
    EXPECT_NEAR(before, -10 * std::log(2.0), 0.05);
    testing::TrainFully(learner.get());
    const double after = Machine(*learner).LogLikelihood(batch);
    RecordProperty(persistent ? "pcd" : "cd", std::to_string(after));
    EXPECT_GT(after, -5 * std::log(2.0) - 0.6);
    EXPECT_LT(after, -5 * std::log(2.0) + 0.05);
  }
}

// With many rows and chains that are let run, one step moves along the gradient of the likelihood,
// wherever the chains began.
TEST(RestrictedBoltzmannTest, AStepFollowsTheGradientOfTheLikelihood) {
  const MemoryBatch batch = Doubled(40000, 2);
  const MemoryBatchSource data(batch);
  for (const bool persistent : {false, true}) {
    RestrictedBoltzmannSpec spec = Small();
    spec.hidden = 3;
    spec.persistent = persistent;
    spec.batch_size = 40000;
    spec.gibbs_steps = 30;
    spec.learning_rate = 1e-2;
    const auto learner = MakeRestrictedBoltzmann(spec, {data.layout(), &data});
    std::vector<NamedTensor> weights = learner->Weights();
    const Philox random(1, 1);
    uint64_t at = 0;
    for (NamedTensor& weight : weights) {
      for (float& value : weight.tensor.values<float>()) value = random.Normal(at++);
    }
    learner->SetWeights(weights);
    const Machine before(*learner);
    StepReport report;
    ASSERT_TRUE(learner->Step(&report));
    const Machine after(*learner);
    const auto check = [&](auto member) {
      for (size_t i = 0; i < (before.*member).size(); ++i) {
        Machine up = before, down = before;
        (up.*member)[i] += 1e-4;
        (down.*member)[i] -= 1e-4;
        const double gradient = (up.LogLikelihood(batch) - down.LogLikelihood(batch)) / 2e-4;
        EXPECT_NEAR(((after.*member)[i] - (before.*member)[i]) / 1e-2, gradient, 0.012);
      }
    };
    check(&Machine::weights);
    check(&Machine::visible_bias);
    check(&Machine::hidden_bias);
  }
}

TEST(RestrictedBoltzmannTest, GaussianUnitsLearnMeanAndDirection) {
  MemoryBatch batch;
  batch.rows = 2000;
  batch.layout.features = 4;
  const Philox random(4, 4);
  for (uint64_t row = 0; row < 2000; ++row) {
    const float sign = row % 2 == 0 ? 1.5f : -1.5f;
    for (uint64_t k = 0; k < 4; ++k) {
      batch.features.push_back(0.5f + (k < 2 ? sign : -sign) + random.Normal(row * 4 + k));
    }
  }
  const MemoryBatchSource data(batch);
  RestrictedBoltzmannSpec spec = Small();
  spec.visible = VisibleUnits::kGaussian;
  spec.hidden = 2;
  spec.learning_rate = 0.01;
  spec.momentum = 0.5;
  spec.epochs = 60;
  const auto learner = MakeRestrictedBoltzmann(spec, {data.layout(), &data});
  testing::TrainFully(learner.get());
  // Variance 1 is noise, 2.25 is the direction, which the hidden units tell apart.
  const double loss = learner->Evaluate(data).loss;
  EXPECT_LT(loss, 1.35);
  EXPECT_GT(loss, 0.8);
}

TEST(RestrictedBoltzmannTest, KeepsItsPromises) {
  for (const bool persistent : {false, true}) {
    MemoryBatch batch = Doubled(70, 4);
    batch.layout.has_weights = true;
    for (int i = 0; i < 70; ++i) batch.weights.push_back(static_cast<float>(i % 3));
    const MemoryBatchSource data(batch);
    testing::ExpectToHold(
        [&](const LearnerData& on, int threads) {
          RestrictedBoltzmannSpec spec = Small();
          spec.epochs = 3;
          spec.persistent = persistent;
          spec.momentum = persistent ? 0.5 : 0;
          spec.weight_decay = 0.001;
          spec.threads = threads;
          return MakeRestrictedBoltzmann(spec, on);
        },
        data, &data);
  }
}

TEST(RestrictedBoltzmannTest, SaysWhatDoesNotFit) {
  MemoryBatch batch = Doubled(30, 2);
  batch.features[9] = 3;
  const MemoryBatchSource data(batch);
  const auto learner = MakeRestrictedBoltzmann(Small(), {data.layout(), &data});
  EXPECT_THAT(testing::ErrorOf([&] { testing::TrainFully(learner.get()); }),
              HasSubstr("row 2 has a feature of 3"));
}

}  // namespace
}  // namespace beamline::engine
