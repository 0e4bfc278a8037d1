#include "engine/learners/kohonen_map.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/math.h"
#include "engine/core/philox.h"
#include "engine/learners/classic_learner.h"
#include "engine/learners/cluster.h"
#include "engine/learners/epoch_rows.h"

namespace beamline::engine {
namespace {

constexpr uint64_t kDrawStream = 0x6b6f68;
constexpr uint64_t kOrderStream = uint64_t{0x6b6f69} << 32;  // with the pass
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
  // Between what holds for the first pass and for the last.
  double Between(double first, double last, int64_t step) const;
  double Radius(int64_t step) const;
  StepResult TrainByBatch(int64_t step);
  StepResult TrainOnline(int64_t step);
  // Moves units towards the row, and tells how far it was from the nearest before, squared.
  double Learn(const float* row, const std::vector<double>& near, double rate);
  void Spread(double radius, Matrix* sums);

  const KohonenSpec spec_;
  Tensor* stored_;
  Matrix units_;  // stored_
  // Of the online rule.
  std::optional<EpochRows> rows_;
  double largest_weight_ = 0;
};

ClassicLearner::Definition KohonenMap::Define(const KohonenSpec& spec, const LearnerData& data) {
  if (spec.rows < 1 || spec.columns < 1 || spec.rows > 1000 || spec.columns > 1000 ||
      spec.epochs < 1) {
    Fail("kohonen_map needs rows and columns from 1 to 1000, and epochs of at least 1");
  }
  if (!(spec.first_radius >= 0) || !(spec.last_radius > 0)) {
    Fail("kohonen_map needs radii above 0");
  }
  const auto rate = [](double value) { return value > 0 && value <= 1; };
  if (spec.online && !(rate(spec.first_learning_rate) && rate(spec.last_learning_rate))) {
    Fail("kohonen_map needs learning rates above 0 and at most 1");
  }
  Definition definition;
  definition.name = "kohonen_map";
  definition.text = Concat(std::hexfloat, spec.rows, ' ', spec.columns, ' ', spec.epochs, ' ',
                           spec.first_radius, ' ', spec.last_radius, ' ', spec.seed);
  if (spec.online) {
    definition.text +=
        Concat(std::hexfloat, " online ", spec.first_learning_rate, ' ', spec.last_learning_rate);
  }
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

double KohonenMap::Between(double first, double last, int64_t step) const {
  if (spec_.epochs == 1) return first;
  const double share = static_cast<double>(step) / static_cast<double>(spec_.epochs - 1);
  return first * std::pow(last / first, share);
}

double KohonenMap::Radius(int64_t step) const {
  const double half = static_cast<double>(std::max(spec_.rows, spec_.columns)) / 2;
  const double first = spec_.first_radius > 0 ? spec_.first_radius : std::max(half, 0.5);
  return Between(first, spec_.last_radius, step);
}

// exp(-d^2 / (2 r^2)) along a side of the grid.
std::vector<double> Neighbourhood(int64_t length, double radius) {
  std::vector<double> near(static_cast<size_t>(length));
  for (size_t d = 0; d < near.size(); ++d) {
    const double x = static_cast<double>(d) / radius;
    near[d] = std::exp(-0.5 * x * x);
  }
  return near;
}

// Each unit gets the sums of all units by their neighbourhood, which is that along the columns
// times that along the rows. sums: [units, features + 1].
void KohonenMap::Spread(double radius, Matrix* sums) {
  const int64_t width = sums->columns;
  const std::vector<double> near = Neighbourhood(std::max(spec_.rows, spec_.columns), radius);
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
  return spec_.online ? TrainOnline(step) : TrainByBatch(step);
}

// In parts, which compilers turn into vectors.
double SquaredDistance(const float* row, const double* unit, int64_t size) {
  constexpr int64_t kParts = 8;
  double sums[kParts] = {};
  int64_t k = 0;
  for (; k + kParts <= size; k += kParts) {
    for (int64_t part = 0; part < kParts; ++part) {
      const double difference = static_cast<double>(row[k + part]) - unit[k + part];
      sums[part] += difference * difference;
    }
  }
  for (; k < size; ++k) {
    const double difference = static_cast<double>(row[k]) - unit[k];
    sums[0] += difference * difference;
  }
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

// Large maps are moved by all threads: units do not depend on each other.
double KohonenMap::Learn(const float* row, const std::vector<double>& near, double rate) {
  constexpr int64_t kNumbersOfTile = 32768;
  const int64_t size = layout().features;
  const int64_t tile_units = std::max<int64_t>(1, kNumbersOfTile / size);
  const int64_t tiles = (units_.rows + tile_units - 1) / tile_units;
  const auto end = [&](int64_t tile) { return std::min(units_.rows, (tile + 1) * tile_units); };
  std::vector<double> squares(static_cast<size_t>(units_.rows));
  pool().ParallelFor(tiles, [&](int64_t tile) {
    for (int64_t unit = tile * tile_units; unit < end(tile); ++unit) {
      squares[static_cast<size_t>(unit)] = SquaredDistance(row, units_.Row(unit), size);
    }
  });
  const auto nearest = std::min_element(squares.begin(), squares.end());
  const int64_t at = nearest - squares.begin();
  pool().ParallelFor(rate > 0 ? tiles : 0, [&](int64_t tile) {
    for (int64_t unit = tile * tile_units; unit < end(tile); ++unit) {
      const int64_t down = std::abs(unit / spec_.columns - at / spec_.columns);
      const int64_t across = std::abs(unit % spec_.columns - at % spec_.columns);
      const double share = near[static_cast<size_t>(down)] * near[static_cast<size_t>(across)];
      if (share < kNear) continue;
      double* to = units_.Row(unit);
      for (int64_t k = 0; k < size; ++k) {
        to[k] += rate * share * (static_cast<double>(row[k]) - to[k]);
      }
    }
  });
  return *nearest;
}

ClassicLearner::StepResult KohonenMap::TrainOnline(int64_t step) {
  const int64_t size = layout().features;
  if (!rows_) {
    rows_.emplace(*training(), spec_.seed, kOrderStream, RowReader::kBlock, &pool());
    RowReader(*training(), &pool()).ForEach([&](const RowBlock& block) {
      CheckWeights(block);
      for (int64_t i = 0; i < block.rows; ++i) {
        largest_weight_ = std::max(largest_weight_, block.Weight(i));
      }
    });
  }
  if (!(largest_weight_ > 0)) {
    Fail("all training rows weigh 0: there is nothing to learn from");
  }
  const std::vector<double> near = Neighbourhood(std::max(spec_.rows, spec_.columns), Radius(step));
  const double rate = Between(spec_.first_learning_rate, spec_.last_learning_rate, step);
  StepResult result;
  result.learning_rate = rate;
  result.weight = 0;
  for (int64_t part = 0; part < rows_->steps(); ++part) {
    const RowBlock block = rows_->Read(step * rows_->steps() + part);
    for (int64_t i = 0; i < block.rows; ++i) {
      const double weight = block.Weight(i);
      const double square =
          Learn(block.features + i * size, near, rate * (weight / largest_weight_));
      result.loss += weight * square / static_cast<double>(size);
      result.weight += weight;
    }
  }
  result.loss /= result.weight;
  result.examples = training()->rows();
  std::copy(units_.values.begin(), units_.values.end(), stored_->values<float>().begin());
  Taken(false);
  return result;
}

ClassicLearner::StepResult KohonenMap::TrainByBatch(int64_t step) {
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
  const int64_t rows = spec_.online && training() != nullptr ? training()->rows() : 0;
  return 8 * (3 * units * (layout().features + 1) + 2 * RowReader::kBlock + rows);
}

}  // namespace

std::unique_ptr<Learner> MakeKohonenMap(const KohonenSpec& spec, const LearnerData& data) {
  return std::make_unique<KohonenMap>(spec, data);
}

}  // namespace beamline::engine
