// HDF5 files as h5py writes them (hdf5/make_fixture.py).
#include "pipeline/ingest/hdf5.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "base/file.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::ColumnType;
using engine::data::Table;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const ExpansionLimit kNoLimit(int64_t{1} << 30, int64_t{1} << 30, 1);

std::string File(const std::string& name) {
  return ReadFile(std::string(BEAMLINE_SOURCE_DIR) + "/tests/pipeline/ingest/hdf5/" + name + ".h5")
      .value();
}

Table Read(const std::string& bytes, const ExpansionLimit& limit = kNoLimit) {
  engine::data::Workspace workspace({});
  return ReadHdf5(bytes, limit, workspace);
}

std::string Refusal(const std::string& bytes, const ExpansionLimit& limit = kNoLimit) {
  try {
    Read(bytes, limit);
  } catch (const engine::Error& error) {
    return error.what();
  }
  return "";
}

// Value of row i, for all rows of a column of plain numbers.
void ExpectRows(const Table& table, const std::string& name, ColumnType type,
                double (*value)(int)) {
  const Column& column = table.Get(name);
  EXPECT_EQ(column.type(), type) << name;
  for (int row = 0; row < column.rows(); ++row) {
    EXPECT_EQ(column.Number(row), value(row)) << name << " " << row;
  }
}

TEST(Hdf5, AllTypesAndGroups) {
  const Table table = Read(File("plain"));
  EXPECT_EQ(table.rows(), 7);
  ExpectRows(table, "double", ColumnType::kFloat64, [](int i) { return i * 0.5; });
  ExpectRows(table, "float", ColumnType::kFloat32, [](int i) { return i * 0.25; });
  ExpectRows(table, "half", ColumnType::kFloat32, [](int i) { return i * 1.0; });
  ExpectRows(table, "byte", ColumnType::kUint8, [](int i) { return i * 1.0; });
  ExpectRows(table, "short", ColumnType::kInt32, [](int i) { return i * -1.0; });
  ExpectRows(table, "long", ColumnType::kInt64, [](int i) { return i * std::pow(2, 40); });
  ExpectRows(table, "flag", ColumnType::kBool, [](int i) { return i % 3 == 0 ? 1.0 : 0.0; });
  ExpectRows(table, "compact", ColumnType::kInt32, [](int i) { return i * 3.0; });
  EXPECT_EQ(table.Find("scalar"), nullptr);
  EXPECT_THAT(table.Get("deep/er/matrix").item_shape(), ElementsAre(3));
  EXPECT_EQ(table.Get("deep/er/matrix").Number(4, 2), 42);
  EXPECT_EQ(table.Get("group/text").Text(4), "t1");
  EXPECT_EQ(table.Get("fixed").Text(0), "ab");
  EXPECT_TRUE(table.Get("fixed").IsMissing(2));
  EXPECT_EQ(table.Get("fixed").Text(3), "dddd");
}

TEST(Hdf5, ChunksAndFilters) {
  const Table table = Read(File("chunked"));
  EXPECT_EQ(table.rows(), 53);
  const Column& cube = table.Get("cube");
  EXPECT_THAT(cube.item_shape(), ElementsAre(5, 7));
  for (int row = 0; row < 53; ++row) {
    for (int j = 0; j < 5; ++j) {
      for (int k = 0; k < 7; ++k) {
        ASSERT_EQ(cube.Number(row, 7 * j + k), row * 100 + j * 10 + k) << row;
      }
    }
  }
  ExpectRows(table, "line", ColumnType::kFloat64, [](int i) { return i * 1.5; });
  ExpectRows(table, "plain", ColumnType::kInt64, [](int i) { return i * 1.0; });
  ExpectRows(table, "summed", ColumnType::kInt32, [](int i) { return i * 5.0; });
  ExpectRows(table, "holes", ColumnType::kFloat64,
             [](int i) { return i >= 20 && i < 30 ? 7.0 : -1.0; });
  ExpectRows(table, "never", ColumnType::kInt32, [](int) { return 9.0; });
  ExpectRows(table, "grown", ColumnType::kInt32, [](int i) { return i * 2.0; });
  EXPECT_EQ(table.Get("texts").Text(52), "word 52");
}

TEST(Hdf5, MoreDatasetsThanALeafHolds) {
  const Table table = Read(File("many"));
  ASSERT_EQ(table.columns().size(), 60u);
  for (int i = 0; i < 60; ++i) {
    EXPECT_EQ(table.columns()[static_cast<size_t>(i)].Number(1), i);
  }
}

TEST(Hdf5, WhatIsNotRead) {
  EXPECT_THAT(Refusal(File("newer")), HasSubstr("libver='earliest'"));
  EXPECT_THAT(Refusal(File("soft")), HasSubstr("\"y\" of the HDF5 file is a link"));
  EXPECT_THAT(Refusal(File("external")), HasSubstr("libver='earliest'"));
  EXPECT_THAT(Refusal(File("outside")), HasSubstr("dataset \"y\": its values are in other files"));
  EXPECT_THAT(Refusal(File("compound")), HasSubstr("dataset \"y\": compound"));
  EXPECT_THAT(Refusal(File("big_endian")), HasSubstr("dataset \"y\": its numbers are big-endian"));
  EXPECT_THAT(Refusal(File("lzf")), HasSubstr("dataset \"y\": filter 32000 is not read"));
  EXPECT_THAT(Refusal(File("ragged")), HasSubstr("dataset \"y\" has 4 rows, but \"x\" has 3"));
  EXPECT_THAT(Refusal("x"), HasSubstr("no HDF5 file"));
  EXPECT_THROW(Read(File("chunked"), ExpansionLimit(1000, 4000, 1)), LimitError);
}

// Nothing in a damaged file leads out of it, or takes long.
TEST(Hdf5, NoDamageCrashes) {
  for (const std::string name : {"plain", "chunked", "many"}) {
    const std::string whole = File(name);
    const ExpansionLimit limit(static_cast<int64_t>(whole.size()), int64_t{16} << 20, 1);
    for (size_t size = 0; size < whole.size(); size += 61) Refusal(whole.substr(0, size), limit);
    for (size_t at = 0; at < whole.size(); at += name == "plain" ? 1 : 5) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ (at % 2 == 0 ? 0xFF : 0x81));
      Refusal(damaged, limit);
    }
  }
}

}  // namespace
}  // namespace beamline::pipeline
