#include "engine/learners/linear.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <utility>
#include <vector>

#include "engine/backend/cpu/learner_kernels.h"
#include "engine/core/error.h"
#include "engine/learners/lbfgs.h"
#include "engine/learners/linear_algebra.h"
#include "engine/learners/ridge.h"
#include "engine/learners/row_learner.h"
#include "engine/learners/row_reader.h"
#include "engine/learners/smooth_loss.h"

namespace beamline::engine {
namespace {

// Parts whose gradients are summed apart: a number that depends on the rows alone.
constexpr int64_t kMaxParts = 16;
constexpr int64_t kLeastPart = 256;
// Rows of a part whose scores are made at once.
constexpr int64_t kTileRows = 64;

// The loss of softmax(x W + b) over all rows, divided by the sum of weights; parameters are
// [features + 1, classes], the last row b.
class LogisticLoss : public SmoothLoss {
 public:
  LogisticLoss(RowMatrix rows, int64_t classes, double penalty, ThreadPool* pool)
      : rows_(std::move(rows)), classes_(classes), penalty_(penalty), pool_(*pool) {
    if (!(rows_.weight_sum > 0)) Fail("the weights of the training rows add up to nothing or less");
    parts_ = std::clamp<int64_t>(rows_.rows / kLeastPart, 1, kMaxParts);
    sums_.resize(static_cast<size_t>(parts_));
  }

  int64_t size() const override { return (rows_.features + 1) * classes_; }
  double main_loss() const override { return main_loss_; }

  double At(const std::vector<double>& parameters, std::vector<double>* gradient) override {
    Matrix weights(rows_.features, classes_);
    std::copy_n(parameters.begin(), weights.values.size(), weights.values.begin());
    const Multiplier by(weights);
    const double* bias = parameters.data() + weights.values.size();
    pool_.ParallelFor(parts_, [&](int64_t part) { AddPart(part, by, bias); });
    std::fill(gradient->begin(), gradient->end(), 0.0);
    double loss = 0;
    for (const Sums& part : sums_) {
      loss += part.loss;
      for (size_t i = 0; i < gradient->size(); ++i) (*gradient)[i] += part.gradient[i];
    }
    main_loss_ = loss / rows_.weight_sum;
    const auto penalised = static_cast<size_t>(rows_.features * classes_);
    for (size_t i = 0; i < penalised; ++i) {
      loss += penalty_ / 2 * parameters[i] * parameters[i];
      (*gradient)[i] += penalty_ * parameters[i];
    }
    for (double& number : *gradient) number /= rows_.weight_sum;
    return loss / rows_.weight_sum;
  }

 private:
  struct Sums {
    double loss = 0;
    std::vector<double> gradient;
  };

  void AddPart(int64_t part, const Multiplier& weights, const double* bias) {
    Sums& sums = sums_[static_cast<size_t>(part)];
    sums.loss = 0;
    Matrix of_weights(rows_.features, classes_);
    std::vector<double> of_bias(static_cast<size_t>(classes_));
    const int64_t end = rows_.rows * (part + 1) / parts_;
    for (int64_t first = rows_.rows * part / parts_; first < end; first += kTileRows) {
      Matrix scores(std::min(kTileRows, end - first), classes_);
      for (int64_t i = 0; i < scores.rows; ++i) std::copy_n(bias, classes_, scores.Row(i));
      const float* x = rows_.x.data() + first * rows_.features;
      weights.Add(x, nullptr, scores.rows, scores.values.data());
      sums.loss += LossOfTile(first, &scores);
      AddCross(x, scores.values.data(), scores.rows, &of_weights);
      for (int64_t i = 0; i < scores.rows; ++i) {
        for (int64_t c = 0; c < classes_; ++c) of_bias[static_cast<size_t>(c)] += scores.At(i, c);
      }
    }
    sums.gradient = std::move(of_weights.values);
    sums.gradient.insert(sums.gradient.end(), of_bias.begin(), of_bias.end());
  }

