// Operations that change columns.
#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "engine/data/text.h"
#include "engine/tables/gather.h"
#include "pipeline/fitted.h"
#include "pipeline/prepare/operation_check.h"
#include "pipeline/text_value.h"

namespace beamline::pipeline {

using engine::data::ColumnType;

Schema OperationCheck::Select(const v1::SelectColumns& select) {
  if (select.columns().empty() && select.drop().empty()) {
    Add("select", "keeps everything: give columns or drop");
  }
  Schema out;
  for (int i = 0; i < select.columns_size(); ++i) {
    const std::string field = absl::StrCat("select.columns.", i);
    const v1::Column* column = Find(field, select.columns(i), schema_);
    if (column == nullptr) continue;
    if (FindColumn(out, column->name()) != nullptr) {
      Add(field, absl::StrCat("\"", column->name(), "\" is listed twice"));
    }
    out.push_back(*column);
  }
  if (select.columns().empty()) out = schema_;
  for (int i = 0; i < select.drop_size(); ++i) {
    const std::string field = absl::StrCat("select.drop.", i);
    if (Find(field, select.drop(i), schema_) == nullptr) continue;
    std::erase_if(out, [&](const v1::Column& each) { return each.name() == select.drop(i); });
  }
  if (good_ && out.empty()) Add("select", "leaves no column");
  return out;
}

Schema OperationCheck::Rename(const v1::RenameColumns& rename) {
  if (rename.names().empty()) Add("rename.names", "are missing: give old name: new name");
  Schema out = schema_;
  const std::map<std::string, std::string> names(rename.names().begin(), rename.names().end());
  for (const auto& [from, to] : names) {
    if (Find(absl::StrCat("rename.names.", from), from, schema_) == nullptr) continue;
    for (size_t i = 0; i < schema_.size(); ++i) {
      if (schema_[i].name() == from) out[i].set_name(to);
    }
  }
  std::set<std::string> seen;
  for (size_t i = 0; i < out.size(); ++i) {
    const std::string field = absl::StrCat("rename.names.", schema_[i].name());
    if (out[i].name().empty()) Add(field, "is empty: give the column a name");
    if (seen.insert(out[i].name()).second) continue;
    Add(names.contains(schema_[i].name()) ? field : "rename.names",
        absl::StrCat("two columns would have the name \"", out[i].name(), "\""));
  }
  return out;
}

Schema OperationCheck::Derive(const v1::DeriveColumns& derive) {
  if (derive.columns().empty()) Add("derive.columns", "are missing: give name: expression");
  const auto info = ToColumnInfo(schema_);
  Schema out = schema_;
  const std::map<std::string, std::string> columns(derive.columns().begin(),
                                                   derive.columns().end());
  for (const auto& [name, text] : columns) {
    const std::string field = absl::StrCat("derive.columns.", name);
    if (name.empty()) Add(field, "has no name: give the column one");
    const auto compiled = engine::expression::Compile(text, info);
    AddProblems(field, compiled.problems);
    if (!compiled.problems.empty()) continue;
    const v1::Column column = Plain(name, engine::expression::ResultType(compiled.program, info));
    const auto old = std::find_if(out.begin(), out.end(),
                                  [&](const v1::Column& each) { return each.name() == name; });
    if (old != out.end()) {
      *old = column;
    } else {
      out.push_back(column);
    }
  }
  return out;
}

Schema OperationCheck::Fill(const v1::FillMissing& fill) {
  if (fill.value_case() == v1::FillMissing::VALUE_NOT_SET) {
    Add("fill", "does not say by what: give number or text");
    return {};
  }
  if (fill.has_text() && fill.text().empty()) {
    Add("fill.text", "is empty, which is a missing value again");
  }
  for (int i = 0; i < fill.columns_size(); ++i) {
    const std::string field = absl::StrCat("fill.columns.", i);
    const v1::Column* column = Find(field, fill.columns(i), schema_);
    if (column == nullptr) continue;
    const ColumnType type = ToEngine(column->type());
    const bool text = type == ColumnType::kCategorical;
    if (text != fill.has_text() || (!text && !engine::tables::Holds(type, fill.number()))) {
      Add(field,
          absl::StrCat("column \"", column->name(), "\" holds ", TypeWord(*column), ", which ",
                       fill.has_text() ? "a text" : NumberText(fill.number()), " is not"));
    }
  }
  return schema_;
}

Schema OperationCheck::Reshape(const v1::ReshapeColumns& reshape) {
  std::vector<std::string> names;
  const v1::Column* first = nullptr;
  for (int i = 0; i < reshape.columns_size(); ++i) {
    const std::string field = absl::StrCat("reshape.columns.", i);
    const std::vector<std::string> matching = MatchingColumns(reshape.columns(i), schema_);
    if (matching.empty()) Find(field, reshape.columns(i), schema_);
    for (const std::string& name : matching) {
      const v1::Column* column = FindPlain(field, name, schema_);
      if (column == nullptr) continue;
      if (first == nullptr) first = column;
      if (column->type() == v1::COLUMN_TYPE_CATEGORICAL || column->type() != first->type()) {
        Add(field, absl::StrCat("column \"", name, "\" holds ", TypeWord(*column), ", ",
                                column == first ? "not numbers" : "not " + TypeWord(*first)));
      }
      if (std::count(names.begin(), names.end(), name) > 0) {
        Add(field, absl::StrCat("\"", name, "\" is there twice"));
      }
      names.push_back(name);
    }
  }
  if (reshape.columns().empty()) Add("reshape.columns", "are missing: such as [\"pixel*\"]");
  int64_t size = 1;
  for (const int64_t extent : reshape.shape()) {
    size = extent < 1 || size > int64_t{1} << 40 ? -1 : size * extent;
    if (size < 0) break;
  }
  if (reshape.shape().empty() || size < 0 || reshape.shape_size() > 8) {
    Add("reshape.shape", "must be 1 to 8 sizes of at least 1, such as [28, 28]");
  } else if (good_ && size != static_cast<int64_t>(names.size())) {
    Add("reshape.shape",
        absl::StrCat("has room for ", size, " numbers, but there are ", names.size(), " columns"));
  }
  Schema out = schema_;
  std::erase_if(out, [&](const v1::Column& column) {
    return std::count(names.begin(), names.end(), column.name()) > 0;
  });
  CheckNew("reshape.name", reshape.name(), out);
  if (first == nullptr) return out;
  v1::Column column = Plain(reshape.name(), ToEngine(first->type()));
  *column.mutable_item_shape() = reshape.shape();
  out.push_back(std::move(column));
  return out;
}

Schema OperationCheck::Tokens(const v1::Tokenise& tokenise) {
  const v1::Column* column = FindPlain("tokenise.column", tokenise.column(), schema_);
  if (column == nullptr) return {};
  if (column->type() != v1::COLUMN_TYPE_CATEGORICAL) {
    Add("tokenise.column", absl::StrCat("column \"", column->name(), "\" holds ", TypeWord(*column),
                                        ": name one of texts"));
  }
  Schema others = schema_;
  std::erase_if(others, [&](const v1::Column& each) { return each.name() == column->name(); });
  CheckNew("tokenise.name", TokenName(tokenise), others);
  others.push_back(Plain(TokenName(tokenise), ColumnType::kCategorical));
  CheckNew("tokenise.document", DocumentName(tokenise), others);
  Schema out = schema_;
  for (v1::Column& each : out) {
    if (each.name() == tokenise.column()) each.set_name(TokenName(tokenise));
  }
  out.push_back(Plain(DocumentName(tokenise), ColumnType::kInt64));
  return out;
}

}  // namespace beamline::pipeline
