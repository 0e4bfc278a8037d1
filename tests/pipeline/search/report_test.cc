#include "pipeline/search/report.h"

#include <cmath>
#include <map>
#include <random>

#include "gtest/gtest.h"
#include "tests/pipeline/search/bench.h"

namespace beamline::pipeline::search {
namespace {

google::protobuf::Value Number(double number) {
  google::protobuf::Value value;
  value.set_number_value(number);
  return value;
}

const std::string kSpace =
    In("x", "uniform {min: -1 max: 2}") + In("rate", "log_uniform {min: 0.001 max: 1}") +
    In("units", "log_integer {min: 8 max: 248}") + In("layers", "integer {min: 1 max: 5}") +
    In("kind",
       "choice {values {string_value: 'p'} values {string_value: 'q'}"
       " values {string_value: 'r'}}") +
    In("momentum",
       "uniform {min: 0 max: 1}"
       " when {key: 'kind' value {values {string_value: 'r'}}}");

// Sixty points spread over the space, the same as those that the peer was given.
std::vector<TrialPoint> Points() {
  std::vector<TrialPoint> points;
  for (int i = 1; i <= 60; ++i) {
    const double x = (i * 37 + 11) % 61 / 61.0 * 3 - 1;
    const double b = (i * 23 + 5) % 61 / 61.0;
    const double rate = 0.001 * (1 + 999 * b * b);
    const int c = (i * 17 + 3) % 61;
    const double momentum = (i * 41 + 1) % 61 / 61.0;
    const int kind = i % 4 ? i * i % 3 : 2;
    const int layers = 1 + c % 5;
    TrialPoint point{i, {}, 0, 1};
    point.values = {{"x", Number(x)},
                    {"rate", Number(rate)},
                    {"units", Number(8 + c * 4)},
                    {"layers", Number(layers)}};
    point.values["kind"].set_string_value(std::string(1, "pqr"[kind]));
    if (kind == 2) point.values["momentum"] = Number(momentum);
    const double of_kind[] = {0.3, 0, 0.1 + 0.5 * momentum};
    point.value = (x - 0.5) * (x - 0.5) + 0.05 * std::pow(std::log10(rate) + 1, 2) + of_kind[kind] +
                  0.01 * layers;
    points.push_back(point);
  }
  return points;
}

void ExpectShares(const std::vector<v1::ParameterImportance>& importance,
                  const std::vector<std::pair<std::string, double>>& expected) {
  ASSERT_EQ(importance.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(importance[i].parameter(), expected[i].first);
    EXPECT_NEAR(importance[i].importance(), expected[i].second, 1e-6) << expected[i].first;
  }
}

// The shares of Optuna 5.0.0's PedAnovaImportanceEvaluator with its default settings.
TEST(ImportanceTest, IsThatOfOptuna) {
  const v1::Search search = Parse(kSpace);
  ExpectShares(Importance(search, Points(), false), {{"x", 0.793306263},
                                                     {"units", 0.153120373},
                                                     {"rate", 0.026868878},
                                                     {"kind", 0.026374419},
                                                     {"layers", 0.000330068},
                                                     {"momentum", 0}});
  ExpectShares(Importance(search, Points(), true), {{"rate", 0.397835213},
                                                    {"units", 0.265730322},
                                                    {"momentum", 0.161750542},
                                                    {"kind", 0.122791488},
                                                    {"layers", 0.036604435},
                                                    {"x", 0.015288001}});
}

TEST(ImportanceTest, NeedsPointsThatDiffer) {
  const v1::Search search = Parse(kSpace);
  std::vector<TrialPoint> points = Points();
  points.resize(5);
  EXPECT_TRUE(Importance(search, points, false).empty());
  points = Points();
  for (TrialPoint& point : points) point.value = 2;
  EXPECT_TRUE(Importance(search, points, false).empty());
  for (size_t i = 5; i < points.size(); ++i) points[i].value = std::nan("");
  EXPECT_TRUE(Importance(search, points, false).empty());
}

// With ten points one is a tenth; three are good. They lie together in y and apart in x.
TEST(ImportanceTest, ThreeAreGoodAtLeast) {
  const v1::Search search =
      Parse(In("x", "uniform {min: 0 max: 1}") + In("y", "uniform {min: 0 max: 1}"));
  std::vector<TrialPoint> points;
  for (int i = 0; i < 10; ++i) {
    const double x = i * 7 % 10 / 10.0;
    points.push_back({i + 1, {{"x", Number(x)}, {"y", Number(i / 10.0)}}, i * 1.0, 1});
  }
  const auto importance = Importance(search, points, false);
  ASSERT_EQ(importance.size(), 2u);
  EXPECT_EQ(importance[0].parameter(), "y");
  EXPECT_NEAR(importance[0].importance() + importance[1].importance(), 1, 1e-12);
  // Another worst point changes nothing, since the same three are good; another best one does.
  points[9].value = 100;
  EXPECT_EQ(Importance(search, points, false)[0].importance(), importance[0].importance());
  points[9].value = 1.5;
  EXPECT_NE(Importance(search, points, false)[0].importance(), importance[0].importance());
}

TEST(ParetoTest, IsWhatTheDefinitionSays) {
  const std::vector<TrialPoint> points = {
      {1, {}, 0.5, 10}, {2, {}, 0.4, 20}, {3, {}, 0.4, 21},         {4, {}, 0.6, 9},
      {5, {}, 0.6, 9},  {6, {}, 0.5, 12}, {7, {}, std::nan(""), 1}, {8, {}, std::nan(""), 9}};
  EXPECT_EQ(ParetoFront(points, false),
            (std::vector<bool>{true, true, false, true, true, false, true, false}));
  EXPECT_EQ(ParetoFront(points, true),
            (std::vector<bool>{false, false, false, true, true, false, true, false}));
  EXPECT_TRUE(ParetoFront({}, false).empty());
}

// A point is on the front if none of those that are as fast is better, and none of those that are
// as good is faster.
TEST(ParetoTest, IsWhatASweepFinds) {
  std::mt19937 random(3);
  for (int run = 0; run < 50; ++run) {
    std::vector<TrialPoint> points;
    for (int i = 0; i < 40; ++i)
      points.push_back({i, {}, random() % 12 * 1.0, random() % 12 * 1.0});
    const std::vector<bool> front = ParetoFront(points, true);
    std::map<double, double> best;  // by seconds, of all as fast or faster
    for (const TrialPoint& p : points) best[p.seconds] = std::max(best[p.seconds], p.value);
    double so_far = -1;
    std::map<double, double> allowed;
    for (const auto& [seconds, value] : best) {
      if (value > so_far) allowed[seconds] = value;
      so_far = std::max(so_far, value);
    }
    for (size_t i = 0; i < points.size(); ++i) {
      const auto found = allowed.find(points[i].seconds);
      EXPECT_EQ(front[i], found != allowed.end() && found->second == points[i].value);
    }
  }
}

}  // namespace
}  // namespace beamline::pipeline::search
