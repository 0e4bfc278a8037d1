#include "pipeline/request_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/core/error.h"
#include "pipeline/schema.h"
#include "pipeline/utf8.h"

namespace beamline::pipeline {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;
using Rows = google::protobuf::RepeatedPtrField<Struct>;

constexpr double kExactInteger = 9007199254740992.0;

// A value of a column in the request.
struct Cell {
  int row = 0;
  int64_t step = -1;  // of a sequence, from 0
  Value value;
};

std::string Place(const Cell& cell, const v1::Column& column) {
  if (cell.step < 0) return RowPlace(cell.row, column.name());
  return absl::StrCat("row ", cell.row + 1, ", step ", cell.step + 1, ", column \"", column.name(),
                      "\": ");
}

// A number in a row, NaN for null; throws Error for anything else.
double ToNumber(const Value& value, const Cell& cell, const v1::Column& column) {
  switch (value.kind_case()) {
    case Value::kNullValue:
      return std::numeric_limits<double>::quiet_NaN();
    case Value::kNumberValue:
      if (!std::isfinite(value.number_value())) {
        engine::Fail(Place(cell, column), "the number is not finite");
      }
      return value.number_value();
    case Value::kBoolValue:
      if (column.type() == v1::COLUMN_TYPE_BOOL) return value.bool_value() ? 1 : 0;
      [[fallthrough]];
    default:
      engine::Fail(Place(cell, column), column.type() == v1::COLUMN_TYPE_BOOL
                                            ? "expected true or false"
                                            : "expected a number");
  }
}

// The value of a text column as text; "" for null.
std::string ToText(const Cell& cell, const v1::Column& column) {
  if (cell.value.kind_case() == Value::kNullValue) return "";
  if (cell.value.kind_case() != Value::kStringValue) {
    engine::Fail(Place(cell, column), "expected text");
  }
  return cell.value.string_value();
}

const Value& FieldOf(const Struct& row, const v1::Column& column, int index) {
  const auto found = row.fields().find(column.name());
  if (found == row.fields().end()) {
    engine::Fail(RowPlace(index, column.name()),
                 "is missing: give a value, or null if it is unknown");
  }
  return found->second;
}

// Appends a list of numbers nested as `shape` says; false if it is not.
bool AppendNested(const Value& value, std::span<const int64_t> shape, const Cell& cell,
                  const v1::Column& column, std::vector<double>* values) {
  const auto& items = value.list_value().values();
  if (value.kind_case() != Value::kListValue || items.size() != shape[0]) return false;
  return std::all_of(items.begin(), items.end(), [&](const Value& item) {
    if (shape.size() > 1) return AppendNested(item, shape.subspan(1), cell, column, values);
    values->push_back(ToNumber(item, cell, column));
    return true;
  });
}

// The values of one row of a column whose rows hold several numbers: a flat list, or lists nested
// as the item's shape.
void AppendItem(const Cell& cell, const v1::Column& column, int64_t size,
                std::vector<double>* values) {
  const auto& items = cell.value.list_value().values();
  const bool nested = !items.empty() && items[0].kind_case() == Value::kListValue;
  const std::vector<int64_t> flat = {size};
  const std::vector<int64_t> shape(column.item_shape().begin(), column.item_shape().end());
  if (AppendNested(cell.value, nested ? shape : flat, cell, column, values)) return;
  engine::Fail(
      Place(cell, column), "expected a list of ", size, " numbers",
      shape.size() > 1 ? absl::StrCat(", or lists nested as ", absl::StrJoin(shape, " x ")) : "");
}

// A column of whole numbers with a validity bit for each row.
template <typename T>
engine::data::Column IntegerColumn(const v1::Column& column, engine::data::ColumnType type,
                                   const std::vector<Cell>& cells,
                                   const std::vector<double>& numbers) {
  struct Storage {
    std::vector<T> values;
    std::vector<uint8_t> validity;
  };
  auto storage = std::make_shared<Storage>();
  storage->values.resize(numbers.size());
  storage->validity.resize((numbers.size() + 7) / 8);
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (std::isnan(numbers[i])) continue;
    if (numbers[i] != std::floor(numbers[i]) || std::abs(numbers[i]) > kExactInteger ||
        numbers[i] < static_cast<double>(std::numeric_limits<T>::lowest()) ||
        numbers[i] > static_cast<double>(std::numeric_limits<T>::max())) {
      engine::Fail(Place(cells[i], column), "expected a whole number",
                   sizeof(T) < sizeof(int64_t) ? " in the range of the column" : "");
    }
    storage->values[i] = static_cast<T>(numbers[i]);
    storage->validity[i / 8] = static_cast<uint8_t>(storage->validity[i / 8] | (1U << (i % 8)));
  }
  engine::data::Column::Parts parts;
  parts.name = column.name();
  parts.type = type;
  parts.rows = static_cast<int64_t>(numbers.size());
  parts.values = storage->values.data();
  parts.validity = storage->validity.data();
  parts.owner = storage;
  return engine::data::Column(std::move(parts));
}

