// Noise, latent samples and losses that layers add, on every backend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/core/error.h"
#include "engine/executor/executor.h"
#include "tests/engine/backend/op_fixture.h"

namespace beamline::engine {
namespace {

using ::testing::HasSubstr;

class PenaltiesTest : public testing::BackendTest {};

std::vector<float> Noise(const std::string& backend, int threads, const Shape& shape, double scale,
                         uint64_t step) {
  Graph g;
  const Value number = g.Number("scale");
  g.Gaussian("first", number, {7});
  const Value noise = g.Gaussian("noise", number, shape);
  g.MarkOutput(noise);
  Variables variables;
  ThreadPool pool(threads);
  Executor executor(g, FindBackend(backend), &variables, &pool, 3);
  executor.Set(number, scale);
  executor.Run(step);
  const std::span<const float> data = executor.Data<float>(noise);
  return {data.begin(), data.end()};
}

TEST_P(PenaltiesTest, GaussianHasTheMomentsAndTheSameBitsEverywhere) {
  const Shape shape({301, 333});
  const std::vector<float> noise = Noise(GetParam(), 1, shape, 2, 5);
  double sums[5] = {};
  for (const float x : noise) {
    double power = 1;
    for (double& sum : sums) {
      sum += power / static_cast<double>(noise.size());
      power *= static_cast<double>(x) / 2;
    }
  }
  EXPECT_NEAR(sums[1], 0, 0.015);
  EXPECT_NEAR(sums[2], 1, 0.02);
  EXPECT_NEAR(sums[3], 0, 0.05);
  EXPECT_NEAR(sums[4], 3, 0.12);
  EXPECT_EQ(noise == Noise("reference", 1, shape, 2, 5), true);
  for (const int threads : {2, 3, 4, 8}) {
    EXPECT_EQ(noise == Noise(GetParam(), threads, shape, 2, 5), true) << threads;
  }
  EXPECT_NE(noise, Noise(GetParam(), 1, shape, 2, 6));
}

TEST_P(PenaltiesTest, NoiseAndMasksLetGradientsThrough) {
  testing::GradientCheck check;
  check.inputs = {{"deviation", {0.3}}, {"rate", {0.4}}};
  Check(
      [](Graph& g) {
        const Value x = g.Parameter("x", {9, 13}, {});
        const Value noise = g.Gaussian("noise", g.Number("deviation"), {9, 13});
        return g.Mask("mask", g.Add("noisy", x, noise), g.Number("rate"));
      },
      check);
}

TEST_P(PenaltiesTest, SampleAndLatentLoss) {
  for (const int64_t k : {3, 21}) {
    testing::GradientCheck check;
    check.inputs = {{"deviation", {1}}};
    Check(
        [&](Graph& g) {
          const Value noise = g.Gaussian("noise", g.Number("deviation"), {5, k});
          return g.Sample("sample", g.Parameter("x", {5, 2 * k}, {}), noise);
        },
        check);
    check.inputs = {{"w", {1, 2, -0.5, 0, 1}}, {"beta", {0.3}}};
    Check(
        [&](Graph& g) {
          const Value x = g.Parameter("x", {5, 2 * k}, {});
          const Value weighted = g.LatentLoss("weighted", x, g.Input("w", {5}));
          const Value scaled = g.Multiply("scaled", weighted, g.Number("beta"));
          return g.Add("sum", g.LatentLoss("plain", x, Value()), scaled);
        },
        check);
  }
}

TEST_P(PenaltiesTest, ActivityLosses) {
  for (const Shape& shape : {Shape({5, 3}), Shape({5, 70}), Shape({5, 2, 3, 4})}) {
    testing::GradientCheck check;
    check.low = 0.05;
    check.high = 0.95;
    check.inputs = {{"w", {1, 2, -0.5, 0, 1}}, {"r", {0.1}}, {"penalty", {0.3}}};
    for (const bool weighted : {false, true}) {
      for (const bool target : {false, true}) {
        Check(
            [&](Graph& g) {
              const Value x = g.Parameter("x", shape, {});
              return g.Multiply(
                  "scaled",
                  g.ActivityLoss("activity", x, weighted ? g.Input("w", {5}) : Value(),
                                 target ? g.Number("r") : Value()),
                  g.Number("penalty"));
            },
            [&] {
              testing::GradientCheck fitting = check;
              if (!target) std::erase_if(fitting.inputs, [](auto& x) { return x.first == "r"; });
              if (!weighted) std::erase_if(fitting.inputs, [](auto& x) { return x.first == "w"; });
              return fitting;
            }());
      }
    }
  }
}

TEST_P(PenaltiesTest, WeightPenalty) {
  testing::GradientCheck check;
  check.inputs = {{"l1", {0.3}}, {"l2", {0.7}}};
  Check(
      [](Graph& g) {
        return g.WeightPenalty("penalty", g.Parameter("w", {7, 29}, {}), g.Number("l1"),
                               g.Number("l2"));
      },
      check);
}

TEST_P(PenaltiesTest, ValuesByHand) {
  Graph g;
  const Value x = g.Constant("x", {2, 2}, std::vector<double>{0.5, -0.25, 0.25, 0.75});
  const Value positive = g.Constant("p", {2, 2}, std::vector<double>{0.5, 0.25, 0.25, 0.75});
  const Value weights = g.Constant("w", {2}, std::vector<double>{1, -0.5});
  const Value number = g.Constant("r", {}, std::vector<double>{0.2});
  const Value values[] = {g.LatentLoss("latent", x, weights), g.ActivityLoss("l1", x, weights, {}),
                          g.ActivityLoss("kl", positive, weights, number),
                          g.WeightPenalty("weights", x, number, number)};
  for (const Value value : values) g.MarkOutput(value);
  Variables variables;
  Executor executor(g, FindBackend(GetParam()), &variables, nullptr, 0);
  executor.Run(0);
  const double first = (0.25 + std::exp(-0.25) - 1 + 0.25) / 2;
  const double second = (0.0625 + std::exp(0.75) - 1 - 0.75) / 2;
  EXPECT_NEAR(executor.Get(values[0]), (first - 0.5 * second) / 1.5, 1e-6);
  EXPECT_NEAR(executor.Get(values[1]), (0.75 + 0.5) / 1.5, 1e-6);
  const auto divergence = [](double m) {
    return 0.2 * std::log(0.2 / m) + 0.8 * std::log(0.8 / (1 - m));
  };
  EXPECT_NEAR(executor.Get(values[2]), divergence(0.625 / 1.5) + divergence(0.625 / 1.5), 1e-6);
  EXPECT_NEAR(executor.Get(values[3]), 0.2 * 1.75 + 0.2 * (0.25 + 0.0625 + 0.0625 + 0.5625), 1e-6);
}

TEST(PenaltiesBuilderTest, RefusesWhatDoesNotFit) {
  const auto error = [](const std::function<void(Graph&)>& build) -> std::string {
    Graph g;
    try {
      build(g);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(error([](Graph& g) {
                g.LatentLoss("code", g.Input("x", {4, 3}), {});
              }),
              HasSubstr("an even number of units"));
  EXPECT_THAT(error([](Graph& g) {
                g.Sample("code", g.Input("x", {4, 6}), g.Input("e", {4, 2}));
              }),
              HasSubstr("needs noise of shape [4, 3]"));
  EXPECT_THAT(error([](Graph& g) { g.Gaussian("noise", g.Input("s", {2}), {4}); }),
              HasSubstr("a single number"));
  EXPECT_THAT(error([](Graph& g) {
                g.ActivityLoss("sparse", g.Input("x", {4, 6}), g.Input("w", {6}), {});
              }),
              HasSubstr("weights must have shape [4]"));
}

INSTANTIATE_TEST_SUITE_P(Backends, PenaltiesTest, ::testing::ValuesIn(testing::AllBackends()),
                         testing::BackendTestName);

}  // namespace
}  // namespace beamline::engine
