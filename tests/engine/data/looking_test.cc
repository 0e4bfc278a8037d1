// Histograms beside NumPy's, correlations beside those of pandas (looking/make_fixture.py).
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>

#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/data/column_histogram.h"
#include "engine/data/correlation.h"
#include "engine/data/csv.h"
#include "engine/data/histogram.h"

namespace beamline::engine::data {
namespace {

std::string ReadText(const std::string& name) {
  std::ifstream file(std::string(BEAMLINE_SOURCE_DIR) + "/tests/engine/data/looking/" + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

Dataset DatasetOf(Table table) {
  Dataset dataset;
  dataset.statistics = Describe(table);
  dataset.table = std::move(table);
  return dataset;
}

class LookingTest : public ::testing::Test {
 protected:
  LookingTest() {
    std::istringstream lines(ReadText("expected.txt"));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string name;
      words >> name;
      for (std::string word; words >> word;) texts_[name].push_back(word);
    }
  }
  std::vector<double> Expected(const std::string& name) const {
    std::vector<double> values;
    for (const std::string& text : texts_.at(name)) values.push_back(std::stod(text));
    return values;
  }
  void Near(const std::string& name, const std::vector<double>& values, double tolerance) const {
    const std::vector<double> expected = Expected(name);
    ASSERT_EQ(values.size(), expected.size()) << name;
    for (size_t i = 0; i < values.size(); ++i) {
      if (std::isnan(expected[i])) {
        EXPECT_TRUE(std::isnan(values[i])) << name << " " << i << ": " << values[i];
      } else {
        EXPECT_NEAR(values[i], expected[i], tolerance) << name << " " << i;
      }
    }
  }
  void NearHistogram(const std::string& name, const ColumnHistogram& histogram, size_t series) {
    Near(name + ":edges", histogram.edges, 1e-12);
    ASSERT_EQ(histogram.series.size(), series);
    for (const ColumnHistogram::Series& one : histogram.series) {
      Near(name + ":" + one.category, one.counts, 1e-9);
      Near(name + ":" + one.category + ":other", {one.other}, 1e-9);
    }
  }

  Workspace workspace_{{.threads = 2}};
  const Dataset rows_ = DatasetOf(ReadCsv(ReadText("rows.csv"), {}));
  std::map<std::string, std::vector<std::string>> texts_;
};

TEST_F(LookingTest, HistogramsAreNumPys) {
  NearHistogram("plain", CountColumn(rows_, {.column = "a"}, workspace_), 1);
  NearHistogram("ties", CountColumn(rows_, {.column = "c", .bins = 13, .by = "kind"}, workspace_),
                4);
  NearHistogram(
      "ranged",
      CountColumn(rows_,
                  {.column = "d", .bins = 20, .by = "c", .min = -0.5, .max = 2.5, .weight = "w"},
                  workspace_),
      12);
}

TEST_F(LookingTest, TheMostFrequentCategories) {
  const ColumnHistogram histogram = CountColumn(rows_, {.column = "kind", .bins = 3}, workspace_);
  EXPECT_EQ(histogram.categories, texts_.at("categories"));
  EXPECT_TRUE(histogram.edges.empty());
  ASSERT_EQ(histogram.series.size(), 1u);
  Near("categories:counts", histogram.series[0].counts, 0);
  Near("categories:other", {histogram.series[0].other}, 0);
}

TEST_F(LookingTest, CorrelationsArePandas) {
  const std::vector<std::string> all = {"a", "b", "c", "d", "fixed", "big", "w"};
  const std::vector<std::string> whole = {"a", "c", "fixed", "w"};
  Near("pearson:all", Correlate(rows_, all, Correlation::kPearson, workspace_), 1e-9);
  Near("pearson:whole", Correlate(rows_, whole, Correlation::kPearson, workspace_), 1e-12);
  Near("spearman:all", Correlate(rows_, all, Correlation::kSpearman, workspace_), 1e-12);
  Near("spearman:whole", Correlate(rows_, whole, Correlation::kSpearman, workspace_), 1e-12);
}

// More rows than a block or a part, on any number of threads, in memory and in files.
TEST_F(LookingTest, TheSameBitsForAnyNumberOfThreads) {
  constexpr int64_t kRows = 100'003;
  const Philox random(1, 1);
  std::vector<double> x(kRows), y(kRows);
  std::vector<int32_t> group(kRows);
  for (int64_t i = 0; i < kRows; ++i) {
    const auto at = static_cast<size_t>(i);
    x[at] = random.Normal(static_cast<uint64_t>(3 * i));
    y[at] = i % 7 == 0 ? NAN : x[at] + random.Normal(static_cast<uint64_t>(3 * i + 1));
    group[at] = static_cast<int32_t>(random.Below(static_cast<uint64_t>(3 * i + 2), 5));
  }
  const Dataset dataset =
      DatasetOf(Table({Column::Of("x", x), Column::Of("y", y), Column::Of("group", group)}));
  std::vector<double> first;
  for (const int threads : {1, 2, 3, 4, 8}) {
    Workspace workspace({.threads = threads,
                         .memory_bytes = threads == 3 ? 1 << 20 : INT64_MAX,
                         .folder = ::testing::TempDir(),
                         .disk_bytes = 1 << 30});
    std::vector<double> all;
    for (const Correlation method : {Correlation::kPearson, Correlation::kSpearman}) {
      const auto values = Correlate(dataset, {"x", "y", "group"}, method, workspace);
      all.insert(all.end(), values.begin(), values.end());
      EXPECT_NEAR(values[1], method == Correlation::kPearson ? std::sqrt(0.5) : 0.69, 0.01);
    }
    const ColumnHistogram histogram =
        CountColumn(dataset, {.column = "y", .by = "group", .weight = "x"}, workspace);
    for (const auto& series : histogram.series) {
      all.insert(all.end(), series.counts.begin(), series.counts.end());
      all.push_back(series.other);
    }
    if (first.empty()) first = all;
    ASSERT_EQ(all.size(), first.size());
    EXPECT_EQ(std::memcmp(all.data(), first.data(), all.size() * sizeof(double)), 0) << threads;
  }
}

TEST_F(LookingTest, RefusesWhatItCannotDo) {
  const auto count = [&](const HistogramSpec& spec) {
    return CountColumn(rows_, spec, workspace_);
  };
  EXPECT_THROW(count({.column = "nothing"}), Error);
  EXPECT_THROW(count({.column = "a", .bins = 0}), Error);
  EXPECT_THROW(count({.column = "a", .bins = 1001}), Error);
  EXPECT_THROW(count({.column = "a", .by = "a"}), Error);  // too many values
  EXPECT_THROW(count({.column = "a", .weight = "kind"}), Error);
  EXPECT_THROW(count({.column = "a", .weight = "b"}), Error);  // missing ones
  EXPECT_THROW(count({.column = "a", .min = 3, .max = 1}), Error);
  EXPECT_THROW(Correlate(rows_, {}, Correlation::kPearson, workspace_), Error);
  EXPECT_THROW(Correlate(rows_, {"a", "kind"}, Correlation::kPearson, workspace_), Error);
  Workspace ends({.progress = [](int64_t, int64_t) { Fail("enough"); }});
  EXPECT_THROW(Correlate(rows_, {"a", "c"}, Correlation::kPearson, ends), Error);
  EXPECT_THROW(CountColumn(rows_, {.column = "a"}, ends), Error);
}

TEST(CorrelationTest, AsksOftenAndCountsWorkOnRanks) {
  constexpr int64_t kRows = 20'100;
  std::vector<double> numbers(kRows, 1);
  numbers[7] = NAN;
  const Column column = Column::Of("x", numbers);
  const Dataset one = DatasetOf(Table({column}));
  std::vector<std::string> names;
  std::vector<Column> columns;
  for (size_t k = 0; k < kMostCorrelated; ++k) {
    names.push_back("c" + std::to_string(k));
    columns.push_back(column.Renamed(names.back()));
  }
  Dataset dataset;
  dataset.table = Table(columns);
  dataset.statistics.assign(columns.size(), one.statistics[0]);
  int64_t asked = 0, last = 0;
  Workspace workspace({.progress = [&](int64_t done, int64_t) {
    last = done;
    if (++asked == 5) Fail("enough");
  }});
  const auto refusal = [&](Correlation method) -> std::string {
    try {
      Correlate(dataset, names, method, workspace);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal(Correlation::kPearson), "enough");
  EXPECT_LT(last, 4096);
  EXPECT_NE(refusal(Correlation::kSpearman).find("too much work"), std::string::npos);
}

TEST(BinsTest, EdgesBelongToTheBinAbove) {
  const Bins bins(0, 0.7, 7);
  for (int64_t i = 0; i < 7; ++i) {
    const double edge = bins.edges()[static_cast<size_t>(i)];
    EXPECT_EQ(bins.Find(edge), i);
    EXPECT_EQ(bins.Find(std::nextafter(edge, -1)), i - 1);
  }
  EXPECT_EQ(bins.Find(0.7), 6);
  EXPECT_EQ(bins.Find(std::nextafter(0.7, 1)), -1);
  EXPECT_EQ(bins.Find(-1e-300), -1);
  EXPECT_EQ(bins.Find(NAN), -1);
  EXPECT_EQ(Bins(3, 3, 4).edges().front(), 2.5);
  EXPECT_THROW(Bins(-1e308, 1e308, 4), Error);
  EXPECT_THROW(Bins(1, std::nextafter(1.0, 2), 1000), Error);
}

}  // namespace
}  // namespace beamline::engine::data
