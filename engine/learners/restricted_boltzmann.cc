#include "engine/learners/restricted_boltzmann.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/learners/classic_learner.h"
#include "engine/learners/epoch_rows.h"
#include "engine/learners/products.h"
#include "engine/learners/sampling.h"

namespace beamline::engine {
namespace {

// Streams of the seed. Shuffling: with the epoch; sampling: with step and half of a Gibbs step.
constexpr uint64_t kWeightStream = uint64_t{0x7262} << 44;
constexpr uint64_t kShuffleStream = uint64_t{0x7263} << 44;
constexpr uint64_t kSampleStream = uint64_t{1} << 63;

class RestrictedBoltzmann : public ClassicLearner {
 public:
  RestrictedBoltzmann(const RestrictedBoltzmannSpec& spec, const LearnerData& data);

 protected:
  StepResult Train(int64_t step) override;
  void Infer(const RowBlock& block, const Inference& out) override;
  int64_t WorkingBytes() const override;

 private:
  static Definition Define(const RestrictedBoltzmannSpec& spec, const LearnerData& data);
  MatrixView W() const { return {weights_->values<float>().data(), layout().features, hidden_}; }
  // Probabilities of hidden units; means of visible ones.
  void Hide(const float* visible, int64_t rows, float* hidden);
  void Show(const float* hidden, int64_t rows, float* visible);
  void Sample(int64_t step, int64_t rows);
  double Reconstruct(const RowBlock& block);
  void CheckRows(const RowBlock& block) const;
  void Scale(const RowBlock& block, double weight_sum);
  void Update();

