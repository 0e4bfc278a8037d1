#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/backend/cpu/learner_kernels.h"
#include "engine/core/error.h"
#include "engine/learners/row_blocks.h"
#include "engine/learners/smooth_loss.h"

namespace beamline::engine {
namespace {

using cpu::kLanes;

// Parts whose gradients are summed apart: a number that depends on the rows alone.
constexpr int64_t kMostParts = 16;
constexpr int64_t kLeastPart = 256;
// Panels of kLanes rows whose scores are made at once, and rows whose logarithms are taken at once.
constexpr int64_t kTilePanels = 8;
constexpr int64_t kTileRows = kTilePanels * kLanes;

class TwoClassLoss : public SmoothLoss {
 public:
  TwoClassLoss(const RowMatrix& rows, double penalty, ThreadPool* pool)
      : features_(rows.features), penalty_(penalty), total_(rows.weight_sum), pool_(*pool) {
    if (!(total_ > 0)) Fail("the weights of the training rows add up to nothing or less");
    panels_ = (rows.rows + kLanes - 1) / kLanes;
    const auto padded = static_cast<size_t>(panels_ * kLanes);
    x_.resize(padded * static_cast<size_t>(features_));
    seconds_.resize(padded);
    weights_.resize(padded);
    for (size_t i = 0; i < rows.labels.size(); ++i) {
      seconds_[i] = rows.labels[i] == 1 ? 1 : 0;
      weights_[i] = static_cast<double>(rows.weights[i]);
      all_alike_ = all_alike_ && rows.weights[i] == 1;
    }
    pool_.ParallelFor(panels_, [&](int64_t panel) {
      const int64_t first = panel * kLanes;
      TransposeRows(rows.x.data() + first * features_, std::min(kLanes, rows.rows - first),
                    features_, x_.data() + first * features_);
    });
    parts_.resize(static_cast<size_t>(std::clamp<int64_t>(rows.rows / kLeastPart, 1, kMostParts)));
  }

  int64_t size() const override { return features_ + 1; }
  double main_loss() const override { return main_loss_; }

  double At(const std::vector<double>& parameters, std::vector<double>* gradient) override {
    const auto parts = static_cast<int64_t>(parts_.size());
    pool_.ParallelFor(parts, [&](int64_t part) {
      Part& own = parts_[static_cast<size_t>(part)];
      own.loss = 0;
      own.gradient.assign(static_cast<size_t>(size() * kLanes), 0.0);
      const int64_t end = panels_ * (part + 1) / parts;
      for (int64_t panel = panels_ * part / parts; panel < end; panel += kTilePanels) {
        AddTile(panel, std::min(kTilePanels, end - panel), parameters, &own);
      }
    });
    double loss = 0;
    std::fill(gradient->begin(), gradient->end(), 0.0);
    for (const Part& part : parts_) {
      loss += part.loss;
      for (int64_t k = 0; k < size() * kLanes; ++k) {
        (*gradient)[static_cast<size_t>(k / kLanes)] += part.gradient[static_cast<size_t>(k)];
      }
    }
    main_loss_ = loss / total_;
    for (size_t f = 0; f < static_cast<size_t>(features_); ++f) {
      loss += penalty_ / 2 * parameters[f] * parameters[f];
      (*gradient)[f] += penalty_ * parameters[f];
    }
    for (double& number : *gradient) number /= total_;
    return loss / total_;
  }

 private:
  // Gradients have a sum for each lane.
  struct Part {
    double loss = 0;
    std::vector<double> gradient;  // [size(), kLanes]
  };

  // The loss is max(z, 0) - y z + log(1 + e^-|z|), of z = sqrt(2) (x v + b).
  void AddTile(int64_t panel, int64_t panels, const std::vector<double>& parameters,
               Part* part) const {
    const cpu::LearnerKernels& kernels = cpu::FindLearnerKernels();
    const auto first = static_cast<size_t>(panel * kLanes);
    const auto rows = static_cast<size_t>(panels * kLanes);
    const double* second = seconds_.data() + first;
    const double* weight = weights_.data() + first;
    double z[kTileRows], exps[kTileRows], above[kLanes] = {};
    std::fill_n(z, rows, parameters.back());
    for (int64_t p = 0; p < panels; ++p) {
      kernels.AddLanes(parameters.data(), features_, Panel(panel + p), z + p * kLanes);
    }
    for (size_t i = 0; i < rows; ++i) {
      z[i] *= std::numbers::sqrt2;
      exps[i] = std::abs(z[i]);
      above[i % kLanes] += weight[i] * (std::max(z[i], 0.0) - second[i] * z[i]);
    }
    kernels.Exps(-1, static_cast<int64_t>(rows), exps);
    double* of_bias = part->gradient.data() + features_ * kLanes;
    for (size_t i = 0; i < rows; ++i) {
      const double numerator = z[i] >= 0 ? 1.0 : exps[i];
      exps[i] += 1;
      z[i] = std::numbers::sqrt2 * weight[i] * (numerator / exps[i] - second[i]);
      of_bias[i % kLanes] += z[i];
    }
    for (int64_t p = 0; p < panels; ++p) {
      kernels.AddScaledPanel(z + p * kLanes, features_, Panel(panel + p), part->gradient.data());
    }
    for (const double one : above) part->loss += one;
    part->loss += LogsOf(exps, weight, rows);
  }

  const float* Panel(int64_t panel) const { return x_.data() + panel * kLanes * features_; }

  // The sum of weighted logarithms of numbers from 1 to 2. Of rows that all weigh 1 those of a lane
  // are multiplied first; what stands behind the last row weighs nothing.
  double LogsOf(const double* values, const double* weights, size_t rows) const {
    double sum = 0;
    if (!all_alike_) {
      for (size_t i = 0; i < rows; ++i) {
        if (weights[i] != 0) sum += weights[i] * std::log(values[i]);
      }
      return sum;
    }
    double products[kLanes];
    std::fill_n(products, kLanes, 1.0);
    for (size_t i = 0; i < rows; ++i) products[i % kLanes] *= weights[i] == 0 ? 1.0 : values[i];
    for (const double product : products) sum += std::log(product);
    return sum;
  }

  const int64_t features_;
  const double penalty_;
  const double total_;
  ThreadPool& pool_;
  int64_t panels_ = 0;
  std::vector<float> x_;         // [panels, features, kLanes]
  std::vector<double> seconds_;  // 1 for rows of the second class
  std::vector<double> weights_;  // 0 behind the last row
  bool all_alike_ = true;        // every row weighs 1
  std::vector<Part> parts_;
  double main_loss_ = 0;
};

}  // namespace

std::unique_ptr<SmoothLoss> MakeTwoClassLoss(const RowMatrix& rows, double penalty,
                                             ThreadPool* pool) {
  return std::make_unique<TwoClassLoss>(rows, penalty, pool);
}

}  // namespace beamline::engine
