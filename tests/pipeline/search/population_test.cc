#include "pipeline/search/population.h"

#include <algorithm>
#include <map>
#include <set>

#include "gtest/gtest.h"
#include "tests/pipeline/search/bench.h"

namespace beamline::pipeline::search {
namespace {

const std::string kRate = In("rate", "log_uniform {min: 1e-4 max: 1}");

Suggestion Of(const Plan& plan, int number) {
  for (const Suggestion& s : plan.due) {
    if (s.number == number) return s;
  }
  ADD_FAILURE() << "trial " << number << " is not due";
  return {};
}

// Outcomes of generation after generation; `value` by number, none: it failed.
std::vector<Outcome> Generation(const Setting& setting, std::vector<Outcome> before,
                                const std::map<int, double>& value) {
  for (const Suggestion& s : MakePlan(setting, before, 1000).due) {
    const auto found = value.find(s.number);
    before.push_back(found == value.end() ? Failure(s) : Success(s, found->second));
  }
  return before;
}

TEST(PopulationTest, DividesTheEpochs) {
  EXPECT_EQ(GenerationEnds(3, 9), (std::vector<int>{3, 6, 9}));
  EXPECT_EQ(GenerationEnds(4, 10), (std::vector<int>{2, 5, 7, 10}));
  EXPECT_EQ(GenerationEnds(5, 5), (std::vector<int>{1, 2, 3, 4, 5}));
}

TEST(PopulationTest, BeginsAsRandomSearchDoes) {
  const v1::Search population = Parse("population {population: 6 generations: 3}" + kRate);
  const v1::Search random = Parse("random {trials: 6}" + kRate);
  const Plan ours = MakePlan({population, 9, false, 5}, {}, 100);
  const Plan theirs = MakePlan({random, 9, false, 5}, {}, 100);
  ASSERT_EQ(ours.due.size(), 6u);
  EXPECT_EQ(ours.planned, 18);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(Text(ours.due[i].values), Text(theirs.due[i].values));
    EXPECT_EQ(ours.due[i].epochs, 3);
    EXPECT_EQ(ours.due[i].after_epochs, 0);
    EXPECT_EQ(ours.due[i].after_trial, 0);
  }
}

TEST(PopulationTest, TheWorstGoOnFromTheBest) {
  const v1::Search search =
      Parse("population {population: 10 generations: 2 replaced: 0.2 resample: 0}" + kRate);
  const Setting setting{search, 8, false, 1};
  std::map<int, double> value;
  for (int n = 1; n <= 10; ++n) value[n] = n;  // less is better: 9 and 10 are the worst
  const std::vector<Outcome> first = Generation(setting, {}, value);
  const Plan plan = MakePlan(setting, first, 100);
  ASSERT_EQ(plan.due.size(), 10u);
  for (int n = 1; n <= 10; ++n) {
    const Suggestion s = Of(plan, n);
    EXPECT_EQ(s.after_epochs, 4);
    EXPECT_EQ(s.epochs, 0) << "the last generation ends with the step";
    if (n <= 8) {
      EXPECT_EQ(s.after_trial, 0);
      EXPECT_EQ(Text(s.values), Text(first[static_cast<size_t>(n) - 1].values));
      continue;
    }
    ASSERT_TRUE(s.after_trial == 1 || s.after_trial == 2) << s.after_trial;
    const double from = NumberOf(first[static_cast<size_t>(s.after_trial) - 1].values, "rate");
    const double ratio = NumberOf(s.values, "rate") / from;
    EXPECT_TRUE(std::abs(ratio - 0.8) < 1e-9 || std::abs(ratio - 1.2) < 1e-9) << ratio;
  }
}

TEST(PopulationTest, MoreIsBetterWhereItIs) {
  const v1::Search search =
      Parse("population {population: 4 generations: 2 replaced: 0.25}" + kRate);
  const Setting setting{search, 2, true, 1};
  const auto outcomes = Generation(setting, {}, {{1, 0.5}, {2, 0.9}, {3, 0.1}, {4, 0.6}});
  const Plan plan = MakePlan(setting, outcomes, 100);
  EXPECT_EQ(Of(plan, 3).after_trial, 2);
  EXPECT_EQ(Of(plan, 1).after_trial, 0);
}

TEST(PopulationTest, NobodyStartsBeforeAllHaveEnded) {
  const v1::Search search = Parse("population {population: 3 generations: 2}" + kRate);
  const Setting setting{search, 2, false, 1};
  auto outcomes = Generation(setting, {}, {{1, 1}, {2, 2}, {3, 3}});
  outcomes[0].state = Outcome::State::kUnknown;
  const Plan plan = MakePlan(setting, outcomes, 100);
  EXPECT_TRUE(plan.due.empty());
  EXPECT_FALSE(plan.complete);
}

TEST(PopulationTest, WhoFailedIsReplaced) {
  const v1::Search search = Parse("population {population: 5 generations: 3}" + kRate);
  const Setting setting{search, 3, false, 1};
  // Three of five failed, more than the fifth that is replaced anyway; 2 is worse than 4.
  auto outcomes = Generation(setting, {}, {{2, 7}, {4, 3}});
  const Plan plan = MakePlan(setting, outcomes, 100);
  ASSERT_EQ(plan.due.size(), 5u);
  for (const int n : {1, 3, 5}) EXPECT_EQ(Of(plan, n).after_trial, 4) << n;
  EXPECT_EQ(Of(plan, 2).after_trial, 0);
  EXPECT_EQ(Of(plan, 4).after_trial, 0);
}

TEST(PopulationTest, EndsWhenNobodyIsLeft) {
  const v1::Search search = Parse("population {population: 3 generations: 5}" + kRate);
  const Setting setting{search, 5, false, 1};
  const auto outcomes = Generation(setting, {}, {});
  const Plan plan = MakePlan(setting, outcomes, 100);
  EXPECT_TRUE(plan.due.empty());
  EXPECT_TRUE(plan.complete);
  EXPECT_EQ(plan.planned, 3);
  EXPECT_EQ(BestTrial(setting, outcomes), 0);
}

TEST(PopulationTest, KeepsToTheEpochs) {
  const std::string text = "population {population: 8 generations: 2} max_epochs: ";
  EXPECT_EQ(MakePlan({Parse(text + "40" + kRate), 10}, {}, 100).due.size(), 4u);
  // One alone has nobody to learn from.
  const v1::Search one = Parse(text + "10" + kRate);
  const Setting setting{one, 10, false, 1};
  const auto outcomes = Generation(setting, {}, {{1, 1}});
  EXPECT_EQ(MakePlan(setting, outcomes, 100).due.at(0).after_trial, 0);
}

TEST(PopulationTest, StaysInsideTheSpace) {
  const v1::Search search = Parse(
      "population {population: 8 generations: 40 replaced: 0.5}" + kRate +
      In("drop", "uniform {min: 0 max: 0.5 step: 0.1}") + In("whole", "integer {min: 1 max: 3}") +
      In("kind", "choice {values {string_value: 'a'} values {string_value: 'b'}}") +
      " space {key: 'extra' value {uniform {min: 1 max: 2} when {key: 'kind' value "
      "{values {string_value: 'b'}}}}}");
  const Setting setting{search, 40, false, 3};
  std::mt19937 random(1);
  std::vector<Suggestion> suggested;
  std::set<double> drops, wholes;
  RunAll(
      setting, 8, random,
      [&](const Suggestion& s) { return Success(s, static_cast<double>(random() % 1000)); },
      &suggested);
  EXPECT_EQ(suggested.size(), 320u);
  for (const Suggestion& s : suggested) {
    EXPECT_GE(NumberOf(s.values, "rate"), 1e-4);
    EXPECT_LE(NumberOf(s.values, "rate"), 1);
    drops.insert(NumberOf(s.values, "drop"));
    wholes.insert(NumberOf(s.values, "whole"));
    EXPECT_EQ(s.values.contains("extra"), s.values.at("kind").string_value() == "b");
    if (s.values.contains("extra")) {
      EXPECT_GE(NumberOf(s.values, "extra"), 1);
      EXPECT_LE(NumberOf(s.values, "extra"), 2);
    }
  }
  EXPECT_EQ(drops, (std::set<double>{0, 0.1, 0.2, 0.3, 0.4, 0.5}));
  EXPECT_EQ(wholes, (std::set<double>{1, 2, 3}));
}

TEST(PopulationTest, TheOrderOfEndingChangesNothing) {
  const v1::Search search = Parse("population {population: 9 generations: 6}" + kRate);
  const Setting setting{search, 12, false, 7};
  std::vector<std::string> before;
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    std::vector<Suggestion> suggested;
    RunAll(
        setting, 1 + static_cast<int>(seed % 9), random,
        [](const Suggestion& s) {
          if (s.number == 4 && s.after_epochs == 4) return Failure(s);
          return Success(s, std::abs(NumberOf(s.values, "rate") - 0.03) + 0.01 * s.number);
        },
        &suggested);
    std::vector<std::string> texts;
    for (const Suggestion& s : suggested) texts.push_back(Text(s));
    std::sort(texts.begin(), texts.end());
    if (before.empty()) before = texts;
    EXPECT_EQ(texts, before) << seed;
  }
}

