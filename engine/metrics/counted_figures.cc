// Figures of merit of rows that count more or less often than once.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/core/error.h"
#include "engine/metrics/bootstrap.h"

namespace beamline::engine::metrics {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
// Cells of a confusion matrix are the square of it.
constexpr int64_t kMaxClasses = 1000;
// Of auc_macro, which sorts the rows by each class. Unit: scores.
constexpr int64_t kMaxScores = int64_t{1} << 27;
constexpr size_t kMaxRows = std::numeric_limits<uint32_t>::max();

using Part = CountedFigures::Part;

double Weigh(const uint8_t* counts, const std::vector<float>& weights, size_t row) {
  const double count = counts[row];
  return weights.empty() ? count : count * static_cast<double>(weights[row]);
}

// Rows by falling score, so that every threshold is an end of the first rows.
class Ranks {
 public:
  Ranks(std::span<const float> scores, std::span<const int32_t> labels, Weights weights,
        int32_t positive)
      : order_(scores.size()), marks_(scores.size()) {
    std::iota(order_.begin(), order_.end(), 0U);
    std::stable_sort(order_.begin(), order_.end(),
                     [&](uint32_t a, uint32_t b) { return scores[a] > scores[b]; });
    for (size_t k = 0; k < order_.size(); ++k) {
      const bool last = k + 1 == order_.size() || scores[order_[k]] != scores[order_[k + 1]];
      marks_[k] = static_cast<uint8_t>((labels[order_[k]] == positive ? kPositive : 0) |
                                       (last ? kLast : 0));
      if (!weights.empty()) weights_.push_back(weights[order_[k]]);
    }
  }

  // Calls use(positive, negative) for each threshold from the highest: net weights above it.
  template <typename Use>
  void ForEachThreshold(const uint8_t* counts, const Use& use) const {
    double positive = 0, negative = 0;
    for (size_t k = 0; k < order_.size(); ++k) {
      const double count = counts[order_[k]];
      const double weight = weights_.empty() ? count : count * static_cast<double>(weights_[k]);
      const double own = weight * static_cast<double>(marks_[k] & kPositive);
      positive += own;
      negative += weight - own;
      if ((marks_[k] & kLast) != 0) use(positive, negative);
    }
  }

  struct Areas {
    double roc = kNone;  // NaN if one class has no net weight
    double precision_recall = kNone;
  };
  Areas AreasOf(const uint8_t* counts) const {
    double roc = 0, precision_recall = 0, p = 0, n = 0;
    ForEachThreshold(counts, [&](double positive, double negative) {
      roc += (negative - n) * (positive + p) / 2;
      const double predicted = positive + negative;
      precision_recall += predicted != 0 ? (positive - p) * positive / predicted : 0;
      p = positive;
      n = negative;
    });
    return {p == 0 || n == 0 ? kNone : roc / (p * n), p == 0 ? kNone : precision_recall / p};
  }

  double BestAms(const uint8_t* counts) const {
    double best = Significance(0, 0);
    ForEachThreshold(counts, [&](double positive, double negative) {
      const double value = Significance(positive, negative);
      if (!std::isnan(value) && !(value <= best)) best = value;
    });
    return best;
  }

 private:
  static constexpr uint8_t kPositive = 1;
  static constexpr uint8_t kLast = 2;

  std::vector<uint32_t> order_;
  std::vector<uint8_t> marks_;
  std::vector<float> weights_;
};

class RankPart : public Part {
 public:
  RankPart(Ranks ranks, std::vector<std::string> names)
      : ranks_(std::move(ranks)), names_(std::move(names)) {}
  void Compute(const uint8_t* counts, double* values) const override {
    const bool areas_wanted =
        std::any_of(names_.begin(), names_.end(), [](const auto& name) { return name != "ams"; });
    const Ranks::Areas areas = areas_wanted ? ranks_.AreasOf(counts) : Ranks::Areas{};
    for (const std::string& name : names_) {
      *values++ = name == "ams"      ? ranks_.BestAms(counts)
                  : name == "pr_auc" ? areas.precision_recall
                                     : areas.roc;
    }
  }

