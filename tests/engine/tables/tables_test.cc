// Tables from tables, beside plain loops over standard containers. Several chunks of rows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/data/letters.h"
#include "engine/data/validity.h"
#include "engine/tables/gather.h"
#include "engine/tables/group.h"
#include "engine/tables/join.h"
#include "engine/tables/rows.h"
#include "engine/tables/tokens.h"

namespace beamline::engine::tables {
namespace {

using data::Column;
using data::ColumnType;
using data::Table;
using data::Workspace;
using ::testing::ElementsAre;

// Numbers with ties, zeros of both signs, infinities and holes; integers up to the ends of their
// range, with holes; texts.
Table RandomTable(uint64_t seed, int64_t rows) {
  const Philox random(seed, 9);
  std::vector<double> x;
  std::vector<std::string> k;
  const data::Array<int64_t> n = [&] {
    static Workspace workspace({});
    return workspace.New<int64_t>(rows);
  }();
  static Workspace workspace({});
  const data::Validity validity(rows, workspace);
  for (int64_t i = 0; i < rows; ++i) {
    const auto at = static_cast<uint64_t>(4 * i);
    const uint64_t kind = random.Below(at, 20);
    x.push_back(kind == 0   ? std::nan("")
                : kind == 1 ? std::numeric_limits<double>::infinity()
                : kind == 2 ? -0.0
                            : std::round(20 * random.Normal(at + 1)));
    n[i] = kind == 3   ? INT64_MAX
           : kind == 4 ? INT64_MIN
                       : static_cast<int64_t>(random.Below(at + 2, 9));
    if (kind == 5) {
      n[i] = 0;
      validity.Clear(i);
    }
    k.push_back(kind == 6 ? "" : "k" + std::to_string(random.Below(at + 3, 30)));
  }
  const Column model({.name = "n", .type = ColumnType::kInt64});
  return Table({Column::Of("x", x), data::MakeColumn(model, "n", rows, n, validity),
                Column::OfStrings("k", k)});
}

constexpr int64_t kRows = 2 * data::kChunkRows + 1234;

TEST(SortRows, IsStableWithMissingValuesLast) {
  const Table table = RandomTable(1, kRows);
  const Column& x = table.Get("x");
  const Column& n = table.Get("n");
  for (const bool falling : {false, true}) {
    Workspace workspace({.threads = 2});
    const auto order = SortRows({{&x, falling}, {&n, !falling}}, workspace);
    std::vector<int64_t> wanted(static_cast<size_t>(kRows));
    std::iota(wanted.begin(), wanted.end(), 0);
    // -1, 0 or 1: which of two rows comes first.
    const auto compare = [](const Column& column, int64_t a, int64_t b, bool down, auto value) {
      if (column.IsMissing(a) || column.IsMissing(b)) {
        return static_cast<int>(column.IsMissing(a)) - static_cast<int>(column.IsMissing(b));
      }
      const int sign = value(a) < value(b) ? -1 : value(b) < value(a) ? 1 : 0;
      return down ? -sign : sign;
    };
    std::stable_sort(wanted.begin(), wanted.end(), [&](int64_t a, int64_t b) {
      const int first = compare(x, a, b, falling, [&](int64_t row) { return x.Number(row); });
      if (first != 0) return first < 0;
      return compare(n, a, b, !falling, [&](int64_t row) { return n.Integer(row); }) < 0;
    });
    EXPECT_TRUE(std::ranges::equal(order.span(), wanted)) << falling;
  }
}

TEST(NumberRows, NumbersCombinationsInOrderOfAppearance) {
  const Table table = RandomTable(2, kRows);
  Workspace workspace({.threads = 3});
  const Numbered numbered =
      NumberRows({&table.Get("x"), &table.Get("n"), &table.Get("k")}, workspace);
  std::map<std::vector<std::string>, int64_t> known;
  for (int64_t row = 0; row < kRows; ++row) {
    std::vector<std::string> values;
    for (const Column& column : table.columns()) {
      values.push_back(column.Text(row) == "-0" ? "0" : column.Text(row));
    }
    const auto [entry, added] = known.emplace(values, static_cast<int64_t>(known.size()));
    ASSERT_EQ(numbered.numbers[row], entry->second) << row;
    ASSERT_LE(numbered.first[entry->second], row);
    ASSERT_EQ(numbered.first[entry->second] == row, added);
  }
  EXPECT_EQ(numbered.count(), static_cast<int64_t>(known.size()));
  const Buckets buckets = BucketRows(numbered.numbers, numbered.count(), workspace);
  for (int64_t k = 0; k < numbered.count(); ++k) {
    for (int64_t i = buckets.begins[k]; i < buckets.begins[k + 1]; ++i) {
      ASSERT_EQ(numbered.numbers[buckets.rows[i]], k);
      ASSERT_TRUE(i == buckets.begins[k] || buckets.rows[i] > buckets.rows[i - 1]);
    }
  }
}

TEST(NumberRows, LooksIntoArrays) {
  const Column pairs = Column::Of<float>("p", {1, 2, 1, 3, 1, 2, 2, 1}, {2});
  Workspace workspace({});
  EXPECT_THAT(NumberRows({&pairs}, workspace).numbers.span(), ElementsAre(0, 1, 0, 2));
}

TEST(JoinRows, PairsRowsThatAgree) {
  const Table left = RandomTable(3, kRows);
  const Table right = RandomTable(4, 3000);
  Workspace workspace({.threads = 2});
  std::map<std::pair<std::string, int64_t>, std::vector<int64_t>> partners;
  for (int64_t row = 0; row < right.rows(); ++row) {
    if (right.Get("k").IsMissing(row) || right.Get("n").IsMissing(row)) continue;
    partners[{right.Get("k").Text(row), right.Get("n").Integer(row)}].push_back(row);
  }
  for (const bool keep : {false, true}) {
    const Pairs pairs = JoinRows(left, right, {"k", "n"}, keep, workspace);
    int64_t at = 0;
    for (int64_t row = 0; row < left.rows(); ++row) {
      std::vector<int64_t> wanted;
      if (!left.Get("k").IsMissing(row) && !left.Get("n").IsMissing(row)) {
        wanted = partners[{left.Get("k").Text(row), left.Get("n").Integer(row)}];
      }
      if (wanted.empty() && keep) wanted = {kNoRow};
      for (const int64_t partner : wanted) {
        ASSERT_EQ(pairs.left[at], row);
        ASSERT_EQ(pairs.right[at++], partner);
      }
    }
    EXPECT_EQ(at, pairs.left.size);
    EXPECT_EQ(at, pairs.right.size);
  }
}

TEST(Gather, TakesRowsAndMakesWhatIsMissing) {
  const Table table = RandomTable(5, kRows);
  const Philox random(1, 1);
  std::vector<int64_t> rows;
  for (uint64_t i = 0; i < 100'000; ++i) {
    rows.push_back(static_cast<int64_t>(random.Below(i, kRows + 1000)) - 1000);
    rows.back() = std::max(rows.back(), kNoRow);
  }
  Workspace workspace({.threads = 2});
  const Table taken = Gather(table, rows, workspace);
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t c = 0; c < 3; ++c) {
      const Column& from = table.columns()[c];
      const Column& to = taken.columns()[c];
      const auto row = static_cast<int64_t>(i);
      ASSERT_EQ(to.Text(row), rows[i] == kNoRow ? "" : from.Text(rows[i]));
    }
  }
  const Column bytes = Column::Of<uint8_t>("b", {1, 2, 3, 4}, {2});
  EXPECT_EQ(Gather(bytes, std::vector<int64_t>{1, 0}, workspace).Number(0, 1), 4);
  EXPECT_THROW(Gather(bytes, std::vector<int64_t>{kNoRow}, workspace), Error);
}

