#include "engine/learners/nearest_neighbours.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "engine/backend/cpu/learner_kernels.h"
#include "engine/core/error.h"
#include "engine/learners/row_blocks.h"
#include "engine/learners/row_learner.h"

namespace beamline::engine {
namespace {

using cpu::kLanes;
// With fewer features nothing is won by screening.
constexpr int64_t kScreenedFeatures = 32;
// Of a row that is asked for, at first.
constexpr size_t kMostCandidates = 512;

std::vector<int64_t> RowNumbers(int64_t first, int64_t count) {
  std::vector<int64_t> rows(static_cast<size_t>(count));
  std::iota(rows.begin(), rows.end(), first);
  return rows;
}

// Whether products with a row of this length are bounded by its length: of shorter ones floats lose
// them, of longer ones they may be infinite.
bool IsScreened(double length) { return length == 0 || (length >= 1e-12 && length <= 1e16); }

struct Neighbour {
  double square = 0;  // of the distance
  int64_t row = 0;

  bool operator<(const Neighbour& other) const {
    return square != other.square ? square < other.square : row < other.row;
  }
};

// The nearest so far: a heap with the farthest on top.
template <typename T>
class Nearest {
 public:
  explicit Nearest(int64_t count) : count_(static_cast<size_t>(count)) {}

  void Offer(const T& one) {
    if (heap_.size() < count_) {
      heap_.push_back(one);
      std::push_heap(heap_.begin(), heap_.end());
    } else if (one < heap_.front()) {
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.back() = one;
      std::push_heap(heap_.begin(), heap_.end());
    }
  }
  bool full() const { return heap_.size() == count_; }
  // Of at least one.
  const T& farthest() const { return heap_.front(); }
  // Infinity while there are fewer.
  T Farthest(T infinity) const { return full() ? heap_.front() : infinity; }
  // The nearest first; not a heap any more.
  const std::vector<T>& Sorted() {
    std::sort_heap(heap_.begin(), heap_.end());
    return heap_;
  }

 private:
  size_t count_;
  std::vector<T> heap_;
};

// Of kLanes numbers, all at once.
bool AnyUpTo(const double* values, double limit) {
  int any = 0;
  for (int64_t lane = 0; lane < kLanes; ++lane) any |= values[lane] <= limit ? 1 : 0;
  return any != 0;
}

// A row that may be among the nearest, for its distance is at least this.
struct Candidate {
  double least;
  int64_t row;
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
    if (classes() > 0) weights.push_back({"labels", Tensor::From<int64_t>({rows_}, labels_)});
    Tensor rows({rows_, features()}, DType::kFloat32);
    const std::span<float> x = rows.values<float>();
    if (!packed_) training().Gather(RowNumbers(0, rows_), {.features = x.data()});
    for (int64_t i = 0; packed_ && i < rows_ * features(); ++i) {
      x[static_cast<size_t>(i)] = At(i / features(), i % features());
    }
    weights.push_back({"rows", std::move(rows)});
    if (classes() == 0) {
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
    const float* values = x.values<float>().data();
    Take(rows,
         [&](int64_t first, int64_t, std::vector<float>*) { return values + first * features(); });
  }

  int64_t PeakBytes() const override {
    return training().rows() * (features() * 4 + 8 * (outputs() + 3));
  }

 protected:
  void Advance(StepReport* report) override {
    const BatchSource& source = training();
    const std::vector<int64_t> index = RowNumbers(0, source.rows());
    std::vector<int32_t> labels(classes() > 0 ? index.size() : 0);
    y_.resize(index.size() * static_cast<size_t>(layout().targets));
    source.Gather(index, {.targets = y_.empty() ? nullptr : y_.data(),
                          .labels = labels.empty() ? nullptr : labels.data()});
    labels_.assign(labels.begin(), labels.end());
    rows_ = source.rows();
    packed_ = false;
    // To compare all rows with all takes longer than everything else.
    report->has_loss = false;
  }

  // The rows are packed when they are compared for the first time: until then they lie where they
  // were learned from.
  void PrepareToPredict() override {
    if (packed_ || rows_ == 0) return;
    Take(rows_, [&](int64_t first, int64_t count, std::vector<float>* room) {
      training().Gather(RowNumbers(first, count), {.features = room->data()});
      return static_cast<const float*>(room->data());
    });
  }

