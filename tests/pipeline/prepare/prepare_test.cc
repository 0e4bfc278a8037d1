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
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using testing::Bench;
using ::testing::HasSubstr;

std::string Definition(const std::string& operations, int seed = 3) {
  return absl::StrCat("name: p\nseed: ", seed, R"(
inputs: {events: {dataset: e}, runs: {dataset: r}, more: {dataset: m}}
steps:
  - name: made
    prepare: {input: events, operations: )",
                      operations, "}\n");
}

// With the tables of the fixture as inputs.
class PrepareBench : public Bench {
 public:
  explicit PrepareBench(const std::string& operations, int seed = 3)
      : Bench(Definition(operations, seed)) {
    for (const char* input : {"events", "runs", "more"}) {
      AddFile(input, testing::SourceFile(absl::StrCat("tests/pipeline/prepare/", input, ".csv")));
    }
  }
};

struct Made {
  v1::TaskEnd end;
  engine::data::Dataset dataset;
  const Table& table() const { return dataset.table; }
};

Made Make(Bench& bench) {
  Made made;
  made.end = bench.Run("made");
  EXPECT_EQ(made.end.result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED)
      << made.end.result().failure().ShortDebugString();
  if (made.end.artifact_paths().contains("table")) {
    made.dataset = engine::data::OpenColumnar(made.end.artifact_paths().at("table"));
  }
  return made;
}

Made Make(const std::string& operations, int seed = 3) {
  PrepareBench bench(operations, seed);
  return Make(bench);
}

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

std::vector<int64_t> Rows(const Table& table) {
  const Column& column = table.Get("r");
  std::vector<int64_t> rows;
  for (int64_t row = 0; row < column.rows(); ++row) rows.push_back(column.Integer(row));
  return rows;
}
std::map<std::string, int> Counts(const Table& table, const std::string& name) {
  std::map<std::string, int> counts;
  for (int64_t row = 0; row < table.rows(); ++row) ++counts[table.Get(name).Text(row)];
  return counts;
}

TEST(Prepare, DrawsBySeedWithoutPuttingBack) {
  const std::string number = "{derive: {columns: {r: 'row()'}}}";
  const std::string draw = absl::StrCat("[", number, ", {sample: {rows: 20}}]");
  const std::vector<int64_t> rows = Rows(Make(draw).table());
  EXPECT_EQ(rows.size(), 20);
  EXPECT_TRUE(std::ranges::is_sorted(rows));
  EXPECT_EQ(std::set<int64_t>(rows.begin(), rows.end()).size(), 20);
  EXPECT_EQ(rows, Rows(Make(draw).table()));
  EXPECT_NE(rows, Rows(Make(draw, 4).table()));
  // A second draw is another one.
  const std::vector<int64_t> twice = Rows(
      Make(absl::StrCat("[", number, ", {sample: {rows: 40}}, {sample: {rows: 20}}]")).table());
  EXPECT_EQ(twice.size(), 20);
  EXPECT_NE(twice, rows);
  // Each row is as likely as any other: of 400 draws of a third, each is in some 133.
  std::map<int64_t, int> often;
  PrepareBench bench(draw);
  for (uint64_t seed = 0; seed < 400; ++seed) {
    bench.definition().set_seed(seed);
    for (const int64_t row : Rows(Make(bench).table())) ++often[row];
  }
  EXPECT_EQ(often.size(), 60);
  for (const auto& [row, count] : often) {
    EXPECT_GT(count, 90) << row;
    EXPECT_LT(count, 180) << row;
  }
}

TEST(Prepare, DrawsTheSamePartOfEachValue) {
  const auto all = Counts(Make("[{filter: {where: 'true'}}]").table(), "kind");
  const auto half = Counts(Make("[{sample: {share: 0.5, by: kind}}]").table(), "kind");
  int total = 0;
  for (const auto& [kind, count] : all) {
    EXPECT_NEAR(half.at(kind), count / 2.0, 0.51) << kind;
    total += half.at(kind);
  }
  EXPECT_EQ(total, 30);
}

