// Convolution, pooling and normalisation of images on every backend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "engine/executor/executor.h"
#include "engine/graph/window.h"
#include "engine/passes/autodiff.h"
#include "engine/passes/fusion.h"
#include "tests/engine/backend/op_fixture.h"

namespace beamline::engine {
namespace {

using ::testing::HasSubstr;
using testing::P;

class ConvTest : public testing::BackendTest {};

struct ConvCase {
  const char* name;
  Shape x;
  int64_t units;
  Window window;
};

Window Of(int64_t kernel_h, int64_t kernel_w, int64_t stride, int64_t pad, int64_t dilation = 1,
          int64_t groups = 1) {
  Window window;
  window.kernel[0] = kernel_h;
  window.kernel[1] = kernel_w;
  for (int axis = 0; axis < 2; ++axis) {
    window.stride[axis] = stride;
    window.low[axis] = pad;
    window.high[axis] = pad;
    window.dilation[axis] = dilation;
  }
  window.groups = groups;
  return window;
}

// A window of a transposed convolution with this stride.
Window Transposed(int64_t kernel, int64_t stride, int64_t pad, int64_t dilation = 1,
                  int64_t groups = 1) {
  Window window = Of(kernel, kernel, 1, (kernel - 1) * dilation - pad, dilation, groups);
  window.base[0] = window.base[1] = stride;
  window.flip = true;
  return window;
}

Shape WeightShape(const ConvCase& test) {
  const Window& w = test.window;
  const int64_t channels = test.x.Columns();
  if (w.flip) return {w.kernel[0], w.kernel[1], test.units / w.groups, channels};
  return {w.kernel[0], w.kernel[1], channels / w.groups, test.units};
}

std::vector<ConvCase> Cases() {
  Window lopsided = Of(3, 2, 1, 0);
  lopsided.low[0] = 2;
  lopsided.high[1] = 3;
  lopsided.stride[1] = 3;
  Window cropped = Of(3, 3, 1, 0);
  cropped.low[0] = -2;
  cropped.high[1] = -1;
  Window line = Of(1, 5, 2, 0);
  line.low[1] = 2;
  line.high[1] = 1;
  Window both = Of(3, 3, 2, 1);
  both.base[0] = 3;
  both.base[1] = 2;
  Window common = Of(2, 3, 2, 1);
  common.base[0] = common.base[1] = 4;
  return {
      {"one", {1, 1, 1, 1}, 1, Of(1, 1, 1, 0)},
      {"lenet1", {2, 9, 9, 1}, 6, Of(5, 5, 1, 2)},
      {"lenet2", {2, 9, 8, 6}, 16, Of(5, 5, 1, 0)},
      {"rgb", {2, 7, 15, 3}, 16, Of(3, 3, 1, 1)},
      {"stride2", {2, 8, 9, 5}, 33, Of(3, 3, 2, 1)},
      {"stride3", {1, 10, 11, 2}, 20, Of(2, 2, 3, 0)},
      {"pointwise", {2, 5, 7, 17}, 19, Of(1, 1, 1, 0)},
      {"pointwise2", {3, 6, 5, 4}, 32, Of(1, 1, 2, 0)},
      {"dilated", {2, 9, 10, 3}, 18, Of(3, 3, 1, 2, 2)},
      {"dilated_strided", {1, 11, 12, 2}, 7, Of(3, 2, 2, 3, 3)},
      {"groups", {2, 6, 6, 6}, 34, Of(3, 3, 1, 1, 1, 2)},
      {"depthwise", {2, 7, 8, 21}, 21, Of(3, 3, 1, 1, 1, 21)},
      {"depthwise_multiplied", {2, 7, 6, 5}, 10, Of(3, 3, 2, 1, 1, 5)},
      {"lopsided", {2, 6, 7, 3}, 4, lopsided},
      {"cropped", {1, 8, 8, 2}, 3, cropped},
      {"line", {3, 19, 4}, 17, line},
      {"line_dilated",
       {2, 17, 3},
       5,
       [&] {
         Window w = Of(1, 3, 1, 0, 4);
         w.dilation[0] = 1;
         w.low[1] = 8;
         return w;
       }()},
      {"transposed", {2, 4, 5, 6}, 3, Transposed(4, 2, 1)},
      {"transposed_odd", {1, 3, 4, 2}, 17, Transposed(3, 2, 0)},
      {"transposed_gaps", {1, 3, 3, 2}, 4, Transposed(2, 3, 0)},
      {"transposed_dilated", {1, 4, 4, 2}, 3, Transposed(3, 2, 1, 3)},
      {"transposed_groups", {2, 3, 3, 6}, 4, Transposed(3, 2, 1, 1, 2)},
      {"both", {1, 5, 6, 3}, 4, both},
      {"common_factor", {1, 4, 5, 2}, 3, common},
  };
}

TEST_P(ConvTest, ConvolvesInEveryWindow) {
  for (const ConvCase& test : Cases()) {
    SCOPED_TRACE(test.name);
    testing::GradientCheck check;
    check.tolerance64 = 1e-5;
    Check(
        [&](Graph& g) {
          return g.Conv("conv", P(g, "x", test.x), P(g, "w", WeightShape(test)),
                        P(g, "b", {test.units}), Activation::kLinear, test.window);
        },
        check);
  }
}

TEST_P(ConvTest, FusesEveryActivation) {
  for (int kind = 0; kind <= static_cast<int>(Activation::kSoftmax); ++kind) {
    {
      const int64_t units = kind % 2 == 0 ? 16 : 19;
      SCOPED_TRACE(Name(static_cast<Activation>(kind)));
      testing::GradientCheck check;
      check.low = -0.5;
      check.high = 0.5;
      check.tolerance64 = 1e-5;
      Check(
          [&](Graph& g) {
            const auto activation = static_cast<Activation>(kind);
            const Value hidden =
                g.Conv("hidden", P(g, "x", {1, 4, 3, 2}), P(g, "w1", {3, 3, 2, units}),
                       P(g, "b1", {units}), activation, Of(3, 3, 1, 1));
            return g.Conv("out", hidden, P(g, "w2", {2, 2, units, 3}), P(g, "b2", {3}), activation,
                          Of(2, 2, 2, 0));
          },
          check);
    }
  }
}

// A sum behind a convolution or batch norm, forward (a shortcut) and backward (two readers).
TEST_P(ConvTest, FusesResiduals) {
  for (const int64_t units : {5, 16}) {
    testing::GradientCheck check;
    check.tolerance64 = 1e-4;
    check.tolerance32 = 1e-4;
    Check(
        [&](Graph& g) {
          const auto conv = [&](const std::string& name, Value x, Value bias) {
            return g.Conv(name, x, P(g, name + ".w", {3, 3, units, units}), bias,
                          Activation::kLinear, Of(3, 3, 1, 1));
          };
          const auto norm = [&](const std::string& name, Value x) {
            return g.BatchNorm(name, x, P(g, name + ".gamma", {units}),
                               P(g, name + ".beta", {units}), g.State(name + ".m", {units}, 0),
                               g.State(name + ".v", {units}, 1), 0.9, 1e-2);
          };
          const Value x = P(g, "x", {2, 3, 4, units});
          Value y =
              g.Activate("a", g.Add("s", x, conv("c1", x, P(g, "b1", {units}))), Activation::kTanh);
          y = g.Activate("b", g.Add("t", norm("n1", conv("c2", y, Value())), y),
                         Activation::kSigmoid);
          return g.Add("u", y, g.Add("v", norm("n2", conv("c3", y, Value())), x));
        },
        check);
  }
}

// Large enough for several blocks, shards and strips, and for sharing between threads.
TEST_P(ConvTest, ConvolvesLargeImages) {
  testing::GradientCheck check;
  check.low = -0.1;
  check.high = 0.1;
  check.tolerance64 = 1e-4;
  check.tolerance32 = 2e-4;
  Check(
      [](Graph& g) {
        return g.Conv("conv", P(g, "x", {1, 20, 45, 3}), P(g, "w", {3, 3, 3, 16}), Value(),
                      Activation::kRelu, Of(3, 3, 1, 1));
      },
      check);
}

TEST_P(ConvTest, PoolsInEveryWindow) {
  Window overlapping = Of(3, 3, 2, 1);
  Window line = Of(1, 3, 1, 0);
  line.low[1] = 2;
  struct Case {
    Shape x;
    Window window;
  };
  for (const Case& test : std::vector<Case>{{{2, 6, 8, 3}, Of(2, 2, 2, 0)},
                                            {{2, 7, 5, 17}, overlapping},
                                            {{1, 5, 7, 32}, Of(3, 2, 1, 0)},
                                            {{3, 11, 2}, line}}) {
    testing::GradientCheck check;
    check.low = -3;
    check.high = 3;
    Check([&](Graph& g) { return g.MaxPool("pool", P(g, "x", test.x), test.window); }, check);
    Check([&](Graph& g) { return g.AveragePool("pool", P(g, "x", test.x), test.window); }, check);
  }
}

TEST_P(ConvTest, ReducesAllPositions) {
  for (const Reduction reduction :
       {Reduction::kMean, Reduction::kMax, Reduction::kSum, Reduction::kLast}) {
    Check([&](Graph& g) { return g.Reduce("reduce", P(g, "x", {3, 4, 5, 19}), reduction); });
    Check([&](Graph& g) { return g.Reduce("reduce", P(g, "x", {2, 7, 3}), reduction); });
  }
}

TEST_P(ConvTest, GroupNorm) {
  for (const int64_t groups : {1, 2, 12}) {
    Check([&](Graph& g) {
      return g.GroupNorm("norm", P(g, "x", {3, 4, 2, 12}), P(g, "gamma", {12}), P(g, "beta", {12}),
                         groups, 1e-3);
    });
  }
  Check([&](Graph& g) {
    return g.GroupNorm("norm", P(g, "x", {2, 80}), P(g, "gamma", {80}), P(g, "beta", {80}), 2,
                       1e-3);
  });
}

// More rows than a chunk, columns that do not fill vectors, each activation.
TEST_P(ConvTest, BatchNormOfManyRows) {
  for (const Activation activation :
       {Activation::kLinear, Activation::kRelu, Activation::kElu, Activation::kSilu}) {
    testing::GradientCheck check;
    check.tolerance64 = 1e-4;
    check.tolerance32 = 1e-4;
    Check(
        [&](Graph& g) {
          const Value y =
              g.BatchNorm("norm", P(g, "x", {2, 25, 21, 3}), P(g, "gamma", {3}), P(g, "beta", {3}),
                          g.State("mean", {3}, 0), g.State("variance", {3}, 1), 0.9, 1e-3);
          return g.Activate("activation", y, activation);
        },
        check);
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, ConvTest, ::testing::ValuesIn(testing::AllBackends()),
                         testing::BackendTestName);

// All results of a convolution with pooling and normalisation, and of its gradients.
std::vector<float> Results(const std::string& backend, int threads, const ConvCase& test) {
  Graph g;
  const Value x = P(g, "x", test.x);
  const Value conv = g.Conv("conv", x, P(g, "w", WeightShape(test)), P(g, "b", {test.units}),
                            Activation::kGelu, test.window);
  const Value norm =
      g.BatchNorm("norm", conv, P(g, "gamma", {test.units}), P(g, "beta", {test.units}),
                  g.State("mean", {test.units}, 0), g.State("variance", {test.units}, 1), 0.9, 0.1);
  const Value group =
      g.GroupNorm("group", norm, P(g, "gamma2", {test.units}), P(g, "beta2", {test.units}), 1, 0.1);
  const Value pooled =
      g.Reduce("pool", g.Activate("relu", group, Activation::kRelu), Reduction::kMean);
  const Value loss =
      g.Loss("loss", pooled, g.Input("t", g.shape(pooled)), Value(), Value(), {}).loss;
  std::vector<Value> parameters;
  for (size_t i = 0; i < g.values().size(); ++i) {
    if (g.values()[i].role == Role::kParameter) parameters.push_back({static_cast<int32_t>(i)});
  }
  const std::vector<Value> gradients = AppendGradients(&g, loss, parameters);
  g.MarkOutput(loss);
  for (const Value gradient : gradients) g.MarkOutput(gradient);
  Optimize(&g);
  Variables variables;
  ThreadPool pool(threads);
  Executor executor(g, FindBackend(backend), &variables, &pool, 1);
  for (const Value parameter : parameters) {
    const std::span<float> data = executor.Data<float>(parameter);
    for (size_t i = 0; i < data.size(); ++i) {
      data[i] = static_cast<float>((i * 37 + 11) % 101) / 101.0f - 0.45f;
    }
  }
  for (float& t : executor.Data<float>(g.Find("t"))) t = 0.5f;
  executor.Run(0);
  std::vector<float> results = {executor.Data<float>(loss)[0]};
  for (const Value gradient : gradients) {
    const std::span<float> data = executor.Data<float>(gradient);
    results.insert(results.end(), data.begin(), data.end());
  }
  return results;
}

TEST(ConvBitsTest, DependOnNeitherThreadsNorInstructionSet) {
  std::vector<ConvCase> cases = Cases();
  cases.push_back({"large", {9, 24, 26, 6}, 20, Of(3, 3, 1, 1)});
  cases.push_back({"large_strided", {5, 31, 33, 16}, 48, Of(3, 3, 2, 1)});
  for (const ConvCase& test : cases) {
    SCOPED_TRACE(test.name);
    std::vector<float> expected;
    for (const std::string_view backend : AvailableBackends()) {
      if (!backend.starts_with("cpu")) continue;
      for (const int threads : {1, 2, 3, 4, 8}) {
        const std::vector<float> got = Results(std::string(backend), threads, test);
        if (expected.empty()) expected = got;
        ASSERT_EQ(got.size(), expected.size());
        EXPECT_EQ(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)), 0)
            << backend << ", " << threads;
      }
    }
  }
}

// The gradient of the gradient by x is the convolution itself.
TEST(WindowTest, IsClosedUnderDifferentiation) {
  for (const ConvCase& test : Cases()) {
    SCOPED_TRACE(test.name);
    const Window& w = test.window;
    const Shape y = ImageShape(test.x, WindowPositions(w, 0, ImageExtent(test.x, 0)),
                               WindowPositions(w, 1, ImageExtent(test.x, 1)), test.units);
    const Window gradient = GradientWindow(w, test.x, y);
    for (int axis = 0; axis < 2; ++axis) {
      EXPECT_EQ(WindowPositions(gradient, axis, ImageExtent(y, axis)), ImageExtent(test.x, axis));
      const Window again = GradientWindow(gradient, y, test.x);
      EXPECT_EQ(again.low[axis], w.low[axis]);
      EXPECT_EQ(again.stride[axis], w.stride[axis]);
      EXPECT_EQ(again.base[axis], w.base[axis]);
      EXPECT_EQ(again.flip, w.flip);
      EXPECT_EQ(WindowPositions(again, axis, ImageExtent(test.x, axis)), ImageExtent(y, axis));
    }
  }
}

TEST(WindowTest, SamePaddingKeepsTheSize) {
  for (const int64_t extent : {1, 5, 8, 13}) {
    for (const int64_t kernel : {1, 2, 3, 5}) {
      for (const int64_t stride : {1, 2, 3}) {
        for (const int64_t dilation : {1, 2}) {
          Window window = Of(kernel, kernel, stride, 0, dilation);
          SetSamePadding(&window, 1, extent);
          EXPECT_EQ(WindowPositions(window, 1, extent), (extent + stride - 1) / stride);
          EXPECT_LE(window.low[1], window.high[1]);
          EXPECT_LE(window.high[1] - window.low[1], 1);
          Window enlarging = Transposed(kernel, stride, 0, dilation);
          SetSamePadding(&enlarging, 1, extent);
          EXPECT_EQ(WindowPositions(enlarging, 1, extent), extent * stride);
        }
      }
    }
  }
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

TEST(ConvErrorTest, SaysWhatToChange) {
  const auto conv = [](const Shape& x, const Shape& weight, const Window& window) {
    return ErrorOf([&](Graph& g) {
      g.Conv("c", P(g, "x", x), P(g, "w", weight), Value(), Activation::kLinear, window);
    });
  };
  EXPECT_EQ(conv({2, 5, 5, 3}, {3, 3, 3, 4}, Of(3, 3, 1, 0)), "");
  EXPECT_THAT(conv({2, 75}, {3, 3, 3, 4}, Of(3, 3, 1, 0)), HasSubstr("put a reshape before it"));
  EXPECT_THAT(conv({2, 5, 5, 3}, {3, 3, 2, 4}, Of(3, 3, 1, 0)),
              HasSubstr("expects 2 channels but gets 3"));
  EXPECT_THAT(conv({2, 5, 5, 3}, {2, 3, 3, 4}, Of(3, 3, 1, 0)), HasSubstr("they must agree"));
  EXPECT_THAT(conv({2, 2, 5, 3}, {3, 3, 3, 4}, Of(3, 3, 1, 0)),
              HasSubstr("does not fit the height of its input [2, 2, 5, 3]"));
  EXPECT_THAT(conv({2, 5, 5, 4}, {3, 3, 2, 5}, Of(3, 3, 1, 0, 1, 2)), HasSubstr("do not divide"));
  EXPECT_THAT(conv({2, 5, 5, 3}, {3, 3, 3, 4}, Of(3, 3, 0, 0)), HasSubstr("stride 0"));
  EXPECT_THAT(ErrorOf([](Graph& g) {
                g.MaxPool("p", P(g, "x", {1, 4, 4, 1}), Of(2, 2, 2, 2));
              }),
              HasSubstr("must be less than the window"));
  EXPECT_THAT(ErrorOf([](Graph& g) {
                g.Reduce("r", P(g, "x", {2, 3}), Reduction::kMean);
              }),
              HasSubstr("expects [batch, positions..., channels]"));
  EXPECT_THAT(ErrorOf([](Graph& g) {
                g.GroupNorm("n", P(g, "x", {2, 3, 6}), P(g, "g", {6}), P(g, "b", {6}), 4, 1e-5);
              }),
              HasSubstr("set groups to a divisor of 6"));
}

}  // namespace
}  // namespace beamline::engine