  const RestrictedBoltzmannSpec spec_;
  const int64_t hidden_;
  Tensor* weights_;
  Tensor* visible_bias_;
  Tensor* hidden_bias_;
  Tensor* velocity_ = nullptr;  // with momentum
  Tensor* visible_velocity_ = nullptr;
  Tensor* hidden_velocity_ = nullptr;
  Tensor* chains_ = nullptr;  // probabilities of hidden units
  std::optional<EpochRows> rows_;
  // Of a step: the two phases, and what they change.
  std::vector<float> hidden_probabilities_, visible_, sampled_;
  std::vector<float> positive_, negative_, positive_scales_, negative_scales_;
};

ClassicLearner::Definition RestrictedBoltzmann::Define(const RestrictedBoltzmannSpec& spec,
                                                       const LearnerData& data) {
  if (spec.hidden < 1 || spec.gibbs_steps < 1 || spec.epochs < 1 || spec.batch_size < 1) {
    Fail("restricted_boltzmann needs hidden, gibbs_steps, epochs and batch_size of at least 1");
  }
  if (!(spec.learning_rate > 0) || !(spec.momentum >= 0 && spec.momentum < 1) ||
      !(spec.weight_decay >= 0)) {
    Fail(
        "restricted_boltzmann needs a learning_rate above 0, a momentum in [0, 1) and a "
        "weight_decay of at least 0");
  }
  Definition definition;
  definition.name = "restricted_boltzmann";
  definition.text =
      Concat(std::hexfloat, spec.hidden, ' ', static_cast<int>(spec.visible), ' ', spec.gibbs_steps,
             ' ', spec.persistent, ' ', spec.learning_rate, ' ', spec.epochs, ' ', spec.batch_size,
             ' ', spec.momentum, ' ', spec.weight_decay, ' ', spec.seed);
  definition.threads = spec.threads;
  const int64_t rows = data.training != nullptr ? data.training->rows() : 1;
  definition.steps_per_epoch = EpochRows::StepsOf(rows, spec.batch_size);
  definition.total_steps = definition.steps_per_epoch * spec.epochs;
  definition.outputs = data.layout.features;
  definition.codes = spec.hidden;
  definition.reconstructs = true;
  return definition;
}

RestrictedBoltzmann::RestrictedBoltzmann(const RestrictedBoltzmannSpec& spec,
                                         const LearnerData& data)
    : ClassicLearner(Define(spec, data), data), spec_(spec), hidden_(spec.hidden) {
  const int64_t features = layout().features;
  weights_ = &AddWeight("weights", {features, hidden_});
  visible_bias_ = &AddWeight("visible_bias", {features});
  hidden_bias_ = &AddWeight("hidden_bias", {hidden_});
  const Philox random(spec.seed, kWeightStream);
  const std::span<float> weights = weights_->values<float>();
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = 0.01f * random.Normal(i);
  if (training() == nullptr) return;
  if (spec.momentum > 0) {
    velocity_ = &AddState("velocity", {features, hidden_}, DType::kFloat32);
    visible_velocity_ = &AddState("visible_velocity", {features}, DType::kFloat32);
    hidden_velocity_ = &AddState("hidden_velocity", {hidden_}, DType::kFloat32);
  }
  if (spec.persistent) {
    const int64_t chains = std::min(spec.batch_size, training()->rows());
    chains_ = &AddState("chains", {chains, hidden_}, DType::kFloat32);
  }
  rows_.emplace(*training(), spec.seed, kShuffleStream, spec.batch_size, &pool());
}

void RestrictedBoltzmann::Hide(const float* visible, int64_t rows, float* hidden) {
  Multiply({visible, rows, layout().features}, W(), hidden_bias_->values<float>().data(),
           Activation::kSigmoid, hidden, &pool());
}

void RestrictedBoltzmann::Show(const float* hidden, int64_t rows, float* visible) {
  Multiply({hidden, rows, hidden_}, W().Transposed(), visible_bias_->values<float>().data(),
           spec_.visible == VisibleUnits::kBinary ? Activation::kSigmoid : Activation::kLinear,
           visible, &pool());
}

void RestrictedBoltzmann::CheckRows(const RowBlock& block) const {
  CheckWeights(block);
  if (spec_.visible != VisibleUnits::kBinary) return;
  for (int64_t i = 0; i < block.rows * layout().features; ++i) {
    if (block.features[i] >= 0 && block.features[i] <= 1) continue;
    Fail("row ", block.index[static_cast<size_t>(i / layout().features)], " has a feature of ",
         block.features[i], ", but binary units take probabilities in [0, 1]: scale features by ",
         "min_max_scale, or set visible to gaussian");
  }
}

// Gibbs sampling: from what is in sampled_, which are hidden units, to the same and visible_. The
// hidden ones are left as probabilities.
void RestrictedBoltzmann::Sample(int64_t step, int64_t rows) {
  const auto stream = [&](int64_t half) {
    return Philox(spec_.seed,
                  kSampleStream | static_cast<uint64_t>(step) << 12 | static_cast<uint64_t>(half));
  };
  for (int64_t k = 0; k < spec_.gibbs_steps; ++k) {
    DrawBits(stream(2 * k), rows * hidden_, sampled_.data(), &pool());
    Show(sampled_.data(), rows, visible_.data());
    const int64_t size = rows * layout().features;
    if (spec_.visible == VisibleUnits::kBinary) {
      DrawBits(stream(2 * k + 1), size, visible_.data(), &pool());
    } else {
      AddNormal(stream(2 * k + 1), size, visible_.data(), &pool());
    }
    Hide(visible_.data(), rows, sampled_.data());
  }
}

double RestrictedBoltzmann::Reconstruct(const RowBlock& block) {
  const int64_t size = layout().features;
  Show(hidden_probabilities_.data(), block.rows, visible_.data());
  double loss = 0;
  double weight_sum = 0;
  for (int64_t row = 0; row < block.rows; ++row) {
    double squares = 0;
    for (int64_t k = 0; k < size; ++k) {
      const double difference = static_cast<double>(visible_[static_cast<size_t>(row * size + k)]) -
                                static_cast<double>(block.features[row * size + k]);
      squares += difference * difference;
    }
    loss += block.Weight(row) * squares / static_cast<double>(size);
    weight_sum += block.Weight(row);
  }
  return weight_sum > 0 ? loss / weight_sum : 0;
}

// Shares of each row and chain in the means of the two phases.
void RestrictedBoltzmann::Scale(const RowBlock& block, double weight_sum) {
  const int64_t chains = chains_ != nullptr ? chains_->shape().dim(0) : block.rows;
  positive_scales_.resize(static_cast<size_t>(block.rows));
  negative_scales_.resize(static_cast<size_t>(chains));
  for (int64_t row = 0; row < block.rows; ++row) {
    positive_scales_[static_cast<size_t>(row)] = static_cast<float>(block.Weight(row) / weight_sum);
  }
  if (chains_ == nullptr) {
    negative_scales_ = positive_scales_;
  } else {
    std::fill(negative_scales_.begin(), negative_scales_.end(), 1.0f / static_cast<float>(chains));
  }
}

// Adds `sign` times the scaled means of one phase to the biases' gradients.
void AddMeans(const float* x, const std::vector<float>& scales, int64_t width, double sign,
              std::vector<double>* sums) {
  for (size_t row = 0; row < scales.size(); ++row) {
    for (int64_t k = 0; k < width; ++k) {
      (*sums)[static_cast<size_t>(k)] +=
          sign * static_cast<double>(scales[row]) *
          static_cast<double>(x[static_cast<int64_t>(row) * width + k]);
    }
  }
}

void ScaleRows(const std::vector<float>& scales, int64_t width, float* x) {
  for (size_t row = 0; row < scales.size(); ++row) {
    for (int64_t k = 0; k < width; ++k) x[static_cast<int64_t>(row) * width + k] *= scales[row];
  }
}

// value += velocity, which is momentum * velocity + rate * (gradient - decay * value).
void Move(const RestrictedBoltzmannSpec& spec, double decay, float gradient, float* velocity,
          float* value) {
  float change =
      static_cast<float>(spec.learning_rate) * (gradient - static_cast<float>(decay) * *value);
  if (velocity != nullptr) {
    change += static_cast<float>(spec.momentum) * *velocity;
    *velocity = change;
  }
  *value += change;
}

void RestrictedBoltzmann::Update() {
  const int64_t size = layout().features * hidden_;
  float* weights = weights_->values<float>().data();
  float* velocity = velocity_ != nullptr ? velocity_->values<float>().data() : nullptr;
  pool().ParallelFor((size + kDrawTile - 1) / kDrawTile, [&](int64_t tile) {
    for (int64_t i = tile * kDrawTile; i < std::min(size, (tile + 1) * kDrawTile); ++i) {
      const auto at = static_cast<size_t>(i);
      Move(spec_, spec_.weight_decay, positive_[at] - negative_[at],
           velocity != nullptr ? velocity + i : nullptr, weights + i);
    }
  });
}

void MoveBias(const RestrictedBoltzmannSpec& spec, const std::vector<double>& gradient,
              Tensor* velocity, Tensor* bias) {
  for (size_t k = 0; k < gradient.size(); ++k) {
    Move(spec, 0, static_cast<float>(gradient[k]),
         velocity != nullptr ? &velocity->values<float>()[k] : nullptr, &bias->values<float>()[k]);
  }
}

ClassicLearner::StepResult RestrictedBoltzmann::Train(int64_t step) {
  const int64_t features = layout().features;
  const RowBlock block = rows_->Read(step);
  CheckRows(block);
  StepResult result;
  result.weight = 0;
  for (int64_t i = 0; i < block.rows; ++i) result.weight += block.Weight(i);
  result.examples = block.rows;
  result.learning_rate = spec_.learning_rate;

  const int64_t chains = chains_ != nullptr ? chains_->shape().dim(0) : block.rows;
  hidden_probabilities_.resize(static_cast<size_t>(block.rows * hidden_));
  visible_.resize(static_cast<size_t>(std::max(chains, block.rows) * features));
  positive_.resize(static_cast<size_t>(features * hidden_));
  negative_.resize(positive_.size());
  Hide(block.features, block.rows, hidden_probabilities_.data());
  result.loss = Reconstruct(block);
  if (!std::isfinite(result.loss)) {
    Fail("the reconstruction is not a finite number after ", step, " steps: lower learning_rate",
         spec_.visible == VisibleUnits::kGaussian ? ", or standardise the features" : "");
  }
  if (!(result.weight > 0)) return result;
  if (chains_ != nullptr) {
    const std::span<const float> kept = chains_->values<float>();
    sampled_.assign(kept.begin(), kept.end());
  } else {
    sampled_ = hidden_probabilities_;
  }
  Sample(step, chains);
  Scale(block, result.weight);
  std::vector<double> visible(static_cast<size_t>(features)), hidden(static_cast<size_t>(hidden_));
  AddMeans(block.features, positive_scales_, features, 1, &visible);
  AddMeans(visible_.data(), negative_scales_, features, -1, &visible);
  AddMeans(hidden_probabilities_.data(), positive_scales_, hidden_, 1, &hidden);
  AddMeans(sampled_.data(), negative_scales_, hidden_, -1, &hidden);
  if (chains_ != nullptr) {
    std::copy(sampled_.begin(), sampled_.end(), chains_->values<float>().begin());
  }
  ScaleRows(positive_scales_, hidden_, hidden_probabilities_.data());
  ScaleRows(negative_scales_, hidden_, sampled_.data());
  Multiply({block.features, block.rows, features, true},
           {hidden_probabilities_.data(), block.rows, hidden_}, nullptr, Activation::kLinear,
           positive_.data(), &pool());
  Multiply({visible_.data(), chains, features, true}, {sampled_.data(), chains, hidden_}, nullptr,
           Activation::kLinear, negative_.data(), &pool());
  Update();
  MoveBias(spec_, visible, visible_velocity_, visible_bias_);
  MoveBias(spec_, hidden, hidden_velocity_, hidden_bias_);
  return result;
}

void RestrictedBoltzmann::Infer(const RowBlock& block, const Inference& out) {
  std::vector<float> own;
  float* hidden = out.codes;
  if (hidden == nullptr) {
    own.resize(static_cast<size_t>(block.rows * hidden_));
    hidden = own.data();
  }
  Hide(block.features, block.rows, hidden);
  Show(hidden, block.rows, out.outputs);
}

int64_t RestrictedBoltzmann::WorkingBytes() const {
  if (training() == nullptr) return 4 * RowReader::kBlock * hidden_;
  const int64_t batch = std::min(spec_.batch_size, training()->rows());
  return 4 * (2 * batch * hidden_ + batch * layout().features + 2 * layout().features * hidden_ +
              RowReader::kBlock * hidden_) +
         8 * training()->rows();
}

}  // namespace

std::unique_ptr<Learner> MakeRestrictedBoltzmann(const RestrictedBoltzmannSpec& spec,
                                                 const LearnerData& data) {
  return std::make_unique<RestrictedBoltzmann>(spec, data);
}

}  // namespace beamline::engine
