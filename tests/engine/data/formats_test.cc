// Sparse rows as scikit-learn writes them (formats/make_fixture.py), time series, arcs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>
#include <string>

#include "engine/data/edge_list.h"
#include "engine/data/sparse_rows.h"
#include "engine/data/time_series.h"
#include "tests/engine/data/test_util.h"

namespace beamline::engine::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kRoom = 1 << 20;

std::string ReadText(const std::string& name) {
  std::ifstream file(std::string(BEAMLINE_SOURCE_DIR) + "/tests/engine/data/formats/" + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> NamesOf(const Table& table) {
  std::vector<std::string> names;
  for (const Column& column : table.columns()) names.push_back(column.name());
  return names;
}

std::vector<double> ValuesOf(const Column& column) {
  std::vector<double> values;
  for (int64_t row = 0; row < column.rows(); ++row) values.push_back(column.Number(row));
  return values;
}

TEST(SparseRows, AreThoseOfScikitLearn) {
  for (const std::string name : {"from0", "from1", "queries"}) {
    const Table table = ReadSparseRows(ReadText(name + ".svm"), kRoom);
    EXPECT_EQ(table.rows(), 12);
    EXPECT_EQ(table.columns().size(), name == "queries" ? 11u : 10u);
    EXPECT_EQ(table.columns().back().name(), name == "from0" ? "f8" : "f9");
    std::istringstream expected(ReadText(name + ".txt"));
    for (int64_t row = 0; row < table.rows(); ++row) {
      for (const Column& column : table.columns()) {
        double value = 0;
        expected >> value;
        EXPECT_EQ(column.Number(row), value) << name << ", row " << row << ", " << column.name();
      }
    }
    EXPECT_EQ(table.Get("label").type(),
              name == "from1" ? ColumnType::kFloat64 : ColumnType::kInt64);
  }
}

TEST(SparseRows, WhatIsWrongAndWhere) {
  const auto refusal = [](const std::string& text, int64_t room = kRoom) {
    return ErrorOf([&] { ReadSparseRows(text, room); });
  };
  EXPECT_THAT(refusal(""), HasSubstr("no rows"));
  EXPECT_THAT(refusal("1 # nothing\n0\n"), HasSubstr("no row has a feature"));
  EXPECT_THAT(refusal("1 1:2\nx 1:2\n"), HasSubstr("line 2 (row 2): the label \"x\""));
  EXPECT_THAT(refusal("# c\n1,2 1:2\n"), HasSubstr("line 2 (row 1): has several labels"));
  EXPECT_THAT(refusal("1 2:1 2:1\n"), HasSubstr("do not ascend"));
  EXPECT_THAT(refusal("1 3:1 2:1\n"), HasSubstr("do not ascend"));
  EXPECT_THAT(refusal("1 -1:1\n"), HasSubstr("\"-1\" is no index"));
  EXPECT_THAT(refusal("1 1.5:1\n"), HasSubstr("is no index"));
  EXPECT_THAT(refusal("1 2\n"), HasSubstr("the value \"\" is not a number"));
  EXPECT_THAT(refusal("1 10001:1\n"), HasSubstr("feature 10001 is beyond 10000"));
  EXPECT_THAT(refusal("1 qid:1 1:1\n1 1:1\n"), HasSubstr("line 2 (row 2): some rows have a qid"));
  EXPECT_THAT(refusal("1 qid:x 1:1\n"), HasSubstr("the qid \"x\""));
  EXPECT_THAT(refusal("1 10000:1\n1 1:1\n", 100'000), HasSubstr("more than 100000 bytes"));
}

TEST(SparseRows, WholeLabelsKeepTheirDigits) {
  const Table table = ReadSparseRows("9007199254740993 1:1\n+9223372036854775807 1:1\n", kRoom);
  EXPECT_EQ(table.Get("label").Integer(0), 9007199254740993);
  EXPECT_EQ(table.Get("label").Integer(1), INT64_MAX);
}

TEST(SparseRows, OfAFewBytesMakeNoTableOfManyGigabytes) {
  std::string text;
  for (int row = 0; row < 30'000; ++row) text += "1 10000:1\n";
  EXPECT_THAT(ErrorOf([&] { ReadSparseRows(text, INT64_MAX); }),
              HasSubstr("30000 rows of 10000 features are a table of more than 2147483648 bytes"));
}

constexpr char kSeries[] =
    "#comment\n@problemName toy\n@timeStamps false\n@classLabel true up down\n@data\n"
    "1,2,?:3,4,5:up\r\n"
    "6,NaN:-1e2, 8 :down\n\n";

TEST(TimeSeries, ARowForEachStep) {
  const Table table = ReadTimeSeries(kSeries, {}, kRoom);
  EXPECT_THAT(NamesOf(table), ElementsAre("dim0", "dim1", "class", "series"));
  EXPECT_EQ(table.rows(), 5);
  const auto first = ValuesOf(table.columns()[0]);
  EXPECT_EQ(first[1], 2);
  EXPECT_TRUE(std::isnan(first[2]));
  EXPECT_TRUE(std::isnan(first[4]));
  EXPECT_THAT(ValuesOf(table.columns()[1]), ElementsAre(3, 4, 5, -100, 8));
  EXPECT_EQ(table.columns()[2].Text(2), "up");
  EXPECT_EQ(table.columns()[2].Text(3), "down");
  EXPECT_THAT(ValuesOf(table.columns()[3]), ElementsAre(0, 0, 0, 1, 1));
  EXPECT_THAT(NamesOf(ReadTimeSeries(kSeries, {"a", "b"}, kRoom)),
              ElementsAre("a", "b", "class", "series"));
}

TEST(TimeSeries, NumbersAsAnswers) {
  const Table classes =
      ReadTimeSeries("@problemName x\n@classLabel true 1 2\n@data\n1,2:2\n3:1\n", {}, kRoom);
  EXPECT_EQ(classes.Get("class").type(), ColumnType::kInt64);
  EXPECT_THAT(ValuesOf(classes.Get("class")), ElementsAre(2, 2, 1));
  const Table targets =
      ReadTimeSeries("@problemName x\n@targetlabel true\n@data\n1,2:0.5\n3:7\n", {}, kRoom);
  EXPECT_THAT(ValuesOf(targets.Get("target")), ElementsAre(0.5, 0.5, 7));
  const Table none = ReadTimeSeries("@problemName x\n@data\n1,2\n", {}, kRoom);
  EXPECT_THAT(NamesOf(none), ElementsAre("dim0", "series"));
}

TEST(TimeSeries, WholeClassesKeepTheirDigits) {
  const std::string header = "@problemName x\n@classLabel true\n@data\n";
  const Table large =
      ReadTimeSeries(header + "1:9007199254740993\n1:-9223372036854775807\n", {}, kRoom);
  EXPECT_EQ(large.Get("class").Integer(0), 9007199254740993);
  EXPECT_EQ(large.Get("class").Integer(1), -INT64_MAX);
  const Table names = ReadTimeSeries(header + "1,2:1\n1:01\n3:1\n", {}, kRoom);
  const Column& column = names.Get("class");
  EXPECT_THAT(column.categories(), ElementsAre("01", "1"));
  EXPECT_THAT(ValuesOf(column), ElementsAre(1, 1, 0, 1));
}

TEST(TimeSeries, WhatIsWrongAndWhere) {
  const auto refusal = [](const std::string& data,
                          const std::string& header = "@classLabel true a b\n",
                          int64_t room = kRoom) {
    return ErrorOf(
        [&] { ReadTimeSeries("@problemName x\n" + header + "@data\n" + data, {}, room); });
  };
  EXPECT_THAT(refusal(""), HasSubstr("no series"));
  EXPECT_THAT(ErrorOf([] { ReadTimeSeries("@problemName x\n", {}, kRoom); }),
              HasSubstr("no line @data"));
  EXPECT_THAT(ErrorOf([] { ReadTimeSeries("1,2:a\n", {}, kRoom); }), HasSubstr("line 1"));
  EXPECT_THAT(refusal("1,2:c\n"), HasSubstr("line 4: the class \"c\""));
  EXPECT_THAT(refusal("1,x:a\n"), HasSubstr("line 4: \"x\" is not a number"));
  EXPECT_THAT(refusal("1,2:3:a\n"), HasSubstr("line 4: its dimensions differ in length"));
  EXPECT_THAT(refusal("1:a\n1:2:a\n"), HasSubstr("line 5: has 2 dimensions"));
  EXPECT_THAT(refusal("1,2\n"), HasSubstr("line 4"));
  const std::string unlisted = "@classLabel true\n";
  EXPECT_EQ(refusal("1:" + std::string(1024, 'a') + "\n", unlisted), "(no error)");
  EXPECT_THAT(refusal("1:" + std::string(1025, 'a') + "\n", unlisted), HasSubstr("has 1025 bytes"));
  EXPECT_THAT(refusal(std::string(200'000, ':') + "\n"), HasSubstr("more than 100000 dimensions"));
  EXPECT_THAT(refusal("(1,2),(2,3):a\n"), HasSubstr("time stamps"));
  EXPECT_THAT(refusal("1:a\n", "@timeStamps true\n"), HasSubstr("time stamps"));
  EXPECT_THAT(refusal("1,2,3,4,5:a\n", "@classLabel true a\n", 100), HasSubstr("larger than 100"));
}

TEST(TimeSeries, IsKnownByItsFirstLines) {
  EXPECT_TRUE(IsTimeSeries(kSeries));
  EXPECT_FALSE(IsTimeSeries("a,b\n1,2\n"));
  EXPECT_FALSE(IsTimeSeries("#only a comment\n"));
}

TEST(EdgeList, Words) {
  const Table table = ReadEdgeList("# graph\n% of\n1 2 0.5\n\n 2\t3  1\n3 a\"b ?\n", {});
  EXPECT_THAT(NamesOf(table), ElementsAre("source", "target", "weight"));
  EXPECT_EQ(table.rows(), 3);
  EXPECT_EQ(table.Get("source").type(), ColumnType::kInt64);
  EXPECT_EQ(table.Get("target").Text(2), "a\"b");
  EXPECT_EQ(table.Get("weight").Number(1), 1);
  EXPECT_TRUE(table.Get("weight").IsMissing(2));
  EXPECT_THAT(NamesOf(ReadEdgeList("a b\n", {})), ElementsAre("source", "target"));
  CsvOptions named;
  named.names = {"from", "to", "x", "y"};
  EXPECT_THAT(NamesOf(ReadEdgeList("a b 1 2\n", named)), ElementsAre("from", "to", "x", "y"));
  EXPECT_THAT(NamesOf(ReadEdgeList("a b 1 2\n", {})),
              ElementsAre("source", "target", "weight", "c3"));
}

TEST(EdgeList, WhatIsWrongAndWhere) {
  const auto refusal = [](const std::string& text) {
    return ErrorOf([&] { ReadEdgeList(text, {}); });
  };
  EXPECT_THAT(refusal("# nothing\n"), HasSubstr("no arcs"));
  EXPECT_THAT(refusal("#\n1\n"), HasSubstr("line 2: an arc needs"));
  EXPECT_THAT(refusal("1 2\n1 2 3\n"), HasSubstr("line 2: has 3 words"));
  CsvOptions typed;
  typed.types = {{"weight", ColumnType::kFloat64}};
  EXPECT_THAT(ErrorOf([&] { ReadEdgeList("#\n1 2 x\n", typed); }), HasSubstr("line 2"));
}

}  // namespace
}  // namespace beamline::engine::data
