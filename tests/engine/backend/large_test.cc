// Sizes for which a device has kernels of its own, or cuts its work into pieces: results and
// gradients against the CPU's, rounding apart.
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "engine/executor/executor.h"
#include "engine/passes/autodiff.h"
#include "engine/passes/fusion.h"
#include "tests/engine/backend/op_fixture.h"

namespace beamline::engine {
namespace {

using Build = std::function<Value(Graph&)>;

Value Drawn(Graph& g, const std::string& name, const Shape& shape, double scale) {
  return g.Parameter(name, shape, {Initial::Kind::kNormal, scale});
}

// The gradients by all parameters of a loss behind what is built.
std::vector<float> Gradients(const std::string& backend, const Build& build) {
  Graph g;
  const Value y = build(g);
  const Value target = g.Input("target", g.shape(y));
  const Value loss = g.Loss("loss", y, target, Value(), Value(), {}).loss;
  std::vector<Value> parameters;
  for (size_t i = 0; i < g.values().size(); ++i) {
    if (g.values()[i].role == Role::kParameter) parameters.push_back({static_cast<int32_t>(i)});
  }
  const std::vector<Value> gradients = AppendGradients(&g, loss, parameters);
  for (const Value gradient : gradients) g.MarkOutput(gradient);
  Optimize(&g);
  Variables variables;
  ThreadPool pool(2);
  Executor executor(g, FindBackend(backend), &variables, &pool, 7);
  executor.Run(0);
  std::vector<float> values;
  for (const Value gradient : gradients) {
    const std::span<float> data = executor.Data<float>(gradient);
    values.insert(values.end(), data.begin(), data.end());
  }
  return values;
}

class LargeTest : public testing::BackendTest {
 protected:
  void Compare(const Build& build) {
    const std::vector<float> expected = Gradients("cpu", build);
    const std::vector<float> got = Gradients(GetParam(), build);
    ASSERT_EQ(got.size(), expected.size());
    double difference = 0;
    double scale = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      difference += std::pow(static_cast<double>(got[i]) - expected[i], 2);
      scale += std::pow(static_cast<double>(expected[i]), 2);
    }
    EXPECT_LT(std::sqrt(difference / scale), 1e-4);
  }
};

TEST_P(LargeTest, Products) {
  struct Size {
    int64_t m, n, k;
  };
  for (const Size& size : {Size{33, 50, 700}, Size{260, 68, 260}, Size{1030, 300, 300},
                           Size{2048, 130, 64}, Size{512, 520, 516}, Size{5000, 4, 24}}) {
    SCOPED_TRACE(::testing::Message() << size.m << " x " << size.n << " x " << size.k);
    Compare([&](Graph& g) {
      const Value x = Drawn(g, "x", {size.m, size.k}, 1);
      const Value product = g.MatMul("product", x, Drawn(g, "w", {size.k, size.n}, 0.1));
      const Value sum = g.BiasAdd("sum", product, Drawn(g, "b", {size.n}, 1));
      return g.Activate("y", sum, Activation::kTanh);
    });
  }
}

TEST_P(LargeTest, Convolutions) {
  struct Size {
    Shape x;
    int64_t units;
    int64_t stride;
  };
  for (const Size& size :
       {Size{{4, 40, 40, 8}, 16, 1}, Size{{24, 20, 26, 16}, 32, 1}, Size{{9, 30, 30, 20}, 72, 1},
        Size{{6, 41, 40, 16}, 24, 2}, Size{{20, 30, 30, 3}, 6, 1}}) {
    SCOPED_TRACE(size.x);
    Window window;
    for (int axis = 0; axis < 2; ++axis) {
      window.kernel[axis] = 3;
      window.stride[axis] = size.stride;
      window.low[axis] = window.high[axis] = 1;
    }
    Compare([&](Graph& g) {
      const Value weight = Drawn(g, "w", {3, 3, size.x.dim(3), size.units}, 0.2);
      return g.Conv("y", Drawn(g, "x", size.x, 1), weight, Drawn(g, "b", {size.units}, 1),
                    Activation::kTanh, window);
    });
  }
}

// Means of many rows: chunks of them, added by the last block.
TEST_P(LargeTest, Norms) {
  for (const int64_t columns : {3, 16, 40, 600}) {
    SCOPED_TRACE(columns);
    Compare([&](Graph& g) {
      const Value x = Drawn(g, "x", {3000, columns}, 1);
      const Value norm =
          g.BatchNorm("norm", x, Drawn(g, "gamma", {columns}, 1), Drawn(g, "beta", {columns}, 1),
                      g.State("mean", {columns}, 0), g.State("variance", {columns}, 1), 0.9, 0.1);
      return g.LayerNorm("layer", norm, Drawn(g, "gamma2", {columns}, 1),
                         Drawn(g, "beta2", {columns}, 1), 0.1);
    });
  }
}

// By looking at all codes for each row of the table, and by sorting.
TEST_P(LargeTest, Embeddings) {
  for (const int64_t rows : {700, 9000}) {
    SCOPED_TRACE(rows);
    const auto gradients = [&](const std::string& backend) {
      Graph g;
      const Value table = Drawn(g, "table", {300, 8}, 1);
      const Value codes = g.CodesInput("codes", {rows, 1});
      const Value y = g.Embedding("y", table, codes, {0});
      const Value loss =
          g.Loss("loss", y, g.Input("target", g.shape(y)), Value(), Value(), {}).loss;
      const std::vector<Value> parameters = {table};
      const Value gradient = AppendGradients(&g, loss, parameters)[0];
      g.MarkOutput(gradient);
      Optimize(&g);
      Variables variables;
      ThreadPool pool(2);
      Executor executor(g, FindBackend(backend), &variables, &pool, 7);
      const std::span<int32_t> data = executor.Data<int32_t>(codes);
      for (size_t i = 0; i < data.size(); ++i) {
        data[i] = static_cast<int32_t>(i % 3 == 0 ? 5 : i * 7919 % 310) - 1;
      }
      executor.Run(0);
      const std::span<float> values = executor.Data<float>(gradient);
      return std::vector<float>(values.begin(), values.end());
    };
    const std::vector<float> expected = gradients("cpu");
    const std::vector<float> got = gradients(GetParam());
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, LargeTest, ::testing::Values("cuda", "cuda/emulated"),
                         testing::BackendTestName);

}  // namespace
}  // namespace beamline::engine
