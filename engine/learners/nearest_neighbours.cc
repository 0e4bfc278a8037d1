#include "engine/learners/nearest_neighbours.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "engine/backend/cpu/learner_kernels.h"
#include "engine/core/error.h"
#include "engine/learners/row_learner.h"

namespace beamline::engine {
namespace {

using cpu::kLanes;

struct Neighbour {
  double square = 0;  // of the distance
  int64_t row = 0;

  bool operator<(const Neighbour& other) const {
    return square != other.square ? square < other.square : row < other.row;
  }
};

// The nearest so far: a heap with the farthest on top.
class Nearest {
 public:
  explicit Nearest(int64_t count) : count_(static_cast<size_t>(count)) {}

  void Clear() { heap_.clear(); }
  void Offer(const Neighbour& one) {
    if (heap_.size() < count_) {
      heap_.push_back(one);
      std::push_heap(heap_.begin(), heap_.end());
    } else if (one < heap_.front()) {
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.back() = one;
      std::push_heap(heap_.begin(), heap_.end());
    }
  }
  // The nearest first; not a heap any more.
  const std::vector<Neighbour>& Sorted() {
    std::sort_heap(heap_.begin(), heap_.end());
    return heap_;
  }

 private:
  size_t count_;
  std::vector<Neighbour> heap_;
};

class NearestNeighboursLearner : public RowLearner {
 public:
  NearestNeighboursLearner(const NearestNeighboursSpec& spec, const LearnerData& data)
      : RowLearner(data, spec.threads,
                   Concat("nearest neighbours ", spec.neighbours, ' ', spec.by_distance)),
        spec_(spec) {
    if (layout().has_weights) Fail("nearest_neighbours cannot weigh its rows: remove the weights");
    if (data.training != nullptr) RequireRows(data.training->rows());
  }

  bool done() const override { return step() > 0; }
  int64_t total_steps() const override { return 1; }

  std::vector<NamedTensor> Weights() const override {
    std::vector<NamedTensor> weights;
    if (classes() > 0) {
      weights.push_back({"labels", Tensor::From<int64_t>({rows_}, labels_)});
      weights.push_back({"rows", Tensor::From<float>({rows_, features()}, x_)});
    } else {
      weights.push_back({"rows", Tensor::From<float>({rows_, features()}, x_)});
      weights.push_back({"targets", Tensor::From<float>({rows_, outputs()}, y_)});
    }
    return weights;
  }
  void SetWeights(const std::vector<NamedTensor>& weights) override {
    const Tensor& x = FindWeight(weights, "rows", DType::kFloat32);
    const int64_t rows = x.shape().rank() == 2 ? x.shape().dim(0) : 0;
    RequireRows(rows);
    FindWeight(weights, "rows", DType::kFloat32, {rows, features()});
    if (classes() > 0) {
      const auto labels = FindWeight(weights, "labels", DType::kInt64, {rows}).values<int64_t>();
      for (const int64_t label : labels) {
        if (label < 0 || label >= classes()) Fail("there is no class ", label);
      }
      labels_.assign(labels.begin(), labels.end());
    } else {
      const auto y =
          FindWeight(weights, "targets", DType::kFloat32, {rows, outputs()}).values<float>();
      y_.assign(y.begin(), y.end());
    }
    rows_ = rows;
    const auto values = x.values<float>();
    x_.assign(values.begin(), values.end());
    Pack();
  }

  int64_t PeakBytes() const override { return training().rows() * (features() * 8 + 8) * 2; }

 protected:
  void Advance(StepReport* report) override {
    RowMatrix all = ReadRows(training());
    rows_ = all.rows;
    x_ = std::move(all.x);
    y_ = std::move(all.y);
    labels_.assign(all.labels.begin(), all.labels.end());
    Pack();
    // To compare all rows with all takes longer than everything else.
    report->has_loss = false;
  }

  void PredictRows(const float* x, int64_t count, float* out) const override {
    std::vector<Nearest> nearest(static_cast<size_t>(count), Nearest(spec_.neighbours));
    // A block of training rows stays in the cache while all of the asked rows pass.
    const auto distances = cpu::FindLearnerKernels().SquaredDistances;
    std::vector<double> squares(static_cast<size_t>(count * kLanes));
    for (int64_t first = 0; first < rows_; first += kLanes) {
      distances(x, count, features(), packed_.data() + first * features(), squares.data());
      const int64_t end = std::min(kLanes, rows_ - first);
      for (int64_t i = 0; i < count; ++i) {
        Nearest& so_far = nearest[static_cast<size_t>(i)];
        for (int64_t lane = 0; lane < end; ++lane) {
          so_far.Offer({squares[static_cast<size_t>(i * kLanes + lane)], first + lane});
        }
      }
    }
    for (int64_t i = 0; i < count; ++i) {
      Vote(nearest[static_cast<size_t>(i)].Sorted(), out + i * outputs());
    }
  }

  // What was learned is the training rows, which whoever resumes has too.
  void SaveState(CheckpointWriter* out) const override { out->Integer(rows_ > 0 ? 1 : 0); }
  void LoadState(CheckpointReader* in) override {
    const bool trained = in->Integer() != 0;
    in->Finish();
    if (!trained) return;
    StepReport report;
    Advance(&report);
  }

 private:
  void RequireRows(int64_t rows) const {
    if (rows >= spec_.neighbours) return;
    Fail("there are ", rows, " rows to learn from, fewer than ", spec_.neighbours,
         " neighbours: set neighbours to ", rows, " or less");
  }

  // Blocks of kLanes rows, [features, lanes] each.
  void Pack() {
    const int64_t blocks = (rows_ + kLanes - 1) / kLanes;
    packed_.assign(static_cast<size_t>(blocks * kLanes * features()), 0.0F);
    for (int64_t row = 0; row < rows_; ++row) {
      float* const block = packed_.data() + row / kLanes * kLanes * features() + row % kLanes;
      for (int64_t f = 0; f < features(); ++f) {
        block[f * kLanes] = x_[static_cast<size_t>(row * features() + f)];
      }
    }
  }

  void Vote(const std::vector<Neighbour>& nearest, float* out) const {
    const bool same_place = spec_.by_distance && nearest.front().square == 0;
    std::vector<double> sums(static_cast<size_t>(outputs()));
    double total = 0;
    for (const Neighbour& one : nearest) {
      if (same_place && one.square > 0) break;
      const double vote = spec_.by_distance && !same_place ? 1 / std::sqrt(one.square) : 1;
      total += vote;
      if (classes() > 0) {
        sums[static_cast<size_t>(labels_[static_cast<size_t>(one.row)])] += vote;
        continue;
      }
      for (size_t k = 0; k < sums.size(); ++k) {
        sums[k] += vote * static_cast<double>(y_[static_cast<size_t>(one.row * outputs()) + k]);
      }
    }
    for (size_t k = 0; k < sums.size(); ++k) out[k] = static_cast<float>(sums[k] / total);
  }

  NearestNeighboursSpec spec_;
  int64_t rows_ = 0;
  std::vector<float> x_;
  std::vector<float> y_;
  std::vector<int64_t> labels_;
  std::vector<float> packed_;
};

}  // namespace

std::unique_ptr<Learner> MakeNearestNeighbours(const NearestNeighboursSpec& spec,
                                               const LearnerData& data) {
  return std::make_unique<NearestNeighboursLearner>(spec, data);
}

}  // namespace beamline::engine
