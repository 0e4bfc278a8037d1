// Evaluate steps.
#include <algorithm>
#include <cmath>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "pipeline/class_histograms.h"
#include "pipeline/metric_names.h"
#include "pipeline/node_pairs.h"
#include "pipeline/permutation.h"
#include "pipeline/schema.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {
namespace {

// The dataset with the rows of a model's own split that are measured; null if it is not known.
const v1::Dataset* MeasuredDataset(const Context& context, const v1::EvaluateStep& evaluate,
                                   const v1::TrainingData& data) {
  const bool other = data.split().has_input() && (evaluate.part() == v1::DATA_PART_TEST ||
                                                  evaluate.part() == v1::DATA_PART_UNSPECIFIED);
  const auto found = context.inputs.find(other ? data.split().input().test() : data.input());
  return found == context.inputs.end() ? nullptr : found->second;
}

void CheckBootstrap(Context& context, const std::string& path, const v1::EvaluateStep& evaluate,
                    const TargetFacts& target) {
  if (!evaluate.has_bootstrap()) return;
  if (target.token_vectors) {
    context.errors.Add(path, "is of metrics, and vectors of tokens have the loss alone: remove it");
    return;
  }
  const v1::Bootstrap& bootstrap = evaluate.bootstrap();
  CheckRange(context, path + ".resamples", bootstrap.resamples(), 100, 100'000);
  CheckRange(context, path + ".confidence", bootstrap.confidence(), 1e-6, 0.999999);
}

void CheckImportance(Context& context, const std::string& path, const v1::EvaluateStep& evaluate,
                     const v1::TrainStep* train, const TargetFacts& target) {
  if (!evaluate.has_importance()) return;
  const v1::PermutationImportance& importance = evaluate.importance();
  CheckRange(context, path + ".repeats", importance.repeats(), 1, kMostPermutations);
  if (train != nullptr) {
    if (const std::string_view why = NotPermutable(train->data()); !why.empty()) {
      context.errors.Add(path, std::string(why));
      return;
    }
  }
  const auto& metrics = evaluate.metrics();
  const auto computed = [&](std::string_view name) {
    return std::find(metrics.begin(), metrics.end(), name) != metrics.end();
  };
  const std::string& named = importance.metric();
  if (!named.empty()) {
    CheckMetric(context, path + ".metric", named, target, false);
    if (!metrics.empty() && !computed(named)) {
      context.errors.Add(path + ".metric", absl::StrCat("\"", named,
                                                        "\" is not computed by this step: add it "
                                                        "to its metrics"));
    }
    return;
  }
  if (!metrics.empty() &&
      std::none_of(std::begin(kImportanceMetrics), std::end(kImportanceMetrics), computed)) {
    context.errors.Add(path + ".metric",
                       "is missing: name the one of the step's metrics that columns are compared "
                       "by");
  }
}

void CheckHistogram(Context& context, const std::string& path, const v1::HistogramRequest& request,
                    const v1::Dataset* dataset) {
  CheckRange(context, path + ".bins", request.bins(), 1, kMostBins);
  for (const auto& [field, given, value] : {std::tuple{".min", request.has_min(), request.min()},
                                            std::tuple{".max", request.has_max(), request.max()}}) {
    if (given && !std::isfinite(value)) context.errors.Add(path + field, "must be finite");
  }
  if (request.has_min() && request.has_max() && !(request.min() < request.max())) {
    context.errors.Add(path + ".max", "must be above min");
  }
  if (request.column().empty()) {
    context.errors.Add(path + ".column", "is missing: name a column of plain numbers");
  }
  if (request.column().empty() || dataset == nullptr) return;
  const v1::Column* column = CheckColumn(context, path + ".column", *dataset, request.column());
  if (column == nullptr) return;
  if (IsText(column->type()) || column->item_shape_size() > 0) {
    context.errors.Add(path + ".column",
                       absl::StrCat("column \"", column->name(), "\" is ",
                                    IsText(column->type()) ? "text" : "of arrays",
                                    ": histograms by class are of plain numbers"));
  } else if (IsMeasured(*dataset) && column->statistics().count() == 0) {
    context.errors.Add(path + ".column",
                       absl::StrCat("column \"", column->name(), "\" has no values"));
  }
}

void CheckHistograms(Context& context, const std::string& path, const v1::EvaluateStep& evaluate,
                     const v1::TrainStep* train, const TargetFacts& target,
                     const v1::Dataset* dataset) {
  if (evaluate.histograms().empty()) return;
  const bool pairs = train != nullptr && LearnsPairs(train->data());
  if (target.known && (!target.is_class || target.embeds || pairs)) {
    context.errors.Add(path, "are by classes of rows, but the model predicts none: remove them");
    return;
  }
  int64_t counts = 0;
  for (int i = 0; i < evaluate.histograms_size(); ++i) {
    const v1::HistogramRequest& request = evaluate.histograms(i);
    CheckHistogram(context, absl::StrCat(path, ".", i), request, dataset);
    counts += 2 * target.classes * (request.bins() > 0 ? request.bins() : kDefaultBins);
  }
  if (counts > kMostCounts) {
    context.errors.Add(path, absl::StrCat("have ", counts, " counts, of ", target.classes,
                                          " classes, but at most ", kMostCounts,
                                          " may be asked for: take fewer bins or columns"));
  }
}

}  // namespace

void CheckEvaluate(Context& context, const std::string& path, const v1::Step& step) {
  const v1::EvaluateStep& evaluate = step.evaluate();
  const AskedModel asked = CheckModelUse(context, path, step);
  const v1::TrainStep* train = asked.train;
  const v1::Dataset* dataset = asked.dataset;
  TargetFacts target;
  if (train != nullptr) {
    target = FactsOfTarget(context, *train);
    if (target.generates) {
      context.errors.Add(path + ".model",
                         absl::StrCat("step \"", evaluate.model(),
                                      "\" generates and predicts nothing that could be measured: "
                                      "remove this step"));
    }
    if (dataset == nullptr && evaluate.input().empty()) {
      dataset = MeasuredDataset(context, evaluate, train->data());
    }
  }
  CheckAnomaly(context, path + ".anomaly", evaluate, train, dataset);
  target.anomalies = evaluate.has_anomaly();
  for (int i = 0; i < evaluate.metrics_size(); ++i) {
    CheckMetric(context, absl::StrCat(path, ".metrics.", i), evaluate.metrics(i), target, true);
  }
  CheckBootstrap(context, path + ".bootstrap", evaluate, target);
  CheckImportance(context, path + ".importance", evaluate, train, target);
  CheckHistograms(context, path + ".histograms", evaluate, train, target, dataset);
}

}  // namespace beamline::pipeline::validation
