#include "engine/learners/kohonen_map.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/math.h"
#include "engine/core/philox.h"
#include "engine/learners/classic_learner.h"
#include "engine/learners/cluster.h"

namespace beamline::engine {
namespace {

constexpr uint64_t kDrawStream = 0x6b6f68;
// Neighbourhoods below this do not count: what is left of them is rounding.
constexpr double kNear = 1e-12;

class KohonenMap : public ClassicLearner {
 public:
  KohonenMap(const KohonenSpec& spec, const LearnerData& data);

 protected:
  StepResult Train(int64_t step) override;
  void Infer(const RowBlock& block, const Inference& out) override;
  void Taken(bool weights_only) override;
  int64_t WorkingBytes() const override;

 private:
  static Definition Define(const KohonenSpec& spec, const LearnerData& data);
  double Radius(int64_t step) const;
  void Spread(double radius, Matrix* sums);

  const KohonenSpec spec_;
  Tensor* stored_;
  Matrix units_;  // stored_
};

ClassicLearner::Definition KohonenMap::Define(const KohonenSpec& spec, const LearnerData& data) {
  if (spec.rows < 1 || spec.columns < 1 || spec.rows > 1000 || spec.columns > 1000 ||
      spec.epochs < 1) {
    Fail("kohonen_map needs rows and columns from 1 to 1000, and epochs of at least 1");
  }
  if (!(spec.first_radius >= 0) || !(spec.last_radius > 0)) {
    Fail("kohonen_map needs radii above 0");
  }
  Definition definition;
  definition.name = "kohonen_map";
  definition.text = Concat(std::hexfloat, spec.rows, ' ', spec.columns, ' ', spec.epochs, ' ',
                           spec.first_radius, ' ', spec.last_radius, ' ', spec.seed);
  definition.threads = spec.threads;
  definition.total_steps = spec.epochs;
  definition.outputs = data.layout.features;
  definition.codes = 2;
  definition.clusters = true;
  definition.reconstructs = true;
  return definition;
}

KohonenMap::KohonenMap(const KohonenSpec& spec, const LearnerData& data)
    : ClassicLearner(Define(spec, data), data), spec_(spec) {
  const int64_t size = layout().features;
  stored_ = &AddWeight("units", {spec.rows, spec.columns, size});
  if (training() != nullptr) {
    const Philox random(spec.seed, kDrawStream);
    std::vector<int64_t> drawn(static_cast<size_t>(spec.rows * spec.columns));
    for (size_t i = 0; i < drawn.size(); ++i) {
      drawn[i] = static_cast<int64_t>(random.Below(i, static_cast<uint64_t>(training()->rows())));
    }
    training()->Gather(drawn, {.features = stored_->values<float>().data()});
  }
  Taken(false);
}

void KohonenMap::Taken(bool) {
  const std::span<const float> stored = stored_->values<float>();
  units_ = Matrix(spec_.rows * spec_.columns, layout().features);
  std::copy(stored.begin(), stored.end(), units_.values.begin());
}

double KohonenMap::Radius(int64_t step) const {
  const double half = static_cast<double>(std::max(spec_.rows, spec_.columns)) / 2;
  const double first = spec_.first_radius > 0 ? spec_.first_radius : std::max(half, 0.5);
  if (spec_.epochs == 1) return first;
  const double share = static_cast<double>(step) / static_cast<double>(spec_.epochs - 1);
  return first * std::pow(spec_.last_radius / first, share);
}

// Each unit gets the sums of all units by their neighbourhood, which is that along the columns
// times that along the rows. sums: [units, features + 1].
void KohonenMap::Spread(double radius, Matrix* sums) {
  const int64_t width = sums->columns;
  std::vector<double> near(static_cast<size_t>(std::max(spec_.rows, spec_.columns)));
  for (size_t d = 0; d < near.size(); ++d) {
    const double x = static_cast<double>(d) / radius;
    near[d] = std::exp(-0.5 * x * x);
  }
  // Along one side of the grid: `length` units, `stride` apart.
  const auto along = [&](int64_t lines, int64_t length, int64_t stride, int64_t line_stride) {
    const Matrix from = *sums;
    std::fill(sums->values.begin(), sums->values.end(), 0.0);
    pool().ParallelFor(lines * length, [&](int64_t tile) {
      const int64_t line = tile / length * line_stride;
      const int64_t at = tile % length;
      double* to = sums->Row(line + at * stride);
      for (int64_t other = 0; other < length; ++other) {
        const double weight = near[static_cast<size_t>(std::abs(at - other))];
        if (weight < kNear) continue;
        const double* x = from.Row(line + other * stride);
        for (int64_t k = 0; k < width; ++k) to[k] += weight * x[k];
      }
    });
  };
  along(spec_.rows, spec_.columns, 1, spec_.columns);
  along(spec_.columns, spec_.rows, spec_.columns, 1);
}

ClassicLearner::StepResult KohonenMap::Train(int64_t step) {
  const int64_t size = layout().features;
  const int64_t units = units_.rows;
  Matrix sums(units, size + 1);  // of rows nearest to each unit, and of their weights
  std::vector<int32_t> labels(RowReader::kBlock);
  std::vector<double> distances(RowReader::kBlock);
  StepResult result;
  result.weight = 0;
  RowReader(*training(), &pool()).ForEach([&](const RowBlock& block) {
    CheckWeights(block);
    FindNearest(block.features, block.rows, units_, labels.data(), distances.data(), &pool());
    for (int64_t i = 0; i < block.rows; ++i) {
      const double weight = block.Weight(i);
      result.loss += weight * distances[static_cast<size_t>(i)] / static_cast<double>(size);
      result.weight += weight;
    }
    // A tile of features of all rows, in their order.
    constexpr int64_t kColumns = 32;
    pool().ParallelFor((size + kColumns) / kColumns, [&](int64_t tile) {
      for (int64_t i = 0; i < block.rows; ++i) {
        const double weight = block.Weight(i);
        double* sum = sums.Row(labels[static_cast<size_t>(i)]);
        for (int64_t k = tile * kColumns; k < std::min(size + 1, (tile + 1) * kColumns); ++k) {
          sum[k] += weight * (k < size ? static_cast<double>(block.features[i * size + k]) : 1.0);
        }
      }
    });
  });
  if (!(result.weight > 0)) Fail("all training rows weigh 0: there is nothing to learn from");
  result.loss /= result.weight;
  result.examples = training()->rows();
  Spread(Radius(step), &sums);
  const std::span<float> stored = stored_->values<float>();
  for (int64_t unit = 0; unit < units; ++unit) {
    const double* sum = sums.Row(unit);
    if (!(sum[size] > kNear)) continue;
    for (int64_t k = 0; k < size; ++k) {
      stored[static_cast<size_t>(unit * size + k)] = static_cast<float>(sum[k] / sum[size]);
    }
  }
  Taken(false);
  return result;
}

void KohonenMap::Infer(const RowBlock& block, const Inference& out) {
  const int64_t size = layout().features;
  std::vector<int32_t> labels(static_cast<size_t>(block.rows));
  FindNearest(block.features, block.rows, units_, labels.data(), nullptr, &pool());
  const std::span<const float> stored = stored_->values<float>();
  for (int64_t row = 0; row < block.rows; ++row) {
    const int64_t unit = labels[static_cast<size_t>(row)];
    std::copy_n(stored.begin() + unit * size, size, out.outputs + row * size);
    if (out.clusters != nullptr) out.clusters[row] = unit;
    if (out.codes == nullptr) continue;
    out.codes[2 * row] = static_cast<float>(unit / spec_.columns);
    out.codes[2 * row + 1] = static_cast<float>(unit % spec_.columns);
  }
}

int64_t KohonenMap::WorkingBytes() const {
  const int64_t units = spec_.rows * spec_.columns;
  return 8 * (3 * units * (layout().features + 1) + 2 * RowReader::kBlock);
}

}  // namespace

std::unique_ptr<Learner> MakeKohonenMap(const KohonenSpec& spec, const LearnerData& data) {
  return std::make_unique<KohonenMap>(spec, data);
}

}  // namespace beamline::engine