engine::data::Column BuildColumn(const v1::Column& column, const std::vector<Cell>& cells) {
  if (IsText(column.type())) {
    std::vector<std::string> texts;
    for (const Cell& cell : cells) texts.push_back(ToText(cell, column));
    return engine::data::Column::OfStrings(column.name(), texts);
  }
  std::vector<double> numbers;
  const std::vector<int64_t> shape(column.item_shape().begin(), column.item_shape().end());
  const int64_t size = ItemSize(column);
  for (const Cell& cell : cells) {
    if (shape.empty()) {
      numbers.push_back(ToNumber(cell.value, cell, column));
    } else {
      AppendItem(cell, column, size, &numbers);
    }
  }
  if (!shape.empty()) return engine::data::Column::Of(column.name(), std::move(numbers), shape);
  switch (column.type()) {
    case v1::COLUMN_TYPE_BOOL:
      return IntegerColumn<uint8_t>(column, engine::data::ColumnType::kBool, cells, numbers);
    case v1::COLUMN_TYPE_UINT8:
      return IntegerColumn<uint8_t>(column, engine::data::ColumnType::kUint8, cells, numbers);
    case v1::COLUMN_TYPE_INT32:
      return IntegerColumn<int32_t>(column, engine::data::ColumnType::kInt32, cells, numbers);
    case v1::COLUMN_TYPE_INT64:
      return IntegerColumn<int64_t>(column, engine::data::ColumnType::kInt64, cells, numbers);
    default:
      return engine::data::Column::Of(column.name(), std::move(numbers));
  }
}

// The steps of a row: the items of a list, the characters of a text.
std::vector<Value> StepsOf(const Value& value, const v1::Column& column, int row) {
  if (value.kind_case() == Value::kListValue) {
    return {value.list_value().values().begin(), value.list_value().values().end()};
  }
  if (value.kind_case() != Value::kStringValue || !IsText(column.type())) {
    engine::Fail(RowPlace(row, column.name()), "expected a list with a value for each step",
                 IsText(column.type()) ? ", or a text" : "");
  }
  std::vector<Value> steps;
  for (const std::string& character : Characters(value.string_value())) {
    steps.emplace_back().set_string_value(character);
  }
  return steps;
}

// Whether so many steps make a row of the model.
void CheckSteps(const v1::ModelCard& card, int64_t steps, int row) {
  const int64_t needed = ShapeOf(card.data()).steps;
  const bool any = card.data().has_sequences() || GivesNextToken(card.data());
  const bool some = GuessesHidden(card.data()) || EmbedsTokens(card.data());
  if (some ? steps >= 1 && steps <= needed : any ? steps >= 1 : steps == needed) {
    return;
  }
  engine::Fail(
      "row ", row + 1, ": has ", steps, " steps: ",
      any ? std::string("give at least one") : absl::StrCat("the model sees ", needed, " at once"));
}

// Cells of each column, step by step, and where each row's begin.
std::vector<std::vector<Cell>> StepCells(const v1::ModelCard& card, const Rows& rows,
                                         Examples* examples) {
  std::vector<std::vector<Cell>> cells(static_cast<size_t>(card.columns_size()));
  int64_t total = 0;
  for (int row = 0; row < rows.size(); ++row) {
    int64_t length = -1;
    for (int i = 0; i < card.columns_size(); ++i) {
      const v1::Column& column = card.columns(i);
      std::vector<Value> steps = StepsOf(FieldOf(rows[row], column, row), column, row);
      const auto count = static_cast<int64_t>(steps.size());
      if (length >= 0 && count != length) {
        engine::Fail(RowPlace(row, column.name()), "has ", count, " steps, but column \"",
                     card.columns(0).name(), "\" has ", length);
      }
      length = count;
      for (int64_t step = 0; step < count; ++step) {
        cells[static_cast<size_t>(i)].push_back(
            {row, step, std::move(steps[static_cast<size_t>(step)])});
      }
    }
    CheckSteps(card, length, row);
    total += length;
    if (total > kMaxPredictSteps) {
      engine::Fail("the rows have more than ", kMaxPredictSteps, " steps: ask in several calls");
    }
    const int64_t seen = card.data().has_sequences()
                             ? std::min(length, card.data().sequences().max_steps())
                             : length;
    examples->heads.push_back(total - 1);
    examples->begins.push_back(total - seen);
    examples->lengths.push_back(static_cast<int32_t>(seen));
  }
  return cells;
}

std::vector<std::vector<Cell>> RowCells(const v1::ModelCard& card, const Rows& rows,
                                        Examples* examples) {
  std::vector<std::vector<Cell>> cells(static_cast<size_t>(card.columns_size()));
  for (int row = 0; row < rows.size(); ++row) examples->heads.push_back(row);
  for (int i = 0; i < card.columns_size(); ++i) {
    for (int row = 0; row < rows.size(); ++row) {
      cells[static_cast<size_t>(i)].push_back({row, -1, FieldOf(rows[row], card.columns(i), row)});
    }
  }
  return cells;
}

}  // namespace

std::string RowPlace(int row, const std::string& column) {
  return absl::StrCat("row ", row + 1, ", column \"", column, "\": ");
}

RequestTable ToTable(const v1::ModelCard& card, const Rows& rows) {
  RequestTable out;
  const bool steps = ShapeOf(card.data()).steps > 0;
  const auto cells =
      steps ? StepCells(card, rows, &out.examples) : RowCells(card, rows, &out.examples);
  std::vector<engine::data::Column> columns;
  for (int i = 0; i < card.columns_size(); ++i) {
    columns.push_back(BuildColumn(card.columns(i), cells[static_cast<size_t>(i)]));
  }
  out.table = engine::data::Table(std::move(columns));
  return out;
}

}  // namespace beamline::pipeline
