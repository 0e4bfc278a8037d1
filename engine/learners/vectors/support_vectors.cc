#include "engine/learners/vectors/support_vectors.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <utility>

#include "engine/core/error.h"
#include "engine/learners/linear_algebra.h"
#include "engine/learners/vectors/kernels.h"
#include "engine/learners/vectors/trainer.h"

namespace beamline::engine {
namespace {

// All decisions over the rows that any of them needs.
struct Model {
  int64_t features = 0;
  int64_t decisions = 0;
  int64_t vectors = 0;
  float gamma = 0;
  std::vector<float> x;             // [vectors, features]
  std::vector<float> coefficients;  // [decisions, vectors]
  std::vector<float> constants;     // [decisions]
  // The vectors and coefficients, as they are multiplied with.
  std::shared_ptr<const KernelRows> compared;
  std::shared_ptr<const Multiplier> votes;

  void Prepare() {
    Matrix turned(vectors, decisions);
    for (int64_t d = 0; d < decisions; ++d) {
      for (int64_t v = 0; v < vectors; ++v) {
        turned.At(v, d) = static_cast<double>(coefficients[static_cast<size_t>(d * vectors + v)]);
      }
    }
    votes = std::make_shared<const Multiplier>(turned);
    compared = std::make_shared<const KernelRows>(x.data(), vectors, features);
  }
};

Model ModelOf(const std::vector<Decision>& decisions, const RowMatrix& rows, float gamma) {
  std::map<int64_t, size_t> places;
  for (const Decision& decision : decisions) {
    for (const int64_t row : decision.rows) places[row] = 0;
  }
  Model model;
  model.features = rows.features;
  model.decisions = static_cast<int64_t>(decisions.size());
  model.vectors = static_cast<int64_t>(places.size());
  model.gamma = gamma;
  model.x.reserve(places.size() * static_cast<size_t>(rows.features));
  size_t next = 0;
  for (auto& [row, place] : places) {
    place = next++;
    const auto begin = rows.x.begin() + row * rows.features;
    model.x.insert(model.x.end(), begin, begin + rows.features);
  }
  model.coefficients.resize(decisions.size() * places.size());
  for (size_t d = 0; d < decisions.size(); ++d) {
    for (size_t i = 0; i < decisions[d].rows.size(); ++i) {
      model.coefficients[d * places.size() + places[decisions[d].rows[i]]] =
          static_cast<float>(decisions[d].coefficients[i]);
    }
    model.constants.push_back(static_cast<float>(decisions[d].constant));
  }
  model.Prepare();
  return model;
}

std::vector<NamedTensor> ToWeights(const Model& model) {
  std::vector<NamedTensor> weights;
  weights.push_back(
      {"coefficients", Tensor::From<float>({model.decisions, model.vectors}, model.coefficients)});
  weights.push_back({"constants", Tensor::From<float>({model.decisions}, model.constants)});
  weights.push_back({"gamma", Tensor::From<float>({1}, std::vector<float>{model.gamma})});
  weights.push_back({"vectors", Tensor::From<float>({model.vectors, model.features}, model.x)});
  return weights;
}

std::vector<float> Floats(const Tensor& tensor) {
  const auto values = tensor.values<float>();
  return {values.begin(), values.end()};
}

Model FromWeights(const std::vector<NamedTensor>& weights, int64_t features, int64_t decisions) {
  Model model;
  model.features = features;
  model.decisions = decisions;
  const Tensor& x = FindWeight(weights, "vectors", DType::kFloat32);
  model.vectors = x.shape().rank() == 2 ? x.shape().dim(0) : 0;
  model.x = Floats(FindWeight(weights, "vectors", DType::kFloat32, {model.vectors, features}));
  model.coefficients =
      Floats(FindWeight(weights, "coefficients", DType::kFloat32, {decisions, model.vectors}));
  model.constants = Floats(FindWeight(weights, "constants", DType::kFloat32, {decisions}));
  model.gamma = FindWeight(weights, "gamma", DType::kFloat32, {1}).values<float>()[0];
  model.Prepare();
  return model;
}

// [rows, decisions], by the calling thread.
Matrix Decide(const SupportVectorSpec& spec, const Model& model, const float* x, int64_t rows) {
  const Matrix kernels = model.compared->KernelsOf(spec, static_cast<double>(model.gamma), x, rows);
  Matrix decisions(rows, model.decisions);
  model.votes->Add(kernels.values.data(), nullptr, rows, decisions.values.data());
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t d = 0; d < model.decisions; ++d) {
      decisions.At(row, d) -= static_cast<double>(model.constants[static_cast<size_t>(d)]);
    }
  }
  return decisions;
}