 private:
  const Ranks ranks_;
  const std::vector<std::string> names_;
};

// Mean over the classes that occur of the area of each against all others.
class MacroAucPart : public Part {
 public:
  MacroAucPart(const Outcome& outcome, Weights weights) {
    const auto classes = static_cast<size_t>(outcome.classes);
    std::vector<float> own(outcome.labels.size());
    for (size_t c = 0; c < classes; ++c) {
      for (size_t i = 0; i < own.size(); ++i) own[i] = outcome.probabilities[i * classes + c];
      ranks_.emplace_back(own, outcome.labels, weights, static_cast<int32_t>(c));
    }
  }
  void Compute(const uint8_t* counts, double* values) const override {
    double sum = 0, occurring = 0;
    for (const Ranks& ranks : ranks_) {
      const double area = ranks.AreasOf(counts).roc;
      if (std::isnan(area)) continue;
      sum += area;
      occurring += 1;
    }
    *values = occurring > 0 ? sum / occurring : kNone;
  }

 private:
  std::vector<Ranks> ranks_;
};

class RatioPart : public Part {
 public:
  RatioPart(std::vector<double> above, std::vector<double> below, Weights weights,
            double (*transform)(double))
      : above_(std::move(above)),
        below_(std::move(below)),
        weights_(weights.begin(), weights.end()),
        transform_(transform) {}
  void Compute(const uint8_t* counts, double* values) const override {
    double above = 0, below = 0;
    for (size_t i = 0; i < above_.size(); ++i) {
      const double weight = Weigh(counts, weights_, i);
      above += weight * above_[i];
      below += below_.empty() ? weight : weight * below_[i];
    }
    const double ratio = below != 0 ? above / below : kNone;
    *values = transform_ == nullptr ? ratio : transform_(ratio);
  }

 private:
  const std::vector<double> above_, below_;
  const std::vector<float> weights_;
  double (*const transform_)(double);
};

// Numbers about their mean, so that sums of squares lose nothing.
class R2Part : public Part {
 public:
  R2Part(std::span<const float> predicted, std::span<const float> targets, Weights weights)
      : weights_(weights.begin(), weights.end()) {
    const double mean =
        std::accumulate(targets.begin(), targets.end(), 0.0) / static_cast<double>(targets.size());
    for (size_t i = 0; i < targets.size(); ++i) {
      const double error = static_cast<double>(predicted[i]) - static_cast<double>(targets[i]);
      squares_.push_back(error * error);
      centred_.push_back(static_cast<double>(targets[i]) - mean);
    }
  }
  void Compute(const uint8_t* counts, double* values) const override {
    double all = 0, residual = 0, sum = 0, square_sum = 0;
    for (size_t i = 0; i < squares_.size(); ++i) {
      const double weight = Weigh(counts, weights_, i);
      all += weight;
      residual += weight * squares_[i];
      sum += weight * centred_[i];
      square_sum += weight * centred_[i] * centred_[i];
    }
    const double total = square_sum - sum * sum / all;
    // A resample of one value has nothing but rounding left.
    *values = total > 1e-12 * square_sum ? 1 - residual / total : kNone;
  }

 private:
  std::vector<double> squares_, centred_;
  const std::vector<float> weights_;
};

// What depends on the confusion matrix alone.
class ConfusionPart : public Part {
 public:
  ConfusionPart(std::vector<int32_t> cells, int64_t classes, Weights weights,
                const std::vector<std::string>& names)
      : cells_(std::move(cells)), classes_(classes), weights_(weights.begin(), weights.end()) {
    for (const std::string& name : names) figures_.push_back(FindMetric(name).of_confusion);
  }
  void Compute(const uint8_t* counts, double* values) const override {
    std::vector<double> confusion(static_cast<size_t>(classes_ * classes_));
    for (size_t i = 0; i < cells_.size(); ++i) {
      confusion[static_cast<size_t>(cells_[i])] += Weigh(counts, weights_, i);
    }
    for (const auto figure : figures_) *values++ = figure(confusion, classes_);
  }

