// Figures of merit. All take event weights, negative ones too; all are sums in a fixed order, so
// the same input gives the same bits.
//
// `weights` may be empty (each row weighs 1) and otherwise has one entry per row. Every function
// throws Error if lengths differ or there is no row. A ratio whose denominator is 0 is NaN.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace beamline::engine::metrics {

using Weights = std::span<const float>;

// --- Classes: `predicted` and `labels` in [0, classes).

// cell[label * classes + predicted]: sum of the weights.
std::vector<double> ConfusionMatrix(std::span<const int32_t> predicted,
                                    std::span<const int32_t> labels, int64_t classes,
                                    Weights weights = {});
// Share of the weight that is on the diagonal.
double Accuracy(std::span<const double> confusion, int64_t classes);
// Mean over the classes that occur of the share of the class that is found.
double BalancedAccuracy(std::span<const double> confusion, int64_t classes);

// Of one class against the others; the macro form is the mean over the classes that occur.
struct ClassScores {
  double precision = 0;  // true positives / predicted positives
  double recall = 0;     // true positives / positives
  double f1 = 0;         // harmonic mean of the two
};
ClassScores ScoresOf(std::span<const double> confusion, int64_t classes, int64_t positive);
ClassScores MacroScores(std::span<const double> confusion, int64_t classes);

// Each class counted by the weight of its rows; and all classes together, where precision, recall
// and F1 are all the accuracy.
ClassScores WeightedScores(std::span<const double> confusion, int64_t classes);
ClassScores MicroScores(std::span<const double> confusion, int64_t classes);

// Share of the weight whose label is among the `k` largest scores of its row [rows, classes]; of
// equal scores the first counts as larger.
double TopKAccuracy(std::span<const float> scores, std::span<const int32_t> labels, int64_t classes,
                    int64_t k, Weights weights = {});

// The class with the largest value in each row of scores [rows, classes]; the first of equals.
std::vector<int32_t> ArgMax(std::span<const float> scores, int64_t classes);

// --- Binary scores: a larger score means label 1.

struct RocPoint {
  double false_positive_rate = 0;
  double true_positive_rate = 0;
  // Rows with score >= threshold count as positive. +infinity at the first point.
  double threshold = 0;
};
// From (0, 0) to (1, 1), one point per distinct score. Rates are not clipped: negative weights may
// make the curve leave [0, 1] or turn back.
std::vector<RocPoint> RocCurve(std::span<const float> scores, std::span<const int32_t> labels,
                               Weights weights = {});
// From recall 0, where the precision counts as 1, to recall 1: one point per distinct score, from
// the largest. A point whose rows have no net weight has a precision of NaN.
struct PrPoint {
  double recall = 0;
  double precision = 1;
  double threshold = 0;  // as of a RocPoint
};
std::vector<PrPoint> PrCurve(std::span<const float> scores, std::span<const int32_t> labels,
                             Weights weights = {});

// At most `points` of a curve (>= 2), evenly spaced along it, both ends kept.
std::vector<RocPoint> ThinCurve(const std::vector<RocPoint>& curve, size_t points);
std::vector<PrPoint> ThinCurve(const std::vector<PrPoint>& curve, size_t points);

// Area under the ROC curve by trapezoids: with unit weights the probability that a positive row
// scores higher than a negative one, ties counting a half. NaN if one class has no net weight.
double RocAuc(std::span<const float> scores, std::span<const int32_t> labels, Weights weights = {});
// Average precision: sum over thresholds of (recall step) * precision.
double PrAuc(std::span<const float> scores, std::span<const int32_t> labels, Weights weights = {});

// Mean over the classes that occur of the ROC AUC of each against all others, from scores [rows,
// classes].
double RocAucOneVsRest(std::span<const float> scores, std::span<const int32_t> labels,
                       int64_t classes, Weights weights = {});

// Approximate median significance of the HiggsML challenge (Adam-Bourdarios et al. 2015):
// sqrt(2 ((s + b + r) log(1 + s / (b + r)) - s)), s and b being the weights of the rows of label 1
// and 0 with score >= threshold, r = regularisation. 0 if s <= 0, NaN if b + r <= 0.
inline constexpr double kAmsRegularisation = 10;
double AmsAt(std::span<const float> scores, std::span<const int32_t> labels, double threshold,
             Weights weights = {}, double regularisation = kAmsRegularisation);
