#include "pipeline/prepare/operations.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "engine/core/error.h"
#include "engine/data/text.h"
#include "engine/expression/evaluate.h"
#include "engine/tables/gather.h"
#include "engine/tables/group.h"
#include "engine/tables/join.h"
#include "engine/tables/rows.h"
#include "engine/tables/tokens.h"
#include "pipeline/fitted.h"
#include "pipeline/prepare/sampling.h"

namespace beamline::pipeline {
namespace {

namespace tables = engine::tables;
using engine::data::Array;
using engine::data::Column;
using engine::data::ColumnType;
using engine::data::Table;
using engine::data::Workspace;
using engine::expression::Program;

Program ProgramOf(const std::string& text, const Table& table) {
  engine::expression::Compiled compiled =
      engine::expression::Compile(text, engine::expression::SchemaOf(table));
  if (!compiled.problems.empty()) {
    engine::Fail(engine::expression::FormatProblems(compiled.problems));
  }
  return std::move(compiled.program);
}

Table Select(const v1::SelectColumns& select, const Table& table) {
  std::vector<Column> columns;
  for (const std::string& name : select.columns()) columns.push_back(table.Get(name));
  if (columns.empty()) columns = table.columns();
  std::erase_if(columns, [&](const Column& column) {
    return std::count(select.drop().begin(), select.drop().end(), column.name()) > 0;
  });
  return Table(std::move(columns));
}

Table Rename(const v1::RenameColumns& rename, const Table& table) {
  std::vector<Column> columns;
  for (const Column& column : table.columns()) {
    const auto found = rename.names().find(column.name());
    columns.push_back(found == rename.names().end() ? column : column.Renamed(found->second));
  }
  return Table(std::move(columns));
}

// With a column in the place of that of its name, or behind the others.
void Put(Column column, std::vector<Column>* columns) {
  for (Column& old : *columns) {
    if (old.name() != column.name()) continue;
    old = std::move(column);
    return;
  }
  columns->push_back(std::move(column));
}

Table Derive(const v1::DeriveColumns& derive, const Table& table, Workspace& workspace) {
  std::vector<Column> columns = table.columns();
  const std::map<std::string, std::string> derived(derive.columns().begin(),
                                                   derive.columns().end());
  for (const auto& [name, text] : derived) {
    Put(engine::expression::Evaluate(ProgramOf(text, table), table, name, workspace), &columns);
  }
  return Table(std::move(columns));
}

Table Join(const v1::JoinTables& join, const Table& table, const OperationContext& context) {
  const Table& other = context.tables(join.with());
  const std::vector<std::string> on(join.on().begin(), join.on().end());
  const tables::Pairs pairs =
      tables::JoinRows(table, other, on, join.how() == v1::JoinTables::HOW_LEFT, context.workspace);
  std::vector<Column> columns =
      tables::Gather(table, pairs.left.span(), context.workspace).columns();
  for (const JoinedColumn& joined : JoinedColumns(join, SchemaOf(table), SchemaOf(other))) {
    columns.push_back(tables::Gather(other.Get(joined.from), pairs.right.span(), context.workspace)
                          .Renamed(joined.to));
  }
  return Table(std::move(columns));
}

// Which table each row is from.
Column Sources(const std::vector<std::string>& names, const std::vector<const Table*>& from,
               const std::string& name, Workspace& workspace) {
  Column labels = Column::OfStrings(name, names);
  int64_t total = 0;
  for (const Table* table : from) total += table->rows();
  const Array<int64_t> places = workspace.New<int64_t>(total);
  int64_t at = 0;
  for (size_t i = 0; i < from.size(); ++i) {
    std::fill_n(places.data + at, from[i]->rows(), static_cast<int64_t>(i));
    at += from[i]->rows();
  }
  return tables::Gather(labels, places.span(), workspace);
}

Table Append(const v1::AppendTable& append, const Table& table, const OperationContext& context) {
  std::vector<const Table*> from = {&table};
  std::vector<std::string> names = {context.input};
  for (const std::string& name : append.tables()) {
    from.push_back(&context.tables(name));
    names.push_back(name);
  }
  std::vector<Column> columns;
  for (const Column& column : table.columns()) {
    std::vector<Column> parts;
    v1::ColumnType type = ToProto(column.type());
    for (const Table* each : from) {
      parts.push_back(each->Get(column.name()));
      type = CommonType(type, ToProto(parts.back().type()));
    }
    columns.push_back(tables::Concatenate(parts, column.name(), ToEngine(type), context.workspace));
  }
  if (!append.source_column().empty()) {
    columns.push_back(Sources(names, from, append.source_column(), context.workspace));
  }
  return Table(std::move(columns));
}

std::vector<const Column*> ColumnsOf(const Table& table,
                                     const google::protobuf::RepeatedPtrField<std::string>& names) {
  std::vector<const Column*> columns;
  for (const std::string& name : names) columns.push_back(&table.Get(name));
  if (!columns.empty()) return columns;
  for (const Column& column : table.columns()) columns.push_back(&column);
  return columns;
}

Table Sort(const v1::SortRows& sort, const Table& table, Workspace& workspace) {
  const Schema schema = SchemaOf(table);
  std::vector<tables::SortKey> keys;
  for (const std::string& text : sort.by()) {
    const SortColumn by = ReadSortColumn(text, schema);
    keys.push_back({&table.Get(by.name), by.falling});
  }
  return tables::Gather(table, tables::SortRows(keys, workspace).span(), workspace);
}

Table Group(const v1::GroupRows& group, const Table& table, Workspace& workspace) {
  const std::vector<const Column*> by = ColumnsOf(table, group.by());
  const tables::Numbered groups = tables::NumberRows(by, workspace);
  std::vector<Column> columns;
  for (const Column* column : by) {
    columns.push_back(tables::Gather(*column, groups.first.span(), workspace));
  }
  const Schema schema = SchemaOf(table);
  const std::map<std::string, std::string> aggregates(group.aggregates().begin(),
                                                      group.aggregates().end());
  for (const auto& [name, text] : aggregates) {
    std::vector<engine::expression::Problem> problems;
    const AggregateCall call = ReadAggregate(text, schema, &problems);
    if (!problems.empty()) engine::Fail(engine::expression::FormatProblems(problems));
    if (call.program.code.empty()) {
      columns.push_back(tables::CountRows(groups, name, workspace));
      continue;
    }
    const Column values = engine::expression::Evaluate(call.program, table, name, workspace);
    columns.push_back(tables::AggregateRows(call.aggregate, values, groups, name, workspace));
  }
  return Table(std::move(columns));
}

Table Fill(const v1::FillMissing& fill, const Table& table, Workspace& workspace) {
  std::vector<Column> columns = table.columns();
  for (const std::string& name : FilledColumns(fill, SchemaOf(table))) {
    Put(tables::Fill(table.Get(name), fill.number(), fill.text(), workspace), &columns);
  }
  return Table(std::move(columns));
}

Table Reshape(const v1::ReshapeColumns& reshape, const Table& table, Workspace& workspace) {
  const Schema schema = SchemaOf(table);
  std::vector<Column> parts;
  std::set<std::string> left_out;
  for (const std::string& pattern : reshape.columns()) {
    for (const std::string& name : MatchingColumns(pattern, schema)) {
      parts.push_back(table.Get(name));
      left_out.insert(name);
    }
  }
  std::vector<Column> columns = table.columns();
  std::erase_if(columns, [&](const Column& column) { return left_out.contains(column.name()); });
  columns.push_back(tables::Stack(parts, reshape.name(),
                                  {reshape.shape().begin(), reshape.shape().end()}, workspace));
  return Table(std::move(columns));
}

Table TokeniseRows(const v1::Tokenise& tokenise, const Table& table, Workspace& workspace) {
  const bool words = tokenise.unit() != v1::Tokenise::UNIT_CHARACTER;
  const tables::Tokens tokens =
      tables::Tokenise(table.Get(tokenise.column()), words, TokenName(tokenise), workspace);
  std::vector<Column> columns;
  for (const Column& column : table.columns()) {
    columns.push_back(column.name() == tokenise.column()
                          ? tokens.column
                          : tables::Gather(column, tokens.rows.span(), workspace));
  }
  columns.push_back(Column({.name = DocumentName(tokenise),
                            .type = ColumnType::kInt64,
                            .rows = tokens.rows.size,
                            .values = tokens.rows.data,
                            .owner = tokens.rows.owner}));
  return Table(std::move(columns));
}

}  // namespace

Schema SchemaOf(const Table& table) {
  Schema schema;
  for (const Column& column : table.columns()) schema.push_back(ToProto(column));
  return schema;
}

Table Apply(const v1::TableOperation& operation, const Table& table,
            const OperationContext& context) {
  Workspace& workspace = context.workspace;
  switch (operation.kind_case()) {
    case v1::TableOperation::kSelect:
      return Select(operation.select(), table);
    case v1::TableOperation::kRename:
      return Rename(operation.rename(), table);
    case v1::TableOperation::kFilter: {
      const Program where = ProgramOf(operation.filter().where(), table);
      return tables::Gather(table, engine::expression::RowsWhere(where, table, workspace).span(),
                            workspace);
    }
    case v1::TableOperation::kDerive:
      return Derive(operation.derive(), table, workspace);
    case v1::TableOperation::kJoin:
      return Join(operation.join(), table, context);
    case v1::TableOperation::kAppend:
      return Append(operation.append(), table, context);
    case v1::TableOperation::kSample:
      return Sample(operation.sample(), table, context);
    case v1::TableOperation::kBalance:
      return Balance(operation.balance(), table, context);
    case v1::TableOperation::kSort:
      return Sort(operation.sort(), table, workspace);
    case v1::TableOperation::kDistinct: {
      const auto columns = ColumnsOf(table, operation.distinct().columns());
      return tables::Gather(table, tables::NumberRows(columns, workspace).first.span(), workspace);
    }
    case v1::TableOperation::kGroup:
      return Group(operation.group(), table, workspace);
    case v1::TableOperation::kFill:
      return Fill(operation.fill(), table, workspace);
    case v1::TableOperation::kReshape:
      return Reshape(operation.reshape(), table, workspace);
    case v1::TableOperation::kTokenise:
      return TokeniseRows(operation.tokenise(), table, workspace);
    case v1::TableOperation::KIND_NOT_SET:
      break;
  }
  engine::Fail("the operation does not say what it does");
}

}  // namespace beamline::pipeline
