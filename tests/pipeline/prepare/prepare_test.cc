// Prepare steps run as the worker runs them, against what pandas makes (make_fixture.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <numeric>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "engine/data/columnar.h"
#include "engine/data/number.h"
#include "pipeline/prepare/operations.h"
#include "pipeline/validate.h"
#include "tests/pipeline/prepare/prepare_fixture.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using testing::Bench;
using ::testing::HasSubstr;
using testing::Made;
using testing::Make;
using testing::PrepareBench;

v1::Failure FailureOf(const std::string& operations) {
  PrepareBench bench(operations);
  return bench.Run("made").result().failure();
}

// Lines of CSV, of which only that with commas is quoted.
std::vector<std::string> Fields(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

void ExpectValue(const Column& column, int64_t row, const std::string& wanted) {
  if (wanted.empty() || !engine::data::IsFloat(column.type())) {
    ASSERT_EQ(column.Text(row), wanted);
    return;
  }
  const double value = engine::data::ParseNumber(wanted).value;
  ASSERT_NEAR(column.Number(row), value, 1e-13 * std::fabs(value));
}

TEST(Prepare, MakesWhatPandasMakes) {
  std::ifstream file(testing::SourceFile("tests/pipeline/prepare/fixture.txt"));
  std::string line;
  std::getline(file, line);
  int cases = 0;
  while (file) {
    ASSERT_EQ(line.substr(0, 2), "# ");
    SCOPED_TRACE(line);
    const Made made = Make(line.substr(2));
    ++cases;
    std::getline(file, line);
    std::vector<std::string> names;
    for (const Column& column : made.table().columns()) names.push_back(column.name());
    EXPECT_EQ(names, Fields(line));
    int64_t row = 0;
    while (std::getline(file, line) && line.substr(0, 2) != "# ") {
      SCOPED_TRACE(row);
      const std::vector<std::string> fields = Fields(line);
      ASSERT_LT(row, made.table().rows());
      for (size_t c = 0; c < fields.size(); ++c) {
        SCOPED_TRACE(names[c]);
        ExpectValue(made.table().columns()[c], row, fields[c]);
        if (HasFatalFailure()) return;
      }
      ++row;
    }
    EXPECT_EQ(row, made.table().rows());
  }
  EXPECT_EQ(cases, 24);
}

// One of each operation, where the order of rows is not the matter.
const char* const kEach[] = {
    "[{select: {columns: [kind, pt]}}]",
    "[{rename: {names: {pt: p}}}]",
    "[{filter: {where: 'not good'}}]",
    "[{derive: {columns: {a: 'pt + 1', b: 'text(hits)', c: good, d: 'is_missing(kind)'}}}]",
    "[{join: {with: runs, on: [run], how: left}}]",
    "[{append: {tables: [more], source_column: s}}]",
    "[{derive: {columns: {pt: 'integer(pt)'}}}, {append: {tables: [more]}}]",
    "[{sample: {share: 0.4}}]",
    "[{sample: {rows: 17, by: kind}}]",
    "[{balance: {column: good}}]",
    "[{balance: {column: run, method: oversample}}]",
    "[{balance: {column: good, method: weight}}]",
    "[{sort: {by: [-pt]}}]",
    "[{distinct: {}}]",
    "[{group: {by: [kind], aggregates: {n: count(), s: sum(hits), m: mean(hits), l: max(kind)}}}]",
    "[{fill: {number: 1}}]",
    "[{fill: {text: none}}]",
    "[{fill: {number: 0}}, {reshape: {columns: [pt, eta], shape: [2, 1], name: both}}]",
    "[{derive: {columns: {h1: hits, h2: run}}}, {fill: {number: 0}}, "
    "{reshape: {columns: ['h*'], shape: [3], name: h}}]",
    "[{tokenise: {column: kind, document: line}}]",
};

TEST(Prepare, GivesTheColumnsThatItPromised) {
  for (const char* operations : kEach) {
    SCOPED_TRACE(operations);
    PrepareBench bench(operations);
    const Made made = Make(bench);
    std::map<std::string, Schema> schemas;
    for (const char* input : {"events", "runs", "more"}) {
      const v1::TaskStart start = bench.Start("made");
      schemas[input] = SchemaOf(engine::data::OpenColumnar(start.input_paths().at(input)).table);
    }
    Violations violations;
    const std::optional<Schema> promised = PreparedSchema(
        bench.definition().steps(0).prepare(), "steps.made.prepare",
        [&](const std::string& name) { return &schemas.at(name); }, &violations);
    ASSERT_EQ(FormatViolations(violations.list(), ""), "");
    const Schema given = SchemaOf(made.table());
    ASSERT_EQ(promised->size(), given.size());
    for (size_t i = 0; i < given.size(); ++i) {
      v1::Column plain = (*promised)[i];
      plain.clear_statistics();
      EXPECT_EQ(plain.ShortDebugString(), given[i].ShortDebugString());
    }
    const v1::Dataset& table = made.end.result().result().table();
    EXPECT_EQ(table.row_count(), made.table().rows());
    EXPECT_EQ(table.columns_size(), static_cast<int>(given.size()));
    EXPECT_GT(table.columns(0).statistics().count(), 0);
  }
}

TEST(Prepare, IsTheSameForAnyNumberOfThreads) {
  for (const char* operations : kEach) {
    std::set<std::string> files;
    for (const int threads : {1, 2, 3, 8}) {
      PrepareBench bench(operations);
      bench.threads = threads;
      const v1::TaskEnd end = bench.Run("made");
      files.insert(ReadFile(end.artifact_paths().at("table")).value());
    }
    EXPECT_EQ(files.size(), 1) << operations;
  }
}

TEST(Prepare, MakesArraysOfColumns) {
  const Made made = Make(
      "[{derive: {columns: {p1: 'eta', p2: '2 * eta', p10: '3 * eta', p3: '0 * eta'}}}, "
      "{reshape: {columns: [p1, p2, p10, p3], shape: [2, 2], name: image}}]");
  const Column& image = made.table().Get("image");
  EXPECT_THAT(image.item_shape(), ::testing::ElementsAre(2, 2));
  EXPECT_EQ(made.table().Find("p1"), nullptr);
  const Column& eta = made.table().Get("eta");
  for (int64_t row = 0; row < image.rows(); ++row) {
    for (int k = 0; k < 4; ++k) {
      EXPECT_EQ(image.Number(row, k),
                std::vector<double>({1, 2, 3, 0})[static_cast<size_t>(k)] * eta.Number(row));
    }
  }
}

TEST(Prepare, SaysWhatOnlyRowsTell) {
  v1::Failure failure = FailureOf("[{sort: {by: [pt]}}, {filter: {where: 'pt < -1'}}]");
  EXPECT_EQ(failure.kind(), v1::FAILURE_KIND_USER);
  EXPECT_EQ(failure.field(), "steps.made.prepare.operations.1.filter");
  EXPECT_EQ(failure.message(), "leaves no row of 60");
  EXPECT_THAT(FailureOf("[{sample: {rows: 61}}]").message(),
              HasSubstr("there are 60 rows, but 61 are to be drawn"));
  EXPECT_THAT(FailureOf("[{balance: {column: kind}}]").message(),
              HasSubstr("column \"kind\" has no value to balance by"));
  EXPECT_THAT(FailureOf("[{derive: {columns: {p: hits, q: run}}}, "
                        "{reshape: {columns: [hits, run], shape: [2], name: x}}]")
                  .message(),
              HasSubstr("has no value, which arrays of integers must have"));
  failure = FailureOf("[{filter: {where: 'ptt > 3'}}]");
  EXPECT_EQ(failure.field(), "steps.made.prepare.operations.0.filter.where");
  EXPECT_EQ(failure.message(), "column 1: there is no column \"ptt\" (did you mean \"pt\"?)");
}

}  // namespace
}  // namespace beamline::pipeline
