// Metrics of predicted classes and of class probabilities.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/core/error.h"
#include "engine/metrics/metrics.h"

namespace beamline::engine::metrics {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double Ratio(double above, double below) { return below != 0 ? above / below : kNone; }

double Cell(std::span<const double> confusion, int64_t classes, int64_t label, int64_t predicted) {
  return confusion[static_cast<size_t>(label * classes + predicted)];
}

double RowSum(std::span<const double> confusion, int64_t classes, int64_t label) {
  double sum = 0;
  for (int64_t p = 0; p < classes; ++p) sum += Cell(confusion, classes, label, p);
  return sum;
}

void RequireConfusion(std::span<const double> confusion, int64_t classes) {
  if (classes < 1 || static_cast<int64_t>(confusion.size()) != classes * classes) {
    Fail("a confusion matrix of ", classes, " classes has ", classes * classes, " cells, not ",
         confusion.size());
  }
}

}  // namespace

std::vector<double> ConfusionMatrix(std::span<const int32_t> predicted,
                                    std::span<const int32_t> labels, int64_t classes,
                                    Weights weights) {
  if (predicted.empty() || predicted.size() != labels.size() ||
      (!weights.empty() && weights.size() != labels.size())) {
    Fail("metrics need at least one row, and as many predictions and weights as labels: got ",
         predicted.size(), ", ", weights.size(), " and ", labels.size());
  }
  std::vector<double> confusion(static_cast<size_t>(classes * classes));
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0 || labels[i] >= classes || predicted[i] < 0 || predicted[i] >= classes) {
      Fail("row ", i + 1, ": label ", labels[i], " or prediction ", predicted[i],
           " is not in 0 to ", classes - 1);
    }
    confusion[static_cast<size_t>(labels[i] * classes + predicted[i])] +=
        weights.empty() ? 1.0 : static_cast<double>(weights[i]);
  }
  return confusion;
}

double Accuracy(std::span<const double> confusion, int64_t classes) {
  RequireConfusion(confusion, classes);
  double right = 0;
  double all = 0;
  for (int64_t label = 0; label < classes; ++label) {
    right += Cell(confusion, classes, label, label);
    all += RowSum(confusion, classes, label);
  }
  return Ratio(right, all);
}

double BalancedAccuracy(std::span<const double> confusion, int64_t classes) {
  return MacroScores(confusion, classes).recall;
}

ClassScores ScoresOf(std::span<const double> confusion, int64_t classes, int64_t positive) {
  RequireConfusion(confusion, classes);
  if (positive < 0 || positive >= classes) Fail("there is no class ", positive);
  const double right = Cell(confusion, classes, positive, positive);
  double predicted = 0;
  for (int64_t label = 0; label < classes; ++label) {
    predicted += Cell(confusion, classes, label, positive);
  }
  const double actual = RowSum(confusion, classes, positive);
  return {Ratio(right, predicted), Ratio(right, actual), Ratio(2 * right, predicted + actual)};
}

ClassScores MacroScores(std::span<const double> confusion, int64_t classes) {
  RequireConfusion(confusion, classes);
  ClassScores sum;
  double occurring = 0;
  for (int64_t c = 0; c < classes; ++c) {
    if (RowSum(confusion, classes, c) == 0) continue;
    const ClassScores scores = ScoresOf(confusion, classes, c);
    sum.precision += std::isnan(scores.precision) ? 0 : scores.precision;
    sum.recall += scores.recall;
    sum.f1 += std::isnan(scores.f1) ? 0 : scores.f1;
    occurring += 1;
  }
  return {Ratio(sum.precision, occurring), Ratio(sum.recall, occurring), Ratio(sum.f1, occurring)};
}

ClassScores WeightedScores(std::span<const double> confusion, int64_t classes) {
  RequireConfusion(confusion, classes);
  ClassScores sum;
  double all = 0;
  for (int64_t c = 0; c < classes; ++c) {
    const double weight = RowSum(confusion, classes, c);
    if (weight == 0) continue;
    const ClassScores scores = ScoresOf(confusion, classes, c);
    sum.precision += weight * (std::isnan(scores.precision) ? 0 : scores.precision);
    sum.recall += weight * scores.recall;
    sum.f1 += weight * (std::isnan(scores.f1) ? 0 : scores.f1);
    all += weight;
  }
  return {Ratio(sum.precision, all), Ratio(sum.recall, all), Ratio(sum.f1, all)};
}

ClassScores MicroScores(std::span<const double> confusion, int64_t classes) {
  const double accuracy = Accuracy(confusion, classes);
  return {accuracy, accuracy, accuracy};
}

double TopKAccuracy(std::span<const float> scores, std::span<const int32_t> labels, int64_t classes,
                    int64_t k, Weights weights) {
  if (k < 1) Fail("top-k accuracy needs k of at least 1, not ", k);
  if (labels.empty() || classes < 1 ||
      scores.size() != labels.size() * static_cast<size_t>(classes) ||
      (!weights.empty() && weights.size() != labels.size())) {
    Fail("metrics need at least one row, scores for each class and as many weights as labels: got ",
         scores.size(), ", ", weights.size(), " and ", labels.size());
  }
  double right = 0;
  double all = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0 || labels[i] >= classes) {
      Fail("row ", i + 1, ": label ", labels[i], " is not in 0 to ", classes - 1);
    }
    const float* row = scores.data() + i * static_cast<size_t>(classes);
    int64_t before = 0;
    for (int64_t c = 0; c < classes; ++c) {
      before += row[c] > row[labels[i]] || (row[c] == row[labels[i]] && c < labels[i]) ? 1 : 0;
    }
    const double weight = weights.empty() ? 1.0 : static_cast<double>(weights[i]);
    if (before < k) right += weight;
    all += weight;
  }
  return Ratio(right, all);
}

std::vector<int32_t> ArgMax(std::span<const float> scores, int64_t classes) {
  if (classes < 1 || static_cast<int64_t>(scores.size()) % classes != 0) {
    Fail(scores.size(), " scores are not rows of ", classes, " classes");
  }
  std::vector<int32_t> best;
  best.reserve(scores.size() / static_cast<size_t>(classes));
  for (auto row = scores.begin(); row != scores.end(); row += classes) {
    best.push_back(static_cast<int32_t>(std::max_element(row, row + classes) - row));
  }
  return best;
}

double LogLoss(std::span<const float> probabilities, std::span<const int32_t> labels,
               int64_t classes, Weights weights) {
  const bool binary = classes == 2 && probabilities.size() == labels.size();
  const size_t width = binary ? 1 : static_cast<size_t>(classes);
  if (labels.empty() || classes < 2 || probabilities.size() != labels.size() * width ||
      (!weights.empty() && weights.size() != labels.size())) {
    Fail("log loss needs at least one row and a probability per class: got ", labels.size(),
         " labels and ", probabilities.size(), " probabilities");
  }
  double sum = 0;
  double all = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0 || labels[i] >= classes) {
      Fail("row ", i + 1, ": label ", labels[i], " is not in 0 to ", classes - 1);
    }
    double p = probabilities[binary ? i : i * width + static_cast<size_t>(labels[i])];
    if (binary && labels[i] == 0) p = 1 - p;
    const double weight = weights.empty() ? 1.0 : static_cast<double>(weights[i]);
    sum -= weight * std::log(std::clamp(p, 1e-15, 1.0));
    all += weight;
  }
  return Ratio(sum, all);
}

}  // namespace beamline::engine::metrics
