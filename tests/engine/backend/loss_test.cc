// Losses on every backend: values and gradients, and beside PyTorch (make_loss_fixture.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/core/error.h"
#include "engine/executor/executor.h"
#include "engine/passes/autodiff.h"
#include "engine/passes/fusion.h"
#include "tests/engine/backend/op_fixture.h"

namespace beamline::engine {
namespace {

using ::testing::HasSubstr;

class LossTest : public testing::BackendTest {};

struct Recording {
  LossKind kind = LossKind::kMeanSquaredError;
  int64_t rows = 0;
  int64_t columns = 0;
  double number = 0;
  std::map<std::string, std::vector<float>> values;
};

std::vector<Recording> ReadFixture() {
  std::ifstream file(std::string(BEAMLINE_SOURCE_DIR) + "/tests/engine/backend/loss_fixture.txt");
  std::vector<Recording> recordings;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    if (name == "case") {
      recordings.emplace_back();
      Recording& next = recordings.back();
      words >> name >> next.rows >> next.columns >> next.number;
      while (Name(next.kind) != name) {
        next.kind = static_cast<LossKind>(static_cast<int>(next.kind) + 1);
      }
      continue;
    }
    for (float x = 0; words >> x;) recordings.back().values[name].push_back(x);
  }
  return recordings;
}

// The loss of `kind` with all that it may take: inputs "w", "c" and "number" where it can.
Value BuildLoss(Graph& g, LossKind kind, Value p, int64_t classes) {
  const int64_t rows = g.shape(p).Rows();
  const Value target = TakesLabels(kind) ? g.CodesInput("t", {rows}) : g.Input("t", g.shape(p));
  Graph::LossOptions options;
  options.kind = kind;
  if (TakesNumber(kind)) options.number = g.Number("number");
  const Value class_weights = classes > 0 ? g.Input("c", {classes}) : Value();
  return g.Loss("loss", p, target, g.Input("w", {rows}), class_weights, options).loss;
}

TEST_P(LossTest, AgreesWithPyTorch) {
  const std::vector<Recording> recordings = ReadFixture();
  ASSERT_GE(recordings.size(), 13u);
  for (const Recording& recording : recordings) {
    SCOPED_TRACE(Name(recording.kind));
    const auto& values = recording.values;
    Graph g;
    const Value p = g.Parameter("p", {recording.rows, recording.columns}, {});
    const bool weighted = values.contains("c");
    const Value loss =
        BuildLoss(g, recording.kind, p, weighted ? static_cast<int64_t>(values.at("c").size()) : 0);
    const std::vector<Value> parameters = {p};
    const Value dp = AppendGradients(&g, loss, parameters)[0];
    g.MarkOutput(loss);
    g.MarkOutput(dp);
    Optimize(&g);
    Variables variables;
    ThreadPool pool(2);
    Executor executor(g, FindBackend(GetParam()), &variables, &pool, 1);
    const auto feed = [&](const std::string& from, const std::string& to) {
      const std::vector<float>& x = values.at(from);
      std::copy(x.begin(), x.end(), executor.Data<float>(g.Find(to)).begin());
    };
    feed("p", "p");
    feed("w", "w");
    if (weighted) feed("c", "c");
    if (TakesNumber(recording.kind)) executor.Set(g.Find("number"), recording.number);
    if (TakesLabels(recording.kind)) {
      const std::vector<float>& t = values.at("t");
      std::copy(t.begin(), t.end(), executor.Data<int32_t>(g.Find("t")).begin());
    } else {
      feed("t", "t");
    }
    executor.Run(0);
    EXPECT_NEAR(executor.Get(loss), values.at("loss")[0],
                2e-6 * (1 + std::abs(values.at("loss")[0])));
    for (size_t i = 0; i < values.at("dp").size(); ++i) {
      EXPECT_NEAR(executor.Data<float>(dp)[i], values.at("dp")[i],
                  4e-6 * (1 + std::abs(values.at("dp")[i])))
          << i;
    }
  }
}

TEST_P(LossTest, GradientsOfLossesOnNumbers) {
  for (const LossKind kind :
       {LossKind::kHinge, LossKind::kFocal, LossKind::kKullbackLeibler, LossKind::kWasserstein}) {
    for (const int64_t columns : {1, 3, 37}) {
      SCOPED_TRACE(Name(kind));
      testing::GradientCheck check;
      check.low = -3;
      check.high = 3;
      std::vector<double> targets;
      for (int64_t i = 0; i < 5 * columns; ++i) {
        const double share = static_cast<double>(i % 4) / 4;
        targets.push_back(kind == LossKind::kHinge ? static_cast<double>(i % 2) : share);
      }
      check.inputs = {{"t", targets}, {"w", {1, 2, -0.5, 0, 1}}};
      if (TakesNumber(kind)) check.inputs.push_back({"number", {1.7}});
      const auto build = [&](Graph& g) {
        return BuildLoss(g, kind, g.Parameter("p", {5, columns}, {}), 0);
      };
      Check(build, check);
      if (columns > 1 || !IsForClasses(kind)) continue;
      check.inputs.push_back({"c", {0.5, 2}});
      Check([&](Graph& g) { return BuildLoss(g, kind, g.Parameter("p", {5, 1}, {}), 2); }, check);
    }
  }
}

TEST_P(LossTest, GradientsOfLossesOnLabels) {
  for (const LossKind kind : {LossKind::kMultiClassHinge, LossKind::kFocalCrossEntropy}) {
    for (const double gamma : {0.0, 0.5, 2.0}) {
      SCOPED_TRACE(Name(kind));
      testing::GradientCheck check;
      check.low = -2;
      check.high = 2;
      check.codes = {{"t", {0, 2, 1, 1}}};
      check.inputs = {{"w", {1, 2, -0.5, 1}}, {"c", {1, 3, 0.5}}};
      if (TakesNumber(kind)) check.inputs.push_back({"number", {gamma}});
      Check([&](Graph& g) { return BuildLoss(g, kind, g.Parameter("p", {4, 3}, {}), 3); }, check);
    }
  }
}

TEST_P(LossTest, GradientsOfLossesOnPairs) {
  for (const LossKind kind : {LossKind::kTriplet, LossKind::kInfoNce}) {
    for (const int64_t columns : {3, 19}) {
      SCOPED_TRACE(Name(kind));
      testing::GradientCheck check;
      // Row 4 has no partner, row 6 weighs nothing.
      check.codes = {{"t", {0, 1, 0, 1, 2, 0, 1, 0}}};
      check.inputs = {{"w", {1, 2, -0.5, 1, 1, 0.25, 0, 1}}, {"c", {1, 3, 0.5}}, {"number", {0.4}}};
      Check(
          [&](Graph& g) {
            const Value unit = g.UnitRows("unit", g.Parameter("p", {8, columns}, {}));
            return BuildLoss(g, kind, unit, 3);
          },
          check);
    }
  }
}

// Enough rows that they are shared between threads.
TEST_P(LossTest, PairsGiveTheSameBitsOnAnyNumberOfThreads) {
  for (const LossKind kind : {LossKind::kTriplet, LossKind::kInfoNce}) {
    std::vector<float> expected;
    for (const int threads : {1, 2, 3, 4, 8}) {
      Graph g;
      const Value p = g.Parameter("p", {200, 24}, {Initial::Kind::kNormal, 1});
      const Value loss = BuildLoss(g, kind, g.UnitRows("unit", p), 0);
      const std::vector<Value> parameters = {p};
      const Value dp = AppendGradients(&g, loss, parameters)[0];
      g.MarkOutput(dp);
      Variables variables;
      ThreadPool pool(threads);
      const std::string backend = GetParam() == "reference" ? "reference" : GetParam();
      Executor executor(g, FindBackend(backend), &variables, &pool, 1);
      for (int32_t i = 0; i < 200; ++i) {
        executor.Data<int32_t>(g.Find("t"))[static_cast<size_t>(i)] = i % 90;
        executor.Data<float>(g.Find("w"))[static_cast<size_t>(i)] = i % 7 == 0 ? -0.5f : 1.0f;
      }
      executor.Set(g.Find("number"), 0.2);
      executor.Run(0);
      const std::span<const float> gradient = executor.Data<float>(dp);
      if (expected.empty()) expected.assign(gradient.begin(), gradient.end());
      EXPECT_TRUE(std::equal(expected.begin(), expected.end(), gradient.begin())) << threads;
    }
    // And for every instruction set.
    if (!GetParam().starts_with("cpu")) continue;
    static std::map<LossKind, std::vector<float>> first;
    const auto [at, added] = first.emplace(kind, expected);
    EXPECT_EQ(at->second == expected, true) << GetParam();
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

TEST(LossBuilderTest, RefusesWhatDoesNotFit) {
  const auto error = [](LossKind kind, const Shape& p, const Shape& t, bool number,
                        int64_t classes) {
    return ErrorOf([&](Graph& g) {
      const Value target = TakesLabels(kind) ? g.CodesInput("t", t) : g.Input("t", t);
      Graph::LossOptions options;
      options.kind = kind;
      if (number) options.number = g.Number("number");
      g.Loss("loss", g.Input("p", p), target, Value(),
             classes > 0 ? g.Input("c", {classes}) : Value(), options);
    });
  };
  EXPECT_EQ(error(LossKind::kFocal, {4, 1}, {4, 1}, true, 2), "");
  EXPECT_THAT(error(LossKind::kFocal, {4, 1}, {4, 1}, false, 0), HasSubstr("needs a number"));
  EXPECT_THAT(error(LossKind::kHinge, {4, 1}, {4, 1}, true, 0), HasSubstr("takes no number"));
  EXPECT_THAT(error(LossKind::kHinge, {4, 2}, {4, 2}, false, 2), HasSubstr("for one output"));
  EXPECT_THAT(error(LossKind::kMultiClassHinge, {4, 1}, {4}, false, 0),
              HasSubstr("an output per class"));
  EXPECT_THAT(error(LossKind::kMultiClassHinge, {4, 3}, {5}, false, 0), HasSubstr("labels"));
  EXPECT_THAT(error(LossKind::kKullbackLeibler, {4, 3}, {4, 2}, false, 0),
              HasSubstr("set units of the last layer to 2"));
  EXPECT_THAT(error(LossKind::kKullbackLeibler, {4, 3}, {4, 3}, false, 3),
              HasSubstr("remove the class weights"));
  EXPECT_EQ(error(LossKind::kTriplet, {4, 3}, {4}, true, 9), "");
  EXPECT_THAT(error(LossKind::kInfoNce, {4, 3, 2}, {4}, true, 0), HasSubstr("compares rows"));
}

INSTANTIATE_TEST_SUITE_P(Backends, LossTest, ::testing::ValuesIn(testing::AllBackends()),
                         testing::BackendTestName);

}  // namespace
}  // namespace beamline::engine
