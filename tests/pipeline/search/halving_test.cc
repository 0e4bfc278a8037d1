#include "pipeline/search/halving.h"

#include <map>
#include <set>

#include "gtest/gtest.h"
#include "tests/pipeline/search/bench.h"

namespace beamline::pipeline::search {
namespace {

const std::string kX = In("x", "uniform {min: 0 max: 1}");

std::string Text(const std::vector<Bracket>& brackets) {
  std::string text;
  for (const Bracket& bracket : brackets) {
    text += std::to_string(bracket.first) + ":";
    for (const Round& round : bracket.rounds) {
      text += " " + std::to_string(round.trials) + "x" + std::to_string(round.epochs);
    }
    text += "; ";
  }
  return text;
}

// The formula of Li et al. (JMLR 18, 2018), algorithm 1, n = ceil((s_max + 1) / (s + 1) eta^s).
TEST(HalvingTest, HyperbandOfThePaper) {
  const v1::Search search = Parse("hyperband {}" + kX);
  EXPECT_EQ(Text(Brackets({search, 81})),
            "1: 81x1 27x3 9x9 3x27 1x81; "
            "82: 34x3 11x9 3x27 1x81; "
            "116: 15x9 5x27 1x81; "
            "131: 8x27 2x81; "
            "139: 5x81; ");
}

TEST(HalvingTest, HyperbandOfOtherNumbers) {
  EXPECT_EQ(Text(Brackets({Parse("hyperband {reduction_factor: 4 min_epochs: 2}" + kX), 100})),
            "1: 16x6 4x25 1x100; 17: 6x25 1x100; 23: 3x100; ");
  EXPECT_EQ(Text(Brackets({Parse("hyperband {}" + kX), 1})), "1: 1x1; ");
  EXPECT_EQ(Text(Brackets({Parse("hyperband {min_epochs: 50}" + kX), 100})), "1: 1x100; ");
}

TEST(HalvingTest, RoundsOfSuccessiveHalving) {
  EXPECT_EQ(Text(Brackets({Parse("successive_halving {trials: 27}" + kX), 100})),
            "1: 27x1 9x3 3x11 1x33 1x100; ");
  EXPECT_EQ(Text(Brackets({Parse("successive_halving {trials: 20 min_epochs: 10}" + kX), 100})),
            "1: 20x11 6x33 2x100; ");
  EXPECT_EQ(
      Text(Brackets(
          {Parse("successive_halving {trials: 9 reduction_factor: 2 min_epochs: 3}" + kX), 12})),
      "1: 9x3 4x6 2x12; ");
  EXPECT_EQ(Text(Brackets({Parse("successive_halving {trials: 4 min_epochs: 9}" + kX), 5})),
            "1: 4x5; ");
}

TEST(HalvingTest, KeepsToTheEpochs) {
  // 27 trials of 9 epochs: 27 + 9 x 2 + 3 x 6 = 63 epochs. 26: 26 + 8 x 2 + 2 x 6 = 54.
  const std::string halving = "successive_halving {trials: 27}" + kX + " max_epochs: ";
  EXPECT_EQ(Text(Brackets({Parse(halving + "63"), 9})), "1: 27x1 9x3 3x9; ");
  EXPECT_EQ(Text(Brackets({Parse(halving + "62"), 9})), "1: 26x1 8x3 2x9; ");
  EXPECT_EQ(Text(Brackets({Parse(halving + "8"), 9})), "");
  EXPECT_TRUE(MakePlan({Parse(halving + "8"), 9}, {}, 9).complete);
  // Of Hyperband the first bracket (9 + 3 x 2 + 6 = 21), then one of two trials (2 x 3 + 6 = 12).
  EXPECT_EQ(Text(Brackets({Parse("hyperband {} max_epochs: 33" + kX), 9})),
            "1: 9x1 3x3 1x9; 10: 2x3 1x9; ");
}

TEST(HalvingTest, KeepsToTheTrialsOfASearch) {
  int trials = 0;
  for (const Bracket& b : Brackets({Parse("hyperband {reduction_factor: 2}" + kX), 1 << 20})) {
    trials += b.rounds[0].trials;
  }
  EXPECT_EQ(trials, kMaxTrials);
  EXPECT_EQ(TrialCount({Parse("hyperband {}" + kX), 1000}), kMaxTrials + 1);  // 1214
  EXPECT_EQ(TrialCount({Parse("hyperband {}" + kX), 81}), 143);
  EXPECT_EQ(TrialCount({Parse("random {trials: 50} max_epochs: 99" + kX), 10}), 9);
  EXPECT_EQ(TrialCount({Parse("successive_halving {trials: 12}" + kX), 81}), 12);
}

// One bracket 9x1 3x3 1x9, whose results a test sets one by one.
class PromotionTest : public testing::Test {
 protected:
  // Trial `number` ends its round with `epochs` epochs.
  void Ends(int number, int epochs, double value) {
    outcomes_.push_back({number, epochs, {}, Outcome::State::kSucceeded, value});
  }
  void Fails(int number, int epochs) {
    outcomes_.push_back({number, epochs, {}, Outcome::State::kFailed, 0});
  }
  // Numbers of the trials that go on.
  std::set<int> Promoted() {
    std::set<int> numbers;
    for (const Suggestion& s : MakePlan(setting_, outcomes_, 100).due) {
      if (s.after_epochs > 0) numbers.insert(s.number);
    }
    return numbers;
  }

