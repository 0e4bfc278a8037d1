// Operations that change rows, or bring in other tables.
#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/data/text.h"
#include "pipeline/fitted.h"
#include "pipeline/prepare/operation_check.h"
#include "pipeline/text_value.h"

namespace beamline::pipeline {

using engine::data::ColumnType;
using engine::expression::Problem;

Schema OperationCheck::Filter(const v1::FilterRows& filter) {
  if (filter.where().empty()) {
    Add("filter.where", "is missing: say which rows are kept, such as \"pt > 25\"");
    return {};
  }
  const auto compiled = engine::expression::Compile(filter.where(), ToColumnInfo(schema_));
  AddProblems("filter.where", compiled.problems);
  if (good_ && compiled.program.type() != engine::expression::Type::kBoolean) {
    Add("filter.where",
        engine::data::Cat("gives ", engine::expression::Describe(compiled.program.type()),
                          ": compare it with something, such as \"pt > 25\""));
  }
  return schema_;
}

Schema OperationCheck::Join(const v1::JoinTables& join) {
  const Schema* const other = lookup_(join.with());
  if (join.on().empty()) Add("join.on", "is missing: name the columns that must agree");
  if (other == nullptr) {
    known_ = false;
    for (int i = 0; i < join.on_size(); ++i) {
      FindPlain(absl::StrCat("join.on.", i), join.on(i), schema_);
    }
    return {};
  }
  for (int i = 0; i < join.on_size(); ++i) {
    const std::string field = absl::StrCat("join.on.", i);
    const v1::Column* here = FindPlain(field, join.on(i), schema_);
    const v1::Column* there = FindColumn(*other, join.on(i));
    if (there == nullptr) {
      Add(field, absl::StrCat("\"", join.with(), "\" has no column \"", join.on(i), "\""));
    } else if (here != nullptr && TypeWord(*here) != TypeWord(*there)) {
      Add(field,
          absl::StrCat("column \"", join.on(i), "\" holds ", TypeWord(*here), ", but ",
                       TypeWord(*there), " in \"", join.with(), "\": derive one of them anew"));
    }
  }
  Schema out = schema_;
  for (const JoinedColumn& joined : JoinedColumns(join, schema_, *other)) {
    v1::Column column = *FindColumn(*other, joined.from);
    if (FindColumn(out, joined.to) != nullptr) {
      Add("join.suffix",
          absl::StrCat("two columns would have the name \"", joined.to, "\": give another suffix"));
    }
    const bool arrays =
        column.item_shape_size() > 0 && !engine::data::IsFloat(ToEngine(column.type()));
    if (join.how() == v1::JoinTables::HOW_LEFT && arrays) {
      Add("join.how", absl::StrCat("column \"", joined.from, "\" of \"", join.with(), "\" holds ",
                                   TypeWord(column), ", which cannot be missing: use inner"));
    }
    column.set_name(joined.to);
    out.push_back(std::move(column));
  }
  return out;
}

// Adds the rows of a table with such columns.
void OperationCheck::AppendOne(const std::string& field, const Schema& other, Schema* out) {
  std::vector<std::string> wrong;
  for (v1::Column& column : *out) {
    const v1::Column* there = FindColumn(other, column.name());
    if (there == nullptr) {
      wrong.push_back(absl::StrCat("lacks the column \"", column.name(), "\""));
      continue;
    }
    const v1::ColumnType type = CommonType(column.type(), there->type());
    if (type == v1::COLUMN_TYPE_UNSPECIFIED ||
        !std::equal(column.item_shape().begin(), column.item_shape().end(),
                    there->item_shape().begin(), there->item_shape().end())) {
      wrong.push_back(absl::StrCat("has ", TypeWord(*there), " in column \"", column.name(),
                                   "\", not ", TypeWord(column)));
    } else {
      column.set_type(type);
    }
  }
  for (const v1::Column& column : other) {
    if (FindColumn(*out, column.name()) != nullptr) continue;
    wrong.push_back(absl::StrCat("has a column \"", column.name(), "\", which is not here"));
  }
  if (!wrong.empty()) Add(field, absl::StrCat(absl::StrJoin(wrong, "; "), ": select or derive"));
}

Schema OperationCheck::Append(const v1::AppendTable& append) {
  if (append.tables().empty()) Add("append.tables", "are missing: name the tables");
  Schema out = schema_;
  for (int i = 0; i < append.tables_size(); ++i) {
    const Schema* const other = lookup_(append.tables(i));
    if (other == nullptr) {
      known_ = false;
    } else {
      AppendOne(absl::StrCat("append.tables.", i), *other, &out);
    }
  }
  if (append.source_column().empty()) return out;
  CheckNew("append.source_column", append.source_column(), schema_);
  out.push_back(Plain(append.source_column(), ColumnType::kCategorical));
  return out;
}

Schema OperationCheck::Sample(const v1::SampleRows& sample) {
  const bool share = sample.share() != 0;
  if ((sample.rows() != 0) == share) {
    Add("sample", "needs either rows or share");
  } else if (share && !(sample.share() > 0 && sample.share() < 1)) {
    Add("sample.share",
        absl::StrCat("must be above 0 and below 1, not ", NumberText(sample.share())));
  } else if (sample.rows() < 0) {
    Add("sample.rows", "must be at least 1");
  }
  if (!sample.by().empty()) FindValues("sample.by", sample.by());
  return schema_;
}

Schema OperationCheck::Balance(const v1::BalanceRows& balance) {
  FindValues("balance.column", balance.column());
  Schema out = schema_;
  if (balance.method() != v1::BalanceRows::METHOD_WEIGHT) {
    if (!balance.weight().empty()) Add("balance.weight", "is for method: weight only");
    return out;
  }
  CheckNew("balance.weight", WeightName(balance), schema_);
  out.push_back(Plain(WeightName(balance), ColumnType::kFloat64));
  return out;
}

Schema OperationCheck::Sort(const v1::SortRows& sort) {
  if (sort.by().empty()) Add("sort.by", "is missing: name the columns to sort by");
  for (int i = 0; i < sort.by_size(); ++i) {
    FindPlain(absl::StrCat("sort.by.", i), ReadSortColumn(sort.by(i), schema_).name, schema_);
  }
  return schema_;
}

Schema OperationCheck::Distinct(const v1::DistinctRows& distinct) {
  for (int i = 0; i < distinct.columns_size(); ++i) {
    Find(absl::StrCat("distinct.columns.", i), distinct.columns(i), schema_);
  }
  return schema_;
}

Schema OperationCheck::Group(const v1::GroupRows& group) {
  if (group.by().empty()) Add("group.by", "is missing: name the columns that tell groups apart");
  Schema out;
  for (int i = 0; i < group.by_size(); ++i) {
    const std::string field = absl::StrCat("group.by.", i);
    const v1::Column* column = FindPlain(field, group.by(i), schema_);
    if (column == nullptr) continue;
    if (FindColumn(out, column->name()) != nullptr) {
      Add(field, absl::StrCat("\"", column->name(), "\" is listed twice"));
    }
    out.push_back(*column);
  }
  const std::map<std::string, std::string> aggregates(group.aggregates().begin(),
                                                      group.aggregates().end());
  for (const auto& [name, text] : aggregates) {
    const std::string field = absl::StrCat("group.aggregates.", name);
    CheckNew(field, name, out);
    std::vector<Problem> problems;
    const AggregateCall call = ReadAggregate(text, schema_, &problems);
    AddProblems(field, problems);
    out.push_back(Plain(name, call.type));
  }
  return out;
}

}  // namespace beamline::pipeline
