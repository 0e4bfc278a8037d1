#include "pipeline/search/grid.h"

#include "gtest/gtest.h"
#include "tests/pipeline/search/bench.h"

namespace beamline::pipeline::search {
namespace {

std::vector<std::string> Grid(const v1::Search& search) {
  std::vector<std::string> lines;
  const Setting setting{search};
  const Plan plan = MakePlan(setting, {}, kMaxTrials);
  EXPECT_EQ(plan.planned, static_cast<int>(plan.due.size()));
  EXPECT_EQ(GridSize(search), plan.planned);
  for (const Suggestion& s : plan.due) {
    EXPECT_EQ(s.number, static_cast<int>(lines.size()) + 1);
    EXPECT_EQ(s.epochs, 0);
    std::string line;
    for (const auto& [key, value] : s.values) {
      line += key + (value.has_string_value() ? value.string_value()
                                              : std::to_string(value.number_value()).substr(0, 6));
    }
    lines.push_back(line);
  }
  return lines;
}

const char kAb[] = "choice {values {string_value: 'A'} values {string_value: 'B'}}";
const char kXyz[] =
    "choice {values {string_value: 'X'} values {string_value: 'Y'} values {string_value: 'Z'}}";

TEST(GridTest, TheLastKeyChangesFastest) {
  EXPECT_EQ(Grid(Parse("grid {}" + In("b", kXyz) + In("a", kAb))),
            (std::vector<std::string>{"aAbX", "aAbY", "aAbZ", "aBbX", "aBbY", "aBbZ"}));
}

TEST(GridTest, PointsOfIntervals) {
  EXPECT_EQ(Grid(Parse("grid {}" + In("x", "log_uniform {min: 0.01 max: 1 points: 3}"))),
            (std::vector<std::string>{"x0.0100", "x0.1000", "x1.0000"}));
  EXPECT_EQ(Grid(Parse("grid {}" + In("x", "uniform {min: 0 max: 1 points: 5}"))).size(), 5u);
  EXPECT_EQ(Grid(Parse("grid {}" + In("x", "uniform {min: 0 max: 1 step: 0.25}"))).size(), 5u);
  EXPECT_EQ(Grid(Parse("grid {}" + In("x", "integer {min: 1 max: 4}"))).size(), 4u);
  EXPECT_EQ(Grid(Parse("grid {}" + In("x", "integer {min: 1 max: 100 points: 3}"))),
            (std::vector<std::string>{"x1.0000", "x51.000", "x100.00"}));
  // Sixteen to 256 in the logarithm: 16, 64, 256.
  EXPECT_EQ(Grid(Parse("grid {}" + In("x", "log_integer {min: 16 max: 256 points: 3}"))),
            (std::vector<std::string>{"x16.000", "x64.000", "x256.00"}));
  EXPECT_EQ(Grid(Parse("grid {}" + In("x", "integer {min: 1 max: 3 points: 9}"))).size(), 3u);
}

TEST(GridTest, ValuesWithoutEffectCountOnce) {
  // Three of b = A and one of b = B, which stands where aXbB would.
  const std::string when = " when {key: 'b' value {values {string_value: 'A'}}}";
  EXPECT_EQ(Grid(Parse("grid {}" + In("a", kXyz + when) + In("b", kAb))),
            (std::vector<std::string>{"aXbA", "bB", "aYbA", "aZbA"}));
  const std::string deep = " when {key: 'c' value {values {string_value: 'X'}}}";
  EXPECT_EQ(
      Grid(Parse("grid {}" + In("a", kXyz + deep) + In("c", kXyz + when) + In("b", kAb))).size(),
      6u);
}

TEST(GridTest, SaturatesInLittleTime) {
  std::string text = "grid {}";
  for (int i = 0; i < 64; ++i) text += In("k" + std::to_string(i), kXyz);
  EXPECT_EQ(GridSize(Parse(text)), kMaxTrials + 1);
  // Twenty branches with three keys each have 20 x 27 combinations, not 20 x 3^60.
  text = "grid {}" + In("branch", "integer {min: 1 max: 20}");
  for (int i = 0; i < 60; ++i) {
    text +=
        In("k" + std::to_string(i), kXyz + (" when {key: 'branch' value {values {number_value:" +
                                            std::to_string(i / 3 + 1) + "}}}"));
  }
  EXPECT_EQ(GridSize(Parse(text)), 540);
}

TEST(GridTest, KeepsToTheEpochs) {
  const v1::Search search = Parse("grid {} max_epochs: 49" + In("a", kAb) + In("b", kXyz));
  const Plan plan = MakePlan({search, 10}, {}, 100);
  EXPECT_EQ(plan.planned, 4);
  EXPECT_EQ(plan.due.size(), 4u);
  EXPECT_FALSE(plan.complete);
}

}  // namespace
}  // namespace beamline::pipeline::search
