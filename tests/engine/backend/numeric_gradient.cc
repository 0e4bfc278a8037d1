#include "tests/engine/backend/numeric_gradient.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "engine/core/philox.h"
#include "engine/executor/executor.h"
#include "engine/passes/autodiff.h"
#include "engine/passes/fusion.h"

namespace beamline::engine::testing {
namespace {

constexpr uint64_t kSeed = 11;
constexpr uint64_t kStep = 5;
// Central differences are taken for about this many elements of a parameter, evenly spread.
constexpr int64_t kDifferences = 60;

// The tested op with a loss behind it, its gradients, and an executor.
struct Subject {
  Subject(const std::string& backend, DType real, const BuildFn& build, const GradientCheck& check)
      : graph(real), pool(2) {
    Value y = build(graph);
    if (graph.shape(y) != Shape()) {
      const Shape shape = graph.shape(y);
      target = graph.Input("check.target", shape);
      weights = graph.Input("check.weights", {shape.Rows()});
      y = graph.Loss("check", y, target, weights, Value(), {}).loss;
    }
    loss = y;
    for (size_t i = 0; i < graph.values().size(); ++i) {
      if (graph.values()[i].role == Role::kParameter) {
        parameters.push_back({static_cast<int32_t>(i)});
      }
    }
    gradients = AppendGradients(&graph, loss, parameters);
    graph.MarkOutput(loss);
    for (const Value gradient : gradients) graph.MarkOutput(gradient);
    Optimize(&graph);
    executor = std::make_unique<Executor>(graph, FindBackend(backend), &variables, &pool, kSeed);
    for (const Value parameter : parameters) {
      const Philox random(kSeed, static_cast<uint64_t>(parameter.id));
      for (int64_t i = 0; i < graph.shape(parameter).NumElements(); ++i) {
        // Rounded so that both precisions hold the same numbers.
        const auto x = static_cast<float>(check.low + (check.high - check.low) *
                                                          random.Uniform(static_cast<uint64_t>(i)));
        Write(parameter, i, x);
      }
    }
    Feed(check);
  }

  void Feed(const GradientCheck& check) {
    if (target.valid()) {
      for (int64_t i = 0; i < graph.shape(target).NumElements(); ++i) {
        Write(target, i, 0.25 * static_cast<double>(i % 7) - 0.5);
      }
      for (int64_t i = 0; i < graph.shape(weights).NumElements(); ++i) {
        Write(weights, i, i % 3 == 2 ? -0.5 : 1.0 + 0.25 * static_cast<double>(i % 3));
      }
    }
    for (const auto& [name, codes] : check.codes) {
      const std::span<int32_t> data = executor->Data<int32_t>(graph.Find(name));
      std::copy(codes.begin(), codes.end(), data.begin());
    }
    for (const auto& [name, numbers] : check.inputs) {
      for (size_t i = 0; i < numbers.size(); ++i) {
        Write(graph.Find(name), static_cast<int64_t>(i), numbers[i]);
      }
    }
  }

  void Write(Value value, int64_t i, double x) {
    if (graph.real() == DType::kFloat64) {
      executor->Data<double>(value)[static_cast<size_t>(i)] = x;
    } else {
      executor->Data<float>(value)[static_cast<size_t>(i)] = static_cast<float>(x);
    }
  }
  double Read(Value value, int64_t i) {
    return graph.real() == DType::kFloat64 ? executor->Data<double>(value)[static_cast<size_t>(i)]
                                           : executor->Data<float>(value)[static_cast<size_t>(i)];
  }
  double Run(const GradientCheck& check) {
    Feed(check);
    executor->Run(kStep);
    return executor->Get(loss);
  }

  Graph graph;
  ThreadPool pool;
  Variables variables;
  std::unique_ptr<Executor> executor;
  Value target, weights, loss;
  std::vector<Value> parameters, gradients;
};

double LargestGradient(Subject& subject) {
  double largest = 1e-3;
  for (const Value gradient : subject.gradients) {
    if (!gradient.valid()) continue;
    for (int64_t i = 0; i < subject.graph.shape(gradient).NumElements(); ++i) {
      largest = std::max(largest, std::abs(subject.Read(gradient, i)));
    }
  }
  return largest;
}

}  // namespace

void CheckGradients(const std::string& backend, const BuildFn& build, const GradientCheck& check) {
  Subject exact("reference", DType::kFloat64, build, check);
  Subject tested(backend, DType::kFloat32, build, check);
  const double loss = exact.Run(check);
  EXPECT_NEAR(tested.Run(check), loss, check.tolerance32 * std::max(1.0, std::abs(loss)));
  const double scale = LargestGradient(exact);
  std::vector<std::vector<double>> analytic;
  for (size_t p = 0; p < exact.parameters.size(); ++p) {
    const Value gradient = exact.gradients[p];
    ASSERT_TRUE(gradient.valid()) << "no gradient for "
                                  << exact.graph.info(exact.parameters[p]).name;
    analytic.emplace_back();
    for (int64_t i = 0; i < exact.graph.shape(gradient).NumElements(); ++i) {
      analytic[p].push_back(exact.Read(gradient, i));
      EXPECT_NEAR(tested.Read(tested.gradients[p], i), analytic[p].back(),
                  check.tolerance32 * scale)
          << backend << ": " << exact.graph.info(exact.parameters[p]).name << "[" << i << "]";
    }
  }
  // The formulas are the same for all backends: one of them checks them against differences.
  if (backend != "reference") return;
  const double step = 1e-5;
  for (size_t p = 0; p < exact.parameters.size(); ++p) {
    const Value parameter = exact.parameters[p];
    const int64_t elements = exact.graph.shape(parameter).NumElements();
    for (int64_t i = 0; i < elements; i += 1 + elements / kDifferences) {
      const double x = exact.Read(parameter, i);
      exact.Write(parameter, i, x + step);
      const double above = exact.Run(check);
      exact.Write(parameter, i, x - step);
      const double below = exact.Run(check);
      exact.Write(parameter, i, x);
      EXPECT_NEAR(analytic[p][static_cast<size_t>(i)], (above - below) / (2 * step),
                  check.tolerance64 * scale)
          << exact.graph.info(parameter).name << "[" << i << "]";
    }
  }
}

}  // namespace beamline::engine::testing
