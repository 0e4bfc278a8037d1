#include "engine/learners/naive_bayes.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "engine/core/error.h"
#include "engine/learners/ridge.h"
#include "engine/learners/row_blocks.h"
#include "engine/learners/row_learner.h"

namespace beamline::engine {
namespace {

using cpu::kLanes;

// Doubles as two floats each, exact to 48 bits.
void AddNumbers(const std::string& name, const Shape& shape, const std::vector<double>& numbers,
                std::vector<NamedTensor>* out) {
  Tensor high(shape, DType::kFloat32), rest(shape, DType::kFloat32);
  Split(numbers, &high, &rest);
  out->push_back({name, std::move(high)});
  out->push_back({name + ".rest", std::move(rest)});
}

std::vector<double> TakeNumbers(const std::vector<NamedTensor>& weights, const std::string& name,
                                const Shape& shape) {
  return Join(FindWeight(weights, name, DType::kFloat32, shape),
              FindWeight(weights, name + ".rest", DType::kFloat32, shape));
}

class NaiveBayesLearner : public RowLearner {
 public:
  NaiveBayesLearner(const NaiveBayesSpec& spec, const LearnerData& data)
      : RowLearner(data, spec.threads, "naive bayes " + Exact(spec.smoothing)), spec_(spec) {
    if (classes() == 0) Fail("naive_bayes predicts classes, but the target is a number");
    priors_.resize(static_cast<size_t>(classes()));
    means_.resize(static_cast<size_t>(classes() * features()));
    variances_.assign(means_.size(), 1.0);
    Prepare();
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
    Prepare();
  }

  int64_t PeakBytes() const override {
    return training().rows() * (features() + 2) * 4 + classes() * features() * 24;
  }

 protected:
  void Advance(StepReport* report) override {
    const RowMatrix rows = ReadRows(training(), &pool());
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
    const auto squares_of = cpu::FindLearnerKernels().WeightedSquares;
    std::vector<float> block(static_cast<size_t>(features() * kLanes));
    std::vector<double> squares(static_cast<size_t>(classes() * kLanes));
    std::vector<double> scores(static_cast<size_t>(classes()));
    for (int64_t first = 0; first < count; first += kLanes) {
      const int64_t rows = std::min(kLanes, count - first);
      TransposeRows(x + first * features(), rows, features(), block.data());
      squares_of(means_.data(), precisions_.data(), classes(), features(), block.data(),
                 squares.data());
      for (int64_t row = 0; row < rows; ++row, out += classes()) {
        for (size_t c = 0; c < scores.size(); ++c) {
          scores[c] = constants_[c] - 0.5 * squares[c * kLanes + static_cast<size_t>(row)];
        }
        const double top = *std::max_element(scores.begin(), scores.end());
        double total = 0;
        for (double& score : scores) total += score = std::exp(score - top);
        for (size_t c = 0; c < scores.size(); ++c) {
          out[c] = static_cast<float>(scores[c] / total);
        }
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
    Prepare();
  }

 private:
  static size_t Label(const RowMatrix& rows, int64_t i) {
    return static_cast<size_t>(rows.labels[static_cast<size_t>(i)]);
  }
  static double Weight(const RowMatrix& rows, int64_t i) {
    return static_cast<double>(rows.weights[static_cast<size_t>(i)]);
  }

  // Features of a tile: each thread goes through all rows, in order.
  static constexpr int64_t kTileFeatures = 32;

  void FindMoments(const RowMatrix& rows, const std::vector<double>& sums) {
    std::fill(means_.begin(), means_.end(), 0.0);
    std::fill(variances_.begin(), variances_.end(), 0.0);
    const int64_t tiles = (features() + kTileFeatures - 1) / kTileFeatures;
    std::vector<double> largest(static_cast<size_t>(tiles));
    pool().ParallelFor(tiles, [&](int64_t tile) {
      largest[static_cast<size_t>(tile)] = FindMomentsOfTile(rows, sums, tile * kTileFeatures);
    });
    const double added = spec_.smoothing * *std::max_element(largest.begin(), largest.end());
    for (double& variance : variances_) {
      variance += added;
      if (variance > 0) continue;
      Fail(
          "a feature has no positive variance in a class: take away features that are constant, "
          "raise smoothing, or use weights of one sign");
    }
  }

  // The largest variance of these features over all rows, without weights.
  double FindMomentsOfTile(const RowMatrix& rows, const std::vector<double>& sums, int64_t first) {
    const int64_t width = std::min(kTileFeatures, features() - first);
    const auto count = static_cast<double>(rows.rows);
    const auto for_each = [&](const auto& use) {
      for (int64_t i = 0; i < rows.rows; ++i) {
        const size_t c = Label(rows, i);
        use(static_cast<int64_t>(c) * features() + first, Weight(rows, i) / sums[c],
            rows.x.data() + i * features() + first);
      }
    };
    double mean[kTileFeatures] = {}, variance[kTileFeatures] = {};
    for_each([&](int64_t at, double share, const float* x) {
      double* of_class = means_.data() + at;
      for (int64_t f = 0; f < width; ++f) {
        const auto value = static_cast<double>(x[f]);
        of_class[f] += share * value;
        mean[f] += value;
      }
    });
    for (double& number : mean) number /= count;
    for_each([&](int64_t at, double share, const float* x) {
      const double* of_class = means_.data() + at;
      double* squares = variances_.data() + at;
      for (int64_t f = 0; f < width; ++f) {
        const auto value = static_cast<double>(x[f]);
        squares[f] += share * (value - of_class[f]) * (value - of_class[f]);
        variance[f] += (value - mean[f]) * (value - mean[f]);
      }
    });
    return *std::max_element(variance, variance + width) / count;
  }

  // What predictions are made with.
  void Prepare() {
    precisions_.resize(variances_.size());
    constants_.resize(priors_.size());
    for (size_t i = 0; i < variances_.size(); ++i) precisions_[i] = 1 / variances_[i];
    for (size_t c = 0; c < priors_.size(); ++c) {
      constants_[c] = std::log(priors_[c]);
      for (size_t f = 0; f < static_cast<size_t>(features()); ++f) {
        const double variance = variances_[c * static_cast<size_t>(features()) + f];
        constants_[c] -= 0.5 * std::log(2 * std::numbers::pi * variance);
      }
    }
  }

  NaiveBayesSpec spec_;
  std::vector<double> priors_;
  std::vector<double> means_;
  std::vector<double> variances_;
  std::vector<double> precisions_;  // 1 / variances_
  std::vector<double> constants_;   // of each class: the log of its prior and of its deviations
};

}  // namespace

std::unique_ptr<Learner> MakeNaiveBayes(const NaiveBayesSpec& spec, const LearnerData& data) {
  return std::make_unique<NaiveBayesLearner>(spec, data);
}

}  // namespace beamline::engine
