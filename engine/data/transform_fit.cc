#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "engine/core/error.h"
#include "engine/data/number.h"
#include "engine/data/text.h"
#include "engine/data/transform.h"
#include "engine/data/transform_stats.h"

namespace beamline::engine::data {
namespace {

using Kind = TransformSpec::Kind;
using Output = FittedColumn::Output;

const char* KindName(Kind kind) {
  switch (kind) {
    case Kind::kSelect:
      return "select";
    case Kind::kDrop:
      return "drop";
    case Kind::kImpute:
      return "impute";
    case Kind::kStandardize:
      return "standardize";
    case Kind::kMinMax:
      return "min_max";
    case Kind::kLog1p:
      return "log1p";
    case Kind::kClip:
      return "clip";
    case Kind::kOneHot:
      return "one_hot";
    case Kind::kOrdinal:
      return "ordinal";
    case Kind::kScale:
      return "scale";
  }
  return "unknown";
}

// A column on its way to features.
struct Draft {
  FittedColumn fitted;
  const Column* column = nullptr;
  bool encoded = false;  // by category
  bool indicator = false;
};

class Fitter {
 public:
  Fitter(const Table& table, std::span<const int64_t> train,
         const std::vector<std::string>& reserved)
      : table_(table), train_(train), reserved_(reserved) {
    for (const int64_t row : train) {
      if (row < 0 || row >= table.rows()) {
        Fail("training ", RowName(row), " is outside the table of ", table.rows(), " rows");
      }
    }
    for (const Column& column : table.columns()) {
      if (IsReserved(column.name())) continue;
      Draft draft;
      draft.fitted.column = column.name();
      draft.fitted.item_size = column.item_size();
      draft.column = &column;
      drafts_.push_back(std::move(draft));
    }
  }

  void Take(const TransformSpec& spec) {
    switch (spec.kind) {
      case Kind::kSelect:
        return Select(spec);
      case Kind::kDrop:
        return Drop(spec);
      default:
        break;
    }
    std::vector<Draft> indicators;
    for (Draft* draft : Targets(spec)) {
      switch (spec.kind) {
        case Kind::kImpute:
          if (spec.indicator) indicators.push_back(Indicator(*draft));
          Impute(spec, *draft);
          break;
        case Kind::kOneHot:
        case Kind::kOrdinal:
          Encode(spec, *draft);
          break;
        default:
          AddStep(spec, *draft);
      }
    }
    for (Draft& draft : indicators) drafts_.push_back(std::move(draft));
  }

  FittedTransforms Finish() {
    FittedTransforms out;
    for (Draft& draft : drafts_) {
      if (!draft.column->is_numeric() && !draft.encoded && !draft.indicator) {
        Fail("column ", Quoted(draft.fitted.column),
             " is categorical: add one_hot or ordinal for it, or drop it");
      }
      out.columns.push_back(std::move(draft.fitted));
    }
    if (out.columns.empty()) throw Error("no column is left to make features of");
    return out;
  }

 private:
  bool IsReserved(const std::string& name) const {
    return std::find(reserved_.begin(), reserved_.end(), name) != reserved_.end();
  }

  Draft& Named(const TransformSpec& spec, const std::string& name) {
    const Column& column = table_.Get(name);
    if (IsReserved(name)) {
      Fail(KindName(spec.kind), ": column ", Quoted(name),
           " is the label, the weight or the split: it cannot be a feature");
    }
    for (Draft& draft : drafts_) {
      if (draft.column == &column && !draft.indicator) return draft;
    }
    Fail(KindName(spec.kind), ": column ", Quoted(name), " was dropped by an earlier transform");
  }

  void Select(const TransformSpec& spec) {
    std::vector<Draft> kept;
    for (const std::string& name : spec.columns) {
      const Draft draft = Named(spec, name);
      const auto same = [&](const Draft& other) { return other.column == draft.column; };
      if (std::any_of(kept.begin(), kept.end(), same)) {
        Fail("select: column ", Quoted(name), " is named twice");
      }
      std::copy_if(drafts_.begin(), drafts_.end(), std::back_inserter(kept), same);
    }
    drafts_ = std::move(kept);
  }

  void Drop(const TransformSpec& spec) {
    for (const std::string& name : spec.columns) {
      const Column* const column = Named(spec, name).column;
      std::erase_if(drafts_, [&](const Draft& draft) { return draft.column == column; });
    }
  }

