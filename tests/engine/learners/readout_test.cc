// Radial basis functions, extreme learning machines, echo state networks and liquid state machines,
// each beside NumPy with the same features.
#include "engine/learners/readout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/core/spectral_radius.h"
#include "engine/learners/echo_state.h"
#include "engine/learners/extreme_learning_machine.h"
#include "engine/learners/liquid_state.h"
#include "engine/learners/radial_basis.h"
#include "engine/learners/reservoir.h"
#include "tests/engine/learners/classic.h"

namespace beamline::engine {
namespace {

using ::testing::HasSubstr;

// A number of each row: target() in classic_reference.py.
MemoryBatch WithTarget(MemoryBatch batch) {
  batch.layout.targets = 1;
  for (int64_t row = 0; row < batch.rows; ++row) {
    const float* x = batch.features.data() + row * batch.layout.features;
    const double y = std::sin(x[0]) + 0.5 * x[1] + 3;
    batch.targets.push_back(static_cast<float>(std::nearbyint(y * 1024) / 1024));
  }
  return batch;
}

MemoryBatch WithClasses(MemoryBatch batch, bool weights) {
  batch.layout.classes = 3;
  batch.layout.has_weights = weights;
  for (int64_t row = 0; row < batch.rows; ++row) {
    batch.labels.push_back(static_cast<int32_t>(row % 3));
    if (weights) batch.weights.push_back(static_cast<float>(row % 4));
  }
  return batch;
}

// Replaces weights by those of formula() in classic_reference.py: sin(first + i) times scale.
void SetByFormula(Learner* learner, const std::string& name, double first, double scale) {
  std::vector<NamedTensor> weights = learner->Weights();
  for (NamedTensor& weight : weights) {
    if (weight.name != name) continue;
    const std::span<float> values = weight.tensor.values<float>();
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(scale * std::sin(first + static_cast<double>(i)));
    }
  }
  learner->SetWeights(weights);
}

// Unit i hears units i + 1, i + 2, ... .
void SetSources(Learner* learner) {
  std::vector<NamedTensor> weights = learner->Weights();
  for (NamedTensor& weight : weights) {
    if (weight.name != "sources") continue;
    const int64_t units = weight.tensor.shape().dim(0), fan_in = weight.tensor.shape().dim(1);
    for (int64_t i = 0; i < units * fan_in; ++i) {
      weight.tensor.values<int64_t>()[static_cast<size_t>(i)] =
          (i / fan_in + i % fan_in + 1) % units;
    }
  }
  learner->SetWeights(weights);
}

// A centre for each row: features and ridge are then those of scikit-learn, in any order.
TEST(RadialBasisTest, PredictsAsScikitLearn) {
  const MemoryBatchSource data(WithTarget(testing::Waves(40, 3, 0.3)));
  RadialBasisSpec spec;
  spec.centres = 40;
  spec.width = 2;
  spec.penalty = 1e-3;
  const auto learner = MakeRadialBasis(spec, {data.layout(), &data});
  const double loss = testing::TrainFully(learner.get()).back().loss;
  const MemoryBatchSource others(WithTarget(testing::Waves(80, 3, 0.3)));
  testing::ExpectNear(learner->Predict(others).outputs.values<float>(),
                      testing::Recorded("radial_basis"), 1e-4);
  EXPECT_NEAR(learner->Evaluate(data).loss, loss, 1e-6);
}

TEST(RadialBasisTest, WidthIsTwiceTheMeanGapOfCentres) {
  MemoryBatch batch;
  batch.rows = 6;
  batch.layout.features = batch.layout.targets = 1;
  batch.features = {0, 0, 1, 1, 5, 5};
  batch.targets = {1, 1, 2, 2, 3, 3};
  const MemoryBatchSource data(batch);
  RadialBasisSpec spec;
  spec.centres = 3;
  const auto learner = MakeRadialBasis(spec, {data.layout(), &data});
  testing::TrainFully(learner.get());
  const std::vector<NamedTensor> weights = learner->Weights();
  ASSERT_EQ(weights.back().name, "width");
  EXPECT_NEAR(weights.back().tensor.values<float>()[0], 2 * (1 + 1 + 4) / 3.0, 1e-6);
}

TEST(ExtremeLearningMachineTest, PredictsAsNumPy) {
  const MemoryBatchSource data(WithTarget(testing::Waves(60, 3, 0.3)));
  const char* names[] = {"extreme_tanh", "extreme_sigmoid", "extreme_relu"};
  const Activation activations[] = {Activation::kTanh, Activation::kSigmoid, Activation::kRelu};
  for (int i = 0; i < 3; ++i) {
    ExtremeLearningSpec spec;
    spec.hidden = 20;
    spec.activation = activations[i];
    const auto learner = MakeExtremeLearningMachine(spec, {data.layout(), &data});
    SetByFormula(learner.get(), "hidden", 0.5, 0.4);
    SetByFormula(learner.get(), "hidden_bias", 1.5, 0.7);
    testing::TrainFully(learner.get());
    testing::ExpectNear(learner->Predict(data).outputs.values<float>(), testing::Recorded(names[i]),
                        2e-4);
  }
}

MemoryBatch Sequences(int64_t rows, double salt) {
  MemoryBatch batch = WithTarget(testing::Waves(rows, 12, salt));
  batch.layout.steps = 6;  // of two numbers
  for (float& x : batch.features) x *= 0.25f;
  return batch;
}

TEST(EchoStateTest, PredictsAsNumPy) {
  for (const bool mean : {false, true}) {
    MemoryBatch batch = Sequences(50, 0.9);
    batch.layout.has_lengths = mean;
    for (int i = 0; mean && i < 50; ++i) batch.lengths.push_back(2 + i % 5);
    const MemoryBatchSource data(batch);
    EchoStateSpec spec;
    spec.reservoir = 15;
    spec.density = 0.2;
    spec.leak = 0.6;
    spec.penalty = 1e-3;
    spec.mean_state = mean;
    const auto learner = MakeEchoState(spec, {data.layout(), &data});
    SetByFormula(learner.get(), "input", 0.25, 0.8);
    SetByFormula(learner.get(), "recurrent", 2.25, 0.5);
    SetSources(learner.get());
    testing::TrainFully(learner.get());
    testing::ExpectNear(learner->Predict(data).outputs.values<float>(),
                        testing::Recorded(mean ? "echo_mean" : "echo_last"), 2e-4);
  }
}

TEST(EchoStateTest, ReservoirHasItsSpectralRadius) {
  MemoryBatch batch = Sequences(20, 0.9);
  const MemoryBatchSource data(batch);
  EchoStateSpec spec;
  spec.reservoir = 120;
  spec.spectral_radius = 0.7;
  const auto learner = MakeEchoState(spec, {data.layout(), &data});
  const std::vector<NamedTensor> weights = learner->Weights();
  ASSERT_EQ(weights[5].name, "recurrent");
  const std::span<const float> w = weights[5].tensor.values<float>();
  const std::span<const int64_t> sources = weights[6].tensor.values<int64_t>();
  ASSERT_EQ(weights[5].tensor.shape(), Shape({120, 12}));
  for (size_t unit = 0; unit < 120; ++unit) {
    const auto own = sources.subspan(12 * unit, 12);
    EXPECT_TRUE(std::adjacent_find(own.begin(), own.end(), std::greater_equal<>()) == own.end());
  }
  // |W^k x|^(1/k) for large k, averaged over a turn of the leading pair of eigenvalues.
  std::vector<double> x(120, 1), y(120);
  double log_norm = 0;
  const int kTimes = 20000;
  for (int k = 0; k < kTimes; ++k) {
    double norm = 0;
    for (size_t i = 0; i < 120; ++i) {
      y[i] = 0;
      for (size_t j = 12 * i; j < 12 * i + 12; ++j) {
        y[i] += static_cast<double>(w[j]) * x[static_cast<size_t>(sources[j])];
      }
      norm += y[i] * y[i];
    }
    norm = std::sqrt(norm);
    log_norm += std::log(norm);
    for (size_t i = 0; i < 120; ++i) x[i] = y[i] / norm;
  }
  EXPECT_NEAR(std::exp(log_norm / kTimes), 0.7, 1e-3);
}

// Companion matrices have the roots of their polynomials as eigenvalues.
TEST(SpectralRadiusTest, OfMatricesWithKnownEigenvalues) {
  // (x^2 + 4)(x - 1): -2i, 2i, 1.
  const double a[3][3] = {{1, -4, 4}, {1, 0, 0}, {0, 1, 0}};
  const auto apply = [&](const double* x, double* y) {
    for (int i = 0; i < 3; ++i) y[i] = a[i][0] * x[0] + a[i][1] * x[1] + a[i][2] * x[2];
  };
  EXPECT_NEAR(SpectralRadius(3, apply), 2, 1e-12);
  EXPECT_EQ(SpectralRadius(2, [](const double*, double* y) { y[0] = y[1] = 0; }), 0);
  EXPECT_NEAR(SpectralRadius(400,
                             [](const double* x, double* y) {
                               for (int i = 0; i < 400; ++i)
                                 y[i] = (i == 7 ? -3 : 0.001 * i) * x[i];
                             }),
              3, 1e-9);
}

TEST(LiquidStateTest, PredictsAsNumPy) {
  for (const bool mean : {false, true}) {
    MemoryBatch batch = Sequences(50, 0.4);
    const MemoryBatchSource data(batch);
    LiquidStateSpec spec;
    spec.cells = 15;
    spec.density = 0.2;
    spec.presentation = 4;
    spec.penalty = 1e-4;
    spec.mean_state = mean;
    const auto learner = MakeLiquidState(spec, {data.layout(), &data});
    SetByFormula(learner.get(), "input", 0.25, 0.8);
    SetByFormula(learner.get(), "recurrent", 2.25, 0.3);
    SetSources(learner.get());
    testing::TrainFully(learner.get());
    testing::ExpectNear(learner->Predict(data).outputs.values<float>(),
                        testing::Recorded(mean ? "liquid_mean" : "liquid_last"), 2e-3);
  }
}

// The last number of a window follows the first: only a state that remembers tells it.
TEST(EchoStateTest, Remembers) {
  MemoryBatch batch = testing::Blobs(600, 11, 600, 3);
  batch.layout.steps = 11;
  batch.layout.targets = 1;
  for (size_t row = 0; row < 600; ++row) {
    for (size_t k = 0; k < 11; ++k) {
      float& x = batch.features[row * 11 + k];
      x = std::tanh(0.2f * x);
    }
    batch.targets.push_back(batch.features[row * 11 + 4]);  // six steps before the end
  }
  const MemoryBatchSource data(batch);
  EchoStateSpec spec;
  spec.reservoir = 150;
  spec.input_scale = 0.3;
  const auto learner = MakeEchoState(spec, {data.layout(), &data});
  testing::TrainFully(learner.get());
  double variance = 0, mean = 0;
  for (const float y : batch.targets) mean += y / 600.0;
  for (const float y : batch.targets) variance += (y - mean) * (y - mean) / 600;
  EXPECT_LT(learner->Evaluate(data).loss, 0.02 * variance);
}

TEST(ReadoutTest, ClassesSumToOneAndAreFound) {
  const MemoryBatchSource data(WithClasses(testing::Blobs(300, 4, 3, 8), false));
  ExtremeLearningSpec spec;
  spec.hidden = 40;
  spec.scale = 0.3;
  const auto learner = MakeExtremeLearningMachine(spec, {data.layout(), &data});
  testing::TrainFully(learner.get());
  const Predictions made = learner->Predict(data);
  int right = 0;
  for (size_t row = 0; row < 300; ++row) {
    const auto p = made.probabilities.values<float>().subspan(3 * row, 3);
    const auto y = made.outputs.values<float>().subspan(3 * row, 3);
    EXPECT_NEAR(p[0] + p[1] + p[2], 1, 1e-5);
    EXPECT_NEAR(y[0] + y[1] + y[2], 1, 1e-4);
    right += static_cast<size_t>(std::max_element(p.begin(), p.end()) - p.begin()) == row % 3;
  }
  EXPECT_GE(right, 290);
}

TEST(ReadoutTest, WeightsOfTwoAreRowsTwice) {
  MemoryBatch batch = WithTarget(testing::Waves(60, 3, 0.3));
  MemoryBatch twice = batch;
  batch.layout.has_weights = true;
  for (size_t row = 0; row < 60; ++row) {
    batch.weights.push_back(row % 3 == 0 ? 2.0f : row % 3 == 1 ? 1.0f : 0.0f);
  }
  twice.rows = 40;
  twice.features.clear();
  twice.targets.clear();
  for (size_t row = 0; row < 60; ++row) {
    for (int times = 0; times < static_cast<int>(batch.weights[row]); ++times) {
      const auto from = batch.features.begin() + static_cast<int64_t>(3 * row);
      twice.features.insert(twice.features.end(), from, from + 3);
      twice.targets.push_back(batch.targets[row]);
    }
  }
  twice.rows = static_cast<int64_t>(twice.targets.size());
  const MemoryBatchSource weighted(batch), repeated(twice);
  const auto coefficients = [](const BatchSource& data) {
    const auto learner = MakeExtremeLearningMachine({.hidden = 10}, {data.layout(), &data});
    testing::TrainFully(learner.get());
    const std::vector<NamedTensor> weights = learner->Weights();
    EXPECT_EQ(weights[4].name, "readout");
    const std::span<const float> values = weights[4].tensor.values<float>();
    return std::vector<double>(values.begin(), values.end());
  };
  const std::vector<double> a = coefficients(weighted), b = coefficients(repeated);
  ASSERT_EQ(a.size(), 10);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i] / b[i], 1, 1e-5);
}

