#include "engine/learners/boltzmann.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "engine/backend/cpu/learner_kernels.h"
#include "engine/core/error.h"
#include "engine/core/math.h"
#include "engine/core/philox.h"
#include "engine/learners/classic_learner.h"
#include "engine/learners/epoch_rows.h"
#include "engine/learners/linear_algebra.h"
#include "engine/learners/products.h"

namespace beamline::engine {
namespace {

// Streams of the seed: weights and first chains, shuffling with the epoch, sampling with step and
// phase.
constexpr uint64_t kWeightStream = uint64_t{0x626d} << 44;
constexpr uint64_t kChainStream = uint64_t{0x626e} << 44;
constexpr uint64_t kShuffleStream = uint64_t{0x626f} << 44;
constexpr uint64_t kSampleStream = uint64_t{1} << 63;
constexpr int kMeanFieldUpdates = 10;
constexpr int64_t kMaxUnits = 32768;

class Boltzmann : public ClassicLearner {
 public:
  Boltzmann(const BoltzmannSpec& spec, const LearnerData& data);

 protected:
  StepResult Train(int64_t step) override;
  void Infer(const RowBlock& block, const Inference& out) override;
  int64_t WorkingBytes() const override;

 private:
  static Definition Define(const BoltzmannSpec& spec, const LearnerData& data);
  const float* Row(int64_t unit) const {
    return couplings_->values<float>().data() + unit * units_;
  }
  RowBlock NextRows(int64_t step);
  // Sweeps over units from `first` on of each row of states [rows, units].
  void Sample(const Philox& random, int64_t first, int64_t rows, float* states);
  void Update(const RowBlock& block, double weight);
  void MeanField(int64_t rows, const Multiplier& shown, Matrix fields, float* outputs,
                 float* codes) const;

