#include "engine/learners/naive_bayes.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "engine/core/error.h"
#include "engine/learners/row_learner.h"

namespace beamline::engine {
namespace {

// A double as two floats, exact to 48 bits.
std::pair<float, float> Split(double value) {
  const auto high = static_cast<float>(value);
  return {high, static_cast<float>(value - static_cast<double>(high))};
}

void AddNumbers(const std::string& name, const Shape& shape, const std::vector<double>& numbers,
                std::vector<NamedTensor>* out) {
  std::vector<float> high, rest;
  for (const double number : numbers) {
    const auto [a, b] = Split(number);
    high.push_back(a);
    rest.push_back(b);
  }
  out->push_back({name, Tensor::From<float>(shape, high)});
  out->push_back({name + ".rest", Tensor::From<float>(shape, rest)});
}

std::vector<double> TakeNumbers(const std::vector<NamedTensor>& weights, const std::string& name,
                                const Shape& shape) {
  const auto high = FindWeight(weights, name, DType::kFloat32, shape).values<float>();
  const auto rest = FindWeight(weights, name + ".rest", DType::kFloat32, shape).values<float>();
  std::vector<double> numbers;
  for (size_t i = 0; i < high.size(); ++i) {
    numbers.push_back(static_cast<double>(high[i]) + static_cast<double>(rest[i]));
  }
  return numbers;
}

class NaiveBayesLearner : public RowLearner {
 public:
  NaiveBayesLearner(const NaiveBayesSpec& spec, const LearnerData& data)
      : RowLearner(data, spec.threads, "naive bayes " + Exact(spec.smoothing)), spec_(spec) {
    if (classes() == 0) Fail("naive_bayes predicts classes, but the target is a number");
    priors_.resize(static_cast<size_t>(classes()));
    means_.resize(static_cast<size_t>(classes() * features()));
    variances_.assign(means_.size(), 1.0);
  }

  bool done() const override { return step() > 0; }
  int64_t total_steps() const override { return 1; }

  std::vector<NamedTensor> Weights() const override {
    std::vector<NamedTensor> weights;
    AddNumbers("means", {classes(), features()}, means_, &weights);
    AddNumbers("priors", {classes()}, priors_, &weights);
    AddNumbers("variances", {classes(), features()}, variances_, &weights);
    return weights;
  }
  void SetWeights(const std::vector<NamedTensor>& weights) override {
    std::vector<double> means = TakeNumbers(weights, "means", {classes(), features()});
    std::vector<double> priors = TakeNumbers(weights, "priors", {classes()});
    std::vector<double> variances = TakeNumbers(weights, "variances", {classes(), features()});
    for (const double variance : variances) {
      if (!(variance > 0)) Fail("a variance of ", variance, " is none");
    }
    means_ = std::move(means);
    priors_ = std::move(priors);
    variances_ = std::move(variances);
  }

  int64_t PeakBytes() const override {
    return training().rows() * (features() + 2) * 4 + classes() * features() * 16;
  }

 protected:
  void Advance(StepReport* report) override {
    const RowMatrix rows = ReadRows(training());
    std::vector<double> sums(static_cast<size_t>(classes()));
    for (int64_t i = 0; i < rows.rows; ++i) sums[Label(rows, i)] += Weight(rows, i);
    for (int64_t c = 0; c < classes(); ++c) {
      const double sum = sums[static_cast<size_t>(c)];
      if (sum <= 0) Fail("the weights of class ", c, " add up to nothing or less");
      priors_[static_cast<size_t>(c)] = sum / rows.weight_sum;
    }
    FindMoments(rows, sums);
    SetWeights(Weights());  // As a model file has them.
    report->loss = Evaluate(training()).loss;
  }

  void PredictRows(const float* x, int64_t count, float* out) const override {
    std::vector<double> scores(static_cast<size_t>(classes()));
    for (int64_t i = 0; i < count; ++i, x += features(), out += classes()) {
      for (int64_t c = 0; c < classes(); ++c) scores[static_cast<size_t>(c)] = Score(x, c);
      const double top = *std::max_element(scores.begin(), scores.end());
      double total = 0;
      for (double& score : scores) total += score = std::exp(score - top);
      for (int64_t c = 0; c < classes(); ++c) {
        out[c] = static_cast<float>(scores[static_cast<size_t>(c)] / total);
      }
    }
  }

