// Metrics by name.
#include <cmath>
#include <string>

#include "engine/core/error.h"
#include "engine/metrics/metrics.h"

namespace beamline::engine::metrics {
namespace {

bool IsBinaryScore(const Outcome& outcome) {
  return outcome.classes == 2 && outcome.probabilities.size() == outcome.labels.size();
}

std::vector<double> Confusion(const Outcome& outcome) {
  return ConfusionMatrix(ChosenClasses(outcome), outcome.labels, outcome.classes, outcome.weights);
}

// Of class 1 for two classes, else the mean over classes.
ClassScores Scores(std::span<const double> confusion, int64_t classes) {
  return classes == 2 ? ScoresOf(confusion, 2, 1) : MacroScores(confusion, classes);
}
double Precision(std::span<const double> confusion, int64_t classes) {
  return Scores(confusion, classes).precision;
}
double Recall(std::span<const double> confusion, int64_t classes) {
  return Scores(confusion, classes).recall;
}
double F1(std::span<const double> confusion, int64_t classes) {
  return Scores(confusion, classes).f1;
}
double MacroF1(std::span<const double> confusion, int64_t classes) {
  return MacroScores(confusion, classes).f1;
}
double MicroF1(std::span<const double> confusion, int64_t classes) {
  return MicroScores(confusion, classes).f1;
}
double WeightedF1(std::span<const double> confusion, int64_t classes) {
  return WeightedScores(confusion, classes).f1;
}

template <double (*figure)(std::span<const double>, int64_t)>
double FromConfusion(const Outcome& outcome) {
  return figure(Confusion(outcome), outcome.classes);
}

double Calibration(const Outcome& outcome) {
  const Confidences said = ConfidencesOf(outcome);
  return CalibrationError(
      Reliability(said.probabilities, said.right, kCalibrationBins, outcome.weights));
}

double AllClassesAuc(const Outcome& outcome) {
  if (outcome.classes == 2) {
    return RocAuc(PositiveScores(outcome), outcome.labels, outcome.weights);
  }
  return RocAucOneVsRest(outcome.probabilities, outcome.labels, outcome.classes, outcome.weights);
}

double TopK(const Outcome& outcome, int64_t k) {
  if (k >= outcome.classes) return 1;
  return TopKAccuracy(outcome.probabilities, outcome.labels, outcome.classes, k, outcome.weights);
}

}  // namespace

std::vector<int32_t> ChosenClasses(const Outcome& outcome) {
  if (!IsBinaryScore(outcome)) return ArgMax(outcome.probabilities, outcome.classes);
  std::vector<int32_t> chosen;
  chosen.reserve(outcome.probabilities.size());
  for (const float p : outcome.probabilities) chosen.push_back(p >= 0.5f ? 1 : 0);
  return chosen;
}

std::vector<float> PositiveScores(const Outcome& outcome) {
  if (outcome.classes != 2) Fail("this metric is for two classes, not ", outcome.classes);
  if (IsBinaryScore(outcome)) {
    return {outcome.probabilities.begin(), outcome.probabilities.end()};
  }
  std::vector<float> scores;
  for (size_t i = 1; i < outcome.probabilities.size(); i += 2) {
    scores.push_back(outcome.probabilities[i]);
  }
  return scores;
}

Confidences ConfidencesOf(const Outcome& outcome) {
  if (outcome.classes == 2) {
    return {PositiveScores(outcome), {outcome.labels.begin(), outcome.labels.end()}};
  }
  const std::vector<int32_t> chosen = ArgMax(outcome.probabilities, outcome.classes);
  Confidences said;
  for (size_t i = 0; i < chosen.size(); ++i) {
    said.probabilities.push_back(outcome.probabilities[i * static_cast<size_t>(outcome.classes) +
                                                       static_cast<size_t>(chosen[i])]);
    said.right.push_back(chosen[i] == outcome.labels[i] ? 1 : 0);
  }
  return said;
}

const std::vector<MetricInfo>& Metrics() {
  using O = const Outcome&;
  static const std::vector<MetricInfo> kMetrics = {
      {"accuracy", "share of rows whose class is right", true, true, false, FromConfusion<Accuracy>,
       Accuracy},
      {"ams", "approximate median significance at the best threshold", true, true, true,
       [](O o) { return BestAms(PositiveScores(o), o.labels, o.weights).value; }},
      {"auc", "area under the ROC curve", true, true, true,
       [](O o) { return RocAuc(PositiveScores(o), o.labels, o.weights); }},
      {"auc_macro", "mean over classes of the ROC AUC against all others", true, true, false,
       [](O o) { return AllClassesAuc(o); }},
      {"balanced_accuracy", "mean over classes of the share found", true, true, false,
       FromConfusion<BalancedAccuracy>, BalancedAccuracy},
      {"calibration_error", "expected calibration error, 15 bins", false, true, false,
       [](O o) { return Calibration(o); }},
      {"f1", "harmonic mean of precision and recall", true, true, false, FromConfusion<F1>, F1},
      {"f1_macro", "mean over classes of F1", true, true, false, FromConfusion<MacroF1>, MacroF1},
      {"f1_micro", "F1 of all classes together", true, true, false, FromConfusion<MicroF1>,
       MicroF1},
      {"f1_weighted", "mean over classes, by their weight, of F1", true, true, false,
       FromConfusion<WeightedF1>, WeightedF1},
      {"log_loss", "mean of -log p(label)", false, true, false,
       [](O o) { return LogLoss(o.probabilities, o.labels, o.classes, o.weights); }},
      {"mae", "mean absolute error", false, false, false,
       [](O o) { return MeanAbsoluteError(o.probabilities, o.targets, o.weights); }},
      {"mse", "mean squared error", false, false, false,
       [](O o) { return MeanSquaredError(o.probabilities, o.targets, o.weights); }},
      {"perplexity", "exp of log_loss", false, true, false,
       [](O o) { return std::exp(LogLoss(o.probabilities, o.labels, o.classes, o.weights)); }},
      {"pr_auc", "average precision", true, true, true,
       [](O o) { return PrAuc(PositiveScores(o), o.labels, o.weights); }},
      {"precision", "share of predicted positives that are positive", true, true, false,
       FromConfusion<Precision>, Precision},
      {"r2", "coefficient of determination", true, false, false,
       [](O o) { return R2(o.probabilities, o.targets, o.weights); }},
      {"recall", "share of positives that are found", true, true, false, FromConfusion<Recall>,
       Recall},
      {"rmse", "root mean squared error", false, false, false,
       [](O o) { return RootMeanSquaredError(o.probabilities, o.targets, o.weights); }},
      {"top_3_accuracy", "share of rows whose class is among the 3 likeliest", true, true, false,
       [](O o) { return TopK(o, 3); }},
      {"top_5_accuracy", "share of rows whose class is among the 5 likeliest", true, true, false,
       [](O o) { return TopK(o, 5); }},
  };
  return kMetrics;
}

const MetricInfo& FindMetric(std::string_view name) {
  std::string names;
  for (const MetricInfo& metric : Metrics()) {
    if (metric.name == name) return metric;
    names += (names.empty() ? "" : ", ") + std::string(metric.name);
  }
  Fail("there is no metric \"", name, "\": choose one of ", names);
}

}  // namespace beamline::engine::metrics
