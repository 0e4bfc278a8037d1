#include "engine/data/split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/engine/data/test_util.h"

namespace beamline::engine::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Kind = SplitSpec::Kind;

// Rows 0 to 99; class "b" in every fourth row.
Table Example() {
  std::vector<double> x;
  std::vector<std::string> kind;
  std::vector<int64_t> part;
  for (int i = 0; i < 100; ++i) {
    x.push_back(i);
    kind.push_back(i % 4 == 0 ? "b" : "a");
    part.push_back(i % 10);
  }
  return Table({Column::Of("x", x), Column::OfStrings("kind", kind), Column::Of("part", part)});
}

SplitSpec Spec(Kind kind, double test, double validation) {
  SplitSpec spec;
  spec.kind = kind;
  spec.test = test;
  spec.validation = validation;
  return spec;
}

void ExpectPartition(const Split& split, int64_t rows) {
  std::vector<int64_t> all;
  for (const auto* part : {&split.train, &split.validation, &split.test}) {
    EXPECT_TRUE(std::is_sorted(part->begin(), part->end()));
    all.insert(all.end(), part->begin(), part->end());
  }
  std::sort(all.begin(), all.end());
  ASSERT_EQ(static_cast<int64_t>(all.size()), rows);
  for (int64_t i = 0; i < rows; ++i) ASSERT_EQ(all[static_cast<size_t>(i)], i);
}

std::string SplitError(const SplitSpec& spec) {
  return ErrorOf([&] { MakeSplit(Example(), spec); });
}

TEST(SplitTest, RandomPartsHaveTheirSizesAndDependOnTheSeed) {
  SplitSpec spec = Spec(Kind::kRandom, 0.2, 0.15);
  const Split split = MakeSplit(Example(), spec);
  ExpectPartition(split, 100);
  EXPECT_THAT(split.test, SizeIs(20));
  EXPECT_THAT(split.validation, SizeIs(15));
  EXPECT_EQ(MakeSplit(Example(), spec).test, split.test);
  spec.seed = 1;
  EXPECT_NE(MakeSplit(Example(), spec).test, split.test);
}

TEST(SplitTest, ValidationDoesNotChangeTheTestRows) {
  EXPECT_EQ(MakeSplit(Example(), Spec(Kind::kRandom, 0.2, 0)).test,
            MakeSplit(Example(), Spec(Kind::kRandom, 0.2, 0.3)).test);
}

TEST(SplitTest, StratifiedKeepsTheShareOfEachClass) {
  SplitSpec spec = Spec(Kind::kStratified, 0.2, 0.2);
  spec.column = "kind";
  const Table table = Example();
  const Split split = MakeSplit(table, spec);
  ExpectPartition(split, 100);
  for (const auto* part : {&split.test, &split.validation}) {
    std::map<std::string, int> counts;
    for (const int64_t row : *part) ++counts[table.Get("kind").Text(row)];
    EXPECT_EQ(counts["a"], 15);
    EXPECT_EQ(counts["b"], 5);
  }
}

TEST(SplitTest, ByTheValuesOfAColumn) {
  SplitSpec spec = Spec(Kind::kColumn, 0.9, 0);
  spec.column = "part";
  spec.test_values = {"3", "4"};
  spec.validation_values = {"9"};
  const Split split = MakeSplit(Example(), spec);
  ExpectPartition(split, 100);
  EXPECT_THAT(split.test, SizeIs(20));
  EXPECT_THAT(split.validation, SizeIs(10));
  EXPECT_EQ(split.test[0], 3);
}

TEST(SplitTest, ByModuloWithValidationFromTheRest) {
  SplitSpec spec = Spec(Kind::kModulo, 0.9, 0.25);
  const Split split = MakeSplit(Example(), spec);
  ExpectPartition(split, 100);
  EXPECT_THAT(split.test, SizeIs(20));
  for (const int64_t row : split.test) EXPECT_EQ(row % 5, 0);
  EXPECT_THAT(split.validation, SizeIs(20));
  spec.validation = 0;
  spec.validation_residues = {1};
  EXPECT_EQ(MakeSplit(Example(), spec).validation[1], 6);
}

TEST(SplitTest, NoneLeavesTheTestToAnotherTable) {
  const Split split = MakeSplit(Example(), Spec(Kind::kNone, 0.2, 0.1));
  EXPECT_THAT(split.test, IsEmpty());
  EXPECT_THAT(split.validation, SizeIs(10));
  EXPECT_THAT(split.train, SizeIs(90));
}

