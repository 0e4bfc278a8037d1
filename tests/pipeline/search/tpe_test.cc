#include <cmath>

#include "gtest/gtest.h"
#include "tests/pipeline/search/bench.h"

namespace beamline::pipeline::search {
namespace {

// The best value that a search finds, the mean over seeds.
double MeanBest(const std::string& text, const std::function<double(const Values&)>& f) {
  constexpr int kSeeds = 24;
  const v1::Search search = Parse(text);
  double sum = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    std::mt19937 random(1);
    double best = INFINITY;
    RunAll({search, 1, false, seed}, 4, random, [&](const Suggestion& s) {
      best = std::min(best, f(s.values));
      return Success(s, f(s.values));
    });
    sum += best;
  }
  return sum / kSeeds;
}

double Sphere(const Values& v) {
  return std::pow(NumberOf(v, "x") - 1, 2) + std::pow(NumberOf(v, "y") + 2, 2);
}

double Branin(const Values& v) {
  const double x = NumberOf(v, "x");
  const double y = NumberOf(v, "y");
  const double pi = 3.14159265358979;
  return std::pow(y - 5.1 / (4 * pi * pi) * x * x + 5 / pi * x - 6, 2) +
         10 * (1 - 1 / (8 * pi)) * std::cos(x) + 10 - 0.397887357729738;
}

// The optimizer decides most; each has a rate of its own.
double Training(const Values& v) {
  const bool adam = v.at("optimizer").string_value() == "adam";
  const double rate = std::log10(NumberOf(v, adam ? "adam_rate" : "sgd_rate"));
  const double units = std::log2(NumberOf(v, "units"));
  return (adam ? 0.1 : 0.3) + std::pow(rate - (adam ? -3 : -1), 2) + std::pow(units - 6, 2) / 8;
}

const std::string kBranin =
    In("x", "uniform {min: -5 max: 10}") + In("y", "uniform {min: 0 max: 15}");
const std::string kTraining =
    In("optimizer", "choice {values {string_value: 'sgd'} values {string_value: 'adam'}}") +
    In("adam_rate",
       "log_uniform {min: 1e-6 max: 1}"
       " when {key: 'optimizer' value {values {string_value: 'adam'}}}") +
    In("sgd_rate",
       "log_uniform {min: 1e-6 max: 1}"
       " when {key: 'optimizer' value {values {string_value: 'sgd'}}}") +
    In("units", "log_integer {min: 4 max: 1024}");

TEST(TpeTest, FindsMoreThanRandomSearch) {
  const std::string sphere =
      In("x", "uniform {min: -5 max: 5}") + In("y", "uniform {min: -5 max: 5}");
  EXPECT_LT(MeanBest("tpe {trials: 80}" + sphere, Sphere),
            0.3 * MeanBest("random {trials: 80}" + sphere, Sphere));
  EXPECT_LT(MeanBest("tpe {trials: 80}" + kBranin, Branin),
            0.5 * MeanBest("random {trials: 80}" + kBranin, Branin));
  EXPECT_LT(MeanBest("tpe {trials: 60}" + kTraining, Training) - 0.1,
            0.5 * (MeanBest("random {trials: 60}" + kTraining, Training) - 0.1));
}

TEST(TpeTest, FailedTrialsAreAvoided) {
  // Above 0.5 all fail: of 10 times 30 random trials 150 would.
  const v1::Search search = Parse("tpe {trials: 60}" + In("x", "uniform {min: 0 max: 1}"));
  int failed = 0;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    std::mt19937 random(1);
    RunAll({search, 1, false, seed}, 4, random, [&](const Suggestion& s) {
      const double x = NumberOf(s.values, "x");
      if (x < 0.5) return Success(s, std::fabs(x - 0.3));
      failed += s.number > 30;
      return Failure(s);
    });
  }
  EXPECT_LT(failed, 60);
}

// What runs at the same time counts by its place and not by its result.
TEST(TpeTest, KnowsWhatRuns) {
  const v1::Search search =
      Parse("tpe {trials: 30 startup_trials: 5 lag: 10}" + In("x", "uniform {min: 0 max: 1}"));
  std::vector<Outcome> outcomes;
  const Setting setting{search, 1, false, 4};
  for (const Suggestion& s : MakePlan(setting, outcomes, 100).due) {
    outcomes.push_back(Success(s, s.number));
  }
  for (const Suggestion& s : MakePlan(setting, outcomes, 100).due) {
    outcomes.push_back({s.number, s.epochs, s.values});
  }
  ASSERT_EQ(outcomes.size(), 20u);
  // Trial 20 knows the results of trials 1 to 10, and of the others only where they are.
  const auto last = [&] {
    const std::vector<Outcome> others(outcomes.begin(), outcomes.end() - 1);
    return Text(MakePlan(setting, others, 100).due.at(0));
  };
  const std::string chosen = last();
  outcomes[12].state = Outcome::State::kSucceeded;
  outcomes[12].value = -100;
  EXPECT_EQ(last(), chosen);
  for (size_t i = 10; i < 19; ++i) outcomes[i].values = outcomes[0].values;
  EXPECT_NE(last(), chosen);
}

TEST(TpeTest, WaitsForTheResultsThatItsLagNames) {
  const v1::Search search =
      Parse("tpe {trials: 20 startup_trials: 5 lag: 3}" + In("x", "uniform {min: 0 max: 1}"));
  std::vector<Outcome> outcomes;
  Plan plan = MakePlan({search}, outcomes, 100);
  EXPECT_EQ(plan.due.size(), 5u);
  for (const Suggestion& s : plan.due) outcomes.push_back(Success(s, s.number));
  outcomes[2].state = Outcome::State::kUnknown;
  // Trial 5 needs no results; trial 6 those of 1, 2 and 3.
  EXPECT_EQ(MakePlan({search}, outcomes, 100).due.size(), 0u);
  outcomes[2].state = Outcome::State::kFailed;
  plan = MakePlan({search}, outcomes, 100);
  ASSERT_EQ(plan.due.size(), 3u);
  EXPECT_EQ(plan.due[2].number, 8);
}

}  // namespace
}  // namespace beamline::pipeline::search