double VarianceOf(const std::vector<float>& values) {
  double mean = 0, variance = 0;
  const auto count = static_cast<double>(values.size());
  for (const float value : values) mean += static_cast<double>(value) / count;
  for (const float value : values) {
    variance += (static_cast<double>(value) - mean) * (static_cast<double>(value) - mean) / count;
  }
  return variance;
}

class SupportVectorLearner : public RowLearner {
 public:
  // 2: solved here. What LIBSVM had solved, a checkpoint of before, is not gone on with.
  SupportVectorLearner(const SupportVectorSpec& spec, const LearnerData& data)
      : RowLearner(
            data, spec.threads,
            Concat("support vectors 2 ", static_cast<int>(spec.kernel), ' ', Exact(spec.cost), ' ',
                   Exact(spec.gamma), ' ', spec.degree, ' ', Exact(spec.offset), ' ',
                   Exact(spec.epsilon), ' ', Exact(spec.tolerance))),
        spec_(spec) {
    if (layout().has_weights) Fail("support_vectors cannot weigh its rows: remove the weights");
    if (layout().targets > 1) Fail("support_vectors predicts one number, not several");
    for (int32_t i = 0; i < classes(); ++i) {
      for (int32_t j = i + 1; j < classes(); ++j) pairs_.emplace_back(i, j);
    }
    model_.features = features();
    model_.decisions = total_steps();
    model_.constants.resize(static_cast<size_t>(model_.decisions));
    model_.Prepare();
  }

  bool done() const override { return step() >= total_steps(); }
  int64_t total_steps() const override {
    return classes() > 0 ? static_cast<int64_t>(pairs_.size()) : 1;
  }

  std::vector<NamedTensor> Weights() const override { return ToWeights(model_); }
  void SetWeights(const std::vector<NamedTensor>& weights) override {
    model_ = FromWeights(weights, features(), total_steps());
  }

  int64_t PeakBytes() const override {
    // Where every row is a support vector: rows, as they are and in the model, and coefficients of
    // all decisions; both in double and as kernels take them; and what stands beside each row.
    return training().rows() * (features() * 24 + total_steps() * 20 + 256) +
           (int64_t{kKernelCacheMebibytes} << 20);
  }

 protected:
  void Advance(StepReport* report) override {
    Prepare();
    const auto at = static_cast<size_t>(step());
    if (trainer_ == nullptr) {
      trainer_ =
          std::make_unique<VectorTrainer>(spec_, static_cast<double>(gamma_), rows_, &pool());
    }
    decisions_.push_back(classes() > 0 ? trainer_->TrainPair(pairs_[at].first, pairs_[at].second)
                                       : trainer_->TrainNumbers());
    report->epoch = 0;
    report->epoch_end = step() + 1 == total_steps();
    report->has_loss = report->epoch_end;
    if (!report->epoch_end) return;
    trainer_.reset();
    model_ = ModelOf(decisions_, rows_, gamma_);
    report->loss = Evaluate(training()).loss;
  }

