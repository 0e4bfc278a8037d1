#include "engine/learners/radial_basis.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "engine/backend/cpu/learner_kernels.h"
#include "engine/core/error.h"
#include "engine/learners/cluster.h"
#include "engine/learners/readout.h"

namespace beamline::engine {
namespace {

constexpr int64_t kPasses = 300;
constexpr double kTolerance = 1e-4;
// Places in "state".
enum : size_t { kPass, kSettled, kThreshold, kStates };

class RadialBasis : public ReadoutLearner {
 public:
  RadialBasis(const RadialBasisSpec& spec, const LearnerData& data)
      : ReadoutLearner(Define(spec, data), data, spec.centres, spec.penalty), spec_(spec) {
    stored_ = &AddWeight("centres", {spec.centres, layout().features});
    width_ = &AddWeight("width", {1});
    current_ = &AddState("current", {spec.centres, layout().features});
    state_ = &AddState("state", {kStates});
    Taken(false);
  }

 protected:
  StepResult Train(int64_t step) override;
  void MakeFeatures(const RowBlock& block, float* features) override;
  void Taken(bool weights_only) override;
  int64_t WorkingBytes() const override {
    return ReadoutLearner::WorkingBytes() + 24 * spec_.centres * layout().features +
           LloydBytes(training() != nullptr ? training()->rows() : 0, spec_.centres,
                      layout().features);
  }

 private:
  static Definition Define(const RadialBasisSpec& spec, const LearnerData& data);
  double MeanGap() const;
  const ClusterRows& Rows() {
    if (rows_ == nullptr) rows_ = std::make_unique<ClusterRows>(*training(), &pool());
    return *rows_;
  }

  const RadialBasisSpec spec_;
  Tensor* stored_;
  Tensor* width_;
  Tensor* current_;  // centres in double
  Tensor* state_;
  Matrix centres_;  // stored_
  std::unique_ptr<ClusterRows> rows_;
};

ClassicLearner::Definition RadialBasis::Define(const RadialBasisSpec& spec,
                                               const LearnerData& data) {
  if (spec.centres < 1) Fail("radial_basis needs centres of at least 1, not ", spec.centres);
  if (data.training != nullptr && spec.centres > data.training->rows()) {
    Fail("radial_basis cannot find ", spec.centres, " centres among ", data.training->rows(),
         " training rows: lower centres");
  }
  if (!(spec.width >= 0)) Fail("radial_basis needs a width above 0");
  Definition definition;
  definition.name = "radial_basis";
  definition.text = Concat(std::hexfloat, spec.centres, ' ', spec.width, ' ', spec.seed);
  definition.threads = spec.threads;
  definition.total_steps = kPasses + 1;
  definition.iterates = true;
  return definition;
}

void RadialBasis::Taken(bool weights_only) {
  ReadoutLearner::Taken(weights_only);
  const std::span<const float> stored = stored_->values<float>();
  centres_ = Matrix(spec_.centres, layout().features);
  std::copy(stored.begin(), stored.end(), centres_.values.begin());
}

// Mean distance of a centre from the nearest other one; 0 where there is none.
double RadialBasis::MeanGap() const {
  double sum = 0;
  for (int64_t i = 0; i < centres_.rows && centres_.rows > 1; ++i) {
    double least = std::numeric_limits<double>::infinity();
    for (int64_t j = 0; j < centres_.rows; ++j) {
      double squares = 0;
      for (int64_t k = 0; k < centres_.columns; ++k) {
        const double difference = centres_.At(i, k) - centres_.At(j, k);
        squares += difference * difference;
      }
      if (i != j) least = std::min(least, squares);
    }
    sum += std::sqrt(least);
  }
  return sum / static_cast<double>(centres_.rows);
}

ClassicLearner::StepResult RadialBasis::Train(int64_t step) {
  const std::span<double> state = state_->values<double>();
  const std::span<double> current = current_->values<double>();
  if (state[kSettled] != 0) {
    const double gap = 2 * MeanGap();
    width_->values<float>()[0] = static_cast<float>(spec_.width > 0 ? spec_.width
                                                    : gap > 0       ? gap
                                                                    : 1);
    StepResult result = ReadoutLearner::Train(step);
    result.finished = true;
    return result;
  }
  Matrix centres(spec_.centres, layout().features);
  if (state[kPass] == 0) {
    RowReader(*training(), &pool()).ForEach([&](const RowBlock& block) { CheckWeights(block); });
    state[kThreshold] = kTolerance * MeanVariance(Rows());
    centres = DrawCentres(Rows(), spec_.centres, spec_.seed, 0, &pool());
  } else {
    centres.values.assign(current.begin(), current.end());
  }
  const LloydPass pass = DoLloydPass(Rows(), centres, &pool());
  const std::span<float> stored = stored_->values<float>();
  for (size_t i = 0; i < current.size(); ++i) {
    current[i] = pass.centres.values[i];
    stored[i] = static_cast<float>(current[i]);
  }
  Taken(false);
  state[kPass] += 1;
  const bool settled = pass.shift <= state[kThreshold] || state[kPass] >= double{kPasses};
  state[kSettled] = settled ? 1 : 0;
  StepResult result;
  result.loss = pass.inertia / (pass.weight * static_cast<double>(layout().features));
  result.examples = training()->rows();
  return result;
}

void RadialBasis::MakeFeatures(const RowBlock& block, float* features) {
  std::vector<double> distances(static_cast<size_t>(block.rows * spec_.centres));
  FindDistances(block.features, block.rows, centres_, distances.data(), &pool());
  const auto width = static_cast<double>(width_->values<float>()[0]);
  // Before training there is no width: features are 0.
  const double scale = width > 0 ? 0.5 / (width * width) : 0;
  constexpr int64_t kTile = 4096;
  const auto size = static_cast<int64_t>(distances.size());
  pool().ParallelFor((size + kTile - 1) / kTile, [&](int64_t tile) {
    const int64_t first = tile * kTile, count = std::min(kTile, size - first);
    double* from = distances.data() + first;
    cpu::FindLearnerKernels().Exps(-scale, count, from);
    for (int64_t i = 0; i < count; ++i) {
      features[first + i] = scale > 0 ? static_cast<float>(from[i]) : 0;
    }
  });
}

}  // namespace

std::unique_ptr<Learner> MakeRadialBasis(const RadialBasisSpec& spec, const LearnerData& data) {
  return std::make_unique<RadialBasis>(spec, data);
}

}  // namespace beamline::engine