  const BoltzmannSpec spec_;
  const int64_t visible_;
  const int64_t units_;
  Tensor* couplings_;
  Tensor* biases_;
  Tensor* chains_ = nullptr;
  std::optional<EpochRows> rows_;
  // Of a step.
  std::vector<float> states_, scaled_, positive_, negative_;
};

ClassicLearner::Definition Boltzmann::Define(const BoltzmannSpec& spec, const LearnerData& data) {
  if (spec.hidden < 0 || spec.epochs < 1 || spec.batch_size < 1 || spec.sweeps < 1 ||
      !(spec.learning_rate > 0)) {
    Fail(
        "boltzmann needs epochs, batch_size and sweeps of at least 1, hidden of at least 0 and a "
        "learning_rate above 0");
  }
  if (data.layout.features + spec.hidden > kMaxUnits) {
    Fail("boltzmann has a coupling for each pair of units: ", data.layout.features + spec.hidden,
         " are more than ", kMaxUnits);
  }
  Definition definition;
  definition.name = "boltzmann";
  definition.text = Concat(std::hexfloat, spec.hidden, ' ', spec.learning_rate, ' ', spec.epochs,
                           ' ', spec.batch_size, ' ', spec.sweeps, ' ', spec.seed);
  definition.threads = spec.threads;
  const int64_t rows = data.training != nullptr ? data.training->rows() : 1;
  definition.steps_per_epoch = EpochRows::StepsOf(rows, spec.batch_size);
  definition.total_steps = definition.steps_per_epoch * spec.epochs;
  definition.outputs = data.layout.features;
  definition.codes = spec.hidden;
  definition.reconstructs = true;
  return definition;
}

Boltzmann::Boltzmann(const BoltzmannSpec& spec, const LearnerData& data)
    : ClassicLearner(Define(spec, data), data),
      spec_(spec),
      visible_(layout().features),
      units_(layout().features + spec.hidden) {
  couplings_ = &AddWeight("couplings", {units_, units_});
  biases_ = &AddWeight("biases", {units_});
  const Philox random(spec.seed, kWeightStream);
  const std::span<float> couplings = couplings_->values<float>();
  for (int64_t i = 0; i < units_; ++i) {
    for (int64_t j = 0; j < i; ++j) {
      const float value = 0.01f * random.Normal(static_cast<uint64_t>(i * units_ + j));
      couplings[static_cast<size_t>(i * units_ + j)] = value;
      couplings[static_cast<size_t>(j * units_ + i)] = value;
    }
  }
  if (training() == nullptr) return;
  chains_ =
      &AddState("chains", {std::min(spec.batch_size, training()->rows()), units_}, DType::kFloat32);
  const Philox first(spec.seed, kChainStream);
  const std::span<float> chains = chains_->values<float>();
  for (size_t i = 0; i < chains.size(); ++i) chains[i] = first.Uniform(i) < 0.5f ? 1.0f : 0.0f;
  rows_.emplace(*training(), spec.seed, kShuffleStream, spec.batch_size, &pool());
}

RowBlock Boltzmann::NextRows(int64_t step) {
  const RowBlock block = rows_->Read(step);
  CheckWeights(block);
  for (int64_t i = 0; i < block.rows * visible_; ++i) {
    if (block.features[i] >= 0 && block.features[i] <= 1) continue;
    Fail("row ", block.index[static_cast<size_t>(i / visible_)], " has a feature of ",
         block.features[i], ", but units take probabilities in [0, 1]: scale features by ",
         "min_max_scale");
  }
  return block;
}

void Boltzmann::Sample(const Philox& random, int64_t first, int64_t rows, float* states) {
  const std::span<const float> biases = biases_->values<float>();
  const int64_t free = units_ - first;
  pool().ParallelFor(rows, [&](int64_t row) {
    float* s = states + row * units_;
    std::vector<double> fields(biases.begin(), biases.end());
    const auto add = [&](int64_t unit, double change) {
      const float* w = Row(unit);
      for (int64_t k = first; k < units_; ++k) {
        fields[static_cast<size_t>(k)] += change * static_cast<double>(w[k]);
      }
    };
    for (int64_t unit = 0; unit < units_; ++unit) {
      if (s[unit] != 0) add(unit, static_cast<double>(s[unit]));
    }
    for (int64_t sweep = 0; sweep < spec_.sweeps; ++sweep) {
      for (int64_t unit = first; unit < units_; ++unit) {
        const auto at = static_cast<uint64_t>((row * spec_.sweeps + sweep) * free + unit - first);
        const float p = math::Sigmoid(static_cast<float>(fields[static_cast<size_t>(unit)]));
        const float now = random.Uniform(at) < p ? 1.0f : 0.0f;
        if (now != s[unit]) add(unit, static_cast<double>(now - s[unit]));
        s[unit] = now;
      }
    }
  });
}

// Along the difference of the means of s_i s_j, and of s_i, in both phases.
void Boltzmann::Update(const RowBlock& block, double weight) {
  const int64_t chains = chains_->shape().dim(0);
  const auto rate = static_cast<float>(spec_.learning_rate);
  std::vector<double> means(static_cast<size_t>(units_));
  const auto phase = [&](const float* states, int64_t rows, const auto& share, double sign,
                         std::vector<float>* products) {
    scaled_.resize(static_cast<size_t>(rows * units_));
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t k = 0; k < units_; ++k) {
        const float value = states[row * units_ + k] * static_cast<float>(share(row));
        scaled_[static_cast<size_t>(row * units_ + k)] = value;
        means[static_cast<size_t>(k)] += sign * static_cast<double>(value);
      }
    }
    products->resize(static_cast<size_t>(units_ * units_));
    Multiply({states, rows, units_, true}, {scaled_.data(), rows, units_}, nullptr,
             Activation::kLinear, products->data(), &pool());
  };
  phase(
      states_.data(), block.rows, [&](int64_t row) { return block.Weight(row) / weight; }, 1,
      &positive_);
  phase(
      chains_->values<float>().data(), chains,
      [&](int64_t) { return 1 / static_cast<double>(chains); }, -1, &negative_);
  float* couplings = couplings_->values<float>().data();
  for (int64_t i = 0; i < units_; ++i) {
    // The products of i with j and of j with i may differ in their last bits: one is taken.
    for (int64_t j = 0; j < i; ++j) {
      const auto at = static_cast<size_t>(i * units_ + j);
      couplings[at] += rate * (positive_[at] - negative_[at]);
      couplings[j * units_ + i] = couplings[at];
    }
    biases_->values<float>()[static_cast<size_t>(i)] +=
        rate * static_cast<float>(means[static_cast<size_t>(i)]);
  }
}