TEST(Prepare, BalancesByDrawingRepeatingAndWeighing) {
  const auto all = Counts(Make("[{filter: {where: 'true'}}]").table(), "run");
  std::vector<int> sizes;
  for (const auto& [run, count] : all) sizes.push_back(count);
  const int least = *std::ranges::min_element(sizes);
  const int most = *std::ranges::max_element(sizes);
  ASSERT_LT(least, most);

  const std::string number = "{derive: {columns: {r: 'row()'}}}";
  const Made under = Make(absl::StrCat("[", number, ", {balance: {column: run}}]"));
  for (const auto& [run, count] : Counts(under.table(), "run")) EXPECT_EQ(count, least);
  EXPECT_TRUE(std::ranges::is_sorted(Rows(under.table())));

  const Made over =
      Make(absl::StrCat("[", number, ", {balance: {column: run, method: oversample}}]"));
  for (const auto& [run, count] : Counts(over.table(), "run")) EXPECT_EQ(count, most);
  const std::vector<int64_t> rows = Rows(over.table());
  EXPECT_TRUE(std::ranges::is_sorted(rows));
  EXPECT_EQ(std::set<int64_t>(rows.begin(), rows.end()).size(), 60);

  const Made weighed = Make("[{balance: {column: run, method: weight, weight: w}}]");
  std::map<std::string, double> sums;
  double total = 0;
  for (int64_t row = 0; row < 60; ++row) {
    sums[weighed.table().Get("run").Text(row)] += weighed.table().Get("w").Number(row);
    total += weighed.table().Get("w").Number(row);
  }
  EXPECT_NEAR(total, 60, 1e-12);
  for (const auto& [run, sum] : sums) EXPECT_NEAR(sum, 60.0 / 5, 1e-12);
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

TEST(Prepare, TellsWhatItDoes) {
  PrepareBench bench("[{filter: {where: 'good'}}, {select: {drop: [eta]}}]");
  Make(bench);
  std::vector<std::string> logs;
  std::string activity;
  for (const v1::Event& event : bench.sink().events) {
    if (event.has_log()) logs.push_back(event.log().text());
    if (event.has_progress()) activity = event.progress().activity();
  }
  EXPECT_THAT(logs, ::testing::ElementsAre("filter: 60 rows x 6 columns -> 44 rows x 6 columns",
                                           "select: 44 rows x 6 columns -> 44 rows x 5 columns"));
  EXPECT_EQ(activity, "writing: 0 of 44 rows");
}

TEST(Prepare, StopsWhenItIsAsked) {
  for (const bool keep : {false, true}) {
    PrepareBench bench("[{derive: {columns: {x: 'eta ^ 2'}}}]");
    // Asked within the operation.
    bench.sink().on_event = [&](const v1::Event& event) {
      if (!event.has_log()) return;
      bench.stop().Ask(keep ? StopToken::Request::kCheckpointAndStop : StopToken::Request::kStop);
    };
    const v1::TaskEnd end = bench.Run("made");
    EXPECT_EQ(end.result().outcome(),
              keep ? v1::AttemptResult::OUTCOME_RELEASED : v1::AttemptResult::OUTCOME_CANCELLED);
    EXPECT_TRUE(end.artifact_paths().empty());
  }
}

struct Large {
  v1::TaskEnd end;
  std::string file;
};

// A table of 100 MiB in 64 MiB of memory goes to the disk, and one that is too large is refused.
TEST(Prepare, KeepsLargeTablesOnTheDiskAndRefusesTooLargeOnes) {
  const auto run = [](const std::string& operations, int64_t memory_bytes) {
    Bench bench(absl::StrCat("name: p\ninputs: {events: {dataset: e}}\nsteps:\n  - name: made\n",
                             "    prepare: {input: events, operations: ", operations, "}\n"));
    std::vector<int64_t> key;
    std::vector<double> value;
    for (int i = 0; i < 300'000; ++i) {
      key.push_back(i % 30'000);
      value.push_back(i);
    }
    bench.AddTable("events", Table({Column::Of("key", key), Column::Of("value", value)}));
    v1::TaskStart start = bench.Start("made");
    start.mutable_attempt()->mutable_resources()->set_memory_bytes(memory_bytes);
    Large large;
    large.end = bench.Run("made", start);
    if (large.end.artifact_paths().contains("table")) {
      large.file = ReadFile(large.end.artifact_paths().at("table")).value();
    }
    return large;
  };
  const std::string operations =
      "[{join: {with: events, on: [key]}}, {sort: {by: [-value]}}, {sample: {rows: 1000}}]";
  const Large large = run(operations, int64_t{1} << 32);
  const Large small = run(operations, int64_t{64} << 20);
  ASSERT_EQ(small.end.result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED)
      << small.end.result().failure().message();
  EXPECT_GT(small.file.size(), 0);
  EXPECT_EQ(small.file, large.file);
  const v1::TaskEnd refused =
      run("[{join: {with: events, on: [key]}}, {join: {with: events, on: [key], suffix: _3}}]",
          int64_t{16} << 20)
          .end;
  EXPECT_EQ(refused.result().failure().kind(), v1::FAILURE_KIND_USER);
  EXPECT_THAT(refused.result().failure().message(), HasSubstr("raise resources.memory_bytes"));
  EXPECT_EQ(refused.result().failure().field(), "steps.made.prepare.operations.1.join");
}

}  // namespace
}  // namespace beamline::pipeline