  // Of rows from `first` on; their scores become the loss's gradients.
  double LossOfTile(int64_t first, Matrix* scores) const {
    double loss = 0;
    std::vector<double> rights;
    for (int64_t i = 0; i < scores->rows; ++i) {
      double* row = scores->Row(i);
      const double top = *std::max_element(row, row + classes_);
      for (int64_t c = 0; c < classes_; ++c) row[c] -= top;
      rights.push_back(row[rows_.labels[static_cast<size_t>(first + i)]]);
    }
    cpu::FindLearnerKernels().Exps(1, scores->rows * classes_, scores->values.data());
    for (int64_t i = 0; i < scores->rows; ++i) {
      double* row = scores->Row(i);
      const auto at = static_cast<size_t>(first + i);
      const auto weight = static_cast<double>(rows_.weights[at]);
      double total = 0;
      for (int64_t c = 0; c < classes_; ++c) total += row[c];
      loss += weight * (std::log(total) - rights[static_cast<size_t>(i)]);
      for (int64_t c = 0; c < classes_; ++c) row[c] *= weight / total;
      row[rows_.labels[at]] -= weight;
    }
    return loss;
  }

  RowMatrix rows_;
  int64_t classes_;
  double penalty_;
  ThreadPool& pool_;
  int64_t parts_ = 1;
  std::vector<Sums> sums_;
  double main_loss_ = 0;
};

class LinearLearner : public RowLearner {
 public:
  LinearLearner(const LinearSpec& spec, const LearnerData& data)
      : RowLearner(data, spec.threads,
                   Concat("linear ", Exact(spec.penalty), ' ', spec.max_iterations, ' ',
                          Exact(spec.tolerance))),
        spec_(spec),
        weights_(static_cast<size_t>(features() * outputs())),
        bias_(static_cast<size_t>(outputs())) {
    Prepare();
  }

  bool done() const override {
    return classes() == 0 ? step() > 0
                          : step() >= spec_.max_iterations || (descent_ && descent_->done());
  }
  int64_t total_steps() const override { return classes() == 0 ? 1 : spec_.max_iterations; }

  std::vector<NamedTensor> Weights() const override {
    std::vector<NamedTensor> weights;
    weights.push_back({"bias", Tensor::From<float>({outputs()}, bias_)});
    weights.push_back({"weights", Tensor::From<float>({features(), outputs()}, weights_)});
    return weights;
  }
  void SetWeights(const std::vector<NamedTensor>& weights) override {
    const Tensor& w = FindWeight(weights, "weights", DType::kFloat32, {features(), outputs()});
    const Tensor& b = FindWeight(weights, "bias", DType::kFloat32, {outputs()});
    const auto w_values = w.values<float>(), b_values = b.values<float>();
    weights_.assign(w_values.begin(), w_values.end());
    bias_.assign(b_values.begin(), b_values.end());
    Prepare();
  }

  int64_t PeakBytes() const override {
    // What is solved, with its factor; or rows in memory, and what is descended.
    if (classes() == 0)
      return Moments::BytesOf(features(), outputs()) + 8 * features() * features();
    if (classes() == 2) {
      // While the loss takes them, rows are there twice; its parts have gradients of all lanes.
      return training().rows() * (8 * features() + 24) +
             (kMaxParts * cpu::kLanes + 26) * (features() + 1) * 8;
    }
    return training().rows() * (features() + 2) * 4 +
           (kMaxParts + 26) * (features() + 1) * outputs() * 8;
  }

 protected:
  void Advance(StepReport* report) override {
    if (classes() == 0) return SolveAtOnce(report);
    Begin();
    descent_->Step();
    Take(descent_->x());
    report->epoch = 0;
    report->loss = loss_->main_loss();
    report->epoch_end = descent_->done() || step() + 1 >= spec_.max_iterations;
  }

  void PredictRows(const float* x, int64_t count, float* out) const override {
    Matrix said(count, outputs());
    for (int64_t i = 0; i < count; ++i) std::copy(bias_.begin(), bias_.end(), said.Row(i));
    by_->Add(x, nullptr, count, said.values.data());
    if (classes() > 0) Softmax(&said);
    std::copy(said.values.begin(), said.values.end(), out);
  }

