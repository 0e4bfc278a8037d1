// Splits and transforms.
#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "pipeline/schema.h"
#include "pipeline/text_value.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {
namespace {

void CheckFraction(Context& context, const std::string& path, double fraction) {
  if (fraction >= 0 && fraction < 1) return;
  context.errors.Add(path, absl::StrCat("must be from 0 to below 1, not ", NumberText(fraction)));
}

void CheckRandom(Context& context, const std::string& path, const v1::RandomSplit& split) {
  CheckFraction(context, path + ".validation", split.validation());
  CheckFraction(context, path + ".test", split.test());
  if (split.validation() >= 0 && split.test() >= 0 && split.validation() < 1 && split.test() < 1 &&
      split.validation() + split.test() >= 1) {
    context.errors.Add(path, absl::StrCat("validation and test take ",
                                          NumberText(split.validation() + split.test()),
                                          " of the rows: nothing is left for training"));
  }
}

void CheckColumnSplit(Context& context, const std::string& path, const v1::ColumnSplit& split,
                      const v1::TrainingData& data, const v1::Dataset* dataset) {
  if (split.column().empty()) {
    context.errors.Add(path + ".column", "is missing: name the column that tells the rows apart");
    return;
  }
  if (!data.target().empty() && split.column() == data.target()) {
    context.errors.Add(path + ".column",
                       "is the target: test rows would have classes that "
                       "training rows lack");
  }
  const v1::Column* column = dataset == nullptr
                                 ? nullptr
                                 : CheckColumn(context, path + ".column", *dataset, split.column());
  std::vector<std::string> known;
  if (column != nullptr) known = AllCategories(column->statistics());
  const auto check = [&](const char* part,
                         const google::protobuf::RepeatedPtrField<std::string>& values) {
    for (int i = 0; i < values.size(); ++i) {
      if (known.empty() || std::find(known.begin(), known.end(), values[i]) != known.end()) {
        continue;
      }
      context.errors.Add(absl::StrCat(path, ".", part, ".", i),
                         absl::StrCat("no row has \"", values[i], "\" in column \"", split.column(),
                                      "\"", Hint(values[i], known)));
    }
  };
  check("validation", split.validation());
  check("test", split.test());
  check("train", split.train());
  const auto apart = [&](const char* part, const auto& values, const char* other,
                         const auto& others) {
    for (const std::string& value : values) {
      if (std::count(others.begin(), others.end(), value) == 0) continue;
      context.errors.Add(absl::StrCat(path, ".", part),
                         absl::StrCat("\"", value, "\" is among ", other, " too"));
    }
  };
  apart("test", split.test(), "validation", split.validation());
  apart("train", split.train(), "validation", split.validation());
  apart("train", split.train(), "test", split.test());
}

// A fraction below 1, or a number of rows.
void CheckOrdered(Context& context, const std::string& path, const v1::OrderedSplit& split,
                  const v1::Dataset* dataset) {
  if (dataset != nullptr && !IsMeasured(*dataset)) dataset = nullptr;
  const auto rows = dataset == nullptr ? 1e15 : static_cast<double>(dataset->row_count());
  double taken = 0;
  const auto check = [&](const char* part, double amount) {
    const bool whole = amount < 1 || amount == std::floor(amount);
    if (!(amount >= 0 && whole && amount <= rows)) {
      context.errors.Add(
          absl::StrCat(path, ".", part),
          absl::StrCat(
              "must be a fraction below 1 or a number of rows",
              dataset == nullptr ? "" : absl::StrCat(", of which there are ", dataset->row_count()),
              ", not ", NumberText(amount)));
      return;
    }
    taken += amount < 1 ? amount * rows : amount;
  };
  check("validation", split.validation());
  check("test", split.test());
  check("train", split.train());
  if (dataset != nullptr && (taken > rows || (split.train() == 0 && taken >= rows))) {
    context.errors.Add(
        path,
        absl::StrCat("the parts take ", NumberText(std::round(taken)), " of ", dataset->row_count(),
                     " rows", split.train() == 0 ? ": nothing is left for training" : ""));
  }
}

// Columns that `transform` may be applied to, by kind.
bool AppliesTo(const v1::Transform& transform, v1::ColumnType type) {
  switch (transform.kind_case()) {
    case v1::Transform::kStandardize:
    case v1::Transform::kMinMaxScale:
    case v1::Transform::kLog1P:
    case v1::Transform::kClip:
    case v1::Transform::kScale:
      return !IsText(type);
    case v1::Transform::kImpute:
      return !IsText(type) || transform.impute().strategy() == v1::Impute::STRATEGY_UNSPECIFIED ||
             transform.impute().strategy() == v1::Impute::STRATEGY_MOST_FREQUENT;
    case v1::Transform::kOneHot:
    case v1::Transform::kOrdinal:
      return IsText(type) || IsInteger(type) || type == v1::COLUMN_TYPE_BOOL;
    case v1::Transform::KIND_NOT_SET:
      return true;
  }
  return true;
}

// What the transforms have done to one column so far.
struct Progress {
  const v1::Column* column = nullptr;
  bool encoded = false;  // one-hot or ordinal
  bool code = false;     // ordinal
  bool filled = false;
  int64_t indicators = 0;
};

class TransformCheck {
 public:
  TransformCheck(Context& context, std::string path, const v1::TrainingData& data,
                 const v1::Dataset* dataset)
      : context_(context), path_(std::move(path)), data_(data) {
    if (dataset == nullptr) return;
    measured_ = IsMeasured(*dataset);
    for (const std::string& name : FeatureColumns(data, ColumnNames(*dataset))) {
      const v1::Column* column = FindColumn(*dataset, name);
      if (column != nullptr) columns_[name].column = column;
    }
  }

