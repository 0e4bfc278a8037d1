// Attention and positions on every backend: values, gradients, bits, memory.
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>

#include "engine/executor/executor.h"
#include "engine/passes/autodiff.h"
#include "engine/passes/fusion.h"
#include "tests/engine/backend/op_fixture.h"

namespace beamline::engine {
namespace {

using ::testing::HasSubstr;
using testing::P;

class AttentionTest : public testing::BackendTest {};

struct Sizes {
  int64_t batch, queries, keys, heads, width;
};

// Of one vector, of several, of none that is whole; within a block of keys and over several.
const std::vector<Sizes> kSizes = {{2, 5, 5, 1, 3},     {1, 30, 30, 2, 8},  {2, 26, 26, 2, 16},
                                   {1, 150, 150, 1, 4}, {1, 49, 49, 1, 33}, {1, 1, 1, 2, 2}};

TEST_P(AttentionTest, OverItself) {
  for (const bool causal : {false, true}) {
    for (const Sizes& s : kSizes) {
      SCOPED_TRACE(s.queries);
      testing::GradientCheck check;
      check.tolerance32 = 1e-4;
      check.tolerance64 = 1e-5;
      Check(
          [&](Graph& g) {
            return g.Attention("a", P(g, "qkv", {s.batch, s.queries, 3 * s.heads * s.width}),
                               Value(), {s.heads, causal});
          },
          check);
    }
  }
}

TEST_P(AttentionTest, OverAnotherSequence) {
  for (const Sizes& s : std::vector<Sizes>{{2, 3, 7, 2, 5}, {1, 7, 3, 1, 32}, {1, 2, 140, 1, 6}}) {
    testing::GradientCheck check;
    check.tolerance32 = 1e-4;
    check.tolerance64 = 1e-5;
    Check(
        [&](Graph& g) {
          return g.CrossAttention("a", P(g, "q", {s.batch, s.queries, s.heads * s.width}),
                                  P(g, "kv", {s.batch, s.keys, 2 * s.heads * s.width}), Value(),
                                  {s.heads});
        },
        check);
  }
}

// With lengths that cut nothing, some, all, and more than there is.
TEST_P(AttentionTest, WithPadding) {
  testing::GradientCheck check;
  check.codes = {{"lengths", {20, 3, 0, 99}}};
  check.tolerance32 = 1e-4;
  for (const bool causal : {false, true}) {
    Check(
        [&](Graph& g) {
          return g.Attention("a", P(g, "qkv", {4, 20, 12}), g.CodesInput("lengths", {4}),
                             {2, causal});
        },
        check);
  }
  Check(
      [&](Graph& g) {
        return g.CrossAttention("a", P(g, "q", {4, 2, 4}), P(g, "kv", {4, 20, 8}),
                                g.CodesInput("lengths", {4}), {2});
      },
      check);
}

TEST_P(AttentionTest, LengthsAreThoseOfCodes) {
  testing::GradientCheck check;
  check.codes = {{"codes", {0, -1, 2, -1, -1, -1, -1, -1, 3, 3, 3, 3}}};  // lengths 3, 0, 4
  Check(
      [](Graph& g) {
        return g.Attention("a", P(g, "qkv", {3, 4, 6}),
                           g.Lengths("lengths", g.CodesInput("codes", {3, 4})), {1});
      },
      check);
}

TEST_P(AttentionTest, Rotary) {
  std::vector<double> cos, sin;
  for (int i = 0; i < 5 * 3; ++i) {
    cos.push_back(std::cos(0.3 * i));
    sin.push_back(std::sin(0.3 * i));
  }
  for (const int64_t heads : {1, 3}) {
    Check([&](Graph& g) {
      return g.Rotary("turn", P(g, "x", {2, 5, 20}), g.Constant("cos", {5, 3}, cos),
                      g.Constant("sin", {5, 3}, sin), heads);
    });
  }
}

// A bias over [steps * features]: few rows, many columns.
TEST_P(AttentionTest, LearnedPositions) {
  Check([](Graph& g) {
    const Value x = g.Reshape("flat", P(g, "x", {3, 5, 7}), {3, 35});
    const Value table = g.Reshape("table", P(g, "positions", {5, 7}), {35});
    return g.Reshape("steps", g.BiasAdd("add", x, table), {3, 5, 7});
  });
}

TEST_P(AttentionTest, TokensShareATable) {
  testing::GradientCheck check;
  std::vector<int32_t> codes;
  for (int32_t i = 0; i < 90; ++i) codes.push_back(i * i % 11 - 1);
  check.codes = {{"codes", codes}};
  Check(
      [](Graph& g) {
        const Value x = g.Embedding("tokens", P(g, "table", {10, 19}),
                                    g.CodesInput("codes", {9, 10}), std::vector<int64_t>(10, 0));
        return g.Reshape("steps", x, {9, 10, 19});
      },
      check);
}

TEST_P(AttentionTest, LayerNormOverManyRows) {
  testing::GradientCheck check;
  check.tolerance32 = 5e-5;
  Check(
      [](Graph& g) {
        return g.LayerNorm("norm", P(g, "x", {1100, 3}), P(g, "gamma", {3}), P(g, "beta", {3}),
                           1e-3);
      },
      check);
}

// A dense layer with GELU, whose product keeps its input for the gradient.
TEST_P(AttentionTest, GeluInTraining) {
  for (const bool bias : {false, true}) {
    Check([&](Graph& g) {
      const Value x = P(g, "x", {30, 9});
      const Value b = bias ? P(g, "b1", {70}) : Value();
      const Value hidden = g.Dense("hidden", x, P(g, "w1", {9, 70}), b, Activation::kGelu);
      return g.Dense("out", hidden, P(g, "w2", {70, 2}), P(g, "b2", {2}), Activation::kLinear);
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, AttentionTest, ::testing::ValuesIn(testing::AllBackends()),
                         testing::BackendTestName);

// Bytes of the attention's results and gradients.
std::string BitsOf(std::string_view backend, int threads, bool causal, int64_t steps) {
  Graph g;
  const Value qkv = g.Parameter("qkv", {3, steps, 3 * 4 * 20}, {Initial::Kind::kNormal, 1});
  const Value y = g.Attention("a", qkv, g.CodesInput("lengths", {3}), {4, causal});
  const Value loss = g.Loss("loss", y, g.Input("target", g.shape(y)), Value(), Value(), {}).loss;
  const std::vector<Value> parameters = {qkv};
  const std::vector<Value> outputs = {loss, y, AppendGradients(&g, loss, parameters)[0]};
  for (const Value output : outputs) g.MarkOutput(output);
  Optimize(&g);
  Variables variables;
  ThreadPool pool(threads);
  Executor executor(g, FindBackend(backend), &variables, &pool, 1);
  const std::span<int32_t> lengths = executor.Data<int32_t>(g.Find("lengths"));
  lengths[0] = static_cast<int32_t>(steps);
  lengths[1] = 17;
  lengths[2] = 0;
  executor.Run(0);
  std::string bytes;
  for (const Value output : outputs) {
    const std::span<float> data = executor.Data<float>(output);
    bytes.append(reinterpret_cast<const char*>(data.data()), data.size_bytes());
  }
  return bytes;
}

TEST(AttentionBitsTest, DependOnNeitherThreadsNorInstructionSet) {
  for (const bool causal : {false, true}) {
    for (const int64_t steps : {40, 300}) {
      std::string expected;
      for (const std::string_view backend : AvailableBackends()) {
        if (!backend.starts_with("cpu")) continue;
        for (const int threads : {1, 2, 3, 4, 8}) {
          const std::string bits = BitsOf(backend, threads, causal, steps);
          if (expected.empty()) expected = bits;
          EXPECT_TRUE(bits == expected) << backend << ", " << threads << " threads, " << steps;
        }
      }
    }
  }
}

// Arena and scratch memory of a step, for a sequence of so many steps.
int64_t BytesFor(int64_t steps) {
  Graph g;
  const Value qkv = g.Parameter("qkv", {1, steps, 3 * 64}, {});
  const Value y = g.Attention("a", qkv, Value(), {2, true});
  const Value loss = g.Loss("loss", y, g.Input("target", g.shape(y)), Value(), Value(), {}).loss;
  const std::vector<Value> parameters = {qkv};
  g.MarkOutput(AppendGradients(&g, loss, parameters)[0]);
  Optimize(&g);
  const Scratch scratch = ScratchFor(g, FindBackend("cpu"));
  return PlanMemory(g).arena_bytes + scratch.shared_bytes + scratch.per_thread_bytes;
}

TEST(AttentionMemoryTest, GrowsWithTheStepsAndNotWithTheirSquare) {
  EXPECT_LE(BytesFor(8192), 2 * BytesFor(4096));
  EXPECT_LE(BytesFor(1 << 20) / (1 << 20), 8 * 64 * 4 + 100);
}

template <typename Action>
std::string ErrorOf(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(AttentionWiringTest, SaysWhatToChange) {
  Graph g;
  const Value x = g.Input("x", {2, 5, 12});
  const Value kv = g.Input("kv", {2, 7, 8});
  const Value q = g.Input("q", {2, 5, 4});
  const Value flat = g.Input("flat", {2, 12});
  const Value codes = g.CodesInput("codes", {2, 5});
  const Value table = g.Input("table", {5, 3});
  EXPECT_THAT(ErrorOf([&] { g.Attention("a", flat, Value(), {}); }),
              HasSubstr("put a reshape to [steps, features] before it"));
  EXPECT_THAT(ErrorOf([&] { g.Attention("a", codes, Value(), {}); }), HasSubstr("reshape"));
  EXPECT_THAT(ErrorOf([&] { g.Attention("a", x, Value(), {3}); }),
              HasSubstr("has 3 heads for 4 units: make units a multiple of heads"));
  EXPECT_THAT(ErrorOf([&] { g.Attention("a", x, Value(), {0}); }), HasSubstr("0 heads"));
  EXPECT_THAT(ErrorOf([&] { g.Attention("a", x, q, {1}); }),
              HasSubstr("needs integer lengths of shape [2]"));
  EXPECT_THAT(ErrorOf([&] { g.CrossAttention("a", q, x, Value(), {}); }),
              HasSubstr("make both inputs sequences"));
  EXPECT_THAT(ErrorOf([&] {
                g.CrossAttention("a", q, kv, Value(), {1, true});
              }),
              HasSubstr("causal"));
  EXPECT_THAT(ErrorOf([&] { g.Rotary("r", flat, table, table, 1); }), HasSubstr("reshape"));
  EXPECT_THAT(ErrorOf([&] { g.Rotary("r", x, table, table, 3); }), HasSubstr("turns 3 heads"));
  EXPECT_THAT(ErrorOf([&] { g.Lengths("l", x); }), HasSubstr("takes codes [batch, steps]"));
  EXPECT_TRUE(g.nodes().empty());
}

}  // namespace
}  // namespace beamline::engine
