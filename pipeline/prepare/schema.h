// What a prepare step makes of its tables' columns, before any row is read.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "beamline/v1/dataset.pb.h"
#include "beamline/v1/prepare.pb.h"
#include "engine/expression/program.h"
#include "engine/tables/group.h"
#include "pipeline/violation.h"

namespace beamline::pipeline {

// Names, types and item shapes; without statistics.
using Schema = std::vector<v1::Column>;

// The columns of a table by the name that steps have for it; null if they are not known.
using SchemaLookup = std::function<const Schema*(const std::string& name)>;

// The columns that the step makes. Adds all that is wrong to `violations`, with field paths below
// `path` ("steps.clean.prepare"). None if something is wrong, or the columns of a table that it
// needs are not known. That there is no such table is the caller's to say.
std::optional<Schema> PreparedSchema(const v1::PrepareStep& step, const std::string& path,
                                     const SchemaLookup& lookup, Violations* violations);
// The same of one operation on such columns.
std::optional<Schema> SchemaAfter(const v1::TableOperation& operation, const Schema& schema,
                                  const std::string& path, const SchemaLookup& lookup,
                                  Violations* violations);

// "filter", "join", ...; empty if it is none.
std::string OperationName(const v1::TableOperation& operation);

// Names of tables that the step reads, its own input first.
std::vector<std::string> TablesOf(const v1::PrepareStep& step);

// What follows is what both the columns and the rows of an operation depend on.

// Null if there is none.
const v1::Column* FindColumn(const Schema& schema, std::string_view name);
engine::data::ColumnType ToEngine(v1::ColumnType type);
std::vector<engine::expression::ColumnInfo> ToColumnInfo(const Schema& schema);

// An aggregate of rows: "mean(pt)".
struct AggregateCall {
  engine::tables::Aggregate aggregate = engine::tables::Aggregate::kCount;
  // Empty: "count()".
  engine::expression::Program program;
  engine::data::ColumnType type = engine::data::ColumnType::kInt64;  // of the result
};
// Adds what is wrong with the text to `problems`.
AggregateCall ReadAggregate(const std::string& text, const Schema& schema,
                            std::vector<engine::expression::Problem>* problems);

// The names that a join gives to the other table's columns but for join.on, in its order.
struct JoinedColumn {
  std::string from;
  std::string to;
};
std::vector<JoinedColumn> JoinedColumns(const v1::JoinTables& join, const Schema& schema,
                                        const Schema& other);
// The type of a column that was one and gets rows of another; unspecified: there is none.
v1::ColumnType CommonType(v1::ColumnType a, v1::ColumnType b);
// The columns that a fill concerns.
std::vector<std::string> FilledColumns(const v1::FillMissing& fill, const Schema& schema);
// "pixel*" is all columns that begin so, in the order of the table; * stands for any text.
std::vector<std::string> MatchingColumns(const std::string& pattern, const Schema& schema);
// A column to sort by: "-pt" falls.
struct SortColumn {
  std::string name;
  bool falling = false;
};
SortColumn ReadSortColumn(const std::string& text, const Schema& schema);

std::string WeightName(const v1::BalanceRows& balance);
std::string TokenName(const v1::Tokenise& tokenise);
std::string DocumentName(const v1::Tokenise& tokenise);

}  // namespace beamline::pipeline