  // What keeps the transform from applying to the column; empty if nothing does.
  static std::string Obstacle(const TransformSpec& spec, const Draft& draft) {
    const ColumnType type = draft.column->type();
    if (draft.encoded) return "was encoded by an earlier transform: change the order";
    if (spec.kind == Kind::kOneHot || spec.kind == Kind::kOrdinal) {
      if (draft.column->item_size() != 1) return "holds arrays";
      return IsFloat(type) ? "holds fractions: encode categories, bools or integers" : "";
    }
    if (type != ColumnType::kCategorical) return "";
    if (spec.kind != Kind::kImpute) return "is categorical: it applies to numbers";
    const bool numeric = spec.impute == TransformSpec::Impute::kMean ||
                         spec.impute == TransformSpec::Impute::kMedian;
    return numeric ? "is categorical: impute most_frequent or a constant" : "";
  }

  // Rows of arrays are there or not as a whole, and integers have no NaN: steps that fill them in
  // would only cost time and, for images, much room in the model.
  static bool NeverMisses(const Column& column) {
    return column.item_size() > 1 && IsInteger(column.type()) && column.validity() == nullptr;
  }

  std::vector<Draft*> Targets(const TransformSpec& spec) {
    std::vector<Draft*> out;
    for (const std::string& name : spec.columns) {
      Draft& draft = Named(spec, name);
      const std::string obstacle = Obstacle(spec, draft);
      if (!obstacle.empty()) Fail(KindName(spec.kind), ": column ", Quoted(name), " ", obstacle);
      out.push_back(&draft);
    }
    if (!spec.columns.empty()) return out;
    const bool encodes = spec.kind == Kind::kOneHot || spec.kind == Kind::kOrdinal;
    const bool constant =
        spec.kind == Kind::kImpute && spec.impute == TransformSpec::Impute::kConstant;
    const bool number = ParseNumber(spec.constant).kind != ScannedNumber::Kind::kNone;
    for (Draft& draft : drafts_) {
      if (draft.indicator || !Obstacle(spec, draft).empty()) continue;
      if (encodes && draft.column->is_numeric()) continue;
      if (constant && draft.column->is_numeric() != number) continue;
      if (spec.kind == Kind::kImpute && NeverMisses(*draft.column)) continue;
      out.push_back(&draft);
    }
    return out;
  }

  Draft Indicator(const Draft& draft) const {
    Draft out = draft;
    out.fitted.output = Output::kIndicator;
    out.fitted.steps.clear();
    out.fitted.fill.clear();
    out.indicator = true;
    return out;
  }

  TrainingColumn Training(const TransformSpec& spec, const Draft& draft) const {
    return {KindName(spec.kind), *draft.column, train_, draft.fitted.steps, spec.whole};
  }

  void AddStep(const TransformSpec& spec, Draft& draft) const {
    FittedStep step;
    if ((spec.kind == Kind::kMinMax || spec.kind == Kind::kClip) && !(spec.low < spec.high)) {
      Fail(KindName(spec.kind), ": low (", spec.low, ") must be below high (", spec.high, ")");
    }
    switch (spec.kind) {
      case Kind::kStandardize: {
        MeanAndDeviation fit = FitMeanAndDeviation(Training(spec, draft));
        step.a = std::move(fit.mean);
        for (const double deviation : fit.deviation) {
          step.b.push_back(deviation > 0 ? 1 / deviation : 1);
        }
        break;
      }
      case Kind::kMinMax: {
        const Range range = FitRange(Training(spec, draft));
        for (size_t k = 0; k < range.least.size(); ++k) {
          const double width = range.most[k] - range.least[k];
          const double scale = width > 0 ? (spec.high - spec.low) / width : 1;
          step.a.push_back(range.least[k] - spec.low / scale);
          step.b.push_back(scale);
        }
        break;
      }
      case Kind::kScale:
        if (spec.factor == 0 || !std::isfinite(spec.factor) || !std::isfinite(spec.offset)) {
          Fail("scale: factor (", spec.factor, ") and offset (", spec.offset,
               ") must be finite, and factor not 0");
        }
        step.a = {0};
        step.b = {spec.factor};
        if (spec.offset == 0) break;
        draft.fitted.steps.push_back(step);
        step.a = {-spec.offset};
        step.b = {1};
        break;
      case Kind::kClip:
        step.kind = FittedStep::Kind::kClip;
        step.a = {spec.low};
        step.b = {spec.high};
        break;
      default:
        step.kind = FittedStep::Kind::kLog1p;
        // A value that log1p is not defined for is an error of the training data, found now.
        draft.fitted.steps.push_back(step);
        Training(spec, draft).ForEach([](size_t, double) {});
        return;
    }
    draft.fitted.steps.push_back(std::move(step));
  }

