// Capsules on every backend: values, gradients, bits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/core/philox.h"
#include "engine/core/thread_pool.h"
#include "engine/executor/executor.h"
#include "engine/passes/autodiff.h"
#include "tests/engine/backend/op_fixture.h"

namespace beamline::engine {
namespace {

using ::testing::HasSubstr;
using testing::P;

class CapsulesTest : public testing::BackendTest {};

TEST_P(CapsulesTest, SquashesAndMeasuresRows) {
  for (const int64_t dimension : {1, 2, 8, 9, 16, 37}) {
    SCOPED_TRACE(dimension);
    Check([&](Graph& g) { return g.Squash("squash", P(g, "x", {3, 5, dimension})); });
    Check([&](Graph& g) { return g.CapsuleLength("length", P(g, "x", {3, 5, dimension})); });
  }
}

TEST_P(CapsulesTest, Votes) {
  for (const auto& [depth, numbers] : {std::pair{1, 1}, {8, 12}, {3, 160}, {5, 33}}) {
    Check([&, d = depth, n = numbers](Graph& g) {
      return g.Votes("votes", P(g, "u", {3, 4, d}), P(g, "w", {4, d, n}));
    });
  }
}

// The gradient is that of the whole computation, coefficients included: central differences know
// nothing of iterations.
TEST_P(CapsulesTest, RoutesWithTheGradientOfAllIterations) {
  for (const int64_t iterations : {1, 2, 3, 5}) {
    for (const auto& [capsules, dimension] : {std::pair{1, 4}, {3, 2}, {10, 16}, {17, 3}}) {
      SCOPED_TRACE(::testing::Message() << iterations << ", " << capsules << "x" << dimension);
      Check([&, c = capsules, d = dimension](Graph& g) {
        return g.Routing("route", P(g, "votes", {2, 7, c * d}), c, iterations);
      });
    }
  }
}

// By hand: two inputs, two capsules of one number. Inputs vote (1, 0) and (1, 1).
TEST_P(CapsulesTest, RoutesWhatAgreesTogether) {
  const auto squash = [](double s) { return std::fabs(s) * s / (1 + s * s); };
  for (const int64_t iterations : {1, 2, 3}) {
    Graph g;
    const Value v = g.Routing("route", g.Input("votes", {1, 2, 2}), 2, iterations);
    g.MarkOutput(v);
    Variables variables;
    ThreadPool pool(1);
    Executor executor(g, FindBackend(GetParam()), &variables, &pool, 1);
    const std::vector<float> votes = {1, 0, 1, 1};
    std::copy(votes.begin(), votes.end(), executor.Data<float>(g.Find("votes")).begin());
    executor.Run(0);
    double first = 0, second = 0;
    double logit = 0;  // of the first capsule for both inputs,
    double other = 0;  // and of the second for the second input
    for (int64_t t = 0; t < iterations; ++t) {
      const double one = 1 / (1 + std::exp(-logit));
      const double both = 1 / (1 + std::exp(other - logit));
      first = squash(one + both);
      second = squash(1 - both);
      logit += first;
      other += second;
    }
    EXPECT_NEAR(executor.Data<float>(v)[0], first, 1e-6) << iterations;
    EXPECT_NEAR(executor.Data<float>(v)[1], second, 1e-6) << iterations;
  }
}

// A capsule of zeros has length 0 and no direction: nothing reaches it, and nothing is NaN.
TEST_P(CapsulesTest, ZerosHaveNoGradient) {
  Graph g;
  const Value x = g.Parameter("x", {1, 2, 3}, {});
  const Value length = g.CapsuleLength("length", g.Squash("squash", x));
  const Value loss = g.Loss("loss", length, g.Input("t", {1, 2}), Value(), Value(), {}).loss;
  const std::vector<Value> parameters = {x};
  const Value dx = AppendGradients(&g, loss, parameters)[0];
  g.MarkOutput(dx);
  Variables variables;
  ThreadPool pool(1);
  Executor executor(g, FindBackend(GetParam()), &variables, &pool, 1);
  for (float& target : executor.Data<float>(g.Find("t"))) target = 1;
  executor.Run(0);
  for (const float number : executor.Data<float>(dx)) EXPECT_EQ(number, 0);
}

TEST_P(CapsulesTest, MarginLoss) {
  for (const int64_t classes : {2, 3, 19}) {
    testing::GradientCheck check;
    check.low = -0.3;
    check.high = 1.3;  // on both sides of both margins
    check.codes = {{"t", {0, 1, 1, 0, 1}}};
    check.inputs = {{"w", {1, 2, -0.5, 0, 1}}, {"number", {0.4}}};
    Check(
        [&](Graph& g) {
          Graph::LossOptions options;
          options.kind = LossKind::kMargin;
          options.number = g.Number("number");
          return g
              .Loss("loss", P(g, "p", {5, classes}), g.CodesInput("t", {5}), g.Input("w", {5}),
                    Value(), options)
              .loss;
        },
        check);
  }
}

// Enough of each that they are shared between threads.
TEST_P(CapsulesTest, GiveTheSameBitsOnAnyNumberOfThreads) {
  std::vector<float> expected;
  for (const int threads : {1, 2, 3, 4, 8}) {
    Graph g;
    const Value u = g.Parameter("u", {24, 40, 8}, {Initial::Kind::kNormal, 1});
    const Value w = g.Parameter("w", {40, 8, 60}, {Initial::Kind::kNormal, 0.3});
    const Value v = g.Routing("route", g.Votes("votes", g.Squash("squash", u), w), 10, 3);
    const Value loss =
        g.Loss("loss", g.Flatten("v", v), g.Input("t", {24, 60}), Value(), Value(), {}).loss;
    const std::vector<Value> parameters = {u, w};
    const std::vector<Value> gradients = AppendGradients(&g, loss, parameters);
    for (const Value gradient : gradients) g.MarkOutput(gradient);
    Variables variables;
    ThreadPool pool(threads);
    Executor executor(g, FindBackend(GetParam()), &variables, &pool, 1);
    for (float& target : executor.Data<float>(g.Find("t"))) target = 0.5f;
    executor.Run(0);
    std::vector<float> all;
    for (const Value gradient : gradients) {
      const std::span<const float> numbers = executor.Data<float>(gradient);
      all.insert(all.end(), numbers.begin(), numbers.end());
    }
    if (expected.empty()) expected = all;
    EXPECT_EQ(all == expected, true) << threads;
  }
  if (!GetParam().starts_with("cpu")) return;
  static std::vector<float> first;  // of the first instruction set
  if (first.empty()) first = expected;
  EXPECT_EQ(first == expected, true) << GetParam();
}

std::string ErrorOf(const std::function<void(Graph&)>& build) {
  Graph g;
  try {
    build(g);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(CapsulesBuilderTest, RefusesWhatDoesNotFit) {
  EXPECT_THAT(ErrorOf([](Graph& g) {
                g.Routing("r", P(g, "x", {2, 6}), 3, 3);
              }),
              HasSubstr("put primary_capsules before it"));
  EXPECT_THAT(ErrorOf([](Graph& g) {
                g.Routing("r", P(g, "x", {2, 6, 10}), 3, 3);
              }),
              HasSubstr("do not divide the 10 numbers"));
  EXPECT_THAT(ErrorOf([](Graph& g) {
                g.Routing("r", P(g, "x", {2, 6, 10}), 5, 0);
              }),
              HasSubstr("set iterations"));
  EXPECT_THAT(ErrorOf([](Graph& g) {
                g.Votes("v", P(g, "u", {2, 6, 4}), P(g, "w", {6, 5, 10}));
              }),
              HasSubstr("[capsules, dimension, votes]"));
  EXPECT_THAT(ErrorOf([](Graph& g) {
                g.CapsuleLength("l", g.CodesInput("c", {2, 6, 4}));
              }),
              HasSubstr("embed them first"));
}

INSTANTIATE_TEST_SUITE_P(Backends, CapsulesTest, ::testing::ValuesIn(testing::AllBackends()),
                         testing::BackendTestName);

}  // namespace
}  // namespace beamline::engine
