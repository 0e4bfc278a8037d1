// Ops of adversarial training, and gradients of gradients, on every backend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "engine/executor/executor.h"
#include "engine/passes/autodiff.h"
#include "tests/engine/backend/op_fixture.h"

namespace beamline::engine {
namespace {

using ::testing::HasSubstr;

class AdversarialTest : public testing::BackendTest {};

std::vector<float> Draw(const std::string& backend, int threads, const Shape& shape,
                        uint64_t step) {
  Graph g;
  const Value y = g.Uniform("share", g.Number("scale"), shape);
  g.MarkOutput(y);
  Variables variables;
  ThreadPool pool(threads);
  Executor executor(g, FindBackend(backend), &variables, &pool, 3);
  executor.Set(g.Find("scale"), 2);
  executor.Run(step);
  const std::span<const float> data = executor.Data<float>(y);
  return {data.begin(), data.end()};
}

TEST_P(AdversarialTest, UniformIsEvenAndTheSameBitsEverywhere) {
  const Shape shape({100'003});
  const std::vector<float> drawn = Draw(GetParam(), 1, shape, 5);
  double sums[3] = {};
  for (const float x : drawn) {
    EXPECT_TRUE(x >= 0 && x < 2);
    for (int i = 0; i < 3; ++i) sums[i] += std::pow(x, i) / 100'003.0;
  }
  EXPECT_NEAR(sums[1], 1, 0.01);
  EXPECT_NEAR(sums[2], 4.0 / 3, 0.01);
  EXPECT_EQ(drawn == Draw("reference", 1, shape, 5), true);
  for (const int threads : {2, 3, 8}) {
    EXPECT_EQ(drawn == Draw(GetParam(), threads, shape, 5), true) << threads;
  }
  EXPECT_EQ(drawn == Draw(GetParam(), 1, shape, 6), false);
}

TEST_P(AdversarialTest, ValuesByHand) {
  Graph g;
  const Value a = g.Constant("a", {2, 2}, std::vector<double>{3, 4, 0, 0});
  const Value b = g.Constant("b", {2, 2}, std::vector<double>{1, 0, 8, -4});
  const Value share = g.Constant("share", {2}, std::vector<double>{0.5, 0.25});
  const Value mixed = g.Interpolate("mixed", a, b, share);
  const Value penalty = g.GradientPenalty("penalty", a);
  const Value ones = g.Constant("ones", {2, 2}, std::vector<double>{1, 1, 1, 0});
  Graph::LossOptions wasserstein;
  wasserstein.kind = LossKind::kWasserstein;
  const Value critic = g.Loss("critic", a, ones, Value(), Value(), wasserstein).loss;
  for (const Value value : {mixed, penalty, critic}) g.MarkOutput(value);
  Variables variables;
  Executor executor(g, FindBackend(GetParam()), &variables, nullptr, 0);
  executor.Run(0);
  EXPECT_THAT(executor.Data<float>(mixed), ::testing::ElementsAre(2, 2, 6, -3));
  EXPECT_EQ(executor.Get(penalty), (16 + 1) / 2.0);
  EXPECT_EQ(executor.Get(critic), (-3.5 + 0) / 2);
}

// The gradient penalty of a network: its gradients by the parameters are second derivatives.
Value PenaltyOf(Graph& g, Value x, const std::function<Value(Value)>& network) {
  const Value y = network(x);
  const Shape shape = g.shape(y);
  const Value ones =
      g.Constant("ones", shape, std::vector<double>(static_cast<size_t>(shape.NumElements()), 1.0));
  const size_t first = g.nodes().size();
  const Value gradient = AppendGradients(&g, y, ones, std::vector<Value>{x})[0];
  RequireSecondGradients(g, first);
  return g.GradientPenalty("penalty", g.Flatten("flat", gradient));
}

Value Numbers(Graph& g, const std::string& name, const Shape& shape) {
  std::vector<double> numbers;
  for (int64_t i = 0; i < shape.NumElements(); ++i) {
    numbers.push_back(static_cast<double>(i * 37 % 64) / 32 - 1);
  }
  return g.Constant(name, shape, numbers);
}

TEST_P(AdversarialTest, SecondGradientsOfEveryActivation) {
  for (const Activation activation :
       {Activation::kLinear, Activation::kRelu, Activation::kLeakyRelu, Activation::kElu,
        Activation::kSelu, Activation::kGelu, Activation::kSilu, Activation::kTanh,
        Activation::kSigmoid, Activation::kSoftplus}) {
    SCOPED_TRACE(Name(activation));
    Check([&](Graph& g) {
      // Where f' is constant in pieces the penalty does not move with these.
      const bool flat = activation <= Activation::kLeakyRelu;
      const Value x = flat ? Numbers(g, "x", {6, 5}) : testing::P(g, "x", {6, 5});
      const Value bias = flat ? Numbers(g, "bias", {18}) : testing::P(g, "bias", {18});
      const Value first = testing::P(g, "first", {5, 18});
      const Value second = testing::P(g, "second", {18, 7});
      const Value last = testing::P(g, "last", {7, 1});
      return PenaltyOf(g, x, [&](Value in) {
        const Value hidden = g.Dense("dense0", in, first, bias, activation);
        return g.MatMul("dense2", g.Dense("dense1", hidden, second, Value(), activation), last);
      });
    });
  }
}

TEST_P(AdversarialTest, SecondGradientsOfConvolutions) {
  for (const bool flip : {false, true}) {
    SCOPED_TRACE(flip);
    Check([&](Graph& g) {
      Window window;
      window.kernel[0] = window.kernel[1] = 3;
      if (flip) {
        window.flip = true;
        window.base[0] = window.base[1] = 2;
        for (int i = 0; i < 2; ++i) window.low[i] = window.high[i] = 1;
      } else {
        window.stride[0] = window.stride[1] = 2;
        for (int i = 0; i < 2; ++i) window.low[i] = window.high[i] = 1;
      }
      Window pool;
      pool.kernel[0] = pool.kernel[1] = pool.stride[0] = pool.stride[1] = 2;
      const Value x = testing::P(g, "x", {3, 6, 6, 2});
      const Value weight =
          flip ? testing::P(g, "weight", {3, 3, 4, 2}) : testing::P(g, "weight", {3, 3, 2, 4});
      const Value bias = testing::P(g, "bias", {4});
      const Value last = testing::P(g, "last", {4, 1});
      return PenaltyOf(g, x, [&](Value in) {
        Value y = g.Conv("conv", in, weight, bias, Activation::kTanh, window);
        if (flip) y = g.AveragePool("pool", y, pool);
        return g.MatMul("head", g.Reduce("mean", y, Reduction::kMean), last);
      });
    });
  }
}

TEST_P(AdversarialTest, SecondGradientsOfLayerNorm) {
  for (const int64_t width : {5, 21}) {
    Check([&](Graph& g) {
      const Value x = testing::P(g, "x", {40, 6});
      const Value weight = testing::P(g, "weight", {6, width});
      const Value gamma = testing::P(g, "gamma", {width});
      const Value beta = testing::P(g, "beta", {width});
      const Value last = testing::P(g, "last", {width, 1});
      return PenaltyOf(g, x, [&](Value in) {
        const Value y = g.LayerNorm("norm", g.MatMul("dense", in, weight), gamma, beta, 0.1);
        return g.MatMul("head", g.Activate("tanh", y, Activation::kTanh), last);
      });
    });
  }
}

TEST_P(AdversarialTest, SecondGradientsOfSumsProductsAndParts) {
  Check([&](Graph& g) {
    const Value x = testing::P(g, "x", {5, 8});
    const Value weight = testing::P(g, "weight", {8, 8});
    const Value last = testing::P(g, "last", {12, 1});
    return PenaltyOf(g, x, [&](Value in) {
      const Value y = g.Activate("tanh", g.MatMul("dense", in, weight), Activation::kTanh);
      const Value product = g.Multiply("product", y, g.Add("sum", y, in));
      const std::vector<Value> parts = {g.Slice("slice", product, 2, 4), y};
      return g.MatMul("head", g.Concat("concat", parts), last);
    });
  });
}

INSTANTIATE_TEST_SUITE_P(Backends, AdversarialTest, ::testing::ValuesIn(testing::AllBackends()),
                         testing::BackendTestName);

TEST(SecondGradientsTest, SayWhichLayerHasNone) {
  const auto error = [](const std::function<Value(Graph&, Value)>& layer) -> std::string {
    Graph g;
    const Value x = testing::P(g, "x", {4, 6, 6, 2});
    try {
      PenaltyOf(g, x, [&](Value in) { return layer(g, in); });
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  Window window;
  window.kernel[0] = window.stride[0] = 2;
  EXPECT_THAT(
      error([&](Graph& g, Value x) { return g.MaxPool("pool", x, window); }),
      AllOf(HasSubstr("\"pool\" cannot be differentiated twice"), HasSubstr("use average_pool")));
  EXPECT_THAT(error([&](Graph& g, Value x) { return g.Reduce("top", x, Reduction::kMax); }),
              AllOf(HasSubstr("\"top\""), HasSubstr("take the mean")));
  EXPECT_THAT(error([&](Graph& g, Value x) {
                const Value gamma = testing::P(g, "gamma", {2});
                return g.GroupNorm("norm", x, gamma, testing::P(g, "beta", {2}), 1, 1e-5);
              }),
              AllOf(HasSubstr("\"norm\""), HasSubstr("use layer_norm")));
  EXPECT_THAT(error([&](Graph& g, Value x) { return g.Activate("p", x, Activation::kSoftmax); }),
              AllOf(HasSubstr("\"p\""), HasSubstr("another activation than softmax")));
  EXPECT_EQ(error([&](Graph& g, Value x) { return g.Activate("p", x, Activation::kTanh); }),
            "no error");
}

}  // namespace
}  // namespace beamline::engine
