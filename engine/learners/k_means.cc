#include "engine/learners/k_means.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "engine/core/error.h"
#include "engine/learners/classic_learner.h"
#include "engine/learners/cluster.h"

namespace beamline::engine {
namespace {

// Places in "state".
enum : size_t { kStart, kPass, kGiven, kThreshold, kBestInertia, kStates };

class KMeans : public ClassicLearner {
 public:
  KMeans(const KMeansSpec& spec, const LearnerData& data)
      : ClassicLearner(Define(spec, data), data), spec_(spec) {
    const int64_t features = layout().features;
    stored_ = &AddWeight("centres", {spec.clusters, features});
    current_ = &AddState("current", {spec.clusters, features});
    best_ = &AddState("best", {spec.starts > 1 ? spec.clusters : 0, features});
    state_ = &AddState("state", {kStates});
    Taken(false);
  }

 protected:
  StepResult Train(int64_t step) override;
  void Infer(const RowBlock& block, const Inference& out) override;
  void Taken(bool weights_only) override;
  int64_t WorkingBytes() const override;

 private:
  static Definition Define(const KMeansSpec& spec, const LearnerData& data);
  double& State(size_t which) { return state_->values<double>()[which]; }
  void Begin();
  const ClusterRows& Rows() {
    if (rows_ == nullptr) rows_ = std::make_unique<ClusterRows>(*training(), &pool());
    return *rows_;
  }
  void Store(const std::vector<double>& centres);

  const KMeansSpec spec_;
  Tensor* stored_;   // what predictions use
  Tensor* current_;  // the same in double, of the start that goes on
  Tensor* best_;     // of the starts that have ended
  Tensor* state_;
  Matrix centres_;  // stored_
  std::unique_ptr<ClusterRows> rows_;
};

ClassicLearner::Definition KMeans::Define(const KMeansSpec& spec, const LearnerData& data) {
  if (spec.clusters < 1) Fail("k_means needs clusters of at least 1, not ", spec.clusters);
  if (data.training != nullptr && spec.clusters > data.training->rows()) {
    Fail("k_means cannot make ", spec.clusters, " clusters of ", data.training->rows(),
         " training rows: lower clusters");
  }
  if (spec.max_iterations < 1 || spec.starts < 1 || !(spec.tolerance >= 0)) {
    Fail("k_means needs max_iterations and starts of at least 1, and a tolerance of at least 0");
  }
  Definition definition;
  definition.name = "k_means";
  definition.text = Concat(std::hexfloat, spec.clusters, ' ', spec.max_iterations, ' ', spec.starts,
                           ' ', spec.tolerance, ' ', spec.seed);
  definition.threads = spec.threads;
  definition.total_steps = spec.max_iterations * spec.starts;
  definition.iterates = true;
  definition.outputs = data.layout.features;
  definition.codes = spec.clusters;
  definition.clusters = true;
  definition.reconstructs = true;
  return definition;
}

void KMeans::Begin() {
  if (State(kStart) == 0) {
    RowReader(*training(), &pool()).ForEach([&](const RowBlock& block) { CheckWeights(block); });
    State(kThreshold) = spec_.tolerance * MeanVariance(Rows());
  }
  const std::span<double> current = current_->values<double>();
  if (State(kStart) == 0 && State(kGiven) != 0) {
    std::copy(centres_.values.begin(), centres_.values.end(), current.begin());
    return;
  }
  const Matrix drawn = DrawCentres(Rows(), spec_.clusters, spec_.seed,
                                   static_cast<uint64_t>(State(kStart)), &pool());
  std::copy(drawn.values.begin(), drawn.values.end(), current.begin());
}

ClassicLearner::StepResult KMeans::Train(int64_t) {
  if (State(kPass) == 0) Begin();
  const std::span<double> current = current_->values<double>();
  Matrix centres(spec_.clusters, layout().features);
  centres.values.assign(current.begin(), current.end());
  const LloydPass pass = DoLloydPass(Rows(), centres, &pool());
  std::copy(pass.centres.values.begin(), pass.centres.values.end(), current.begin());

  StepResult result;
  const double scale = pass.weight * static_cast<double>(layout().features);
  result.loss = pass.inertia / scale;
  result.examples = training()->rows();
  State(kPass) += 1;
  const bool ended =
      pass.shift <= State(kThreshold) || State(kPass) >= static_cast<double>(spec_.max_iterations);
  if (spec_.starts == 1) {
    Store(pass.centres.values);
    result.finished = ended;
    return result;
  }
  if (State(kStart) == 0) Store(pass.centres.values);
  if (!ended) return result;
  const double inertia = DoLloydPass(Rows(), pass.centres, &pool()).inertia;
  const std::span<double> best = best_->values<double>();
  if (State(kStart) == 0 || inertia < State(kBestInertia)) {
    State(kBestInertia) = inertia;
    std::copy(current.begin(), current.end(), best.begin());
  }
  Store({best.begin(), best.end()});
  State(kStart) += 1;
  State(kPass) = 0;
  result.finished = State(kStart) >= static_cast<double>(spec_.starts);
  return result;
}

void KMeans::Store(const std::vector<double>& centres) {
  const std::span<float> stored = stored_->values<float>();
  for (size_t i = 0; i < centres.size(); ++i) stored[i] = static_cast<float>(centres[i]);
  centres_ = Matrix(spec_.clusters, layout().features);
  std::copy(stored.begin(), stored.end(), centres_.values.begin());
}

void KMeans::Taken(bool weights_only) {
  const std::span<const float> stored = stored_->values<float>();
  centres_ = Matrix(spec_.clusters, layout().features);
  std::copy(stored.begin(), stored.end(), centres_.values.begin());
  if (weights_only) State(kGiven) = 1;
}

void KMeans::Infer(const RowBlock& block, const Inference& out) {
  const int64_t features = layout().features;
  std::vector<double> distances(static_cast<size_t>(block.rows * spec_.clusters));
  FindDistances(block.features, block.rows, centres_, distances.data(), &pool());
  const std::span<const float> stored = stored_->values<float>();
  for (int64_t row = 0; row < block.rows; ++row) {
    const auto begin = distances.begin() + row * spec_.clusters;
    const int64_t label = std::min_element(begin, begin + spec_.clusters) - begin;
    std::copy_n(stored.begin() + label * features, features, out.outputs + row * features);
    if (out.clusters != nullptr) out.clusters[row] = label;
    for (int64_t c = 0; out.codes != nullptr && c < spec_.clusters; ++c) {
      out.codes[row * spec_.clusters + c] = static_cast<float>(std::sqrt(begin[c]));
    }
  }
}

int64_t KMeans::WorkingBytes() const {
  const int64_t rows = training() != nullptr ? training()->rows() : 0;
  // Centres three times, sums of the parts, distances of a block, and what drawing centres needs of
  // each row.
  return LloydBytes(rows, spec_.clusters, layout().features) +
         8 * (3 * spec_.clusters * layout().features + RowReader::kBlock * spec_.clusters);
}

}  // namespace

std::unique_ptr<Learner> MakeKMeans(const KMeansSpec& spec, const LearnerData& data) {
  return std::make_unique<KMeans>(spec, data);
}

}  // namespace beamline::engine
