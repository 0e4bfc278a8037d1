// Training data: columns, target, weights, features.
#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "pipeline/dependencies.h"
#include "pipeline/learners/registry.h"
#include "pipeline/node_pairs.h"
#include "pipeline/schema.h"
#include "pipeline/text_value.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {
namespace {

void CheckTarget(Context& context, const std::string& path, const v1::TrainStep& train,
                 const v1::Dataset& dataset, const TargetFacts& target) {
  const v1::Column* column = CheckColumn(context, path + ".target", dataset, train.data().target());
  if (column == nullptr) return;
  const v1::ColumnStatistics& statistics = column->statistics();
  const std::string& name = column->name();
  if (statistics.missing() > 0) {
    context.errors.Add(path + ".target",
                       absl::StrCat("column \"", name, "\" has ", statistics.missing(),
                                    " missing values: remove these rows from the file"));
  }
  if (!IsMeasured(dataset) &&
      CountDecidesKind(train.data(), train.network().loss(), column->type())) {
    context.errors.Add(path + ".target_kind",
                       absl::StrCat("is missing: column \"", name,
                                    "\" of a table that is not made yet holds whole numbers, which "
                                    "may be classes or not: set it to classification or "
                                    "regression, or give a loss"));
    return;
  }
  if (!target.is_class) {
    if (column->item_shape_size() > 0) {
      context.unimplemented.Add(path + ".target", "targets of several numbers are not built yet");
    }
    if (IsText(column->type())) {
      context.errors.Add(path + ".target",
                         absl::StrCat("column \"", name,
                                      "\" is text and cannot be predicted as a "
                                      "number: use cross_entropy, or leave target_kind out"));
    } else if (statistics.count() > 0 && statistics.min() == statistics.max()) {
      context.errors.Add(path + ".target",
                         absl::StrCat("column \"", name, "\" is ", NumberText(statistics.min()),
                                      " in every row: nothing can be learned"));
    }
    return;
  }
  if (column->item_shape_size() > 0) {
    context.errors.Add(path + ".target", absl::StrCat("column \"", name,
                                                      "\" holds several numbers a row: a class "
                                                      "is a single value"));
  } else if (target.classes == 1) {
    context.errors.Add(
        path + ".target",
        absl::StrCat(
            "column \"", name, "\" has only one class",
            target.class_names.empty() ? "" : absl::StrCat(" (", target.class_names.front(), ")"),
            ": at least two are needed"));
  } else if (target.classes > kMaxClasses) {
    context.errors.Add(path + ".target",
                       absl::StrCat("column \"", name, "\" has ", target.classes,
                                    " different values, too many for classes (at most ",
                                    kMaxClasses, "): set target_kind: regression"));
  }
}

void CheckWeight(Context& context, const std::string& path, const v1::TrainingData& data,
                 const v1::Dataset& dataset) {
  if (data.weight().empty()) return;
  const v1::Column* column = CheckColumn(context, path + ".weight", dataset, data.weight());
  if (column == nullptr) return;
  const v1::ColumnStatistics& statistics = column->statistics();
  if (IsText(column->type())) {
    context.errors.Add(path + ".weight", absl::StrCat("column \"", column->name(),
                                                      "\" is text: weights are numbers"));
  } else if (statistics.missing() > 0) {
    context.errors.Add(path + ".weight",
                       absl::StrCat("column \"", column->name(), "\" has ", statistics.missing(),
                                    " missing values: every row needs a weight"));
  } else if (statistics.count() > 0 && statistics.mean() <= 0) {
    context.errors.Add(path + ".weight", absl::StrCat("the weights in column \"", column->name(),
                                                      "\" add up to nothing or less"));
  }
}

void CheckFeatureNames(Context& context, const std::string& path, const v1::TrainingData& data,
                       const v1::Dataset* dataset) {
  std::set<std::string> seen;
  for (int i = 0; i < data.features_size(); ++i) {
    const std::string& name = data.features(i);
    const std::string at = absl::StrCat(path, ".features.", i);
    if (!seen.insert(name).second) {
      context.errors.Add(at, absl::StrCat("\"", name, "\" is listed twice"));
    } else if (!data.target().empty() && name == data.target()) {
      context.errors.Add(at, absl::StrCat("\"", name,
                                          "\" is the target: a model that sees it "
                                          "learns nothing else"));
    } else if (!data.weight().empty() && name == data.weight()) {
      context.errors.Add(at, absl::StrCat("\"", name,
                                          "\" is the weight: it is not known when "
                                          "the model is used"));
    } else if (dataset != nullptr) {
      CheckColumn(context, at, *dataset, name);
    }
  }
  for (int i = 0; i < data.exclude_size(); ++i) {
    const std::string at = absl::StrCat(path, ".exclude.", i);
    if (seen.contains(data.exclude(i))) {
      context.errors.Add(at, absl::StrCat("\"", data.exclude(i), "\" is among features too"));
    } else if (dataset != nullptr) {
      CheckColumn(context, at, *dataset, data.exclude(i));
    }
  }
}

}  // namespace

const v1::Dataset* CheckInput(Context& context, const std::string& path, const std::string& name) {
  if (name.empty()) {
    context.errors.Add(path, absl::StrCat("is missing: name one of the inputs (",
                                          absl::StrJoin(context.InputNames(), ", "), ")"));
    return nullptr;
  }
  const auto found = context.inputs.find(name);
  if (found != context.inputs.end()) return found->second;
  if (const auto step = context.steps.find(name); step != context.steps.end()) {
    context.errors.Add(
        path, absl::StrCat("step \"", name, "\" makes no table: name an input or a prepare step"));
  } else {
    context.errors.Add(
        path, absl::StrCat("there is no input \"", name, "\"", Hint(name, context.InputNames())));
  }
  return nullptr;
}