ClassicLearner::StepResult Boltzmann::Train(int64_t step) {
  const RowBlock block = NextRows(step);
  StepResult result;
  result.weight = 0;
  result.examples = block.rows;
  result.learning_rate = spec_.learning_rate;
  std::vector<float> outputs(static_cast<size_t>(block.rows * visible_));
  Inference reconstruction;
  reconstruction.outputs = outputs.data();
  Infer(block, reconstruction);
  for (int64_t row = 0; row < block.rows; ++row) {
    double squares = 0;
    for (int64_t k = row * visible_; k < (row + 1) * visible_; ++k) {
      const double difference = static_cast<double>(outputs[static_cast<size_t>(k)]) -
                                static_cast<double>(block.features[k]);
      squares += difference * difference;
    }
    result.loss += block.Weight(row) * squares / static_cast<double>(visible_);
    result.weight += block.Weight(row);
  }
  if (!(result.weight > 0)) return result;
  result.loss /= result.weight;
  if (!std::isfinite(result.loss)) {
    Fail("the reconstruction is not a finite number after ", step, " steps: lower learning_rate");
  }
  const auto stream = [&](uint64_t phase) {
    return Philox(spec_.seed, kSampleStream | static_cast<uint64_t>(step) << 2 | phase);
  };
  const Philox start = stream(0);
  states_.resize(static_cast<size_t>(block.rows * units_));
  for (int64_t i = 0; i < block.rows * units_; ++i) {
    const int64_t unit = i % units_;
    const float p = unit < visible_ ? block.features[i / units_ * visible_ + unit] : 0.5f;
    states_[static_cast<size_t>(i)] = start.Uniform(static_cast<uint64_t>(i)) < p ? 1.0f : 0.0f;
  }
  if (spec_.hidden > 0) Sample(stream(1), visible_, block.rows, states_.data());
  Sample(stream(2), 0, chains_->shape().dim(0), chains_->values<float>().data());
  Update(block, result.weight);
  return result;
}

// Of at most kLanes rows. fields: [rows, units], what units get from the biases and visible units.
void Boltzmann::MeanField(int64_t rows, const Multiplier& shown, Matrix fields, float* outputs,
                          float* codes) const {
  constexpr int64_t kLanes = cpu::kLanes;
  const cpu::LearnerKernels& kernels = cpu::FindLearnerKernels();
  std::vector<double> hidden(static_cast<size_t>(spec_.hidden * kLanes), 0.5);
  for (int update = 0; update < kMeanFieldUpdates; ++update) {
    for (int64_t unit = 0; unit < spec_.hidden; ++unit) {
      double sums[kLanes] = {};
      float on[kLanes];
      for (int64_t lane = 0; lane < rows; ++lane) sums[lane] = fields.At(lane, visible_ + unit);
      kernels.AddScaledLanes(Row(visible_ + unit) + visible_, spec_.hidden, hidden.data(), sums);
      kernels.Sigmoids(sums, kLanes, on);
      std::copy_n(on, kLanes, hidden.data() + unit * kLanes);
    }
  }
  Matrix means(rows, spec_.hidden);
  for (int64_t lane = 0; lane < rows; ++lane) {
    for (int64_t k = 0; k < spec_.hidden; ++k) {
      means.At(lane, k) = hidden[static_cast<size_t>(k * kLanes + lane)];
    }
  }
  shown.Add(means.values.data(), nullptr, rows, fields.values.data());
  for (int64_t lane = 0; lane < rows; ++lane) {
    kernels.Sigmoids(fields.Row(lane), visible_, outputs + lane * visible_);
  }
  if (codes != nullptr) std::copy(means.values.begin(), means.values.end(), codes);
}

void Boltzmann::Infer(const RowBlock& block, const Inference& out) {
  constexpr int64_t kLanes = cpu::kLanes;
  Matrix from_visible(visible_, units_), from_hidden(spec_.hidden, units_);
  std::copy_n(Row(0), visible_ * units_, from_visible.values.begin());
  std::copy_n(Row(visible_), spec_.hidden * units_, from_hidden.values.begin());
  const Multiplier seen(from_visible), shown(from_hidden);
  const std::span<const float> biases = biases_->values<float>();
  pool().ParallelFor((block.rows + kLanes - 1) / kLanes, [&](int64_t tile) {
    const int64_t first = tile * kLanes;
    const int64_t rows = std::min(kLanes, block.rows - first);
    Matrix fields(rows, units_);
    for (int64_t i = 0; i < rows; ++i) std::copy(biases.begin(), biases.end(), fields.Row(i));
    seen.Add(block.features + first * visible_, nullptr, rows, fields.values.data());
    MeanField(rows, shown, std::move(fields), out.outputs + first * visible_,
              out.codes != nullptr ? out.codes + first * spec_.hidden : nullptr);
  });
}

int64_t Boltzmann::WorkingBytes() const {
  // Couplings as they are multiplied with.
  const int64_t packed = 16 * units_ * units_;
  if (training() == nullptr) return packed;
  const int64_t batch = std::min(spec_.batch_size, training()->rows());
  return packed + 4 * (2 * units_ * units_ + 3 * batch * units_) + 8 * training()->rows();
}

}  // namespace

std::unique_ptr<Learner> MakeBoltzmann(const BoltzmannSpec& spec, const LearnerData& data) {
  return std::make_unique<Boltzmann>(spec, data);
}

}  // namespace beamline::engine
