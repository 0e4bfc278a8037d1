#include "engine/data/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>

namespace beamline::engine::data {
namespace {

using ::testing::ElementsAre;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(StatisticsTest, OfNumbers) {
  const ColumnStatistics got =
      Describe(Column::Of("x", std::vector<double>{4, kNan, 1, 2, kInfinity, 3, 2}));
  EXPECT_EQ(got.count, 6);
  EXPECT_EQ(got.missing, 1);
  EXPECT_EQ(got.infinite, 1);
  EXPECT_EQ(got.min, 1);
  EXPECT_EQ(got.max, 4);
  EXPECT_DOUBLE_EQ(got.mean, 2.4);
  EXPECT_DOUBLE_EQ(got.standard_deviation, std::sqrt((1.96 + 2 * 0.16 + 0.36 + 2.56) / 5));
  EXPECT_EQ(got.distinct, 4);
  EXPECT_FALSE(got.sampled);
  // numpy.quantile([1, 2, 2, 3, 4], ...)
  const double expected[] = {1.2, 2, 2, 3, 3.8};
  for (size_t i = 0; i < 5; ++i) EXPECT_NEAR(got.quantiles[i], expected[i], 1e-12);
  EXPECT_EQ(got.histogram[0], 1);
  EXPECT_EQ(got.histogram[10], 2);  // 2 is 10.67 bins from 1
  EXPECT_EQ(got.histogram[31], 1);
  EXPECT_EQ(std::accumulate(got.histogram.begin(), got.histogram.end(), int64_t{0}), 5);
}

TEST(StatisticsTest, OfCategories) {
  const ColumnStatistics got = Describe(Column::OfStrings("c", {"b", "a", "", "b", "c", "a", "d"}));
  EXPECT_EQ(got.count, 6);
  EXPECT_EQ(got.missing, 1);
  EXPECT_EQ(got.distinct, 4);
  ASSERT_EQ(got.top.size(), 4u);
  EXPECT_EQ(got.top[0].name, "a");
  EXPECT_EQ(got.top[0].count, 2);
  EXPECT_EQ(got.top[1].name, "b");
  EXPECT_EQ(got.top[3].name, "d");
}

TEST(StatisticsTest, OfNothingAndOfOneValue) {
  const ColumnStatistics none = Describe(Column::Of("x", std::vector<double>{kNan, kNan}));
  EXPECT_EQ(none.count, 0);
  EXPECT_EQ(none.missing, 2);
  const ColumnStatistics one = Describe(Column::Of("x", std::vector<float>{7, 7, 7}));
  EXPECT_EQ(one.standard_deviation, 0);
  EXPECT_EQ(one.quantiles[3], 7);
  EXPECT_EQ(one.histogram[0], 3);
  const double most = std::numeric_limits<double>::max();
  const ColumnStatistics huge = Describe(Column::Of("x", std::vector<double>{most, most, -most}));
  EXPECT_EQ(huge.max, most);
  EXPECT_EQ(huge.min, -most);
}

TEST(StatisticsTest, StaysAccurateFarFromZero) {
  std::vector<double> values;
  for (int i = 0; i < 200'000; ++i) values.push_back(1e9 + i % 2);
  const ColumnStatistics got = Describe(Column::Of("x", values));
  EXPECT_DOUBLE_EQ(got.mean, 1e9 + 0.5);
  EXPECT_NEAR(got.standard_deviation, 0.5, 1e-9);
  EXPECT_TRUE(got.sampled);
}

TEST(StatisticsTest, QuantilesOfASampleAreClose) {
  std::mt19937_64 random(5);
  std::vector<double> values;
  for (int i = 0; i < 1'000'000; ++i)
    values.push_back(static_cast<double>(random() >> 11) * 0x1p-53);
  const ColumnStatistics got = Describe(Column::Of("x", values));
  for (size_t i = 0; i < 5; ++i) EXPECT_NEAR(got.quantiles[i], kQuantileLevels[i], 0.005);
}

TEST(StatisticsTest, TheBitsDoNotDependOnThreads) {
  std::mt19937_64 random(6);
  std::vector<Column> columns;
  for (int c = 0; c < 7; ++c) {
    std::vector<double> values(150'000);
    for (double& value : values) value = static_cast<double>(random()) * 1e-3;
    columns.push_back(Column::Of(std::string(1, static_cast<char>('a' + c)), std::move(values)));
  }
  const Table table(std::move(columns));
  const auto one = Describe(table, 1), four = Describe(table, 4);
  for (size_t c = 0; c < one.size(); ++c) {
    EXPECT_EQ(one[c].mean, four[c].mean);
    EXPECT_EQ(one[c].standard_deviation, four[c].standard_deviation);
    EXPECT_EQ(one[c].quantiles, four[c].quantiles);
  }
}

TEST(StatisticsTest, OfChunks) {
  std::vector<int64_t> values(static_cast<size_t>(kChunkRows) + 2, 5);
  values[3] = -1;
  values.back() = 9;
  std::vector<ChunkStatistics> chunks;
  Describe(Column::Of("x", values), &chunks);
  ASSERT_EQ(chunks.size(), 2u);
  EXPECT_EQ(chunks[0].min, -1);
  EXPECT_EQ(chunks[0].max, 5);
  EXPECT_EQ(chunks[1].min, 5);
  EXPECT_EQ(chunks[1].max, 9);
}

}  // namespace
}  // namespace beamline::engine::data