  void Run(FeatureFacts* facts) {
    std::vector<v1::Column> features;
    for (const auto& [name, progress] : columns_) features.push_back(*progress.column);
    const std::vector<v1::Transform> transforms = TransformsOf(data_, features);
    for (size_t i = 0; i < transforms.size(); ++i) {
      const std::string at = absl::StrCat(path_, ".", i);
      CheckNumbers(at, transforms[i]);
      if (!columns_.empty()) Apply(at, transforms[i]);
    }
    for (const auto& [name, progress] : columns_) Conclude(name, progress, facts);
  }

 private:
  void CheckNumbers(const std::string& at, const v1::Transform& transform) {
    if (transform.kind_case() == v1::Transform::KIND_NOT_SET) {
      context_.errors.Add(at,
                          "does not say what it does: give one of standardize, min_max_scale, "
                          "impute, one_hot, ordinal, log1p, clip, scale");
    }
    CheckRange(context_, at + ".scale.factor", transform.scale().factor(), -1e9, 1e9);
    CheckRange(context_, at + ".scale.offset", transform.scale().offset(), -1e9, 1e9);
    if (transform.has_clip() && transform.clip().min() >= transform.clip().max()) {
      context_.errors.Add(at + ".clip", "needs min < max");
    }
    if (transform.has_impute() && transform.impute().value() != 0 &&
        transform.impute().strategy() != v1::Impute::STRATEGY_CONSTANT) {
      context_.errors.Add(at + ".impute.value", "is for strategy: constant only");
    }
  }

  void Apply(const std::string& at, const v1::Transform& transform) {
    std::vector<std::string> names(transform.columns().begin(), transform.columns().end());
    const bool chosen = !names.empty();
    const bool encodes = transform.has_one_hot() || transform.has_ordinal();
    if (!chosen) {
      for (const auto& [name, progress] : columns_) {
        const v1::ColumnType type = progress.column->type();
        if (progress.encoded || !AppliesTo(transform, type)) continue;
        if (encodes && !IsText(type)) continue;
        names.push_back(name);
      }
    }
    for (size_t i = 0; i < names.size(); ++i) {
      const std::string place = chosen ? absl::StrCat(at, ".columns.", i) : at;
      ApplyTo(place, transform, names[i]);
    }
  }

  void ApplyTo(const std::string& place, const v1::Transform& transform, const std::string& name) {
    const auto found = columns_.find(name);
    if (found == columns_.end()) {
      std::vector<std::string> known;
      for (const auto& [column, progress] : columns_) known.push_back(column);
      context_.errors.Add(
          place, absl::StrCat("\"", name, "\" is not among the features", Hint(name, known)));
      return;
    }
    Progress& progress = found->second;
    if (!AppliesTo(transform, progress.column->type())) {
      context_.errors.Add(place, absl::StrCat("column \"", name, "\" is ",
                                              IsText(progress.column->type()) ? "text" : "a number",
                                              ": this transform cannot be applied to it"));
      return;
    }
    if (progress.encoded) {
      context_.errors.Add(
          place, absl::StrCat("column \"", name, "\" is encoded by a transform before this one"));
      return;
    }
    if (transform.has_log1p() && progress.column->statistics().count() > 0 &&
        progress.column->statistics().min() <= -1) {
      context_.errors.Add(place, absl::StrCat("column \"", name, "\" has values down to ",
                                              NumberText(progress.column->statistics().min()),
                                              ": log1p needs all above -1"));
    }
    progress.filled = progress.filled || transform.has_impute();
    progress.encoded = transform.has_one_hot() || transform.has_ordinal();
    progress.code = transform.has_ordinal();
    if (transform.has_impute() && transform.impute().indicator()) ++progress.indicators;
  }

