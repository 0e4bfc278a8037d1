#include "pipeline/search/numbers.h"

#include <cmath>
#include <limits>
#include <random>
#include <set>

#include "gtest/gtest.h"

namespace beamline::pipeline::search {
namespace {

TEST(NumbersTest, ExponentialAndLogarithmAreThoseOfTheLibrary) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 100000; ++i) {
    const double x = std::uniform_real_distribution<>(-700, 700)(random);
    EXPECT_NEAR(Exp(x) / std::exp(x), 1, 4 * 0x1p-52) << x;
    const double y = std::exp(x);
    EXPECT_NEAR(Log(y), std::log(y), 4 * 0x1p-53 * std::fabs(std::log(y))) << y;
    const double near = std::uniform_real_distribution<>(0.5, 2)(random);
    EXPECT_NEAR(Log(near), std::log(near), 4 * 0x1p-53 * std::fabs(std::log(near))) << near;
  }
}

TEST(NumbersTest, EndsOfTheRange) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(Exp(0), 1);
  EXPECT_EQ(Exp(-infinity), 0);
  EXPECT_EQ(Exp(infinity), infinity);
  EXPECT_TRUE(std::isnan(Exp(std::nan(""))));
  EXPECT_EQ(Log(1), 0);
  EXPECT_EQ(Log(0), -infinity);
  EXPECT_EQ(Log(infinity), infinity);
  EXPECT_TRUE(std::isnan(Log(-1)));
  EXPECT_NEAR(Log(5e-324), std::log(5e-324), 1e-12);
}

TEST(NumbersTest, NormalDistribution) {
  for (double x = -12; x <= 12; x += 0.01) {
    EXPECT_NEAR(NormalCdf(x), std::erfc(-x / std::sqrt(2)) / 2, 1e-14) << x;
  }
  for (double x = -7.5; x <= 5.5; x += 0.01) {
    EXPECT_NEAR(NormalQuantile(NormalCdf(x)), x, 1e-8) << x;
  }
  EXPECT_EQ(NormalCdf(50), 1);
  EXPECT_EQ(NormalCdf(-50), 0);
  EXPECT_EQ(NormalQuantile(0), -8);
  EXPECT_EQ(NormalQuantile(1), 8);
}

TEST(NumbersTest, TidyNumbersHaveTwelveDigits) {
  EXPECT_EQ(Tidy(0.1 + 0.2), 0.3);
  EXPECT_EQ(Tidy(0.00316227766016838), 0.00316227766017);
  EXPECT_EQ(Tidy(-123456789012345.0), -123456789012000.0);
  EXPECT_EQ(Tidy(0), 0);
}

TEST(NumbersTest, DrawsDependOnSeedKeyTrialAndDraw) {
  std::set<double> seen;
  for (const uint64_t seed : {0, 1}) {
    for (const char* key : {"a", "b"}) {
      for (const int trial : {1, 2}) {
        for (const int draw : {0, 1}) seen.insert(Draws(seed, key).Uniform(trial, draw));
      }
    }
  }
  EXPECT_EQ(seen.size(), 16u);
  double sum = 0;
  for (int trial = 1; trial <= 10000; ++trial) sum += Draws(7, "x").Uniform(trial, 0);
  EXPECT_NEAR(sum / 10000, 0.5, 0.01);
}

}  // namespace
}  // namespace beamline::pipeline::search
