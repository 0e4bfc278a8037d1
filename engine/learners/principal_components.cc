#include "engine/learners/principal_components.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/core/error.h"
#include "engine/learners/classic_learner.h"
#include "engine/learners/linear_algebra.h"

namespace beamline::engine {
namespace {

// Variances below this share of the largest are rounding.
constexpr double kNothing = 1e-12;

class PrincipalComponents : public ClassicLearner {
 public:
  PrincipalComponents(const PrincipalComponentsSpec& spec, const LearnerData& data)
      : ClassicLearner(Define(spec, data), data), spec_(spec) {
    const int64_t features = layout().features;
    components_ = &AddWeight("components", {spec.components, features});
    mean_ = &AddWeight("mean", {features});
    variances_ = &AddWeight("variances", {spec.components});
  }

 protected:
  StepResult Train(int64_t step) override;
  void Infer(const RowBlock& block, const Inference& out) override;
  int64_t WorkingBytes() const override;

 private:
  static Definition Define(const PrincipalComponentsSpec& spec, const LearnerData& data);
  void InferRow(const float* features, float* output, float* code) const;

  const PrincipalComponentsSpec spec_;
  Tensor* components_;
  Tensor* mean_;
  Tensor* variances_;
};

ClassicLearner::Definition PrincipalComponents::Define(const PrincipalComponentsSpec& spec,
                                                       const LearnerData& data) {
  if (spec.components < 1 || spec.components > data.layout.features) {
    Fail("principal_components cannot find ", spec.components, " components of ",
         data.layout.features, " features: set components from 1 to that");
  }
  Definition definition;
  definition.name = "principal_components";
  definition.text = Concat(spec.components, ' ', spec.whiten);
  definition.threads = spec.threads;
  definition.outputs = data.layout.features;
  definition.codes = spec.components;
  definition.reconstructs = true;
  return definition;
}

ClassicLearner::StepResult PrincipalComponents::Train(int64_t) {
  const int64_t size = layout().features;
  Moments moments(size, 0);
  std::vector<double> weights;
  RowReader(*training(), &pool()).ForEach([&](const RowBlock& block) {
    CheckWeights(block);
    const bool weighted = block.weights != nullptr;
    if (weighted) weights.assign(block.weights, block.weights + block.rows);
    moments.Add(block.features, nullptr, weighted ? weights.data() : nullptr, block.rows, &pool());
  });
  const double weight = moments.weight;
  Matrix& covariance = moments.gram;
  if (!(weight > 0)) Fail("all training rows weigh 0: there is nothing to learn from");
  // One row has no variance.
  const double divisor = layout().has_weights ? weight : std::max(weight - 1, 1.0);
  double trace = 0;
  for (int64_t i = 0; i < size; ++i) {
    const double mean = moments.sums[static_cast<size_t>(i)] / weight;
    mean_->values<float>()[static_cast<size_t>(i)] =
        static_cast<float>(moments.origin[static_cast<size_t>(i)] + mean);
    for (int64_t j = 0; j <= i; ++j) {
      covariance.At(i, j) =
          (covariance.At(i, j) - mean * moments.sums[static_cast<size_t>(j)]) / divisor;
    }
    trace += covariance.At(i, i);
  }
  const SymmetricEigen eigen = EigenOfSymmetric(std::move(covariance), &pool());
  double kept = 0;
  for (int64_t c = 0; c < spec_.components; ++c) {
    const double variance = std::max(0.0, eigen.values[static_cast<size_t>(c)]);
    kept += variance;
    variances_->values<float>()[static_cast<size_t>(c)] = static_cast<float>(variance);
    for (int64_t k = 0; k < size; ++k) {
      components_->values<float>()[static_cast<size_t>(c * size + k)] =
          static_cast<float>(eigen.vectors.At(c, k));
    }
  }
  StepResult result;
  result.loss = std::max(0.0, trace - kept) * divisor / (weight * static_cast<double>(size));
  result.examples = training()->rows();
  return result;
}

void PrincipalComponents::InferRow(const float* features, float* output, float* code) const {
  const int64_t size = layout().features;
  const std::span<const float> mean = mean_->values<float>();
  const std::span<const float> components = components_->values<float>();
  const std::span<const float> variances = variances_->values<float>();
  std::vector<double> made(mean.begin(), mean.end());
  for (int64_t c = 0; c < spec_.components; ++c) {
    const float* component = components.data() + c * size;
    double along = 0;
    for (int64_t k = 0; k < size; ++k) {
      along +=
          (static_cast<double>(features[k]) - static_cast<double>(mean[static_cast<size_t>(k)])) *
          static_cast<double>(component[k]);
    }
    for (int64_t k = 0; k < size; ++k) {
      made[static_cast<size_t>(k)] += along * static_cast<double>(component[k]);
    }
    if (code == nullptr) continue;
    const auto variance = static_cast<double>(variances[static_cast<size_t>(c)]);
    const bool varies = variance > kNothing * static_cast<double>(variances[0]);
    if (spec_.whiten) along = varies ? along / std::sqrt(variance) : 0;
    code[c] = static_cast<float>(along);
  }
  for (int64_t k = 0; k < size; ++k) output[k] = static_cast<float>(made[static_cast<size_t>(k)]);
}

void PrincipalComponents::Infer(const RowBlock& block, const Inference& out) {
  constexpr int64_t kTile = 16;
  const int64_t size = layout().features;
  pool().ParallelFor((block.rows + kTile - 1) / kTile, [&](int64_t tile) {
    for (int64_t row = tile * kTile; row < std::min(block.rows, (tile + 1) * kTile); ++row) {
      InferRow(block.features + row * size, out.outputs + row * size,
               out.codes != nullptr ? out.codes + row * spec_.components : nullptr);
    }
  });
}

int64_t PrincipalComponents::WorkingBytes() const {
  // Covariance, its eigenvectors, reflectors and one more while they are made; a block of rows.
  const int64_t size = layout().features;
  return 8 * (4 * size * size + RowReader::kBlock * (size + 1));
}

}  // namespace

std::unique_ptr<Learner> MakePrincipalComponents(const PrincipalComponentsSpec& spec,
                                                 const LearnerData& data) {
  return std::make_unique<PrincipalComponents>(spec, data);
}

}  // namespace beamline::engine
