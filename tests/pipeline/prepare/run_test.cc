// What prepare steps draw at random, say, leave to later steps, and refuse.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
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
  // A second draw is another one, if the table is the same.
  const std::vector<int64_t> twice = Rows(
      Make(absl::StrCat("[", number, ", {sample: {rows: 60}}, {sample: {rows: 20}}]")).table());
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

TEST(Prepare, IsWhatLaterStepsLearnFrom) {
  Bench bench(R"(
name: p
inputs: {events: {dataset: e}}
steps:
  - name: clean
    prepare:
      input: events
      operations:
        - filter: {where: not is_missing(pt)}
        - derive: {columns: {far: abs(eta) > 1}}
  - name: train
    train:
      data: {input: clean, target: far, features: [eta, pt], split: {random: {test: 0.3}}}
      network:
        layers: [dense: {units: 8, activation: relu}, dense: {}]
        optimizer: {adam: {learning_rate: 0.03}}
        epochs: 100
        batch_size: 16
  - name: evaluate
    evaluate: {model: train}
)");
  bench.AddFile("events", testing::SourceFile("tests/pipeline/prepare/events.csv"));
  const Made made = [&] {
    Made clean;
    clean.end = bench.Run("clean");
    return clean;
  }();
  const int64_t rows = made.end.result().result().table().row_count();
  EXPECT_LT(rows, 60);
  const v1::TaskEnd trained = bench.Run("train");
  ASSERT_EQ(trained.result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED)
      << trained.result().failure().ShortDebugString();
  EXPECT_EQ(trained.result().lineage().data_digests().at("clean"), std::string(64, 'a'));
  EXPECT_EQ(trained.result().card().data().input(), "clean");
  const v1::TaskEnd measured = bench.Run("evaluate");
  EXPECT_EQ(measured.result().result().evaluation().rows_of(), "clean, test");
  EXPECT_EQ(measured.result().result().evaluation().row_count(),
            std::llround(0.3 * static_cast<double>(rows)));
  EXPECT_GT(testing::Metric(measured, "accuracy"), 0.6);
}

constexpr char kKeepsAll[] = R"(
name: p
inputs: {events: {dataset: e}}
steps:
  - name: made
    prepare: {input: events, operations: [{distinct: {}}]}
)";

TEST(Prepare, TellsNoStatisticsOfVeryWideTables) {
  Bench bench(R"(
name: p
inputs: {events: {dataset: e}}
steps:
  - name: made
    prepare: {input: events, operations: [{filter: {where: c0 > 1}}]}
)");
  std::vector<Column> columns;
  for (int c = 0; c < 501; ++c) {
    columns.push_back(Column::Of(absl::StrCat("c", c), std::vector<double>{1, 2, 3}));
  }
  bench.AddTable("events", Table(columns));
  const v1::Dataset table = Make(bench).end.result().result().table();
  EXPECT_EQ(table.row_count(), 2);
  ASSERT_EQ(table.columns_size(), 501);
  EXPECT_EQ(table.columns(500).name(), "c500");
  EXPECT_FALSE(table.columns(500).has_statistics());
}

TEST(Prepare, CutsLongTextsInWhatItTells) {
  Bench bench(kKeepsAll);
  // The 200th byte is inside of a character.
  std::string text(199, 'x');
  for (int i = 0; i < 100'000; ++i) text += "é";
  std::vector<Column> columns;
  columns.push_back(Column::OfStrings("text", {text, "short", std::string(200, 'y')}));
  bench.AddTable("events", Table(columns));
  const v1::Dataset table = Make(bench).end.result().result().table();
  std::set<std::string> values;
  for (const auto& top : table.columns(0).statistics().top_categories()) {
    values.insert(top.value());
  }
  EXPECT_EQ(values,
            (std::set<std::string>{std::string(199, 'x') + "…", "short", std::string(200, 'y')}));
}

TEST(Prepare, RefusesTablesWhoseNamesTakeTooMuch) {
  Bench bench(kKeepsAll);
  std::vector<Column> columns;
  for (int c = 0; c < 3000; ++c) {
    columns.push_back(
        Column::Of(absl::StrCat("c", c, std::string(1000, 'x')), std::vector<double>{1, 2, 3}));
  }
  bench.AddTable("events", Table(columns));
  const v1::AttemptResult result = bench.Run("made").result();
  EXPECT_EQ(result.outcome(), v1::AttemptResult::OUTCOME_FAILED);
  EXPECT_EQ(result.failure().kind(), v1::FAILURE_KIND_USER);
  EXPECT_THAT(result.failure().message(), HasSubstr("the names of the table's 3000 columns"));
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
