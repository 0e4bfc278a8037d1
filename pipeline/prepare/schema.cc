#include "pipeline/prepare/schema.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/data/text.h"
#include "pipeline/fitted.h"
#include "pipeline/prepare/operation_check.h"

namespace beamline::pipeline {

using engine::data::ColumnType;
using engine::expression::Problem;

namespace {

constexpr int kMaxOperations = 1000;

// Whether the columns stay what they are.
bool KeepsColumns(const v1::TableOperation& operation) {
  return operation.has_filter() || operation.has_sample() || operation.has_sort() ||
         operation.has_distinct() || operation.has_fill();
}

// What is wrong with the expressions of an operation whatever the columns are.
void CheckSyntax(const v1::TableOperation& operation, const std::string& path,
                 Violations* violations) {
  const auto check = [&](const std::string& field, const std::string& text) {
    for (const Problem& problem : engine::expression::Parse(text).problems) {
      violations->Add(absl::StrCat(path, ".", field),
                      engine::data::Cat("column ", problem.column, ": ", problem.message));
    }
  };
  if (operation.has_filter()) check("filter.where", operation.filter().where());
  const std::map<std::string, std::string> derived(operation.derive().columns().begin(),
                                                   operation.derive().columns().end());
  for (const auto& [name, text] : derived) check(absl::StrCat("derive.columns.", name), text);
  const std::map<std::string, std::string> aggregates(operation.group().aggregates().begin(),
                                                      operation.group().aggregates().end());
  for (const auto& [name, text] : aggregates) {
    check(absl::StrCat("group.aggregates.", name), text);
  }
}

}  // namespace

std::string TypeWord(const v1::Column& column) {
  const std::string type(engine::data::TypeName(ToEngine(column.type())));
  return column.item_shape_size() > 0 ? absl::StrCat("arrays of ", type) : type;
}

v1::Column Plain(const std::string& name, ColumnType type) {
  v1::Column column;
  column.set_name(name);
  column.set_type(ToProto(type));
  return column;
}

const v1::Column* OperationCheck::Find(const std::string& field, const std::string& name,
                                       const Schema& schema) {
  if (name.empty()) {
    Add(field, "is missing: name a column");
    return nullptr;
  }
  const v1::Column* column = FindColumn(schema, name);
  if (column != nullptr) return column;
  std::vector<std::string> names;
  for (const v1::Column& each : schema) names.push_back(each.name());
  constexpr size_t kMaxListed = 20;
  const std::string hint = Hint(name, names);
  Add(field, absl::StrCat("the table has no column \"", name, "\" here",
                          !hint.empty() ? hint
                          : names.size() <= kMaxListed
                              ? absl::StrCat(": it has ", absl::StrJoin(names, ", "))
                              : ""));
  return nullptr;
}

const v1::Column* OperationCheck::FindPlain(const std::string& field, const std::string& name,
                                            const Schema& schema) {
  const v1::Column* column = Find(field, name, schema);
  if (column == nullptr || column->item_shape_size() == 0) return column;
  Add(field, absl::StrCat("column \"", name, "\" holds several numbers a row"));
  return nullptr;
}

void OperationCheck::FindValues(const std::string& field, const std::string& name) {
  const v1::Column* column = FindPlain(field, name, schema_);
  if (column == nullptr || !engine::data::IsFloat(ToEngine(column->type()))) return;
  Add(field, absl::StrCat("column \"", name, "\" holds ", TypeWord(*column),
                          ": name one of texts, truth values or whole numbers"));
}

void OperationCheck::AddProblems(const std::string& field, const std::vector<Problem>& problems) {
  for (const Problem& problem : problems) {
    Add(field, engine::data::Cat("column ", problem.column, ": ", problem.message));
  }
}

void OperationCheck::CheckNew(const std::string& field, const std::string& name,
                              const Schema& schema) {
  if (name.empty()) {
    Add(field, "is empty: give the column a name");
  } else if (FindColumn(schema, name) != nullptr) {
    Add(field, absl::StrCat("there is a column \"", name, "\" already: take another name"));
  }
}

std::optional<Schema> OperationCheck::Run(const v1::TableOperation& operation) {
  Schema out;
  switch (operation.kind_case()) {
    case v1::TableOperation::kSelect:
      out = Select(operation.select());
      break;
    case v1::TableOperation::kRename:
      out = Rename(operation.rename());
      break;
    case v1::TableOperation::kFilter:
      out = Filter(operation.filter());
      break;
    case v1::TableOperation::kDerive:
      out = Derive(operation.derive());
      break;
    case v1::TableOperation::kJoin:
      out = Join(operation.join());
      break;
    case v1::TableOperation::kAppend:
      out = Append(operation.append());
      break;
    case v1::TableOperation::kSample:
      out = Sample(operation.sample());
      break;
    case v1::TableOperation::kBalance:
      out = Balance(operation.balance());
      break;
    case v1::TableOperation::kSort:
      out = Sort(operation.sort());
      break;
    case v1::TableOperation::kDistinct:
      out = Distinct(operation.distinct());
      break;
    case v1::TableOperation::kGroup:
      out = Group(operation.group());
      break;
    case v1::TableOperation::kFill:
      out = Fill(operation.fill());
      break;
    case v1::TableOperation::kReshape:
      out = Reshape(operation.reshape());
      break;
    case v1::TableOperation::kTokenise:
      out = Tokens(operation.tokenise());
      break;
    case v1::TableOperation::KIND_NOT_SET:
      Add("",
          "does not say what it does: give one of select, rename, filter, derive, join, append, "
          "sample, balance, sort, distinct, group, fill, reshape, tokenise");
  }
  if (!good_ || !known_) return std::nullopt;
  return out;
}

std::string OperationName(const v1::TableOperation& operation) {
  const auto* const field =
      v1::TableOperation::descriptor()->FindFieldByNumber(operation.kind_case());
  return field == nullptr ? "" : field->name();
}

std::vector<std::string> TablesOf(const v1::PrepareStep& step) {
  std::vector<std::string> tables = {step.input()};
  for (const v1::TableOperation& operation : step.operations()) {
    if (operation.has_join()) tables.push_back(operation.join().with());
    for (const std::string& table : operation.append().tables()) tables.push_back(table);
  }
  return tables;
}

std::optional<Schema> SchemaAfter(const v1::TableOperation& operation, const Schema& schema,
                                  const std::string& path, const SchemaLookup& lookup,
                                  Violations* violations) {
  return OperationCheck(schema, path, lookup, violations).Run(operation);
}

std::optional<Schema> PreparedSchema(const v1::PrepareStep& step, const std::string& path,
                                     const SchemaLookup& lookup, Violations* violations) {
  const Schema* const input = lookup(step.input());
  std::optional<Schema> schema;
  if (input != nullptr) schema = *input;
  if (step.operations().empty() || step.operations_size() > kMaxOperations) {
    violations->Add(absl::StrCat(path, ".operations"),
                    absl::StrCat("are ", step.operations_size(), ": give 1 to ", kMaxOperations));
    return std::nullopt;
  }
  bool good = true;
  for (int i = 0; i < step.operations_size(); ++i) {
    // What follows columns that are not known can be read, but not judged.
    if (!schema.has_value()) {
      CheckSyntax(step.operations(i), absl::StrCat(path, ".operations.", i), violations);
      continue;
    }
    std::optional<Schema> after = SchemaAfter(
        step.operations(i), *schema, absl::StrCat(path, ".operations.", i), lookup, violations);
    good = good && after.has_value();
    if (after.has_value() || !KeepsColumns(step.operations(i))) schema = std::move(after);
  }
  return good ? schema : std::nullopt;
}

}  // namespace beamline::pipeline
