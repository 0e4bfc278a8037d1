// The promise of every algorithm: the order in which trials end, and how many run at once, change
// nothing.
#include <algorithm>
#include <set>

#include "engine/core/philox.h"
#include "gtest/gtest.h"
#include "tests/pipeline/search/bench.h"

namespace beamline::pipeline::search {
namespace {

const std::string kSpace =
    In("depth", "integer {min: 1 max: 4}") + In("lr", "log_uniform {min: 1e-4 max: 1}") +
    In("momentum",
       "uniform {min: 0 max: 0.9 step: 0.1}"
       " when {key: 'optimizer' value {values {string_value: 'sgd'}}}") +
    In("optimizer", "choice {values {string_value: 'sgd'} values {string_value: 'adam'}}") +
    In("units", "log_integer {min: 4 max: 512}");
const std::string kGrid =
    In("a", "uniform {min: 0 max: 1 points: 5}") +
    In("b", "choice {values {bool_value: true} values {bool_value: false}}") +
    In("c", "integer {min: 1 max: 3} when {key: 'b' value {values {bool_value: true}}}");

struct Case {
  std::string name;
  std::string search;
  int step_epochs;
};

class OrderTest : public testing::TestWithParam<Case> {
 protected:
  // A result that depends on the part alone: a third of all values are equal, one in eight parts
  // fails, one in sixteen gives no number.
  static Outcome Result(const Suggestion& s) {
    const engine::Philox noise(42, static_cast<uint64_t>(s.epochs));
    const uint64_t draw = noise.Below(static_cast<uint64_t>(s.number), 16);
    if (draw < 2) return Failure(s);
    if (draw == 2) return Success(s, std::nan(""));
    double value = draw < 8 ? 0.5 : noise.Uniform(static_cast<uint64_t>(s.number) + 5000);
    for (const auto& [key, v] : s.values) value += v.has_number_value() ? v.number_value() : 0;
    return Success(s, draw < 8 ? 0.5 : value);
  }

  static std::set<std::string> Texts(const std::vector<Suggestion>& suggestions) {
    std::set<std::string> texts;
    for (const Suggestion& s : suggestions) {
      EXPECT_TRUE(texts.insert(Text(s)).second) << "twice: " << Text(s);
    }
    return texts;
  }
};

TEST_P(OrderTest, ChangesNothing) {
  const v1::Search search = Parse(GetParam().search);
  for (uint64_t seed = 0; seed < 3; ++seed) {
    const Setting setting{search, GetParam().step_epochs, seed % 2 == 1, seed};
    std::mt19937 random(static_cast<unsigned>(seed));
    std::vector<Suggestion> alone;
    const std::vector<Outcome> outcomes = RunAll(setting, 1, random, Result, &alone);
    const std::set<std::string> expected = Texts(alone);
    const int best = BestTrial(setting, outcomes);
    EXPECT_GT(best, 0);
    for (int run = 0; run < 12; ++run) {
      std::vector<Suggestion> suggested;
      const int parallel = run == 0 ? 1000 : 1 + static_cast<int>(random() % 20);
      auto others = RunAll(setting, parallel, random, Result, &suggested);
      EXPECT_EQ(Texts(suggested), expected) << "parallel: " << parallel;
      std::shuffle(others.begin(), others.end(), random);
      EXPECT_EQ(BestTrial(setting, others), best);
    }
  }
}

// What some of the outcomes determine, more of them determine too.
TEST_P(OrderTest, MoreOutcomesDetermineMore) {
  const v1::Search search = Parse(GetParam().search);
  const Setting setting{search, GetParam().step_epochs, false, 5};
  std::mt19937 random(11);
  const std::vector<Outcome> all = RunAll(setting, 4, random, Result);
  std::set<std::string> allowed;
  for (const Outcome& o : all)
    allowed.insert(std::to_string(o.number) + " " + std::to_string(o.epochs) + " " +
                   Text(o.values));
  for (int run = 0; run < 40; ++run) {
    std::vector<Outcome> more = all;
    std::vector<Outcome> fewer;
    for (Outcome& outcome : more) {
      if (random() % 3 == 0) outcome.state = Outcome::State::kUnknown;
    }
    std::shuffle(more.begin(), more.end(), random);
    for (const Outcome& outcome : more) {
      if (random() % 3 == 0) continue;
      fewer.push_back(outcome);
      if (random() % 3 == 0) fewer.back().state = Outcome::State::kUnknown;
    }
    const Plan plan = MakePlan(setting, fewer, 2000);
    for (const Suggestion& s : plan.due) {
      EXPECT_TRUE(allowed.contains(std::to_string(s.number) + " " + std::to_string(s.epochs) + " " +
                                   Text(s.values)))
          << Text(s);
    }
    EXPECT_GE(plan.planned, MakePlan(setting, more, 2000).planned);
    // A smaller limit gives the first of them.
    const Plan first = MakePlan(setting, fewer, 3);
    ASSERT_EQ(first.due.size(), std::min<size_t>(3, plan.due.size()));
    for (size_t i = 0; i < first.due.size(); ++i) EXPECT_EQ(Text(first.due[i]), Text(plan.due[i]));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Algorithms, OrderTest,
    testing::Values(
        Case{"grid", "grid {}" + kGrid, 3}, Case{"random", "random {trials: 40}" + kSpace, 3},
        Case{"sobol", "sobol {trials: 40}" + kSpace, 3},
        Case{"halving", "successive_halving {trials: 50}" + kSpace, 20},
        Case{"halving_by_two",
             "successive_halving {trials: 33 reduction_factor: 2 min_epochs: 2}" + kSpace, 64},
        Case{"hyperband", "hyperband {}" + kSpace, 27},
        Case{"hyperband_within_epochs", "hyperband {} max_epochs: 190" + kSpace, 27},
        Case{"population", "population {population: 12 generations: 4 replaced: 0.4}" + kSpace, 8},
        Case{"tpe", "tpe {trials: 40}" + kSpace, 3},
        Case{"tpe_lag", "tpe {trials: 30 lag: 9 startup_trials: 5}" + kSpace, 3}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace beamline::pipeline::search
