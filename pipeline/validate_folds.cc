// Cross-validation.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "pipeline/schema.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {
namespace {

constexpr int kMaxFolds = 100;

void CheckFolds(Context& context, const std::string& path, const v1::TrainStep& train, int folds,
                int repeats) {
  CheckRange(context, path + ".folds", folds, 2, kMaxFolds, false);
  CheckRange(context, path + ".repeats", repeats, 1, kMaxFolds);
  const auto input = context.inputs.find(train.data().input());
  if (input == context.inputs.end() || input->second == nullptr) return;
  if (IsMeasured(*input->second) && folds > input->second->row_count()) {
    context.errors.Add(
        path + ".folds",
        absl::StrCat("is more than the ", input->second->row_count(), " rows of the data"));
  }
}

void CheckGroups(Context& context, const std::string& path, const v1::TrainStep& train,
                 const std::string& name) {
  if (name.empty()) {
    context.errors.Add(path, "is missing: name the column that tells the groups apart");
    return;
  }
  const auto input = context.inputs.find(train.data().input());
  if (input == context.inputs.end() || input->second == nullptr) return;
  if (CheckColumn(context, path, *input->second, name) == nullptr) return;
  const std::vector<std::string> features =
      FeatureColumns(train.data(), ColumnNames(*input->second));
  if (std::count(features.begin(), features.end(), name) > 0) {
    context.errors.Add(path, absl::StrCat("\"", name,
                                          "\" is a feature too, and says which fold a row is in: "
                                          "add it to data.exclude"));
  }
}

}  // namespace

void CheckCrossValidation(Context& context, const std::string& path, const v1::Step& step,
                          const TargetFacts& target) {
  const v1::CrossValidation& kind = step.cross_validation();
  const v1::TrainStep& train = step.train();
  switch (kind.kind_case()) {
    case v1::CrossValidation::kKFold:
      CheckFolds(context, path + ".k_fold", train, kind.k_fold().folds(), kind.k_fold().repeats());
      break;
    case v1::CrossValidation::kStratified:
      CheckFolds(context, path + ".stratified", train, kind.stratified().folds(),
                 kind.stratified().repeats());
      if (target.known && !target.is_class) {
        context.errors.Add(path + ".stratified",
                           "there are no classes to be kept in proportion: use k_fold");
      }
      break;
    case v1::CrossValidation::kTimeSeries:
      CheckFolds(context, path + ".time_series", train, kind.time_series().folds(), 0);
      break;
    case v1::CrossValidation::kGrouped:
      CheckFolds(context, path + ".grouped", train, kind.grouped().folds(), 0);
      CheckGroups(context, path + ".grouped.column", train, kind.grouped().column());
      break;
    case v1::CrossValidation::KIND_NOT_SET:
      context.errors.Add(path,
                         "does not say how rows are divided: give one of k_fold, stratified, "
                         "time_series, grouped");
      return;
  }
  if (train.data().has_windows() && !kind.has_time_series()) {
    context.errors.Add(path,
                       "windows of training rows would reach into the rows that are held out: use "
                       "time_series");
  }
}

}  // namespace beamline::pipeline::validation