  void Conclude(const std::string& name, const Progress& progress, FeatureFacts* facts) {
    const v1::ColumnStatistics& statistics = progress.column->statistics();
    if (IsText(progress.column->type()) && !progress.encoded) {
      context_.errors.Add(path_, absl::StrCat("column \"", name,
                                              "\" is text: add one_hot or "
                                              "ordinal, or exclude it"));
    } else if (statistics.missing() > 0 && !progress.filled && !progress.encoded) {
      context_.errors.Add(path_, absl::StrCat("column \"", name, "\" has ", statistics.missing(),
                                              " missing values: add impute, or exclude it"));
    }
    const int64_t size = ItemSize(*progress.column);
    if (progress.encoded && !measured_) facts->known = false;
    if (progress.code) {
      ++facts->code_columns;
      facts->code_sizes.push_back(statistics.distinct() + 1);
    } else {
      facts->features += progress.encoded ? std::max<int64_t>(statistics.distinct(), 1) : size;
    }
    facts->features += progress.indicators * size;
  }

  Context& context_;
  const std::string path_;
  const v1::TrainingData& data_;
  bool measured_ = false;
  std::map<std::string, Progress> columns_;
};

}  // namespace

void CheckSplit(Context& context, const std::string& path, const v1::TrainingData& data,
                const v1::Dataset* dataset, const TargetFacts& target) {
  const v1::Split& split = data.split();
  switch (split.kind_case()) {
    case v1::Split::kRandom:
      CheckRandom(context, path + ".random", split.random());
      break;
    case v1::Split::kStratified:
      CheckRandom(context, path + ".stratified", split.stratified());
      if (!HasTarget(data) || target.generates) {
        context.errors.Add(path + ".stratified",
                           "there is no target whose classes could be kept in proportion: use "
                           "random");
      } else if (target.known && !target.is_class) {
        context.errors.Add(path + ".stratified",
                           "the target is a number: only classes can be stratified, use random");
      }
      break;
    case v1::Split::kColumn:
      CheckColumnSplit(context, path + ".column", split.column(), data, dataset);
      break;
    case v1::Split::kModulo:
      CheckFraction(context, path + ".modulo.validation", split.modulo().validation());
      if (split.modulo().divisor() < 2) {
        context.errors.Add(path + ".modulo.divisor", "must be at least 2");
      } else if (split.modulo().remainder() < 0 ||
                 split.modulo().remainder() >= split.modulo().divisor()) {
        context.errors.Add(path + ".modulo.remainder",
                           absl::StrCat("must be from 0 to ", split.modulo().divisor() - 1));
      }
      break;
    case v1::Split::kOrdered:
      CheckOrdered(context, path + ".ordered", split.ordered(), dataset);
      break;
    case v1::Split::kInput:
      CheckFraction(context, path + ".input.validation", split.input().validation());
      if (!context.inputs.contains(split.input().test())) {
        context.errors.Add(path + ".input.test",
                           absl::StrCat("there is no input \"", split.input().test(), "\"",
                                        Hint(split.input().test(), context.InputNames())));
      } else if (split.input().test() == data.input()) {
        context.errors.Add(path + ".input.test",
                           "is the input that trains: the test would say nothing");
      }
      if (split.input().stratified() && (!HasTarget(data) || target.generates)) {
        context.errors.Add(path + ".input.stratified",
                           "there is no target whose classes could be kept in proportion: remove "
                           "it");
      } else if (split.input().stratified() && target.known && !target.is_class) {
        context.errors.Add(path + ".input.stratified",
                           "the target is a number: only classes can be stratified");
      }
      break;
    case v1::Split::KIND_NOT_SET:
      break;
  }
}

void CheckTransforms(Context& context, const std::string& path, const v1::TrainingData& data,
                     const v1::Dataset* dataset, FeatureFacts* facts) {
  TransformCheck(context, path, data, dataset).Run(facts);
}

}  // namespace beamline::pipeline::validation