TEST(ReadoutTest, KeepPromises) {
  for (const bool weights : {false, true}) {
    MemoryBatch batch = WithClasses(testing::Blobs(700, 6, 3, 2), weights);
    batch.layout.steps = 3;
    const MemoryBatchSource data(batch);
    testing::ExpectToHold(
        [](const LearnerData& on, int threads) {
          return MakeRadialBasis({.centres = 12, .threads = threads}, on);
        },
        data, &data);
    testing::ExpectToHold(
        [](const LearnerData& on, int threads) {
          return MakeExtremeLearningMachine({.hidden = 30, .threads = threads}, on);
        },
        data, &data);
    testing::ExpectToHold(
        [](const LearnerData& on, int threads) {
          return MakeEchoState({.reservoir = 25, .threads = threads}, on);
        },
        data, &data);
    testing::ExpectToHold(
        [](const LearnerData& on, int threads) {
          return MakeLiquidState({.cells = 25, .threads = threads}, on);
        },
        data, &data);
  }
}

TEST(ReadoutTest, SayWhatDoesNotFit) {
  const MemoryBatchSource rows(WithTarget(testing::Waves(20, 4, 0.1)));
  EXPECT_THAT(testing::ErrorOf([&] {
                MakeEchoState({.reservoir = 5}, {rows.layout(), &rows});
              }),
              HasSubstr("set windows or sequences"));
  EXPECT_THAT(testing::ErrorOf([&] {
                MakeRadialBasis({.centres = 21}, {rows.layout(), &rows});
              }),
              HasSubstr("lower centres"));
}

}  // namespace
}  // namespace beamline::engine