  const v1::Search search_ = Parse("successive_halving {trials: 9}" + kX);
  Setting setting_{search_, 9};
  std::vector<Outcome> outcomes_;
};

TEST_F(PromotionTest, AsSoonAsItIsCertain) {
  for (int number = 1; number <= 6; ++number) Ends(number, 1, number);
  EXPECT_EQ(Promoted(), (std::set<int>{}));  // Three may come that are better than all.
  Ends(7, 1, 7);
  EXPECT_EQ(Promoted(), (std::set<int>{1}));  // Two may come.
  Ends(8, 1, 0.5);
  EXPECT_EQ(Promoted(), (std::set<int>{1, 8}));
  Ends(9, 1, 1.5);
  EXPECT_EQ(Promoted(), (std::set<int>{1, 8, 9}));
}

TEST_F(PromotionTest, MoreIsBetter) {
  setting_.maximize = true;
  for (int number = 1; number <= 9; ++number) Ends(number, 1, number);
  EXPECT_EQ(Promoted(), (std::set<int>{7, 8, 9}));
}

TEST_F(PromotionTest, OfEqualsTheSmallerNumber) {
  for (int number = 9; number >= 1; --number) Ends(number, 1, 4);
  EXPECT_EQ(Promoted(), (std::set<int>{1, 2, 3}));
}

TEST_F(PromotionTest, FailedOnesLeaveRoom) {
  for (int number = 1; number <= 3; ++number) Fails(number, 1);
  for (int number = 4; number <= 8; ++number) Ends(number, 1, number);
  EXPECT_EQ(Promoted(), (std::set<int>{4, 5}));
  Fails(9, 1);
  EXPECT_EQ(Promoted(), (std::set<int>{4, 5, 6}));
}

TEST_F(PromotionTest, WhatIsNotFiniteComesLast) {
  Ends(1, 1, std::numeric_limits<double>::quiet_NaN());
  Ends(2, 1, -std::numeric_limits<double>::infinity());
  for (int number = 3; number <= 9; ++number) Ends(number, 1, number);
  EXPECT_EQ(Promoted(), (std::set<int>{3, 4, 5}));
}

TEST_F(PromotionTest, LaterRoundsHaveAsManyAsSucceeded) {
  for (int number = 1; number <= 7; ++number) Fails(number, 1);
  Ends(8, 1, 2);
  Ends(9, 1, 1);
  EXPECT_EQ(Promoted(), (std::set<int>{8, 9}));
  Plan plan = MakePlan(setting_, outcomes_, 100);
  EXPECT_EQ(plan.planned, 9 + 2 + 1);
  EXPECT_EQ(plan.due[0].epochs, 3);
  EXPECT_EQ(plan.due[0].after_epochs, 1);
  Ends(8, 3, 5);
  EXPECT_EQ(Promoted(), (std::set<int>{9}));
  Fails(9, 3);
  plan = MakePlan(setting_, outcomes_, 100);
  ASSERT_EQ(plan.due.size(), 1u);
  EXPECT_EQ(plan.due[0].number, 8);
  EXPECT_EQ(plan.due[0].epochs, 0);  // to the end
  EXPECT_EQ(plan.due[0].after_epochs, 3);
  Ends(8, 0, 7);
  EXPECT_TRUE(MakePlan(setting_, outcomes_, 100).complete);
  EXPECT_EQ(BestTrial(setting_, outcomes_), 8);
}

TEST_F(PromotionTest, TheWinnerTrainedForLongest) {
  EXPECT_EQ(BestTrial(setting_, outcomes_), 0);
  Fails(1, 1);
  EXPECT_EQ(BestTrial(setting_, outcomes_), 0);
  Ends(2, 1, 0.1);
  Ends(3, 1, 0.2);
  EXPECT_EQ(BestTrial(setting_, outcomes_), 2);
  Ends(4, 3, 9);
  EXPECT_EQ(BestTrial(setting_, outcomes_), 4);
  Ends(6, 0, 10);
  Ends(5, 9, 10);
  EXPECT_EQ(BestTrial(setting_, outcomes_), 5);
  setting_.maximize = true;
  Ends(7, 0, 11);
  EXPECT_EQ(BestTrial(setting_, outcomes_), 7);
}

TEST_F(PromotionTest, ATrialKeepsItsValues) {
  google::protobuf::Value value;
  value.set_number_value(0.125);
  for (int number = 1; number <= 9; ++number) {
    outcomes_.push_back({number, 1, {{"x", value}}, Outcome::State::kSucceeded, 1.0});
  }
  for (const Suggestion& s : MakePlan(setting_, outcomes_, 100).due) {
    EXPECT_EQ(NumberOf(s.values, "x"), 0.125);
  }
}

}  // namespace
}  // namespace beamline::pipeline::search