TEST(SplitTest, Errors) {
  EXPECT_THAT(SplitError(Spec(Kind::kRandom, 1, 0)), HasSubstr("test fraction of the split is 1"));
  EXPECT_THAT(SplitError(Spec(Kind::kRandom, 0, -0.1)), HasSubstr("validation fraction"));
  EXPECT_THAT(SplitError(Spec(Kind::kRandom, 0.5, 0.5)), HasSubstr("leave no rows to train on"));
  EXPECT_THAT(SplitError(Spec(Kind::kRandom, 0.001, 0)),
              HasSubstr("test part of the split is empty"));
  EXPECT_THAT(SplitError(Spec(Kind::kNone, 0, 0.999)),
              HasSubstr("training part of the split is empty"));
  EXPECT_THAT(SplitError(Spec(Kind::kStratified, 0.2, 0)), HasSubstr("needs a column"));
  SplitSpec spec = Spec(Kind::kStratified, 0.2, 0);
  spec.column = "x";
  EXPECT_THAT(SplitError(spec), HasSubstr("column \"x\" holds float64"));
  spec.column = "kinds";
  EXPECT_THAT(SplitError(spec), HasSubstr("did you mean \"kind\"?"));
  spec = Spec(Kind::kColumn, 0, 0);
  spec.column = "part";
  EXPECT_THAT(SplitError(spec), HasSubstr("names no test"));
  spec.test_values = {"77"};
  EXPECT_THAT(SplitError(spec), HasSubstr("has the value \"77\": it has \"0\", \"1\""));
  spec.test_values = {"7"};
  spec.validation_values = {"7"};
  EXPECT_THAT(SplitError(spec), HasSubstr("is in two parts"));
  spec = Spec(Kind::kModulo, 0, 0);
  spec.modulus = 1;
  EXPECT_THAT(SplitError(spec), HasSubstr("modulus of the split is 1"));
  spec.modulus = 3;
  spec.test_residues = {3};
  EXPECT_THAT(SplitError(spec), HasSubstr("residue 3 is not below the modulus 3"));
}

TEST(SplitTest, ErrorsOfClasses) {
  const Table table({Column::OfStrings("one", {"a", "a", "a"}),
                     Column::OfStrings("few", {"a", "b", "b"}),
                     Column::OfStrings("gap", {"a", "", "b"})});
  SplitSpec spec = Spec(Kind::kStratified, 0.3, 0);
  const auto error = [&](const char* column) {
    spec.column = column;
    return ErrorOf([&] { MakeSplit(table, spec); });
  };
  EXPECT_THAT(error("one"), HasSubstr("has only one value, \"a\""));
  EXPECT_THAT(error("few"),
              HasSubstr("class \"a\" of column \"few\" has only 1 row, too few for 2"));
  EXPECT_THAT(error("gap"), HasSubstr("row 2: column \"gap\""));
}

TEST(SplitTest, OrderedPartsFollowEachOther) {
  const Split shares = MakeSplit(Example(), Spec(Kind::kOrdered, 0.2, 0.1));
  ExpectPartition(shares, 100);
  EXPECT_THAT(shares.train, SizeIs(70));
  EXPECT_THAT(shares.validation, ElementsAre(70, 71, 72, 73, 74, 75, 76, 77, 78, 79));
  EXPECT_EQ(shares.test.front(), 80);

  SplitSpec counts = Spec(Kind::kOrdered, 2, 3);
  counts.train = 5;
  const Split split = MakeSplit(Example(), counts);
  EXPECT_THAT(split.train, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(split.validation, ElementsAre(5, 6, 7));
  EXPECT_THAT(split.test, ElementsAre(8, 9));  // Rows from 10 on are in no part.

  counts.train = 96;
  EXPECT_THAT(SplitError(counts), HasSubstr("the training part 96, but the table has 100 rows"));
  EXPECT_THAT(SplitError(Spec(Kind::kOrdered, 60, 40)), HasSubstr("leave some to train on"));
  EXPECT_THAT(SplitError(Spec(Kind::kOrdered, 101, 0)), HasSubstr("of which there are 100"));
  EXPECT_THAT(SplitError(Spec(Kind::kOrdered, 1.5, 0)),
              HasSubstr("a fraction below 1 or a number"));
  EXPECT_THAT(SplitError(Spec(Kind::kOrdered, 0, 0)), HasSubstr("no test and no validation rows"));
}

TEST(SplitTest, ValuesOfTrainingRowsLeaveTheOthersOut) {
  SplitSpec spec = Spec(Kind::kColumn, 0, 0);
  spec.column = "part";
  spec.train_values = {"1", "2"};
  spec.test_values = {"9"};
  const Split split = MakeSplit(Example(), spec);
  EXPECT_THAT(split.train, SizeIs(20));
  EXPECT_THAT(split.test, SizeIs(10));
  EXPECT_THAT(split.validation, IsEmpty());
  spec.test_values = {"2"};
  EXPECT_THAT(SplitError(spec), HasSubstr("is in two parts of the split"));
}

}  // namespace
}  // namespace beamline::engine::data
