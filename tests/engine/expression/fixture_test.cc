// Expressions against what pandas and NumPy say: make_fixture.py records it.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>

#include "engine/data/number.h"
#include "engine/expression/evaluate.h"

namespace beamline::engine::expression {
namespace {

using data::Column;
using data::ColumnType;
using data::Table;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// Integers or bools of which row `missing` and those of `more` are missing.
template <typename T>
Column WithHoles(const std::string& name, ColumnType type, std::vector<T> values,
                 const std::vector<int>& missing) {
  struct Owner {
    std::vector<T> values;
    uint8_t bits = 0xFF;
  };
  auto owner = std::make_shared<Owner>();
  owner->values = std::move(values);
  for (const int row : missing) owner->bits = static_cast<uint8_t>(owner->bits & ~(1 << row));
  return Column({.name = name,
                 .type = type,
                 .rows = static_cast<int64_t>(owner->values.size()),
                 .values = owner->values.data(),
                 .validity = &owner->bits,
                 .owner = owner});
}

Table Example() {
  return Table(
      {Column::Of<double>("x", {1.5, -2.25, 0, kNone, 1e300, -0.5, 7, 2.5}),
       Column::Of<double>("y", {2, 0.5, -3, 4, kNone, -0.0, 7, 0}),
       WithHoles<int64_t>("n", ColumnType::kInt64, {3, -7, 0, 0, INT64_MAX, 5, -1, 2}, {3}),
       WithHoles<int32_t>("m", ColumnType::kInt32, {2, 2, -3, 4, 1, 0, 0, -2}, {6}),
       WithHoles<uint8_t>("a", ColumnType::kBool, {1, 0, 1, 0, 0, 1, 0, 0}, {3, 6}),
       WithHoles<uint8_t>("b", ColumnType::kBool, {1, 1, 0, 1, 0, 0, 0, 0}, {4, 5, 6}),
       Column::OfStrings("s", {"Muon", "electron", "tau", "", "Ärger ÿ", "muon", "12.5", "ΣΑΣ"}),
       Column::OfStrings("t", {"on", "e", "", "tau", "rg", "Muon", "1", "Σ"})});
}

void ExpectValue(const Column& column, int64_t row, const std::string& wanted) {
  if (wanted == "-") {
    EXPECT_TRUE(column.IsMissing(row)) << column.Text(row);
  } else if (data::IsFloat(column.type())) {
    const double value = data::ParseNumber(wanted).value;
    if (std::isinf(value)) {
      EXPECT_EQ(column.Number(row), value);
    } else {
      EXPECT_NEAR(column.Number(row), value, 4e-16 * std::fabs(value));
    }
  } else {
    EXPECT_EQ(column.Text(row), wanted);
  }
}

TEST(Expression, SaysWhatPandasSays) {
  std::ifstream file(BEAMLINE_SOURCE_DIR "/tests/engine/expression/fixture.txt");
  const Table table = Example();
  data::Workspace workspace({.threads = 2});
  int cases = 0;
  for (std::string line; std::getline(file, line); ++cases) {
    std::istringstream parts(line);
    std::string text;
    std::getline(parts, text, '\t');
    SCOPED_TRACE(text);
    const Compiled compiled = Compile(text, SchemaOf(table));
    ASSERT_EQ(FormatProblems(compiled.problems), "");
    const Column column = Evaluate(compiled.program, table, "out", workspace);
    EXPECT_EQ(column.type(), ResultType(compiled.program, SchemaOf(table)));
    for (int64_t row = 0; row < table.rows(); ++row) {
      SCOPED_TRACE(row);
      std::string wanted;
      ASSERT_TRUE(std::getline(parts, wanted, '\t'));
      ExpectValue(column, row, wanted);
    }
  }
  EXPECT_GT(cases, 90);
}

}  // namespace
}  // namespace beamline::engine::expression