  void SaveState(CheckpointWriter* out) const override {
    out->Elements(Tensor::From<float>({features(), outputs()}, weights_));
    out->Elements(Tensor::From<float>({outputs()}, bias_));
    out->Integer(descent_ ? 1 : 0);
    if (descent_) descent_->Save(out);
  }
  void LoadState(CheckpointReader* in) override {
    Tensor weights({features(), outputs()}, DType::kFloat32), bias({outputs()}, DType::kFloat32);
    in->Elements(&weights);
    in->Elements(&bias);
    std::optional<Lbfgs> descent;
    if (in->Integer() != 0) {
      Begin();
      descent = *descent_;
      descent->Load(in);
    }
    in->Finish();
    const auto w = weights.values<float>(), b = bias.values<float>();
    weights_.assign(w.begin(), w.end());
    bias_.assign(b.begin(), b.end());
    Prepare();
    descent_ = std::move(descent);
  }

 private:
  void Begin() {
    if (descent_) return;
    RowMatrix rows = ReadRows(training(), &pool());
    if (classes() == 2) {
      loss_ = MakeTwoClassLoss(rows, spec_.penalty, &pool());
    } else {
      loss_ = std::make_unique<LogisticLoss>(std::move(rows), classes(), spec_.penalty, &pool());
    }
    SmoothLoss* const loss = loss_.get();
    descent_.emplace([loss](const std::vector<double>& x,
                            std::vector<double>* gradient) { return loss->At(x, gradient); },
                     std::vector<double>(static_cast<size_t>(loss->size())),
                     // Of an element of both columns.
                     classes() == 2 ? std::numbers::sqrt2 * spec_.tolerance : spec_.tolerance);
  }

  void Take(const std::vector<double>& parameters) {
    if (classes() == 2) {
      for (size_t i = 0; i < parameters.size(); ++i) {
        const auto half = static_cast<float>(parameters[i] / std::numbers::sqrt2);
        float* to = i + 1 < parameters.size() ? weights_.data() + 2 * i : bias_.data();
        to[0] = -half;
        to[1] = half;
      }
    } else {
      std::copy_n(parameters.begin(), weights_.size(), weights_.begin());
      std::copy(parameters.end() - outputs(), parameters.end(), bias_.begin());
    }
    Prepare();
  }

  void SolveAtOnce(StepReport* report) {
    Moments moments(features(), outputs());
    std::vector<double> targets, weights;
    RowReader(training(), &pool()).ForEach([&](const RowBlock& block) {
      targets.assign(block.targets, block.targets + block.rows * outputs());
      const bool weighted = block.weights != nullptr;
      if (weighted) weights.assign(block.weights, block.weights + block.rows);
      moments.Add(block.features, targets.data(), weighted ? weights.data() : nullptr, block.rows,
                  &pool());
    });
    const RidgeFit fit = FitRidge(std::move(moments), spec_.penalty, &pool());
    std::copy(fit.coefficients.values.begin(), fit.coefficients.values.end(), weights_.begin());
    std::copy(fit.intercepts.begin(), fit.intercepts.end(), bias_.begin());
    Prepare();
    report->loss = fit.loss;
  }

  static void Softmax(Matrix* scores) {
    for (int64_t i = 0; i < scores->rows; ++i) {
      double* row = scores->Row(i);
      const double top = *std::max_element(row, row + scores->columns);
      for (int64_t c = 0; c < scores->columns; ++c) row[c] -= top;
    }
    cpu::FindLearnerKernels().Exps(1, scores->rows * scores->columns, scores->values.data());
    for (int64_t i = 0; i < scores->rows; ++i) {
      double* row = scores->Row(i);
      double total = 0;
      for (int64_t c = 0; c < scores->columns; ++c) total += row[c];
      for (int64_t c = 0; c < scores->columns; ++c) row[c] /= total;
    }
  }

  // After the weights have changed.
  void Prepare() {
    Matrix wide(features(), outputs());
    std::copy(weights_.begin(), weights_.end(), wide.values.begin());
    by_.emplace(wide);
  }

  LinearSpec spec_;
  std::vector<float> weights_;  // [features, outputs]
  std::vector<float> bias_;
  std::optional<Multiplier> by_;      // weights_, as they are multiplied with
  std::unique_ptr<SmoothLoss> loss_;  // before what refers to it
  std::optional<Lbfgs> descent_;
};

}  // namespace

std::unique_ptr<Learner> MakeLinear(const LinearSpec& spec, const LearnerData& data) {
  return std::make_unique<LinearLearner>(spec, data);
}

}  // namespace beamline::engine
