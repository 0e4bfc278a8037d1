#include "pipeline/schema.h"

#include <algorithm>
#include <set>

namespace beamline::pipeline {

const v1::Column* FindColumn(const v1::Dataset& dataset, std::string_view name) {
  for (const v1::Column& column : dataset.columns()) {
    if (column.name() == name) return &column;
  }
  return nullptr;
}

std::vector<std::string> ColumnNames(const v1::Dataset& dataset) {
  std::vector<std::string> names;
  for (const v1::Column& column : dataset.columns()) names.push_back(column.name());
  return names;
}

bool IsMeasured(const v1::Dataset& dataset) { return dataset.row_count() > 0; }

std::vector<std::string> AllCategories(const v1::ColumnStatistics& statistics) {
  std::vector<std::string> values;
  if (statistics.top_categories_size() != statistics.distinct()) return values;
  for (const auto& category : statistics.top_categories()) {
    // So long, it may have been cut.
    if (category.value().size() >= kMostCategoryBytes) return {};
    values.push_back(category.value());
  }
  return values;
}

bool IsText(v1::ColumnType type) { return type == v1::COLUMN_TYPE_CATEGORICAL; }

bool IsInteger(v1::ColumnType type) {
  return type == v1::COLUMN_TYPE_INT64 || type == v1::COLUMN_TYPE_INT32 ||
         type == v1::COLUMN_TYPE_UINT8;
}

bool TargetIsClass(const v1::TrainingData& data, const v1::Loss& loss, v1::ColumnType type,
                   int64_t distinct) {
  if (data.target_kind() != v1::TARGET_KIND_UNSPECIFIED) {
    return data.target_kind() == v1::TARGET_KIND_CLASSIFICATION;
  }
  switch (loss.kind_case()) {
    case v1::Loss::kBinaryCrossEntropy:
    case v1::Loss::kCrossEntropy:
    case v1::Loss::kHinge:
    case v1::Loss::kFocal:
    case v1::Loss::kTriplet:
    case v1::Loss::kInfoNce:
    case v1::Loss::kMargin:
      return true;
    case v1::Loss::kMeanSquaredError:
    case v1::Loss::kMeanAbsoluteError:
    case v1::Loss::kHuber:
      return false;
    case v1::Loss::KIND_NOT_SET:
      break;
  }
  return IsText(type) || type == v1::COLUMN_TYPE_BOOL ||
         (IsInteger(type) && distinct <= kMaxInferredClasses);
}

bool CountDecidesKind(const v1::TrainingData& data, const v1::Loss& loss, v1::ColumnType type) {
  return TargetIsClass(data, loss, type, 0) != TargetIsClass(data, loss, type, INT64_MAX);
}

bool Reconstructs(const v1::TrainingData& data) {
  return data.objective() == v1::OBJECTIVE_RECONSTRUCT;
}

bool Forecasts(const v1::TrainingData& data) { return data.objective() == v1::OBJECTIVE_FORECAST; }

bool GivesNextToken(const v1::TrainingData& data) {
  return data.objective() == v1::OBJECTIVE_NEXT_TOKEN;
}

bool GuessesHidden(const v1::TrainingData& data) {
  return data.objective() == v1::OBJECTIVE_MASKED;
}

bool EmbedsTokens(const v1::TrainingData& data) { return data.objective() == v1::OBJECTIVE_EMBED; }

bool Translates(const v1::TrainingData& data) {
  return data.objective() == v1::OBJECTIVE_TRANSLATE;
}

bool ReadsTokens(const v1::TrainingData& data) {
  return GivesNextToken(data) || GuessesHidden(data) || EmbedsTokens(data);
}

bool JudgesEachStep(const v1::TrainingData& data) {
  return data.objective() == v1::OBJECTIVE_EACH_STEP;
}

bool HasTarget(const v1::TrainingData& data) {
  return JudgesEachStep(data) || data.objective() == v1::OBJECTIVE_UNSPECIFIED ||
         data.objective() == v1::OBJECTIVE_PREDICT;
}

bool Embeds(const v1::Loss& loss) { return loss.has_triplet() || loss.has_info_nce(); }

std::vector<std::string> FeatureColumns(const v1::TrainingData& data,
                                        const std::vector<std::string>& columns) {
  if (data.features_size() > 0) return {data.features().begin(), data.features().end()};
  std::set<std::string> left_out(data.exclude().begin(), data.exclude().end());
  left_out.insert(data.target());
  left_out.insert(data.weight());
  left_out.insert(data.train_on().column());
  if (data.split().has_column()) left_out.insert(data.split().column().column());
  if (data.has_sequences()) left_out.insert(data.sequences().by());
  left_out.insert(data.graph().node());
  left_out.insert(data.graph().member());
  std::vector<std::string> features;
  std::copy_if(columns.begin(), columns.end(), std::back_inserter(features),
               [&](const std::string& name) { return !left_out.contains(name); });
  return features;
}

int64_t ItemSize(const v1::Column& column) {
  int64_t size = 1;
  for (const int64_t extent : column.item_shape()) size *= std::max<int64_t>(extent, 1);
  return size;
}

std::vector<v1::Transform> TransformsOf(const v1::TrainingData& data,
                                        const std::vector<v1::Column>& features) {
  if (data.transforms_size() > 0) return {data.transforms().begin(), data.transforms().end()};
  v1::Transform impute, one_hot, scale, standardize;
  if (ReadsTokens(data)) {
    v1::Transform ordinal;
    ordinal.mutable_ordinal();
    return {ordinal};
  }
  impute.mutable_impute();
  one_hot.mutable_one_hot();
  scale.mutable_scale();
  standardize.mutable_standardize();
  for (const v1::Column& column : features) {
    if (column.type() == v1::COLUMN_TYPE_UINT8 && ItemSize(column) > 1) {
      scale.add_columns(column.name());
    } else if (!IsText(column.type())) {
      standardize.add_columns(column.name());
    }
  }
  if (scale.columns_size() == 0) {
    standardize.clear_columns();
    return {impute, one_hot, standardize};
  }
  if (scale.columns_size() == static_cast<int>(features.size())) return {scale};
  if (standardize.columns_size() == 0) return {impute, one_hot, scale};
  return {impute, one_hot, scale, standardize};
}

bool HasValidationRows(const v1::Split& split) {
  switch (split.kind_case()) {
    case v1::Split::kRandom:
      return split.random().validation() > 0;
    case v1::Split::kStratified:
      return split.stratified().validation() > 0;
    case v1::Split::kColumn:
      return split.column().validation_size() > 0;
    case v1::Split::kModulo:
      return split.modulo().validation() > 0;
    case v1::Split::kInput:
      return split.input().validation() > 0;
    case v1::Split::kOrdered:
      return split.ordered().validation() > 0;
    case v1::Split::KIND_NOT_SET:
      return false;
  }
  return false;
}

bool HasTestRows(const v1::Split& split) {
  switch (split.kind_case()) {
    case v1::Split::kRandom:
      return split.random().test() > 0;
    case v1::Split::kStratified:
      return split.stratified().test() > 0;
    case v1::Split::kColumn:
      return split.column().test_size() > 0;
    case v1::Split::kOrdered:
      return split.ordered().test() > 0;
    case v1::Split::kModulo:
    case v1::Split::kInput:
      return true;
    case v1::Split::KIND_NOT_SET:
      return false;
  }
  return false;
}

}  // namespace beamline::pipeline