struct Ams {
  double value = 0;
  double threshold = 0;
};
// The formula alone.
double Significance(double signal, double background, double regularisation = kAmsRegularisation);
// The largest over all thresholds, and the first (highest) threshold that reaches it.
Ams BestAms(std::span<const float> scores, std::span<const int32_t> labels, Weights weights = {},
            double regularisation = kAmsRegularisation);

// --- Calibration.

// Rows whose probability p lies in [lower, upper), the last bin up to 1 included.
struct ReliabilityBin {
  double lower = 0, upper = 0;
  double weight = 0;
  double mean_probability = 0;  // NaN in an empty bin
  double share = 0;             // of the weight that is right; NaN in an empty bin
};
// `probabilities` in [0, 1] of what `right` (0 or 1) says. Bins of equal width; at least 1.
std::vector<ReliabilityBin> Reliability(std::span<const float> probabilities,
                                        std::span<const int32_t> right, int64_t bins,
                                        Weights weights = {});
// Expected calibration error: mean over bins, by weight, of |mean probability - share| (Guo et al.
// 2017).
inline constexpr int64_t kCalibrationBins = 15;
double CalibrationError(const std::vector<ReliabilityBin>& bins);

// --- Probabilities [rows, classes], or [rows] for the probability of label 1 (classes 2).

// Mean of -log p(label), p kept within [1e-15, 1].
double LogLoss(std::span<const float> probabilities, std::span<const int32_t> labels,
               int64_t classes, Weights weights = {});

// --- Embeddings: rows of unit length [rows, width].

// Share of the weight of rows that have a row of their label among their `k` nearest others, those
// with the largest dot product; of equals the first counts as nearer. Compares all pairs of rows.
double RecallAtK(std::span<const float> embeddings, std::span<const int32_t> labels, int64_t k,
                 Weights weights = {});
// Of each row whether it has one.
std::vector<uint8_t> FoundAtK(std::span<const float> embeddings, std::span<const int32_t> labels,
                              int64_t k);

// --- Numbers.

double MeanSquaredError(std::span<const float> predicted, std::span<const float> targets,
                        Weights weights = {});
double RootMeanSquaredError(std::span<const float> predicted, std::span<const float> targets,
                            Weights weights = {});
double MeanAbsoluteError(std::span<const float> predicted, std::span<const float> targets,
                         Weights weights = {});
// 1 - residual / total sum of squares about the weighted mean.
double R2(std::span<const float> predicted, std::span<const float> targets, Weights weights = {});

// --- By name, for definitions.

// What a metric by name is computed from.
struct Outcome {
  std::span<const float> probabilities;  // [rows, classes], [rows] (binary) or [rows] (numbers)
  std::span<const int32_t> labels;       // classes
  std::span<const float> targets;        // numbers
  int64_t classes = 0;                   // 0: numbers
  Weights weights;
};
// The class that each row is taken for: the likeliest, of two the second from 1/2 on.
std::vector<int32_t> ChosenClasses(const Outcome& outcome);
// The probability of label 1 of each row. Throws Error unless there are two classes.
std::vector<float> PositiveScores(const Outcome& outcome);
// What calibration is about: the probability of label 1 of two classes, and whether it is; else
// that of the class that is chosen, and whether it is right.
struct Confidences {
  std::vector<float> probabilities;
  std::vector<int32_t> right;
};
Confidences ConfidencesOf(const Outcome& outcome);

struct MetricInfo {
  std::string_view name;  // "auc", "accuracy", "rmse", ...
  std::string_view summary;
  bool larger_is_better = true;
  bool for_classes = true;
  bool binary_only = false;
  double (*compute)(const Outcome& outcome);
  // The same from a confusion matrix, if it depends on nothing else; or else null.
  double (*of_confusion)(std::span<const double> confusion, int64_t classes) = nullptr;
};
// Ascending by name.
const std::vector<MetricInfo>& Metrics();
// Throws Error, listing the names there are.
const MetricInfo& FindMetric(std::string_view name);

}  // namespace beamline::engine::metrics
