#include "engine/core/philox.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace beamline::engine {
namespace {

void ExpectBlock(const PhiloxBlock& block, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  EXPECT_EQ(block.word[0], a);
  EXPECT_EQ(block.word[1], b);
  EXPECT_EQ(block.word[2], c);
  EXPECT_EQ(block.word[3], d);
}

// Known answers of the Random123 distribution (kat_vectors, philox4x32 10).
TEST(PhiloxTest, MatchesThePublishedVectors) {
  ExpectBlock(Philox4x32(0, 0, 0, 0, 0, 0), 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8);
  const uint32_t f = 0xffffffff;
  ExpectBlock(Philox4x32(f, f, f, f, f, f), 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd);
  ExpectBlock(Philox4x32(0xa4093822, 0x299f31d0, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344),
              0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1);
}

TEST(PhiloxTest, UniformHasTheRightMoments) {
  const Philox random(7, 1);
  double sum = 0;
  double squares = 0;
  const int count = 100'000;
  for (int i = 0; i < count; ++i) {
    const double x = random.Uniform(i);
    ASSERT_GE(x, 0);
    ASSERT_LT(x, 1);
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / count, 0.5, 0.005);
  EXPECT_NEAR(squares / count, 1.0 / 3, 0.005);
}

TEST(PhiloxTest, NormalHasTheRightMoments) {
  const Philox random(7, 2);
  double sum = 0;
  double squares = 0;
  double fourth = 0;
  const int count = 200'000;
  for (int i = 0; i < count; ++i) {
    const double x = random.Normal(i);
    ASSERT_LT(std::abs(x), 5.8);
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
  }
  EXPECT_NEAR(sum / count, 0, 0.01);
  EXPECT_NEAR(squares / count, 1, 0.02);
  EXPECT_NEAR(fourth / count, 3, 0.1);
}

TEST(PhiloxTest, PermutationHoldsEachIndexOnceAndDependsOnSeedAndStream) {
  const std::vector<int64_t> order = Philox(1, 2).Permutation(1000);
  std::vector<bool> seen(1000);
  for (const int64_t i : order) {
    ASSERT_FALSE(seen.at(static_cast<size_t>(i)));
    seen[static_cast<size_t>(i)] = true;
  }
  EXPECT_EQ(order, Philox(1, 2).Permutation(1000));
  EXPECT_NE(order, Philox(1, 3).Permutation(1000));
  EXPECT_NE(order, Philox(2, 2).Permutation(1000));
  EXPECT_TRUE(Philox(1, 1).Permutation(0).empty());
}

}  // namespace
}  // namespace beamline::engine