 private:
  const std::vector<int32_t> cells_;
  const int64_t classes_;
  const std::vector<float> weights_;
  std::vector<double (*)(std::span<const double>, int64_t)> figures_;
};

// Expected calibration error over bins of equal width.
class CalibrationPart : public Part {
 public:
  CalibrationPart(std::vector<float> probabilities, std::vector<int32_t> right, Weights weights)
      : weights_(weights.begin(), weights.end()) {
    for (size_t i = 0; i < right.size(); ++i) {
      const double p = probabilities[i];
      if (!(p >= 0 && p <= 1)) Fail("row ", i + 1, ": ", p, " is no probability");
      bins_.push_back(static_cast<uint8_t>(
          std::min<int64_t>(static_cast<int64_t>(p * kCalibrationBins), kCalibrationBins - 1)));
      gaps_.push_back(p - static_cast<double>(right[i] != 0));
    }
  }
  void Compute(const uint8_t* counts, double* values) const override {
    double gap[kCalibrationBins] = {}, weight[kCalibrationBins] = {};
    for (size_t i = 0; i < bins_.size(); ++i) {
      const double w = Weigh(counts, weights_, i);
      gap[bins_[i]] += w * gaps_[i];
      weight[bins_[i]] += w;
    }
    double sum = 0, all = 0;
    for (int64_t b = 0; b < kCalibrationBins; ++b) {
      if (weight[b] == 0) continue;
      sum += weight[b] * std::fabs(gap[b] / weight[b]);
      all += weight[b];
    }
    *values = all != 0 ? sum / all : kNone;
  }

 private:
  std::vector<uint8_t> bins_;
  std::vector<double> gaps_;
  const std::vector<float> weights_;
};

}  // namespace

CountedFigures::CountedFigures(size_t rows, Weights weights)
    : rows_(rows), weights_(weights.begin(), weights.end()) {
  if (rows == 0 || rows > kMaxRows || (!weights.empty() && weights.size() != rows)) {
    Fail("a bootstrap needs from 1 to ", kMaxRows, " rows, and a weight for each: got ", rows,
         " and ", weights.size());
  }
}
CountedFigures::~CountedFigures() = default;

void CountedFigures::Add(std::vector<std::string> names, std::unique_ptr<Part> part) {
  first_.push_back(names_.size());
  names_.insert(names_.end(), names.begin(), names.end());
  parts_.push_back(std::move(part));
}

void CountedFigures::AddRanks(std::span<const float> scores, std::span<const int32_t> labels,
                              const std::vector<std::string>& names) {
  if (scores.size() != rows_ || labels.size() != rows_) {
    Fail("there are ", rows_, " rows, but ", scores.size(), " scores and ", labels.size(),
         " labels");
  }
  if (names.empty()) return;
  Add(names, std::make_unique<RankPart>(Ranks(scores, labels, weights(), 1), names));
}

void CountedFigures::AddRatio(std::string name, std::vector<double> above,
                              std::vector<double> below, double (*transform)(double)) {
  if (above.size() != rows_ || (!below.empty() && below.size() != rows_)) {
    Fail("there are ", rows_, " rows, but ", above.size(), " values of \"", name, "\"");
  }
  Add({std::move(name)},
      std::make_unique<RatioPart>(std::move(above), std::move(below), weights(), transform));
}

void CountedFigures::AddConfusion(const Outcome& outcome, std::vector<std::string> names) {
  if (outcome.classes > kMaxClasses) {
    Fail("a bootstrap is for up to ", kMaxClasses, " classes, not ", outcome.classes);
  }
  std::vector<int32_t> cells = ChosenClasses(outcome);
  for (size_t i = 0; i < rows_; ++i) {
    cells[i] += outcome.labels[i] * static_cast<int32_t>(outcome.classes);
  }
  auto part = std::make_unique<ConfusionPart>(std::move(cells), outcome.classes, weights(), names);
  Add(std::move(names), std::move(part));
}