// The example of Jaderberg et al. 2017, section 4 and figure 2, with its two surrogates as choices:
// of Q = 1.2 - a^2 - b^2 a trial descends along a or along b. One that keeps its choice comes to
// 1.2 - 0.9^2 at most; a population whose trials take over what others attained reaches the top.
TEST(PopulationTest, TheExampleOfThePaper) {
  struct State {
    double a = 0.9;
    double b = 0.9;
  };
  const std::string space =
      In("along", "choice {values {string_value: 'a'} values {string_value: 'b'}}");
  const auto top = [&](const std::string& algorithm) {
    const v1::Search search = Parse(algorithm + space);
    std::map<std::pair<int, int>, State> states;
    std::mt19937 random(0);
    double best = -1;
    RunAll({search, 200, true, 0}, 4, random, [&](const Suggestion& s) {
      State state;
      if (s.after_epochs > 0) {
        state = states.at({s.after_trial > 0 ? s.after_trial : s.number, s.after_epochs});
      }
      const int end = s.epochs > 0 ? s.epochs : 200;
      double& x = s.values.at("along").string_value() == "a" ? state.a : state.b;
      for (int step = s.after_epochs; step < end; ++step) x -= 0.02 * 2 * x;
      states[{s.number, end}] = state;
      const double q = 1.2 - state.a * state.a - state.b * state.b;
      best = std::max(best, q);
      return Success(s, q);
    });
    return best;
  };
  EXPECT_LT(top("random {trials: 4}"), 0.4);
  EXPECT_GT(top("population {population: 4 generations: 20 resample: 0}"), 1.19);
}

}  // namespace
}  // namespace beamline::pipeline::search
