#include "pipeline/search/sobol.h"

#include <algorithm>
#include <set>

#include "gtest/gtest.h"
#include "tests/pipeline/search/bench.h"

namespace beamline::pipeline::search {
namespace {

double Coordinate(uint32_t index, int dimension) {
  return SobolPoint(index, 64)[static_cast<size_t>(dimension)] * 0x1p-32;
}

// All expected values are those of scipy.stats.qmc.Sobol(64, scramble=False).
TEST(SobolTest, FirstPointsAreThoseOfScipy) {
  const double expected[8][6] = {
      {0, 0, 0, 0, 0, 0},
      {0.5, 0.5, 0.5, 0.5, 0.5, 0.5},
      {0.75, 0.25, 0.25, 0.25, 0.75, 0.75},
      {0.25, 0.75, 0.75, 0.75, 0.25, 0.25},
      {0.375, 0.375, 0.625, 0.875, 0.375, 0.125},
      {0.875, 0.875, 0.125, 0.375, 0.875, 0.625},
      {0.625, 0.125, 0.875, 0.625, 0.625, 0.875},
      {0.125, 0.625, 0.375, 0.125, 0.125, 0.375},
  };
  for (uint32_t i = 0; i < 8; ++i) {
    for (int d = 0; d < 6; ++d) EXPECT_EQ(Coordinate(i, d), expected[i][d]) << i << " " << d;
  }
}

// FNV-1a over 128 * x of 128 points in 64 dimensions.
TEST(SobolTest, AllDimensionsAreThoseOfScipy) {
  uint64_t hash = 0xcbf29ce484222325;
  for (uint32_t i = 0; i < 128; ++i) {
    for (const uint32_t x : SobolPoint(i, 64)) hash = (hash ^ (x >> 25)) * 0x100000001b3;
  }
  EXPECT_EQ(hash, 0xa0d66fd9f6ac25u);
  EXPECT_EQ(Coordinate(17, 20), 0.21875);
  EXPECT_EQ(Coordinate(63, 63), 0.734375);
  EXPECT_EQ(Coordinate(100, 40), 0.7109375);
  EXPECT_EQ(Coordinate(1000, 63), 0.4462890625);
  EXPECT_EQ(Coordinate(1023, 31), 0.6142578125);
}

v1::Search TwoKeys(int trials) {
  return Parse("sobol {trials: " + std::to_string(trials) + "}" +
               In("x", "uniform {min: 0 max: 1}") + In("y", "uniform {min: 0 max: 1}"));
}

TEST(SobolTest, ShiftedPointsStayEven) {
  const v1::Search search = TwoKeys(256);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    // Each of 16 x 16 cells holds one of 256 points: a digital shift keeps the net.
    std::set<int> cells;
    for (const Suggestion& s : MakePlan({search, 1, false, seed}, {}, 1000).due) {
      cells.insert(static_cast<int>(NumberOf(s.values, "x") * 16) * 16 +
                   static_cast<int>(NumberOf(s.values, "y") * 16));
    }
    EXPECT_EQ(cells.size(), 256u);
  }
}

TEST(SobolTest, SeedsShiftDifferently) {
  const v1::Search search = TwoKeys(1);
  std::set<double> seen;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const Plan plan = MakePlan({search, 1, false, seed}, {}, 1);
    seen.insert(NumberOf(plan.due[0].values, "x"));
    seen.insert(NumberOf(plan.due[0].values, "y"));
  }
  EXPECT_EQ(seen.size(), 100u);
}

}  // namespace
}  // namespace beamline::pipeline::search