void CheckOtherInput(Context& context, const std::string& path, const v1::Dataset& other,
                     const v1::TrainingData& data, const v1::Dataset& dataset, bool judged) {
  std::vector<std::string> needed = FeatureColumns(data, ColumnNames(dataset));
  if ((HasTarget(data) || Translates(data)) && judged) needed.push_back(data.target());
  if (data.has_sequences()) needed.push_back(data.sequences().by());
  if (!data.weight().empty() && judged) needed.push_back(data.weight());
  std::vector<std::string> missing;
  for (const std::string& name : needed) {
    const v1::Column* here = FindColumn(dataset, name);
    const v1::Column* there = FindColumn(other, name);
    if (here == nullptr) continue;
    if (there == nullptr) {
      missing.push_back(name);
    } else if (IsText(here->type()) != IsText(there->type())) {
      context.errors.Add(path, absl::StrCat("column \"", name, "\" is ",
                                            IsText(there->type()) ? "text" : "a number",
                                            " there, but not in input \"", data.input(),
                                            "\": give both the same column_types"));
    }
  }
  if (!missing.empty()) {
    context.errors.Add(path, absl::StrCat("lacks columns of input \"", data.input(),
                                          "\": ", absl::StrJoin(missing, ", ")));
  }
}

TargetFacts FactsOfTarget(const Context& context, const v1::TrainStep& train) {
  TargetFacts facts;
  if (train.has_adversarial()) {
    facts.known = facts.generates = true;
    return facts;
  }
  if (LearnsPairs(train.data())) {
    facts.known = facts.is_class = true;
    facts.classes = static_cast<int64_t>(kPairClasses.size());
    facts.class_names.assign(kPairClasses.begin(), kPairClasses.end());
    return facts;
  }
  if (!HasTarget(train.data())) {
    facts.known = true;
    facts.reconstructs = Reconstructs(train.data());
    facts.forecasts = Forecasts(train.data());
    facts.token_vectors = EmbedsTokens(train.data());
    facts.translates = Translates(train.data());
    facts.tokens = (ReadsTokens(train.data()) && !facts.token_vectors) || facts.translates;
    return facts;
  }
  const auto input = context.inputs.find(train.data().input());
  if (input == context.inputs.end() || input->second == nullptr) return facts;
  const v1::Column* column = FindColumn(*input->second, train.data().target());
  if (column == nullptr) return facts;
  // CheckTarget complains.
  if (!IsMeasured(*input->second) &&
      CountDecidesKind(train.data(), train.network().loss(), column->type())) {
    return facts;
  }
  facts.known = true;
  const v1::ColumnStatistics& statistics = column->statistics();
  facts.is_class = PredictsClasses(train, column->type(), statistics.distinct());
  if (!facts.is_class && IsText(column->type())) facts.known = false;  // CheckTarget complains.
  facts.embeds = facts.is_class && Embeds(train.network().loss());
  if (!facts.is_class) return facts;
  facts.classes = statistics.distinct();
  if (statistics.top_categories_size() > 0) {
    facts.class_names = AllCategories(statistics);
  } else if (statistics.distinct() == 1) {
    facts.class_names.push_back(NumberText(statistics.min()));
  } else if (IsInteger(column->type()) &&
             statistics.max() - statistics.min() + 1 == static_cast<double>(facts.classes)) {
    for (int64_t i = 0; i < std::min<int64_t>(facts.classes, kMaxClasses); ++i) {
      facts.class_names.push_back(NumberText(statistics.min() + static_cast<double>(i)));
    }
  }
  std::sort(facts.class_names.begin(), facts.class_names.end());
  return facts;
}

FeatureFacts CheckData(Context& context, const std::string& path, const v1::TrainStep& train,
                       const TargetFacts& target) {
  const v1::TrainingData& data = train.data();
  const v1::Dataset* dataset = CheckInput(context, path + ".input", data.input());
  FeatureFacts facts;
  if (target.generates) {
    CheckGeneration(context, path, data);
  } else if (target.translates) {
    CheckTexts(context, path, data, dataset, &facts);
  } else if (!HasTarget(data)) {
    CheckNoTarget(context, path, data);
  } else if (LearnsPairs(data)) {
    CheckPairs(context, path, data);
  } else if (data.target().empty()) {
    context.errors.Add(path + ".target",
                       "is missing: name the column to be predicted, or learn without one by "
                       "objective: reconstruct");
  } else if (dataset != nullptr) {
    CheckTarget(context, path, train, *dataset, target);
  }
  CheckExamples(context, path, data, dataset);
  CheckRows(context, path, data, dataset);
  if (!data.weight().empty() && data.weight() == data.target()) {
    context.errors.Add(path + ".weight", "is the target: name another column");
  } else if (dataset != nullptr) {
    CheckWeight(context, path, data, *dataset);
  }
  CheckFeatureNames(context, path, data, dataset);
  CheckSplit(context, path + ".split", data, dataset, target);
  if (!target.translates) {
    CheckTransforms(context, path + ".transforms", data, dataset, &facts);
    CheckExampleCodes(context, path, data, facts);
  }
  if (dataset != nullptr && FeatureColumns(data, ColumnNames(*dataset)).empty()) {
    context.errors.Add(path,
                       "no column is left to learn from: every one is target, weight, "
                       "excluded or the split's");
  }
  if (data.split().has_input() && dataset != nullptr) {
    const auto other = context.inputs.find(data.split().input().test());
    if (other != context.inputs.end() && other->second != nullptr) {
      CheckOtherInput(context, path + ".split.input.test", *other->second, data, *dataset);
    }
  }
  // Widths that depend on values are found when the step runs.
  return facts.known ? facts : FeatureFacts();
}

}  // namespace beamline::pipeline::validation
