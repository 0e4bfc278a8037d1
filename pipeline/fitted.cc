#include "pipeline/fitted.h"

#include <algorithm>

#include "engine/core/error.h"
#include "pipeline/schema.h"
#include "pipeline/text_value.h"
#include "pipeline/utf8.h"

namespace beamline::pipeline {
namespace {

using engine::Fail;
using engine::data::FittedColumn;
using engine::data::FittedStep;
using engine::data::SplitSpec;
using engine::data::TransformSpec;

void SetImpute(const v1::Impute& impute, TransformSpec* spec) {
  spec->kind = TransformSpec::Kind::kImpute;
  spec->indicator = impute.indicator();
  switch (impute.strategy()) {
    case v1::Impute::STRATEGY_MEDIAN:
      spec->impute = TransformSpec::Impute::kMedian;
      break;
    case v1::Impute::STRATEGY_MOST_FREQUENT:
      spec->impute = TransformSpec::Impute::kMostFrequent;
      break;
    case v1::Impute::STRATEGY_CONSTANT:
      spec->impute = TransformSpec::Impute::kConstant;
      spec->constant = NumberText(impute.value());
      break;
    default:
      spec->impute = TransformSpec::Impute::kMean;
  }
}

TransformSpec ToSpec(const v1::Transform& transform) {
  TransformSpec spec;
  spec.columns.assign(transform.columns().begin(), transform.columns().end());
  switch (transform.kind_case()) {
    case v1::Transform::kStandardize:
      spec.kind = TransformSpec::Kind::kStandardize;
      spec.whole = transform.standardize().whole();
      break;
    case v1::Transform::kMinMaxScale:
      spec.kind = TransformSpec::Kind::kMinMax;
      spec.whole = transform.min_max_scale().whole();
      break;
    case v1::Transform::kImpute:
      SetImpute(transform.impute(), &spec);
      break;
    case v1::Transform::kOneHot:
      spec.kind = TransformSpec::Kind::kOneHot;
      spec.unknown = transform.one_hot().refuse_unknown() ? TransformSpec::Unknown::kError
                                                          : TransformSpec::Unknown::kZeros;
      break;
    case v1::Transform::kOrdinal:
      spec.kind = TransformSpec::Kind::kOrdinal;
      break;
    case v1::Transform::kLog1P:
      spec.kind = TransformSpec::Kind::kLog1p;
      break;
    case v1::Transform::kClip:
      spec.kind = TransformSpec::Kind::kClip;
      spec.low = transform.clip().min();
      spec.high = transform.clip().max();
      break;
    case v1::Transform::kScale:
      spec.kind = TransformSpec::Kind::kScale;
      spec.factor = transform.scale().factor() != 0 ? transform.scale().factor() : 1.0 / 255;
      spec.offset = transform.scale().offset();
      break;
    case v1::Transform::KIND_NOT_SET:
      Fail("a transform does not say what it does");
  }
  return spec;
}

v1::ColumnStatistics ToProto(const engine::data::ColumnStatistics& from, bool numeric) {
  v1::ColumnStatistics to;
  to.set_count(from.count);
  to.set_missing(from.missing);
  to.set_distinct(from.distinct);
  for (const auto& category : from.top) {
    auto& top = *to.add_top_categories();
    const std::string_view kept = CutUtf8(category.name, kMostCategoryBytes);
    top.set_value(std::string(kept) + (kept.size() < category.name.size() ? "…" : ""));
    top.set_count(category.count);
  }
  if (!numeric) return to;
  to.set_min(from.min);
  to.set_max(from.max);
  to.set_mean(from.mean);
  to.set_standard_deviation(from.standard_deviation);
  for (const double quantile : from.quantiles) to.add_quantiles(quantile);
  for (const int64_t bin : from.histogram) to.add_histogram(bin);
  return to;
}

}  // namespace

std::vector<TransformSpec> ToTransformSpecs(const v1::TrainingData& data,
                                            const std::vector<v1::Column>& features) {
  std::vector<TransformSpec> specs;
  TransformSpec select;
  select.kind = TransformSpec::Kind::kSelect;
  for (const v1::Column& column : features) select.columns.push_back(column.name());
  specs.push_back(std::move(select));
  for (const v1::Transform& transform : TransformsOf(data, features)) {
    // Without columns and strategy it fills in whatever there is: numbers by their mean,
    // categories by the most frequent one.
    const bool fills_all = transform.has_impute() && transform.columns_size() == 0 &&
                           transform.impute().strategy() == v1::Impute::STRATEGY_UNSPECIFIED;
    specs.push_back(ToSpec(transform));
    if (!fills_all) continue;
    TransformSpec categories = specs.back();
    categories.impute = TransformSpec::Impute::kMostFrequent;
    categories.indicator = false;
    specs.push_back(std::move(categories));
  }
  return specs;
}

SplitChoice ToSplitSpec(const v1::TrainingData& data, uint64_t seed) {
  SplitChoice choice;
  choice.has_split = true;
  SplitSpec& spec = choice.spec;
  spec.seed = seed;
  spec.test = 0;
  spec.validation = 0;
  const v1::Split& split = data.split();
  switch (split.kind_case()) {
    case v1::Split::kRandom:
    case v1::Split::kStratified: {
      const bool stratified = split.has_stratified();
      const v1::RandomSplit& random = stratified ? split.stratified() : split.random();
      spec.kind = stratified ? SplitSpec::Kind::kStratified : SplitSpec::Kind::kRandom;
      spec.test = random.test();
      spec.validation = random.validation();
      if (stratified) spec.column = data.target();
      break;
    }
    case v1::Split::kColumn:
      spec.kind = SplitSpec::Kind::kColumn;
      spec.column = split.column().column();
      spec.train_values.assign(split.column().train().begin(), split.column().train().end());
      spec.test_values.assign(split.column().test().begin(), split.column().test().end());
      spec.validation_values.assign(split.column().validation().begin(),
                                    split.column().validation().end());
      break;
    case v1::Split::kOrdered:
      spec.kind = SplitSpec::Kind::kOrdered;
      spec.train = split.ordered().train();
      spec.validation = split.ordered().validation();
      spec.test = split.ordered().test();
      break;
    case v1::Split::kModulo:
      spec.kind = SplitSpec::Kind::kModulo;
      spec.modulus = split.modulo().divisor();
      spec.test_residues = {split.modulo().remainder()};
      spec.validation = split.modulo().validation();
      break;
    case v1::Split::kInput:
      spec.validation = split.input().validation();
      spec.kind =
          split.input().stratified() ? SplitSpec::Kind::kStratified : SplitSpec::Kind::kNone;
      if (split.input().stratified()) spec.column = data.target();
      break;
    case v1::Split::KIND_NOT_SET:
      choice.has_split = false;
      break;
  }
  if (spec.kind != SplitSpec::Kind::kColumn && spec.kind != SplitSpec::Kind::kModulo &&
      spec.test == 0 && spec.validation == 0) {
    choice.has_split = false;
  }
  return choice;
}

void ToCard(const engine::data::FittedTransforms& fitted, v1::ModelCard* card) {
  card->clear_feature_columns();
  for (const FittedColumn& column : fitted.columns) {
    v1::FeatureColumn& out = *card->add_feature_columns();
    out.set_column(column.column);
    out.set_output(static_cast<v1::FeatureColumn::Output>(column.output));
    out.set_item_size(column.item_size);
    for (const FittedStep& step : column.steps) {
      v1::FeatureColumn::Step& to = *out.add_steps();
      to.set_kind(static_cast<v1::FeatureColumn::Step::Kind>(step.kind));
      to.mutable_a()->Add(step.a.begin(), step.a.end());
      to.mutable_b()->Add(step.b.begin(), step.b.end());
    }
    for (const std::string& category : column.categories) out.add_categories(category);
    out.set_fill(column.fill);
    out.set_refuse_unknown(column.unknown_is_error);
  }
  for (const std::string& name : fitted.FeatureNames()) card->add_features(name);
  for (const std::string& name : fitted.CodeNames()) card->add_code_columns(name);
  for (const int64_t size : fitted.Vocabularies()) {
    card->add_code_sizes(static_cast<int32_t>(size));
  }
}

engine::data::FittedTransforms FromCard(const v1::ModelCard& card) {
  engine::data::FittedTransforms fitted;
  for (const v1::FeatureColumn& in : card.feature_columns()) {
    FittedColumn& column = fitted.columns.emplace_back();
    column.column = in.column();
    column.item_size = in.item_size();
    if (!v1::FeatureColumn::Output_IsValid(in.output()) ||
        in.output() == v1::FeatureColumn::OUTPUT_UNSPECIFIED || in.item_size() < 1) {
      Fail("the model card's transform of column \"", in.column(), "\" is malformed");
    }
    column.output = static_cast<FittedColumn::Output>(in.output());
    for (const v1::FeatureColumn::Step& step : in.steps()) {
      const bool pair = step.kind() == v1::FeatureColumn::Step::KIND_CLIP ||
                        step.kind() == v1::FeatureColumn::Step::KIND_SCALE;
      const bool needs_a = pair || step.kind() == v1::FeatureColumn::Step::KIND_FILL;
      const auto fits = [&](int size, bool needed) {
        return !needed || size == 1 || size == in.item_size();
      };
      if (!v1::FeatureColumn::Step::Kind_IsValid(step.kind()) ||
          step.kind() == v1::FeatureColumn::Step::KIND_UNSPECIFIED ||
          !fits(step.a_size(), needs_a) || !fits(step.b_size(), pair)) {
        Fail("the model card's steps of column \"", in.column(), "\" are malformed");
      }
      column.steps.push_back({static_cast<FittedStep::Kind>(step.kind()),
                              {step.a().begin(), step.a().end()},
                              {step.b().begin(), step.b().end()}});
    }
    column.categories.assign(in.categories().begin(), in.categories().end());
    column.fill = in.fill();
    column.unknown_is_error = in.refuse_unknown();
  }
  return fitted;
}

engine::data::FittedTarget TargetFromCard(const v1::ModelCard& card) {
  engine::data::FittedTarget target;
  target.column = card.target();
  target.classes.assign(card.classes().begin(), card.classes().end());
  target.kind = card.classes().empty()     ? engine::data::TargetKind::kRegression
                : card.classes_size() == 2 ? engine::data::TargetKind::kBinary
                                           : engine::data::TargetKind::kMulticlass;
  target.mean = card.target_offset();
  target.scale = card.target_scale();
  return target;
}

v1::ColumnType ToProto(engine::data::ColumnType type) {
  switch (type) {
    case engine::data::ColumnType::kBool:
      return v1::COLUMN_TYPE_BOOL;
    case engine::data::ColumnType::kUint8:
      return v1::COLUMN_TYPE_UINT8;
    case engine::data::ColumnType::kInt32:
      return v1::COLUMN_TYPE_INT32;
    case engine::data::ColumnType::kInt64:
      return v1::COLUMN_TYPE_INT64;
    case engine::data::ColumnType::kFloat32:
      return v1::COLUMN_TYPE_FLOAT32;
    case engine::data::ColumnType::kFloat64:
      return v1::COLUMN_TYPE_FLOAT64;
    case engine::data::ColumnType::kCategorical:
      return v1::COLUMN_TYPE_CATEGORICAL;
  }
  return v1::COLUMN_TYPE_UNSPECIFIED;
}

v1::Column ToProto(const engine::data::Column& column) {
  v1::Column out;
  out.set_name(column.name());
  out.set_type(ToProto(column.type()));
  for (const int64_t extent : column.item_shape()) out.add_item_shape(extent);
  return out;
}

void DescribeTable(const engine::data::Table& table,
                   const std::vector<engine::data::ColumnStatistics>& statistics,
                   v1::Dataset* dataset) {
  dataset->set_row_count(table.rows());
  for (size_t i = 0; i < table.columns().size(); ++i) {
    const engine::data::Column& column = table.columns()[i];
    v1::Column& to = *dataset->add_columns() = ToProto(column);
    *to.mutable_statistics() = ToProto(statistics[i], column.is_numeric());
  }
}

}  // namespace beamline::pipeline
