// Metrics of binary scores: ROC and precision-recall curves.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/core/error.h"
#include "engine/metrics/metrics.h"

namespace beamline::engine::metrics {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// Sums of the weights of positive and negative rows with score >= threshold.
struct Count {
  double positive = 0;
  double negative = 0;
  double threshold = std::numeric_limits<double>::infinity();
};

// One entry per distinct score, from the largest, after an empty one.
std::vector<Count> CumulativeCounts(std::span<const float> scores, std::span<const int32_t> labels,
                                    Weights weights) {
  if (scores.empty() || scores.size() != labels.size() ||
      (!weights.empty() && weights.size() != labels.size())) {
    Fail("metrics need at least one row, and as many scores and weights as labels: got ",
         scores.size(), ", ", weights.size(), " and ", labels.size());
  }
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  for (size_t i = 0; i < scores.size(); ++i) {
    if (std::isnan(scores[i])) Fail("row ", i + 1, ": the score is not a number");
    if (labels[i] != 0 && labels[i] != 1) {
      Fail("row ", i + 1, ": label ", labels[i], " is not 0 or 1: this metric is for two classes");
    }
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  std::vector<Count> counts(1);
  for (size_t k = 0; k < order.size(); ++k) {
    const size_t i = order[k];
    if (k == 0 || scores[i] != scores[order[k - 1]]) counts.push_back(counts.back());
    Count& count = counts.back();
    count.threshold = scores[i];
    const double weight = weights.empty() ? 1.0 : static_cast<double>(weights[i]);
    (labels[i] == 1 ? count.positive : count.negative) += weight;
  }
  return counts;
}

}  // namespace

std::vector<RocPoint> RocCurve(std::span<const float> scores, std::span<const int32_t> labels,
                               Weights weights) {
  const std::vector<Count> counts = CumulativeCounts(scores, labels, weights);
  const Count& all = counts.back();
  if (all.positive == 0 || all.negative == 0) {
    Fail("a ROC curve needs rows of both classes: one of them has no net weight");
  }
  std::vector<RocPoint> curve;
  for (const Count& count : counts) {
    curve.push_back(
        {count.negative / all.negative, count.positive / all.positive, count.threshold});
  }
  return curve;
}

std::vector<PrPoint> PrCurve(std::span<const float> scores, std::span<const int32_t> labels,
                             Weights weights) {
  const std::vector<Count> counts = CumulativeCounts(scores, labels, weights);
  const double positives = counts.back().positive;
  if (positives == 0) Fail("a precision-recall curve needs rows of label 1: they have no weight");
  std::vector<PrPoint> curve = {{0, 1, counts.front().threshold}};
  for (size_t i = 1; i < counts.size(); ++i) {
    const double predicted = counts[i].positive + counts[i].negative;
    curve.push_back({counts[i].positive / positives,
                     predicted != 0 ? counts[i].positive / predicted : kNone, counts[i].threshold});
  }
  return curve;
}

namespace {

template <typename Point>
std::vector<Point> Thinned(const std::vector<Point>& curve, size_t points) {
  if (points < 2) Fail("a thinned curve has at least 2 points");
  if (curve.size() <= points) return curve;
  std::vector<Point> thin;
  for (size_t i = 0; i < points; ++i) {
    thin.push_back(curve[i * (curve.size() - 1) / (points - 1)]);
  }
  return thin;
}

}  // namespace

std::vector<RocPoint> ThinCurve(const std::vector<RocPoint>& curve, size_t points) {
  return Thinned(curve, points);
}
std::vector<PrPoint> ThinCurve(const std::vector<PrPoint>& curve, size_t points) {
  return Thinned(curve, points);
}

double RocAuc(std::span<const float> scores, std::span<const int32_t> labels, Weights weights) {
  const std::vector<Count> counts = CumulativeCounts(scores, labels, weights);
  const Count& all = counts.back();
  if (all.positive == 0 || all.negative == 0) return kNone;
  double area = 0;
  for (size_t i = 1; i < counts.size(); ++i) {
    area += (counts[i].negative - counts[i - 1].negative) *
            (counts[i].positive + counts[i - 1].positive) / 2;
  }
  return area / (all.positive * all.negative);
}

double PrAuc(std::span<const float> scores, std::span<const int32_t> labels, Weights weights) {
  const std::vector<Count> counts = CumulativeCounts(scores, labels, weights);
  const double positives = counts.back().positive;
  if (positives == 0) return kNone;
  double area = 0;
  for (size_t i = 1; i < counts.size(); ++i) {
    const double predicted = counts[i].positive + counts[i].negative;
    if (predicted == 0) continue;
    area += (counts[i].positive - counts[i - 1].positive) * counts[i].positive / predicted;
  }
  return area / positives;
}

double RocAucOneVsRest(std::span<const float> scores, std::span<const int32_t> labels,
                       int64_t classes, Weights weights) {
  if (classes < 2 || scores.size() != labels.size() * static_cast<size_t>(classes)) {
    Fail(scores.size(), " scores are not rows of ", classes, " classes");
  }
  double sum = 0;
  double occurring = 0;
  std::vector<float> own(labels.size());
  std::vector<int32_t> is_own(labels.size());
  for (int64_t c = 0; c < classes; ++c) {
    for (size_t i = 0; i < labels.size(); ++i) {
      own[i] = scores[i * static_cast<size_t>(classes) + static_cast<size_t>(c)];
      is_own[i] = labels[i] == c ? 1 : 0;
    }
    const double area = RocAuc(own, is_own, weights);
    if (std::isnan(area)) continue;
    sum += area;
    occurring += 1;
  }
  return occurring > 0 ? sum / occurring : kNone;
}

double Significance(double signal, double background, double regularisation) {
  const double b = background + regularisation;
  if (!(b > 0)) return kNone;
  if (!(signal > 0)) return 0;
  return std::sqrt(2 * ((signal + b) * std::log1p(signal / b) - signal));
}

double AmsAt(std::span<const float> scores, std::span<const int32_t> labels, double threshold,
             Weights weights, double regularisation) {
  Count chosen;
  for (const Count& count : CumulativeCounts(scores, labels, weights)) {
    if (count.threshold < threshold) break;
    chosen = count;
  }
  return Significance(chosen.positive, chosen.negative, regularisation);
}

Ams BestAms(std::span<const float> scores, std::span<const int32_t> labels, Weights weights,
            double regularisation) {
  Ams best = {kNone, std::numeric_limits<double>::infinity()};
  for (const Count& count : CumulativeCounts(scores, labels, weights)) {
    const double value = Significance(count.positive, count.negative, regularisation);
    if (!std::isnan(value) && !(value <= best.value)) best = {value, count.threshold};
  }
  return best;
}

}  // namespace beamline::engine::metrics
