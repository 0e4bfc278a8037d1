#include "engine/learners/isolation_forest.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <unordered_set>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/math.h"
#include "engine/core/philox.h"
#include "engine/learners/classic_learner.h"

namespace beamline::engine {
namespace {

// Streams of the seed, each with the tree's number: which rows, which cuts.
constexpr uint64_t kRowStream = uint64_t{0x6966} << 40;
constexpr uint64_t kCutStream = uint64_t{0x6967} << 40;

// c(n): mean depth of an unsuccessful search in a binary search tree of n rows.
double MeanDepth(int64_t rows) {
  if (rows < 2) return 0;
  double harmonic = 0;
  for (int64_t i = 1; i < rows; ++i) harmonic += 1 / static_cast<double>(i);
  return 2 * harmonic - 2 * static_cast<double>(rows - 1) / static_cast<double>(rows);
}

float ScoreOf(double mean_depth, double scale) {
  return math::Exp(static_cast<float>(-mean_depth / scale * 0.69314718055994531));
}

class IsolationForest : public ClassicLearner {
 public:
  IsolationForest(const IsolationForestSpec& spec, const LearnerData& data)
      : ClassicLearner(Define(spec, data), data), spec_(spec), nodes_(2 * spec.rows - 1) {
    features_ = &AddWeight("features", {spec.trees, nodes_}, DType::kInt64);
    thresholds_ = &AddWeight("thresholds", {spec.trees, nodes_});
    children_ = &AddWeight("children", {spec.trees, nodes_}, DType::kInt64);
    depths_ = &AddWeight("depths", {spec.trees, nodes_});
    // Trees not grown yet are leaves.
    for (int64_t& feature : features_->values<int64_t>()) feature = -1;
    trees_ = &AddState("trees", {1}, DType::kInt64);
    scale_ = &AddWeight("scale", {1});
  }

 protected:
  StepResult Train(int64_t step) override;
  void Infer(const RowBlock& block, const Inference& out) override;
  bool FillsLosses() const override { return true; }
  void Check(const Tensors& tensors) const override;
  void Taken(bool weights_only) override {
    if (weights_only) trees_->values<int64_t>()[0] = spec_.trees;
  }
  int64_t WorkingBytes() const override;

 private:
  static Definition Define(const IsolationForestSpec& spec, const LearnerData& data);
  void ReadWeights();
  std::vector<int64_t> DrawRows(int64_t tree);
  void Grow(int64_t tree, const std::vector<float>& rows, int64_t count);
  int64_t Cut(const Philox& random, int64_t node, std::span<const float> rows,
              std::span<int64_t> members, float* threshold) const;
  double DepthOf(int64_t tree, const float* row) const;

