// Every op on every backend: values and gradients.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/engine/backend/op_test.h"

namespace beamline::engine {
namespace {

using testing::OpTest;
using testing::P;

TEST_P(OpTest, MatMulInAllOrientations) {
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      Check([&](Graph& g) {
        const Value a = P(g, "a", ta ? Shape({5, 7}) : Shape({7, 5}));
        const Value b = P(g, "b", tb ? Shape({19, 5}) : Shape({5, 19}));
        return g.MatMul("product", a, b, ta, tb);
      });
    }
  }
}

TEST_P(OpTest, MatMulOfOddAndLargeSizes) {
  for (const auto& [m, k, n] : std::vector<std::array<int64_t, 3>>{
           {1, 1, 1}, {1, 40, 33}, {9, 400, 1}, {300, 3, 2}, {3, 800, 40}, {13, 17, 64}}) {
    testing::GradientCheck check;
    check.tolerance32 = 1e-4;
    check.low = -0.1;
    check.high = 0.1;
    if (m * k + k * n > 2000) check.tolerance64 = 1e-5;
    Check(
        [&](Graph& g) {
          return g.MatMul("product", P(g, "a", {m, k}), P(g, "b", {k, n}));
        },
        check);
  }
}

TEST_P(OpTest, DenseWithEveryActivation) {
  for (int kind = 0; kind <= static_cast<int>(Activation::kSoftmax); ++kind) {
    SCOPED_TRACE(Name(static_cast<Activation>(kind)));
    Check([&](Graph& g) {
      const Value x = P(g, "x", {6, 3});
      const Value hidden = g.Dense("hidden", x, P(g, "w1", {3, 21}), P(g, "b1", {21}),
                                   static_cast<Activation>(kind));
      return g.Dense("out", hidden, P(g, "w2", {21, 2}), P(g, "b2", {2}),
                     static_cast<Activation>(kind));
    });
  }
}

TEST_P(OpTest, ActivationAlone) {
  for (int kind = 0; kind <= static_cast<int>(Activation::kSoftmax); ++kind) {
    SCOPED_TRACE(Name(static_cast<Activation>(kind)));
    testing::GradientCheck check;
    check.low = -4;
    check.high = 4;
    Check(
        [&](Graph& g) {
          return g.Activate("f", P(g, "x", {4, 37}), static_cast<Activation>(kind), 0.2);
        },
        check);
  }
}

TEST_P(OpTest, Dropout) {
  testing::GradientCheck check;
  check.inputs = {{"rate", {0.4}}};
  Check(
      [](Graph& g) {
        const Value rate = g.Number("rate");
        return g.Dropout("second", g.Dropout("first", P(g, "x", {11, 13}), rate), rate);
      },
      check);
}

TEST_P(OpTest, BatchNorm) {
  Check([](Graph& g) {
    return g.BatchNorm("norm", P(g, "x", {9, 35}), P(g, "gamma", {35}), P(g, "beta", {35}),
                       g.State("mean", {35}, 0), g.State("variance", {35}, 1), 0.9, 1e-3);
  });
}

TEST_P(OpTest, LayerNorm) {
  Check([](Graph& g) {
    return g.LayerNorm("norm", P(g, "x", {5, 37}), P(g, "gamma", {37}), P(g, "beta", {37}), 1e-3);
  });
}

TEST_P(OpTest, Embedding) {
  testing::GradientCheck check;
  check.codes = {{"codes", {0, 1, 2, 0, -1, 2, 1, 1}}};
  Check(
      [](Graph& g) {
        return g.Embedding("embedding", P(g, "table", {6, 5}), g.CodesInput("codes", {4, 2}),
                           {0, 3});
      },
      check);
}

TEST_P(OpTest, ConcatAddMultiplyReshape) {
  Check([](Graph& g) {
    const Value a = P(g, "a", {4, 3});
    const Value b = P(g, "b", {4, 5});
    const std::vector<Value> parts = {a, b, a};
    const Value joined = g.Concat("join", parts);
    const Value c = P(g, "c", {4, 11});
    const Value mixed = g.Multiply("product", g.Add("sum", joined, c), c);
    return g.Flatten("flat", g.Reshape("cube", mixed, {2, 2, 11}));
  });
}

TEST_P(OpTest, LossesOnNumbers) {
  for (const LossKind kind : {LossKind::kMeanSquaredError, LossKind::kMeanAbsoluteError,
                              LossKind::kHuber, LossKind::kBinaryCrossEntropy}) {
    for (const int64_t columns : {1, 3}) {
      SCOPED_TRACE(Name(kind));
      testing::GradientCheck check;
      check.low = -3;
      check.high = 3;
      std::vector<double> targets;
      for (int64_t i = 0; i < 5 * columns; ++i) targets.push_back(i % 2 == 0 ? 1 : 0);
      check.inputs = {{"t", targets}, {"w", {1, 2, -0.5, 0, 1}}};
      Check(
          [&](Graph& g) {
            const Value p = P(g, "p", {5, columns});
            return g
                .Loss("loss", p, g.Input("t", {5, columns}), g.Input("w", {5}), Value(),
                      {kind, 0.7, 0})
                .loss;
          },
          check);
    }
  }
}

TEST_P(OpTest, LossesOnClasses) {
  testing::GradientCheck check;
  check.codes = {{"labels", {0, 2, 1, 1}}};
  check.inputs = {{"w", {1, 2, -0.5, 1}}, {"classes", {1, 3, 0.5}}};
  for (const double smoothing : {0.0, 0.1}) {
    Check(
        [&](Graph& g) {
          const Value p = P(g, "p", {4, 3});
          return g
              .Loss("loss", p, g.CodesInput("labels", {4}), g.Input("w", {4}),
                    g.Input("classes", {3}), {LossKind::kCrossEntropy, 1, smoothing})
              .loss;
        },
        check);
  }
  check.codes = {};
  check.inputs = {{"t", {0, 1, 1, 0}}, {"classes", {1, 3}}};
  Check(
      [&](Graph& g) {
        return g
            .Loss("loss", P(g, "p", {4, 1}), g.Input("t", {4, 1}), Value(), g.Input("classes", {2}),
                  {LossKind::kBinaryCrossEntropy})
            .loss;
      },
      check);
}

TEST_P(OpTest, SumOfWeightedLosses) {
  testing::GradientCheck check;
  check.inputs = {{"t", {1, 2, 3}}, {"half", {0.5}}};
  Check(
      [](Graph& g) {
        const Value p = P(g, "p", {3, 1});
        const Value t = g.Input("t", {3, 1});
        const Value a = g.Loss("a", p, t, Value(), Value(), {}).loss;
        const Value b = g.Loss("b", p, t, Value(), Value(), {LossKind::kMeanAbsoluteError}).loss;
        return g.Add("total", a, g.Multiply("scaled", b, g.Number("half")));
      },
      check);
}

INSTANTIATE_TEST_SUITE_P(Backends, OpTest, ::testing::ValuesIn(testing::AllBackends()),
                         testing::BackendName);

}  // namespace
}  // namespace beamline::engine