  void PredictRows(const float* x, int64_t count, float* out) const override {
    const Matrix all = Decide(spec_, model_, x, count);
    for (int64_t i = 0; i < count; ++i, out += outputs()) {
      const double* decisions = all.Row(i);
      if (classes() == 0) {
        out[0] = static_cast<float>(decisions[0]);
      } else if (classes() == 2) {
        out[0] = static_cast<float>(1 / (1 + std::exp(-decisions[0])));
        out[1] = 1 - out[0];
      } else {
        Vote(decisions, out);
      }
    }
  }

  void SaveState(CheckpointWriter* out) const override {
    out->Integer(decisions_.size());
    for (const Decision& decision : decisions_) {
      const auto count = static_cast<int64_t>(decision.rows.size());
      out->Integer(decision.rows.size());
      out->Elements(Tensor::From<int64_t>({count}, decision.rows));
      out->Elements(Tensor::From<double>({count}, decision.coefficients));
      out->Number(decision.constant);
    }
  }
  void LoadState(CheckpointReader* in) override {
    std::vector<Decision> decisions;
    const int64_t count = in->Count();
    for (int64_t i = 0; i < count; ++i) {
      const int64_t size = in->Count();
      if (size < 0 || size > training().rows()) Fail("the checkpoint is damaged");
      Tensor rows({size}, DType::kInt64), coefficients({size}, DType::kFloat64);
      in->Elements(&rows);
      in->Elements(&coefficients);
      Decision& decision = decisions.emplace_back();
      decision.rows.assign(rows.values<int64_t>().begin(), rows.values<int64_t>().end());
      decision.coefficients.assign(coefficients.values<double>().begin(),
                                   coefficients.values<double>().end());
      decision.constant = in->Number();
    }
    in->Finish();
    decisions_ = std::move(decisions);
    if (static_cast<int64_t>(decisions_.size()) < total_steps()) return;
    Prepare();
    model_ = ModelOf(decisions_, rows_, gamma_);
  }

 private:
  void Prepare() {
    if (rows_.rows > 0) return;
    rows_ = ReadRows(training(), &pool());
    const double variance = VarianceOf(rows_.x);
    // As a model has it.
    gamma_ = static_cast<float>(
        spec_.gamma > 0 ? spec_.gamma
                        : (variance > 0 ? 1 / (static_cast<double>(features()) * variance) : 1));
  }

  // Votes, and by how much they were won, as scikit-learn has them for one class against the rest.
  void Vote(const double* decisions, float* out) const {
    std::vector<double> votes(static_cast<size_t>(classes())), margins(votes.size());
    for (size_t d = 0; d < pairs_.size(); ++d) {
      const auto first = static_cast<size_t>(pairs_[d].first);
      const auto second = static_cast<size_t>(pairs_[d].second);
      votes[decisions[d] > 0 ? first : second] += 1;
      margins[first] += decisions[d];
      margins[second] -= decisions[d];
    }
    double total = 0;
    for (size_t k = 0; k < votes.size(); ++k) {
      votes[k] += 0.5 + margins[k] / (3 * (std::abs(margins[k]) + 1));
      total += votes[k];
    }
    for (size_t k = 0; k < votes.size(); ++k) out[k] = static_cast<float>(votes[k] / total);
  }

  SupportVectorSpec spec_;
  std::vector<std::pair<int32_t, int32_t>> pairs_;
  RowMatrix rows_;
  float gamma_ = 0;
  std::unique_ptr<VectorTrainer> trainer_;  // while there is something to train
  std::vector<Decision> decisions_;
  Model model_;
};

}  // namespace

std::unique_ptr<Learner> MakeSupportVectors(const SupportVectorSpec& spec,
                                            const LearnerData& data) {
  return std::make_unique<SupportVectorLearner>(spec, data);
}

std::vector<double> DecisionValues(const SupportVectorSpec& spec,
                                   const std::vector<NamedTensor>& weights,
                                   std::span<const float> row) {
  const int64_t decisions = FindWeight(weights, "constants", DType::kFloat32).NumElements();
  return Decide(spec, FromWeights(weights, static_cast<int64_t>(row.size()), decisions), row.data(),
                1)
      .values;
}

}  // namespace beamline::engine
