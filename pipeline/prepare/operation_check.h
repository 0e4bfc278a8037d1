// The validation of one operation on a table. Only for the files of pipeline/prepare.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "pipeline/prepare/schema.h"

namespace beamline::pipeline {

// As messages name it: "float64", "arrays of uint8".
std::string TypeWord(const v1::Column& column);
// A column of single values.
v1::Column Plain(const std::string& name, engine::data::ColumnType type);

// One operation: what is wrong with it, and the columns that it leaves.
class OperationCheck {
 public:
  OperationCheck(const Schema& schema, std::string path, const SchemaLookup& lookup,
                 Violations* violations)
      : schema_(schema), path_(std::move(path)), lookup_(lookup), violations_(violations) {}

  std::optional<Schema> Run(const v1::TableOperation& operation);

 private:
  void Add(const std::string& field, const std::string& what) {
    good_ = false;
    violations_->Add(absl::StrCat(path_, field.empty() ? "" : ".", field), what);
  }

  // Null, with an error, if there is none.
  const v1::Column* Find(const std::string& field, const std::string& name, const Schema& schema);
  // The same of a column with one value a row.
  const v1::Column* FindPlain(const std::string& field, const std::string& name,
                              const Schema& schema);
  // And of one whose values can be counted.
  void FindValues(const std::string& field, const std::string& name);

  void AddProblems(const std::string& field,
                   const std::vector<engine::expression::Problem>& problems);
  // A name for a new column that no other of `schema` has.
  void CheckNew(const std::string& field, const std::string& name, const Schema& schema);

  Schema Select(const v1::SelectColumns& select);
  Schema Rename(const v1::RenameColumns& rename);
  Schema Filter(const v1::FilterRows& filter);
  Schema Derive(const v1::DeriveColumns& derive);
  Schema Join(const v1::JoinTables& join);
  Schema Append(const v1::AppendTable& append);
  void AppendOne(const std::string& field, const Schema& other, Schema* out);
  Schema Sample(const v1::SampleRows& sample);
  Schema Balance(const v1::BalanceRows& balance);
  Schema Sort(const v1::SortRows& sort);
  Schema Distinct(const v1::DistinctRows& distinct);
  Schema Group(const v1::GroupRows& group);
  Schema Fill(const v1::FillMissing& fill);
  Schema Reshape(const v1::ReshapeColumns& reshape);
  Schema Tokens(const v1::Tokenise& tokenise);

  const Schema& schema_;
  const std::string path_;
  const SchemaLookup& lookup_;
  Violations* const violations_;
  bool good_ = true;
  bool known_ = true;
};

}  // namespace beamline::pipeline