  // Resuming after the only step needs what it found.
  void SaveState(CheckpointWriter* out) const override {
    for (const std::vector<double>* numbers : {&means_, &priors_, &variances_}) {
      out->Elements(Tensor::From<double>({static_cast<int64_t>(numbers->size())}, *numbers));
    }
  }
  void LoadState(CheckpointReader* in) override {
    std::vector<std::vector<double>> read;
    for (const std::vector<double>* numbers : {&means_, &priors_, &variances_}) {
      Tensor tensor({static_cast<int64_t>(numbers->size())}, DType::kFloat64);
      in->Elements(&tensor);
      const auto values = tensor.values<double>();
      read.emplace_back(values.begin(), values.end());
    }
    in->Finish();
    means_ = std::move(read[0]);
    priors_ = std::move(read[1]);
    variances_ = std::move(read[2]);
  }

 private:
  static size_t Label(const RowMatrix& rows, int64_t i) {
    return static_cast<size_t>(rows.labels[static_cast<size_t>(i)]);
  }
  static double Weight(const RowMatrix& rows, int64_t i) {
    return static_cast<double>(rows.weights[static_cast<size_t>(i)]);
  }

  void FindMoments(const RowMatrix& rows, const std::vector<double>& sums) {
    const auto width = static_cast<size_t>(features());
    std::fill(means_.begin(), means_.end(), 0.0);
    std::fill(variances_.begin(), variances_.end(), 0.0);
    const auto for_each = [&](const auto& use) {
      for (int64_t i = 0; i < rows.rows; ++i) {
        const size_t c = Label(rows, i);
        const double share = Weight(rows, i) / sums[c];
        for (size_t f = 0; f < width; ++f) {
          use(c * width + f, f, share,
              static_cast<double>(rows.x[static_cast<size_t>(i) * width + f]));
        }
      }
    };
    for_each([&](size_t at, size_t, double share, double x) { means_[at] += share * x; });
    for_each([&](size_t at, size_t, double share, double x) {
      variances_[at] += share * (x - means_[at]) * (x - means_[at]);
    });
    const double added = spec_.smoothing * LargestVariance(rows);
    for (double& variance : variances_) {
      variance += added;
      if (variance > 0) continue;
      Fail(
          "a feature has no positive variance in a class: take away features that are constant, "
          "raise smoothing, or use weights of one sign");
    }
  }

  // Over all rows, without weights.
  static double LargestVariance(const RowMatrix& rows) {
    double largest = 0;
    const auto count = static_cast<double>(rows.rows);
    for (int64_t f = 0; f < rows.features; ++f) {
      const auto at = [&](int64_t i) {
        return static_cast<double>(rows.x[static_cast<size_t>(i * rows.features + f)]);
      };
      double mean = 0, variance = 0;
      for (int64_t i = 0; i < rows.rows; ++i) mean += at(i) / count;
      for (int64_t i = 0; i < rows.rows; ++i) variance += (at(i) - mean) * (at(i) - mean) / count;
      largest = std::max(largest, variance);
    }
    return largest;
  }

  // Log of prior times likelihood.
  double Score(const float* x, int64_t c) const {
    double score = std::log(priors_[static_cast<size_t>(c)]);
    const double* mean = means_.data() + c * features();
    const double* variance = variances_.data() + c * features();
    for (int64_t f = 0; f < features(); ++f) {
      const double difference = static_cast<double>(x[f]) - mean[f];
      score -= 0.5 * (std::log(2 * std::numbers::pi * variance[f]) +
                      difference * difference / variance[f]);
    }
    return score;
  }

  NaiveBayesSpec spec_;
  std::vector<double> priors_;
  std::vector<double> means_;
  std::vector<double> variances_;
};

}  // namespace

std::unique_ptr<Learner> MakeNaiveBayes(const NaiveBayesSpec& spec, const LearnerData& data) {
  return std::make_unique<NaiveBayesLearner>(spec, data);
}

}  // namespace beamline::engine