void CountedFigures::AddMeans(const Outcome& outcome, const std::string& name) {
  std::vector<double> values(rows_);
  const bool squared = name == "mse" || name == "rmse";
  const int64_t k = name == "top_3_accuracy" ? 3 : 5;
  const size_t width = outcome.probabilities.size() / rows_;
  for (size_t i = 0; i < rows_; ++i) {
    const std::span<const float> said = outcome.probabilities.subspan(i * width, width);
    if (outcome.classes > 0) {
      const std::span<const int32_t> label = outcome.labels.subspan(i, 1);
      values[i] = name.starts_with("top_")
                      ? (k >= outcome.classes ? 1 : TopKAccuracy(said, label, outcome.classes, k))
                      : LogLoss(said, label, outcome.classes);
      continue;
    }
    const double error = static_cast<double>(said[0]) - static_cast<double>(outcome.targets[i]);
    values[i] = squared ? error * error : std::fabs(error);
  }
  double (*transform)(double) = nullptr;
  if (name == "rmse") transform = [](double x) { return std::sqrt(x); };
  if (name == "perplexity") transform = [](double x) { return std::exp(x); };
  AddRatio(name, std::move(values), {}, transform);
}

void CountedFigures::AddMetrics(const Outcome& outcome, const std::vector<std::string>& names) {
  const size_t labels = outcome.classes > 0 ? outcome.labels.size() : outcome.targets.size();
  if (labels != rows_ || outcome.probabilities.size() % rows_ != 0) {
    Fail("there are ", rows_, " rows, but ", labels, " labels and ", outcome.probabilities.size(),
         " predictions");
  }
  std::vector<std::string> of_confusion, of_ranks;
  for (const std::string& name : names) {
    const MetricInfo& metric = FindMetric(name);
    if (metric.of_confusion != nullptr) {
      of_confusion.push_back(name);
    } else if (name == "auc" || name == "pr_auc" || name == "ams") {
      of_ranks.push_back(name);
    } else if (name == "auc_macro") {
      if (outcome.classes == 2) {
        Add({name},
            std::make_unique<RankPart>(Ranks(PositiveScores(outcome), outcome.labels, weights(), 1),
                                       std::vector<std::string>{name}));
        continue;
      }
      if (static_cast<int64_t>(outcome.probabilities.size()) > kMaxScores) {
        Fail("auc_macro of ", outcome.probabilities.size(), " scores is too large for a bootstrap");
      }
      Add({name}, std::make_unique<MacroAucPart>(outcome, weights()));
    } else if (name == "calibration_error") {
      Confidences said = ConfidencesOf(outcome);
      Add({name}, std::make_unique<CalibrationPart>(std::move(said.probabilities),
                                                    std::move(said.right), weights()));
    } else if (name == "r2") {
      Add({name}, std::make_unique<R2Part>(outcome.probabilities, outcome.targets, weights()));
    } else {
      AddMeans(outcome, name);
    }
  }
  if (!of_confusion.empty()) AddConfusion(outcome, std::move(of_confusion));
  if (!of_ranks.empty()) AddRanks(PositiveScores(outcome), outcome.labels, of_ranks);
}

void CountedFigures::Compute(std::span<const uint8_t> counts, std::span<double> values) const {
  if (counts.size() != rows_ || values.size() != names_.size()) {
    Fail("there are ", rows_, " rows and ", names_.size(), " figures, but ", counts.size(),
         " counts and room for ", values.size());
  }
  for (size_t i = 0; i < parts_.size(); ++i) {
    parts_[i]->Compute(counts.data(), values.data() + first_[i]);
  }
}

}  // namespace beamline::engine::metrics