  void PredictRows(const float* x, int64_t count, float* out) const override {
    std::vector<Nearest<Neighbour>> nearest(static_cast<size_t>(count),
                                            Nearest<Neighbour>(spec_.neighbours));
    if (features() < kScreenedFeatures || !screened_ || !Screen(x, count, &nearest)) {
      nearest.assign(nearest.size(), Nearest<Neighbour>(spec_.neighbours));
      CompareAll(x, count, &nearest);
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

  int64_t blocks() const { return (rows_ + kLanes - 1) / kLanes; }
  const float* Block(int64_t block) const { return blocks_.get() + block * kLanes * features(); }
  float At(int64_t row, int64_t feature) const {
    return Block(row / kLanes)[feature * kLanes + row % kLanes];
  }

  // Keeps rows; read(first, count, room) gives them some at a time, in memory of its own or in
  // `room`. Called from several threads.
  template <typename Read>
  void Take(int64_t rows, const Read& read) {
    rows_ = rows;
    blocks_ = std::make_unique_for_overwrite<float[]>(
        static_cast<size_t>(blocks() * kLanes * features()));
    squares_.resize(static_cast<size_t>(blocks() * kLanes));
    lengths_.resize(squares_.size());
    pool().ParallelFor(blocks(), [&](int64_t block) {
      const int64_t first = block * kLanes;
      const int64_t count = std::min(kLanes, rows - first);
      std::vector<float> room(static_cast<size_t>(count * features()));
      const float* x = read(first, count, &room);
      TransposeRows(x, count, features(), blocks_.get() + first * features());
      for (int64_t i = 0; i < kLanes; ++i) {
        const auto at = static_cast<size_t>(first + i);
        squares_[at] = i < count ? SquareOf(x + i * features()) : 0;
        lengths_[at] = std::sqrt(squares_[at]);
      }
    });
    packed_ = true;
    screened_ = std::all_of(lengths_.begin(), lengths_.end(), IsScreened);
  }

  // In parts, which compilers turn into vectors: a bound's ingredient, and no distance.
  double SquareOf(const float* x) const {
    double sums[8] = {};
    int64_t f = 0;
    for (; f + 8 <= features(); f += 8) {
      for (int64_t k = 0; k < 8; ++k) {
        sums[k] += static_cast<double>(x[f + k]) * static_cast<double>(x[f + k]);
      }
    }
    for (; f < features(); ++f) sums[0] += static_cast<double>(x[f]) * static_cast<double>(x[f]);
    double sum = 0;
    for (const double part : sums) sum += part;
    return sum;
  }

  // A block of training rows stays in the cache while all of the asked rows pass.
  void CompareAll(const float* x, int64_t count, std::vector<Nearest<Neighbour>>* nearest) const {
    const auto distances = cpu::FindLearnerKernels().SquaredDistances;
    std::vector<double> squares(static_cast<size_t>(count * kLanes));
    for (int64_t first = 0; first < rows_; first += kLanes) {
      distances(x, count, features(), Block(first / kLanes), squares.data());
      const int64_t end = std::min(kLanes, rows_ - first);
      for (int64_t i = 0; i < count; ++i) {
        Nearest<Neighbour>& so_far = (*nearest)[static_cast<size_t>(i)];
        const double* own = squares.data() + i * kLanes;
        if (so_far.full() && !AnyUpTo(own, so_far.farthest().square)) continue;
        for (int64_t lane = 0; lane < end; ++lane) so_far.Offer({own[lane], first + lane});
      }
    }
  }

  // The same by way of |x|^2 + |y|^2 - 2 x y, whose products are floats and within a bound of the
  // truth: only rows that may be among the nearest are compared in double. False if those are too
  // many for that to pay, or if products are not within the bound.
  bool Screen(const float* x, int64_t count, std::vector<Nearest<Neighbour>>* nearest) const {
    const auto products_of = cpu::FindLearnerKernels().ProductsOfRows;
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    // Of a chain of so many roundings to 24 bits, twice; and of what is done in double.
    const double slack = 2.02 * static_cast<double>(features() + 2) * 0x1p-24 + 1e-12;
    const auto size = static_cast<size_t>(count);
    std::vector<Nearest<double>> most(size, Nearest<double>(spec_.neighbours));
    std::vector<double> squares(size), slacks(size), limits(size, kInfinity);
    std::vector<std::vector<Candidate>> candidates(size);
    for (size_t i = 0; i < size; ++i) {
      squares[i] = SquareOf(x + static_cast<int64_t>(i) * features());
      const double length = std::sqrt(squares[i]);
      if (!IsScreened(length)) return false;
      slacks[i] = slack * length;
    }
    std::vector<float> products(static_cast<size_t>(count * kLanes));
    size_t found = 0;
    for (int64_t first = 0; first < rows_; first += kLanes) {
      products_of(x, count, features(), Block(first / kLanes), products.data());
      const int64_t end = std::min(kLanes, rows_ - first);
      for (size_t i = 0; i < size; ++i) {
        double least[kLanes], largest[kLanes];
        for (int64_t lane = 0; lane < kLanes; ++lane) {
          const auto row = static_cast<size_t>(first + lane);
          const double both = squares[i] + squares_[row];
          const double error = slacks[i] * lengths_[row] + 1e-12 * both;
          const double square =
              both - 2 * static_cast<double>(products[i * kLanes + static_cast<size_t>(lane)]);
          least[lane] = square - error;
          largest[lane] = square + error;
        }
        if (!AnyUpTo(least, limits[i])) continue;
        for (int64_t lane = 0; lane < end; ++lane) {
          if (!(least[lane] <= limits[i])) continue;
          candidates[i].push_back({least[lane], first + lane});
          most[i].Offer(largest[lane]);
          limits[i] = most[i].Farthest(kInfinity);
          ++found;
        }
      }
      if (found > size * (kMostCandidates + static_cast<size_t>(first) / 64)) return false;
    }
    for (size_t i = 0; i < size; ++i) {
      for (const Candidate& one : candidates[i]) {
        if (!(one.least <= limits[i])) continue;
        double square = 0;
        for (int64_t f = 0; f < features(); ++f) {
          const double difference =
              static_cast<double>(x[static_cast<int64_t>(i) * features() + f]) -
              static_cast<double>(At(one.row, f));
          square += difference * difference;
        }
        (*nearest)[i].Offer({square, one.row});
      }
    }
    return true;
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
  std::vector<float> y_;
  std::vector<int64_t> labels_;
  bool packed_ = false;              // whether what follows is there
  std::unique_ptr<float[]> blocks_;  // of kLanes rows, [features, kLanes] each
  std::vector<double> squares_;      // |x|^2 of each row
  std::vector<double> lengths_;      // |x|
  bool screened_ = false;            // IsScreened of all of them
};

}  // namespace

std::unique_ptr<Learner> MakeNearestNeighbours(const NearestNeighboursSpec& spec,
                                               const LearnerData& data) {
  return std::make_unique<NearestNeighboursLearner>(spec, data);
}

}  // namespace beamline::engine
