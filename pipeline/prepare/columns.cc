// What the columns and the rows of an operation have in common.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "engine/expression/syntax.h"
#include "engine/tables/gather.h"
#include "pipeline/prepare/schema.h"

namespace beamline::pipeline {
namespace {

using engine::data::ColumnType;
using engine::expression::Node;
using engine::expression::Problem;

// Whether `text` is what `pattern` stands for; * is any text.
bool Matches(std::string_view pattern, std::string_view text) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == text;
  if (!text.starts_with(pattern.substr(0, star))) return false;
  pattern.remove_prefix(star + 1);
  for (size_t i = star; i <= text.size(); ++i) {
    if (Matches(pattern, text.substr(i))) return true;
  }
  return false;
}

bool IsNumber(v1::ColumnType type) {
  return type != v1::COLUMN_TYPE_CATEGORICAL && type != v1::COLUMN_TYPE_BOOL;
}

bool Fits(const v1::FillMissing& fill, const v1::Column& column) {
  const ColumnType type = ToEngine(column.type());
  if (fill.has_text()) return type == ColumnType::kCategorical;
  return engine::tables::Holds(type, fill.number());
}

}  // namespace

const v1::Column* FindColumn(const Schema& schema, std::string_view name) {
  const auto found = std::find_if(schema.begin(), schema.end(),
                                  [&](const v1::Column& each) { return each.name() == name; });
  return found == schema.end() ? nullptr : &*found;
}

ColumnType ToEngine(v1::ColumnType type) {
  switch (type) {
    case v1::COLUMN_TYPE_INT64:
      return ColumnType::kInt64;
    case v1::COLUMN_TYPE_CATEGORICAL:
      return ColumnType::kCategorical;
    case v1::COLUMN_TYPE_BOOL:
      return ColumnType::kBool;
    case v1::COLUMN_TYPE_FLOAT32:
      return ColumnType::kFloat32;
    case v1::COLUMN_TYPE_UINT8:
      return ColumnType::kUint8;
    case v1::COLUMN_TYPE_INT32:
      return ColumnType::kInt32;
    default:
      return ColumnType::kFloat64;
  }
}

std::vector<engine::expression::ColumnInfo> ToColumnInfo(const Schema& schema) {
  std::vector<engine::expression::ColumnInfo> columns;
  for (const v1::Column& column : schema) {
    columns.push_back({column.name(), ToEngine(column.type()), column.item_shape_size() == 0});
  }
  return columns;
}

AggregateCall ReadAggregate(const std::string& text, const Schema& schema,
                            std::vector<Problem>* problems) {
  AggregateCall call;
  const engine::expression::Syntax syntax = engine::expression::Parse(text);
  *problems = syntax.problems;
  if (!problems->empty()) return call;
  const Node& root = syntax.root;
  const std::vector<std::string> names = engine::tables::AggregateNames();
  if (root.kind != Node::Kind::kCall ||
      !engine::tables::FindAggregate(root.text, &call.aggregate)) {
    const bool named = root.kind == Node::Kind::kCall;
    problems->push_back({root.column, absl::StrCat("is no aggregate such as \"mean(x)\"",
                                                   named ? Hint(root.text, names) : "")});
    return call;
  }
  const bool counts = call.aggregate == engine::tables::Aggregate::kCount;
  if (counts && root.arguments.empty()) return call;
  if (root.arguments.size() != 1) {
    problems->push_back({root.column, absl::StrCat(root.text, " takes one expression, not ",
                                                   root.arguments.size())});
    return call;
  }
  const auto columns = ToColumnInfo(schema);
  engine::expression::Compiled compiled =
      engine::expression::Compile(root.arguments.front(), columns);
  *problems = compiled.problems;
  if (!problems->empty()) return call;
  const ColumnType type = engine::expression::ResultType(compiled.program, columns);
  if (!engine::tables::Takes(call.aggregate, type)) {
    problems->push_back({root.arguments.front().column,
                         absl::StrCat(root.text, " takes numbers, but this is a text")});
  }
  call.type = engine::tables::ResultOf(call.aggregate, type);
  call.program = std::move(compiled.program);
  return call;
}

std::vector<JoinedColumn> JoinedColumns(const v1::JoinTables& join, const Schema& schema,
                                        const Schema& other) {
  const std::string suffix = join.suffix().empty() ? "_2" : join.suffix();
  std::vector<JoinedColumn> columns;
  for (const v1::Column& column : other) {
    if (std::count(join.on().begin(), join.on().end(), column.name()) > 0) continue;
    const bool taken = FindColumn(schema, column.name()) != nullptr;
    columns.push_back({column.name(), absl::StrCat(column.name(), taken ? suffix : "")});
  }
  return columns;
}

v1::ColumnType CommonType(v1::ColumnType a, v1::ColumnType b) {
  if (a == b) return a;
  if (!IsNumber(a) || !IsNumber(b)) return v1::COLUMN_TYPE_UNSPECIFIED;
  const auto fraction = [](v1::ColumnType type) {
    return type == v1::COLUMN_TYPE_FLOAT64 || type == v1::COLUMN_TYPE_FLOAT32;
  };
  return fraction(a) || fraction(b) ? v1::COLUMN_TYPE_FLOAT64 : v1::COLUMN_TYPE_INT64;
}

std::vector<std::string> FilledColumns(const v1::FillMissing& fill, const Schema& schema) {
  std::vector<std::string> names(fill.columns().begin(), fill.columns().end());
  if (!names.empty()) return names;
  for (const v1::Column& column : schema) {
    if (Fits(fill, column)) names.push_back(column.name());
  }
  return names;
}

std::vector<std::string> MatchingColumns(const std::string& pattern, const Schema& schema) {
  std::vector<std::string> names;
  if (FindColumn(schema, pattern) != nullptr) return {pattern};
  for (const v1::Column& column : schema) {
    if (Matches(pattern, column.name())) names.push_back(column.name());
  }
  return names;
}

SortColumn ReadSortColumn(const std::string& text, const Schema& schema) {
  const bool falling = text.starts_with("-") && FindColumn(schema, text) == nullptr;
  return {falling ? text.substr(1) : text, falling};
}

std::string WeightName(const v1::BalanceRows& balance) {
  return balance.weight().empty() ? "weight" : balance.weight();
}
std::string TokenName(const v1::Tokenise& tokenise) {
  return tokenise.name().empty() ? "token" : tokenise.name();
}
std::string DocumentName(const v1::Tokenise& tokenise) {
  return tokenise.document().empty() ? "document" : tokenise.document();
}

}  // namespace beamline::pipeline
