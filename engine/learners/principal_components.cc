#include "engine/learners/principal_components.h"

#include <algorithm>
#include <cmath>
#include <optional>
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
    Taken(false);
  }

 protected:
  StepResult Train(int64_t step) override;
  void Infer(const RowBlock& block, const Inference& out) override;
  int64_t WorkingBytes() const override;

 private:
  static Definition Define(const PrincipalComponentsSpec& spec, const LearnerData& data);
  void Taken(bool weights_only) override;
  void InferRows(const float* features, int64_t rows, float* outputs, float* codes) const;

  const PrincipalComponentsSpec spec_;
  Tensor* components_;
  Tensor* mean_;
  Tensor* variances_;
  // As predictions take them.
  std::vector<double> origin_;
  std::optional<Multiplier> project_, lift_;
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
  const SymmetricEigen eigen = EigenOfSymmetric(std::move(covariance), spec_.components, &pool());
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
  Taken(false);
  return result;
}

void PrincipalComponents::Taken(bool) {
  const int64_t size = layout().features;
  const std::span<const float> mean = mean_->values<float>();
  const std::span<const float> components = components_->values<float>();
  origin_.assign(mean.begin(), mean.end());
  Matrix lift(spec_.components, size), project(size, spec_.components);
  for (int64_t c = 0; c < spec_.components; ++c) {
    for (int64_t k = 0; k < size; ++k) {
      const auto value = static_cast<double>(components[static_cast<size_t>(c * size + k)]);
      lift.At(c, k) = project.At(k, c) = value;
    }
  }
  lift_.emplace(lift);
  project_.emplace(project);
}

void PrincipalComponents::InferRows(const float* features, int64_t rows, float* outputs,
                                    float* codes) const {
  const int64_t size = layout().features;
  const std::span<const float> variances = variances_->values<float>();
  Matrix along(rows, spec_.components), made(rows, size);
  project_->Add(features, origin_.data(), rows, along.values.data());
  for (int64_t row = 0; row < rows; ++row) std::copy_n(origin_.data(), size, made.Row(row));
  lift_->Add(along.values.data(), nullptr, rows, made.values.data());
  std::copy(made.values.begin(), made.values.end(), outputs);
  for (int64_t i = 0; codes != nullptr && i < rows * spec_.components; ++i) {
    const double code = along.values[static_cast<size_t>(i)];
    const auto variance = static_cast<double>(variances[static_cast<size_t>(i % spec_.components)]);
    const bool varies = variance > kNothing * static_cast<double>(variances[0]);
    codes[i] = static_cast<float>(!spec_.whiten ? code : varies ? code / std::sqrt(variance) : 0);
  }
}

void PrincipalComponents::Infer(const RowBlock& block, const Inference& out) {
  constexpr int64_t kTile = 64;
  const int64_t size = layout().features;
  pool().ParallelFor((block.rows + kTile - 1) / kTile, [&](int64_t tile) {
    const int64_t row = tile * kTile;
    InferRows(block.features + row * size, std::min(kTile, block.rows - row),
              out.outputs + row * size,
              out.codes != nullptr ? out.codes + row * spec_.components : nullptr);
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
