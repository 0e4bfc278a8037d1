#include "pipeline/folds.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "engine/core/error.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Split;
using engine::data::Table;

constexpr int64_t kRows = 103;

// Classes of 20, 30 and 53 rows; groups of sizes 1, 2, 3, ...
Table MakeTable() {
  std::vector<std::string> label;
  std::vector<std::string> group;
  int64_t number = 0;
  int64_t left = 1;
  for (int64_t i = 0; i < kRows; ++i) {
    label.push_back(i % 5 == 0 && i < 100 ? "a" : i % 3 == 0 ? "b" : "c");
    if (left-- == 0) left = ++number;
    group.push_back("g" + std::to_string(number));
  }
  return Table({Column::OfStrings("label", label), Column::OfStrings("group", group)});
}

// Every seventh row is a test row, some of the rest validate.
Split MakeRows() {
  Split split;
  for (int64_t i = 0; i < kRows; ++i) {
    (i % 7 == 6 ? split.test : i % 4 == 1 ? split.validation : split.train).push_back(i);
  }
  return split;
}

struct Folds {
  v1::CrossValidation cross_validation;
  Split Get(int number, uint64_t seed = 1) const {
    return MakeFold(MakeTable(), MakeRows(),
                    {.cross_validation = &cross_validation, .number = number}, "label", seed);
  }
};

std::set<int64_t> Pool() {
  const Split rows = MakeRows();
  std::set<int64_t> pool(rows.train.begin(), rows.train.end());
  pool.insert(rows.validation.begin(), rows.validation.end());
  return pool;
}

// The folds of one repeat hold each row that is no test row out once, and train on all others.
void ExpectPartition(const Folds& folds, int first, int count) {
  std::multiset<int64_t> held_out;
  for (int i = first; i < first + count; ++i) {
    const Split fold = folds.Get(i);
    EXPECT_EQ(fold.test, MakeRows().test);
    EXPECT_TRUE(std::is_sorted(fold.train.begin(), fold.train.end()));
    EXPECT_TRUE(std::is_sorted(fold.validation.begin(), fold.validation.end()));
    held_out.insert(fold.validation.begin(), fold.validation.end());
    std::set<int64_t> both(fold.train.begin(), fold.train.end());
    both.insert(fold.validation.begin(), fold.validation.end());
    EXPECT_EQ(both, Pool());
    EXPECT_EQ(both.size(), fold.train.size() + fold.validation.size());
  }
  const std::set<int64_t> pool = Pool();
  EXPECT_EQ(held_out, std::multiset<int64_t>(pool.begin(), pool.end()));
}

TEST(Folds, ArePartitionsAndRepeatsDiffer) {
  Folds folds;
  folds.cross_validation.mutable_k_fold()->set_folds(4);
  folds.cross_validation.mutable_k_fold()->set_repeats(2);
  ExpectPartition(folds, 1, 4);
  ExpectPartition(folds, 5, 4);
  EXPECT_NE(folds.Get(1).validation, folds.Get(5).validation);
  EXPECT_NE(folds.Get(1).validation, folds.Get(1, 2).validation);
  EXPECT_EQ(folds.Get(3).validation, folds.Get(3).validation);
  for (int i = 1; i <= 8; ++i) {
    EXPECT_NEAR(static_cast<double>(folds.Get(i).validation.size()),
                static_cast<double>(Pool().size()) / 4, 1);
  }
}

TEST(Folds, NoneLeavesTheSplitAlone) {
  Folds folds;
  folds.cross_validation.mutable_k_fold()->set_folds(4);
  EXPECT_EQ(folds.Get(0).validation, MakeRows().validation);
  EXPECT_EQ(MakeFold(MakeTable(), MakeRows(), {}, "label", 1).train, MakeRows().train);
}

TEST(Folds, KeepClassesInProportion) {
  Folds folds;
  folds.cross_validation.mutable_stratified()->set_folds(5);
  ExpectPartition(folds, 1, 5);
  const Table table = MakeTable();
  std::map<std::string, double> all;
  for (const int64_t row : Pool()) all[table.Get("label").Text(row)] += 1;
  for (int i = 1; i <= 5; ++i) {
    std::map<std::string, double> held_out;
    for (const int64_t row : folds.Get(i).validation) held_out[table.Get("label").Text(row)] += 1;
    for (const auto& [label, rows] : all) EXPECT_NEAR(held_out[label], rows / 5, 1) << label;
    EXPECT_NEAR(static_cast<double>(folds.Get(i).validation.size()),
                static_cast<double>(Pool().size()) / 5, 1);
  }
  folds.cross_validation.mutable_stratified()->set_folds(60);
  EXPECT_THROW(folds.Get(1), engine::Error);
}

TEST(Folds, KeepGroupsTogether) {
  Folds folds;
  folds.cross_validation.mutable_grouped()->set_folds(3);
  folds.cross_validation.mutable_grouped()->set_column("group");
  ExpectPartition(folds, 1, 3);
  const Table table = MakeTable();
  for (int i = 1; i <= 3; ++i) {
    std::set<std::string> held_out;
    for (const int64_t row : folds.Get(i).validation) {
      held_out.insert(table.Get("group").Text(row));
    }
    for (const int64_t row : folds.Get(i).train) {
      EXPECT_FALSE(held_out.contains(table.Get("group").Text(row)));
    }
    // The largest groups are dealt out first, so that the small ones even it out.
    EXPECT_NEAR(static_cast<double>(folds.Get(i).validation.size()),
                static_cast<double>(Pool().size()) / 3, 1.5);
  }
  folds.cross_validation.mutable_grouped()->set_folds(50);
  EXPECT_THROW(folds.Get(1), engine::Error);
}

// As scikit-learn's TimeSeriesSplit: trained on what came before, never on what comes after.
TEST(Folds, OfATimeSeriesLookBackOnly) {
  Folds folds;
  folds.cross_validation.mutable_time_series()->set_folds(4);
  std::set<int64_t> held_out;
  for (int i = 1; i <= 4; ++i) {
    const Split fold = folds.Get(i);
    ASSERT_FALSE(fold.train.empty());
    EXPECT_LT(fold.train.back(), fold.validation.front());
    EXPECT_EQ(fold.train.front(), *Pool().begin());
    EXPECT_NEAR(static_cast<double>(fold.validation.size()), static_cast<double>(Pool().size()) / 5,
                1);
    held_out.insert(fold.validation.begin(), fold.validation.end());
  }
  EXPECT_EQ(held_out.size(), Pool().size() - folds.Get(1).train.size());
}

}  // namespace
}  // namespace beamline::pipeline