TEST(Concatenate, UnitesCategoriesAndWidensNumbers) {
  Workspace workspace({});
  const Column texts =
      Concatenate({Column::OfStrings("a", {"z", "", "b"}), Column::OfStrings("b", {"c", "z"})}, "t",
                  ColumnType::kCategorical, workspace);
  EXPECT_THAT(texts.categories(), ElementsAre("b", "c", "z"));
  std::string all;
  for (int64_t row = 0; row < 5; ++row) all += texts.Text(row) + ".";
  EXPECT_EQ(all, "z..b.c.z.");
  const Table holes = RandomTable(6, 200);
  const Column wide =
      Concatenate({Column::Of<float>("f", {0.5F}), holes.Get("n"), Column::Of<uint8_t>("u", {200})},
                  "w", ColumnType::kFloat64, workspace);
  EXPECT_EQ(wide.Number(0), 0.5);
  EXPECT_EQ(wide.Number(201), 200);
  for (int64_t row = 0; row < 200; ++row) {
    ASSERT_EQ(wide.IsMissing(row + 1), holes.Get("n").IsMissing(row));
    if (wide.IsMissing(row + 1)) continue;
    ASSERT_EQ(wide.Number(row + 1), holes.Get("n").Number(row));
  }
  const Column whole = Concatenate({Column::Of<int32_t>("i", {-5}), holes.Get("n")}, "w",
                                   ColumnType::kInt64, workspace);
  EXPECT_EQ(whole.Integer(0), -5);
  for (int64_t row = 0; row < 200; ++row) ASSERT_EQ(whole.Text(row + 1), holes.Get("n").Text(row));
}

