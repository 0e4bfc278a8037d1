#include "pipeline/search/space.h"

#include <cmath>
#include <map>

#include "gtest/gtest.h"
#include "tests/pipeline/search/bench.h"

namespace beamline::pipeline::search {
namespace {

class SpaceTest : public testing::Test {
 protected:
  // The space of one key.
  const Dimension& Of(const std::string& space) {
    search_ = Parse(In("x", space));
    space_.emplace(search_);
    return space_->dimensions()[0];
  }
  double At(const Dimension& dimension, double unit) {
    return dimension.ValueAt(unit).number_value();
  }

  v1::Search search_;
  std::optional<SearchSpace> space_;
};

TEST_F(SpaceTest, Uniform) {
  const Dimension& x = Of("uniform {min: -1 max: 3}");
  EXPECT_EQ(At(x, 0), -1);
  EXPECT_EQ(At(x, 0.25), 0);
  EXPECT_EQ(At(x, 0.5), 1);
  EXPECT_EQ(At(x, 1.0 / 3), 0.333333333333);
  EXPECT_EQ(x.CellOf(x.ValueAt(0.25))->low, 0.25);
  EXPECT_EQ(x.CellOf(x.ValueAt(0.25))->high, 0.25);
}

TEST_F(SpaceTest, LogUniform) {
  const Dimension& x = Of("log_uniform {min: 1e-5 max: 1}");
  EXPECT_EQ(At(x, 0), 1e-5);
  EXPECT_EQ(At(x, 0.5), 0.00316227766017);
  EXPECT_EQ(At(x, 0.8), 0.1);
  EXPECT_NEAR(x.CellOf(x.ValueAt(0.3))->Middle(), 0.3, 1e-11);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_GE(At(x, i / 1000.0), 1e-5);
    EXPECT_LE(At(x, i / 1000.0), 1);
  }
}

TEST_F(SpaceTest, StepsReachTheirEnd) {
  const Dimension& x = Of("uniform {min: 0 max: 0.3 step: 0.1}");
  EXPECT_EQ(x.count(), 4);
  EXPECT_EQ(At(x, 0.74), 0.2);
  EXPECT_EQ(At(x, 0.76), 0.3);
  EXPECT_EQ(x.CellOf(x.ValueAt(0.6))->low, 0.5);
  EXPECT_EQ(x.CellOf(x.ValueAt(0.6))->high, 0.75);
  EXPECT_EQ(Of("uniform {min: 0 max: 1 step: 0.3}").count(), 4);
}

TEST_F(SpaceTest, WholeNumbersAreEquallyLikely) {
  const Dimension& x = Of("integer {min: 2 max: 5}");
  std::map<double, int> counts;
  for (int i = 0; i < 400; ++i) ++counts[At(x, i / 400.0)];
  EXPECT_EQ(counts, (std::map<double, int>{{2, 100}, {3, 100}, {4, 100}, {5, 100}}));
  EXPECT_EQ(At(Of("integer {min: 16 max: 64 step: 16}"), 0.3), 32);
}

TEST_F(SpaceTest, WholeNumbersInTheLogarithm) {
  const Dimension& x = Of("log_integer {min: 1 max: 1000}");
  std::map<double, int> counts;
  const int n = 100000;
  for (int i = 0; i < n; ++i) ++counts[At(x, static_cast<double>(i) / n)];
  EXPECT_EQ(counts.begin()->first, 1);
  EXPECT_EQ(counts.rbegin()->first, 1000);
  const double all = std::log(1000.5 / 0.5);
  EXPECT_NEAR(counts[1], n * std::log(1.5 / 0.5) / all, 2);
  EXPECT_NEAR(counts[7], n * std::log(7.5 / 6.5) / all, 2);
  const Cell cell = *x.CellOf(x.ValueAt(0.5));
  EXPECT_LE(cell.low, 0.5);
  EXPECT_GE(cell.high, 0.5);
}

TEST_F(SpaceTest, ChoicesKeepTheirTypes) {
  const Dimension& x = Of(
      "choice {values {string_value: 'adam'} values {bool_value: true} values {number_value: 3}}");
  EXPECT_EQ(x.ValueAt(0).string_value(), "adam");
  EXPECT_TRUE(x.ValueAt(0.5).bool_value());
  EXPECT_EQ(x.ValueAt(0.999).number_value(), 3);
  EXPECT_EQ(x.CellOf(x.ValueAt(0.5))->low, 1.0 / 3);
  google::protobuf::Value other;
  other.set_string_value("sgd");
  EXPECT_FALSE(x.CellOf(other).has_value());
}

TEST_F(SpaceTest, ValuesStandForTheirCells) {
  for (const char* space :
       {"uniform {min: -5 max: 10}", "uniform {min: 0 max: 1 step: 0.05}",
        "log_uniform {min: 1e-6 max: 1e3}", "integer {min: -3 max: 90}",
        "log_integer {min: 1 max: 4096}", "integer {min: 7 max: 7}", "uniform {min: 2 max: 2}",
        "choice {values {number_value: 1} values {number_value: 2} values {number_value: 5}}"}) {
    const Dimension& x = Of(space);
    for (int i = 0; i < 500; ++i) {
      const double unit = (i + 0.5) / 500;
      const auto value = x.ValueAt(unit);
      const Cell cell = *x.CellOf(value);
      if (x.count() > 0) {
        EXPECT_LE(cell.low, unit + 1e-9) << space;
        EXPECT_GE(cell.high, unit - 1e-9) << space;
      }
      EXPECT_TRUE(SameValue(x.ValueAt(cell.Middle()), value) || x.count() == 0) << space << unit;
    }
  }
}

TEST_F(SpaceTest, ConditionsBuildOnEachOther) {
  search_ = Parse(
      In("a", "uniform {min: 0 max: 1} when {key: 'm' value {values {number_value: 3}}}") +
      In("m", "integer {min: 2 max: 3} when {key: 'z' value {values {string_value: 'deep'}}}") +
      In("z", "choice {values {string_value: 'deep'} values {string_value: 'flat'}}"));
  const SearchSpace space(search_);
  EXPECT_EQ(space.order(), (std::vector<size_t>{2, 1, 0}));
  const auto keys = [&](double z, double m) {
    std::string text;
    for (const auto& [key, value] : space.ValuesAt([&](size_t d) {
           return d == 2 ? z : d == 1 ? m : 0.5;
         })) {
      text += key;
    }
    return text;
  };
  EXPECT_EQ(keys(0, 0.9), "amz");
  EXPECT_EQ(keys(0, 0.1), "mz");
  EXPECT_EQ(keys(0.9, 0.9), "z");
}

}  // namespace
}  // namespace beamline::pipeline::search