  void Impute(const TransformSpec& spec, Draft& draft) const {
    if (!draft.column->is_numeric()) {
      draft.fitted.fill = spec.impute == TransformSpec::Impute::kConstant
                              ? spec.constant
                              : MostFrequentCategory(spec, draft);
      return;
    }
    FittedStep step;
    step.kind = FittedStep::Kind::kFill;
    switch (spec.impute) {
      case TransformSpec::Impute::kMeanOrMostFrequent:
      case TransformSpec::Impute::kMean:
        step.a = FitMeanAndDeviation(Training(spec, draft)).mean;
        break;
      case TransformSpec::Impute::kMedian:
        step.a = FitMedian(Training(spec, draft));
        break;
      case TransformSpec::Impute::kMostFrequent:
        step.a = FitMostFrequent(Training(spec, draft));
        break;
      case TransformSpec::Impute::kConstant:
        step.a = {Constant(spec, draft)};
        break;
    }
    draft.fitted.steps.push_back(std::move(step));
  }

  static double Constant(const TransformSpec& spec, const Draft& draft) {
    const ScannedNumber number = ParseNumber(spec.constant);
    if (number.kind == ScannedNumber::Kind::kNone || std::isinf(number.value)) {
      Fail("impute: the constant ", Quoted(spec.constant), " for column ",
           Quoted(draft.fitted.column), " is not a finite number");
    }
    return number.value;
  }

  // How often each category occurs in the training rows, by code.
  std::vector<int64_t> CountCategories(const Column& column) const {
    std::vector<int64_t> counts(column.categories().size());
    for (const int64_t row : train_) {
      const double code = column.Number(row);
      if (code < static_cast<double>(counts.size())) ++counts[static_cast<size_t>(code)];
    }
    return counts;
  }

  std::string MostFrequentCategory(const TransformSpec& spec, const Draft& draft) const {
    const std::vector<int64_t> counts = CountCategories(*draft.column);
    const auto best = std::max_element(counts.begin(), counts.end());
    if (best == counts.end() || *best == 0) FailWithoutValues(Training(spec, draft));
    return draft.column->categories()[static_cast<size_t>(best - counts.begin())];
  }

  std::vector<std::string> SeenCategories(const Column& column) const {
    std::vector<std::string> out;
    if (!column.is_numeric()) {
      const std::vector<int64_t> counts = CountCategories(column);
      for (size_t code = 0; code < counts.size(); ++code) {
        if (counts[code] > 0) out.push_back(column.categories()[code]);
      }
      return out;
    }
    std::map<int64_t, std::string> seen;
    for (const int64_t row : train_) {
      if (column.IsMissing(row) || seen.contains(column.Integer(row))) continue;
      seen.emplace(column.Integer(row), column.Text(row));
    }
    for (auto& [number, text] : seen) out.push_back(std::move(text));
    return out;
  }

  void Encode(const TransformSpec& spec, Draft& draft) const {
    FittedColumn& fitted = draft.fitted;
    for (const FittedStep& step : std::exchange(fitted.steps, {})) {
      if (step.kind != FittedStep::Kind::kFill || step.a[0] != std::floor(step.a[0]) ||
          std::abs(step.a[0]) > 9e15) {
        Fail(KindName(spec.kind), ": column ", Quoted(fitted.column),
             " was changed by an earlier transform: encode it first, impute it by most_frequent "
             "or a whole number");
      }
      const auto whole = static_cast<int64_t>(step.a[0]);
      fitted.fill = draft.column->type() != ColumnType::kBool ? std::to_string(whole)
                    : whole != 0                              ? "true"
                                                              : "false";
    }
    fitted.output = spec.kind == Kind::kOneHot ? Output::kOneHot : Output::kCode;
    fitted.unknown_is_error = spec.unknown == TransformSpec::Unknown::kError;
    fitted.categories = SeenCategories(*draft.column);
    const bool known = std::find(fitted.categories.begin(), fitted.categories.end(), fitted.fill) !=
                       fitted.categories.end();
    if (!fitted.fill.empty() && !known) fitted.categories.push_back(fitted.fill);
    if (fitted.categories.empty()) FailWithoutValues(Training(spec, draft));
    if (static_cast<int64_t>(fitted.categories.size()) > spec.max_categories) {
      Fail(KindName(spec.kind), ": column ", Quoted(fitted.column), " has ",
           fitted.categories.size(), " categories, more than ", spec.max_categories,
           ": drop the column, or raise max_categories");
    }
    draft.encoded = true;
  }

  const Table& table_;
  const std::span<const int64_t> train_;
  const std::vector<std::string>& reserved_;
  std::vector<Draft> drafts_;
};

}  // namespace

FittedTransforms FitTransforms(const Table& table, std::span<const int64_t> train,
                               const std::vector<TransformSpec>& specs,
                               const std::vector<std::string>& reserved) {
  if (train.empty()) throw Error("there are no training rows to fit transforms on");
  Fitter fitter(table, train, reserved);
  for (const TransformSpec& spec : specs) fitter.Take(spec);
  return fitter.Finish();
}

}  // namespace beamline::engine::data