TEST(AggregateRows, KeepsWholeSumsWholeAndExact) {
  Workspace workspace({});
  const Column by = Column::Of<int32_t>("g", {1, 2, 1, 2, 3});
  const Numbered groups = NumberRows({&by}, workspace);
  const Column n = Column::Of<int64_t>("n", {INT64_MAX - 1, INT64_MAX, 1, 1, -4});
  const Column sums = AggregateRows(Aggregate::kSum, n, groups, "s", workspace);
  EXPECT_EQ(sums.Text(0), std::to_string(INT64_MAX));
  EXPECT_TRUE(sums.IsMissing(1));  // Beyond int64.
  EXPECT_EQ(sums.Integer(2), -4);
  const Column largest = AggregateRows(Aggregate::kMax, n, groups, "m", workspace);
  EXPECT_EQ(largest.Integer(0), INT64_MAX - 1);
  // A sum that forgets no small number beside large ones.
  const Column x = Column::Of<double>("x", {1e100, 2, 1, 3, 4});
  const Column same = Column::Of<int32_t>("g", {1, 1, 1, 1, 1});
  const Column y = Column::Of<double>("y", {1e100, 2, 1, 3, -1e100});
  EXPECT_EQ(
      AggregateRows(Aggregate::kSum, y, NumberRows({&same}, workspace), "s", workspace).Number(0),
      6);
}

TEST(ShareOut, RoundsTheLargestRemaindersUp) {
  EXPECT_THAT(ShareOut(10, {5, 3, 2}), ElementsAre(5, 3, 2));
  EXPECT_THAT(ShareOut(5, {5, 3, 2}), ElementsAre(3, 1, 1));
  EXPECT_THAT(ShareOut(1, {1, 1, 1}), ElementsAre(1, 0, 0));
  EXPECT_THAT(ShareOut(0, {4, 6}), ElementsAre(0, 0));
}

TEST(Workspace, SpillsAndRefuses) {
  Workspace small({.memory_bytes = 1000});
  const auto kept = small.New<double>(100);
  EXPECT_THROW(small.New<double>(100), Error);
  Workspace spilling({.memory_bytes = 1000, .folder = ::testing::TempDir(), .disk_bytes = 10'000});
  {
    const auto memory = spilling.New<uint8_t>(900);
    const auto disk = spilling.New<uint8_t>(8000);
    disk[7999] = 7;
    EXPECT_EQ(disk[7999], 7);
    EXPECT_THROW(spilling.New<uint8_t>(8000), Error);
  }
  // What is gone makes room.
  EXPECT_EQ(spilling.New<uint8_t>(8000).size, 8000);
}

TEST(Words, AreRunsOfLettersAndSignsAlone) {
  EXPECT_THAT(Words("Don't  panic: 42 times!"),
              ElementsAre("don", "'", "t", "panic", ":", "42", "times", "!"));
  EXPECT_THAT(Words("Ärger\u00A0über ΣΑΣ…\nñ2"), ElementsAre("ärger", "über", "σασ", "…", "ñ2"));
  EXPECT_THAT(Words(" \t "), ElementsAre());
  EXPECT_THAT(Characters("aé 🙂"), ElementsAre("a", "é", " ", "🙂"));
}

TEST(Letters, HaveTheCaseThatUnicodeGives) {
  // Pairs of letters, and what has none.
  const std::pair<char32_t, char32_t> pairs[] = {
      {U'A', U'a'}, {U'Ö', U'ö'}, {U'Þ', U'þ'}, {U'Ā', U'ā'}, {U'Ĺ', U'ĺ'}, {U'Ŋ', U'ŋ'},
      {U'Ÿ', U'ÿ'}, {U'Ž', U'ž'}, {U'Ά', U'ά'}, {U'Ό', U'ό'}, {U'Ώ', U'ώ'}, {U'Ω', U'ω'},
      {U'Ѐ', U'ѐ'}, {U'Я', U'я'}, {U'Ѡ', U'ѡ'}, {U'Ӂ', U'ӂ'}, {U'Ա', U'ա'}, {U'Ḁ', U'ḁ'},
      {U'Ạ', U'ạ'}, {U'Ơ', U'ơ'}, {U'Ș', U'ș'}};
  for (const auto& [upper, lower] : pairs) {
    EXPECT_EQ(data::ToLower(upper), lower);
    EXPECT_EQ(data::ToUpper(lower), upper);
    EXPECT_EQ(data::ToLower(lower), lower);
    EXPECT_EQ(data::ToUpper(upper), upper);
  }
  for (const char32_t other : {U'1', U'×', U'÷', U'ß', U'ĸ', U'漢', U'🙂'}) {
    EXPECT_EQ(data::ToLower(other), other);
    EXPECT_EQ(data::ToUpper(other), other);
  }
}

}  // namespace
}  // namespace beamline::engine::tables