  const IsolationForestSpec spec_;
  const int64_t nodes_;  // of a tree, at most
  Tensor* features_;
  Tensor* thresholds_;
  Tensor* children_;
  Tensor* depths_;
  Tensor* trees_;  // that are grown
  Tensor* scale_;  // c of the rows of a tree
  std::vector<double> row_weights_;
};

ClassicLearner::Definition IsolationForest::Define(const IsolationForestSpec& spec,
                                                   const LearnerData&) {
  if (spec.trees < 1 || spec.rows < 2 || spec.rows > 65536) {
    Fail("isolation_forest needs trees of at least 1 and rows from 2 to 65536");
  }
  Definition definition;
  definition.name = "isolation_forest";
  definition.text = Concat(spec.trees, ' ', spec.rows, ' ', spec.seed);
  definition.threads = spec.threads;
  definition.total_steps = spec.trees;
  definition.steps_per_epoch = spec.trees;
  definition.outputs = 0;  // scores in place of reconstructions
  definition.reconstructs = true;
  return definition;
}

// Chances in proportion to weights: the largest log(u) / weight (Efraimidis, Spirakis 2006).
void IsolationForest::ReadWeights() {
  if (!layout().has_weights || !row_weights_.empty()) return;
  RowReader(*training(), &pool()).ForEach([&](const RowBlock& block) {
    CheckWeights(block);
    for (int64_t i = 0; i < block.rows; ++i) row_weights_.push_back(block.Weight(i));
  });
}

std::vector<int64_t> IsolationForest::DrawRows(int64_t tree) {
  const Philox random(spec_.seed, kRowStream | static_cast<uint64_t>(tree));
  const int64_t all = training()->rows();
  std::vector<int64_t> rows;
  if (layout().has_weights) {
    ReadWeights();
    std::vector<double> keys(static_cast<size_t>(all));
    for (int64_t row = 0; row < all; ++row) {
      const auto at = static_cast<size_t>(row);
      if (row_weights_[at] > 0) rows.push_back(row);
      const float u = 1.0f - random.Uniform(static_cast<uint64_t>(row));  // in (0, 1]
      keys[at] = static_cast<double>(math::Log(u)) / row_weights_[at];
    }
    if (rows.empty()) Fail("all training rows weigh 0: there is nothing to learn from");
    const size_t most = std::min(rows.size(), static_cast<size_t>(spec_.rows));
    std::partial_sort(rows.begin(), rows.begin() + static_cast<int64_t>(most), rows.end(),
                      [&](int64_t a, int64_t b) {
                        const double x = keys[static_cast<size_t>(a)];
                        const double y = keys[static_cast<size_t>(b)];
                        return x != y ? x > y : a < b;
                      });
    rows.resize(most);
  } else {
    // Floyd's way to draw without replacement.
    std::unordered_set<int64_t> drawn;
    for (int64_t i = std::max<int64_t>(0, all - spec_.rows); i < all; ++i) {
      const auto row = static_cast<int64_t>(
          random.Below(static_cast<uint64_t>(i), static_cast<uint64_t>(i) + 1));
      const int64_t chosen = drawn.contains(row) ? i : row;
      drawn.insert(chosen);
      rows.push_back(chosen);
    }
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

// A feature that varies among the members, and a threshold between its least and its largest value
// there; -1 if none varies. Puts those at most the threshold first.
int64_t IsolationForest::Cut(const Philox& random, int64_t node, std::span<const float> rows,
                             std::span<int64_t> members, float* threshold) const {
  const int64_t size = layout().features;
  std::vector<int64_t> untried(static_cast<size_t>(size));
  std::iota(untried.begin(), untried.end(), int64_t{0});
  const uint64_t base = static_cast<uint64_t>(node) << 32;
  while (!untried.empty()) {
    const uint64_t pick = random.Below(base | untried.size(), untried.size());
    const int64_t feature = untried[pick];
    untried[pick] = untried.back();
    untried.pop_back();
    const auto value = [&](int64_t member) {
      return rows[static_cast<size_t>(member * size + feature)];
    };
    const auto [least, largest] = std::minmax_element(
        members.begin(), members.end(), [&](int64_t a, int64_t b) { return value(a) < value(b); });
    const float low = value(*least);
    const float high = value(*largest);
    if (!(low < high)) continue;
    // In halves: the difference may be more than a float holds.
    const float u = random.Uniform(base);
    *threshold = low * (1 - u) + high * u;
    if (!(*threshold >= low && *threshold < high)) *threshold = low;
    std::stable_partition(members.begin(), members.end(),
                          [&](int64_t member) { return value(member) <= *threshold; });
    return feature;
  }
  return -1;
}

void IsolationForest::Grow(int64_t tree, const std::vector<float>& rows, int64_t count) {
  const Philox random(spec_.seed, kCutStream | static_cast<uint64_t>(tree));
  const auto limit = static_cast<int64_t>(std::bit_width(static_cast<uint64_t>(count - 1)));
  const int64_t base = tree * nodes_;
  struct Open {
    int64_t node, first, size, depth;
  };
  std::vector<int64_t> members(static_cast<size_t>(count));
  std::iota(members.begin(), members.end(), int64_t{0});
  std::vector<Open> open = {{0, 0, count, 0}};
  int64_t used = 1;
  while (!open.empty()) {
    const Open at = open.back();
    open.pop_back();
    const auto place = static_cast<size_t>(base + at.node);
    const std::span<int64_t> own(members.data() + at.first, static_cast<size_t>(at.size));
    float threshold = 0;
    const int64_t feature =
        at.size > 1 && at.depth < limit ? Cut(random, at.node, rows, own, &threshold) : -1;
    features_->values<int64_t>()[place] = feature;
    if (feature < 0) {
      depths_->values<float>()[place] =
          static_cast<float>(static_cast<double>(at.depth) + MeanDepth(at.size));
      continue;
    }
    const auto left = std::count_if(own.begin(), own.end(), [&](int64_t member) {
      return rows[static_cast<size_t>(member * layout().features + feature)] <= threshold;
    });
    thresholds_->values<float>()[place] = threshold;
    children_->values<int64_t>()[place] = used;
    open.push_back({used, at.first, left, at.depth + 1});
    open.push_back({used + 1, at.first + left, at.size - left, at.depth + 1});
    used += 2;
  }
}

double IsolationForest::DepthOf(int64_t tree, const float* row) const {
  const auto base = static_cast<size_t>(tree * nodes_);
  const int64_t* features = features_->values<int64_t>().data() + base;
  const float* thresholds = thresholds_->values<float>().data() + base;
  const int64_t* children = children_->values<int64_t>().data() + base;
  int64_t node = 0;
  while (features[node] >= 0) {
    node = children[node] + (row[features[node]] <= thresholds[node] ? 0 : 1);
  }
  return static_cast<double>(depths_->values<float>()[base + static_cast<size_t>(node)]);
}

ClassicLearner::StepResult IsolationForest::Train(int64_t step) {
  const std::vector<int64_t> index = DrawRows(step);
  const auto count = static_cast<int64_t>(index.size());
  std::vector<float> rows(static_cast<size_t>(count * layout().features));
  training()->Gather(index, {.features = rows.data()});
  Grow(step, rows, count);
  trees_->values<int64_t>()[0] = step + 1;
  const double scale = std::max(MeanDepth(count), 1.0);
  scale_->values<float>()[0] = static_cast<float>(scale);
  StepResult result;
  for (int64_t row = 0; row < count; ++row) {
    const double depth = DepthOf(step, rows.data() + row * layout().features);
    result.loss += static_cast<double>(ScoreOf(depth, scale)) / static_cast<double>(count);
  }
  result.examples = count;
  return result;
}

void IsolationForest::Infer(const RowBlock& block, const Inference& out) {
  constexpr int64_t kTile = 32;
  const int64_t trees = std::max<int64_t>(1, trees_->values<int64_t>()[0]);
  const auto scale = static_cast<double>(scale_->values<float>()[0]);
  pool().ParallelFor((block.rows + kTile - 1) / kTile, [&](int64_t tile) {
    for (int64_t row = tile * kTile; row < std::min(block.rows, (tile + 1) * kTile); ++row) {
      double depth = 0;
      for (int64_t tree = 0; tree < trees; ++tree) {
        depth += DepthOf(tree, block.features + row * layout().features);
      }
      const float score = ScoreOf(depth / static_cast<double>(trees), scale > 0 ? scale : 1);
      if (out.losses != nullptr) out.losses[row] = score;
    }
  });
}

// Every walk from a root ends: children are behind their parents, and there.
void IsolationForest::Check(const Tensors& tensors) const {
  const auto features = tensors.find("features")->second.values<int64_t>();
  const auto children = tensors.find("children")->second.values<int64_t>();
  for (size_t i = 0; i < features.size(); ++i) {
    if (features[i] < 0) continue;
    const auto node = static_cast<int64_t>(i) % nodes_;
    if (features[i] >= layout().features || children[i] <= node || children[i] + 1 >= nodes_) {
      Fail("the trees of the isolation forest are damaged: take its weights from a training");
    }
  }
  const int64_t grown = tensors.find("trees")->second.values<int64_t>()[0];
  if (grown < 0 || grown > spec_.trees) Fail("the isolation forest is damaged: train it anew");
}

int64_t IsolationForest::WorkingBytes() const {
  const int64_t rows = training() != nullptr && layout().has_weights ? training()->rows() : 0;
  return spec_.rows * (4 * layout().features + 32) + 24 * rows;
}

}  // namespace

std::unique_ptr<Learner> MakeIsolationForest(const IsolationForestSpec& spec,
                                             const LearnerData& data) {
  return std::make_unique<IsolationForest>(spec, data);
}

}  // namespace beamline::engine
