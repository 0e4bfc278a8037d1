#include "engine/learners/trees/grow.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/philox.h"

namespace beamline::engine {
namespace {

constexpr uint64_t kFeatureStream = 0x66656174;
// As XGBoost has it: less is rounding.
constexpr double kLeastGain = 1e-6;
// Additions that are worth a thread's while.
constexpr int64_t kSharedWork = int64_t{1} << 16;

// Multiples of 2^-22 of the power of two above the largest: sums of up to 2^31 of them fit a
// double.
void Round(std::span<float> numbers) {
  float largest = 0;
  for (const float number : numbers) largest = std::max(largest, std::abs(number));
  if (!(largest > 0) || !std::isfinite(largest)) return;
  int exponent = 0;
  std::frexp(largest, &exponent);
  // Adding and taking away what is so large leaves a double without the digits below the unit.
  const double shift = std::ldexp(1.5, exponent - 22 + 52);
  for (float& number : numbers) {
    const volatile double rounded = static_cast<double>(number) + shift;
    number = static_cast<float>(rounded - shift);
  }
}

}  // namespace

TreeGrower::TreeGrower(const RowMatrix& rows, const GrowSettings& settings, ThreadPool* pool)
    : settings_(settings), pool_(*pool), rows_(rows, settings.bins, pool) {
  if (rows.rows > int64_t{1} << 31) Fail("trees take up to 2^31 rows, not ", rows.rows);
  sorted_.resize(static_cast<size_t>(rows.rows));
  behind_.resize(sorted_.size());
}

Tree TreeGrower::Grow(std::span<float> gradients, std::span<float> curvatures, uint64_t tree,
                      std::vector<float>* said) {
  Round(gradients);
  Round(curvatures);
  Part root = {0, rows_.rows(), 0, 0, 0, 1};
  for (size_t i = 0; i < sorted_.size(); ++i) {
    sorted_[i] = {static_cast<int32_t>(i), gradients[i], curvatures[i]};
    root.gradient += static_cast<double>(gradients[i]);
    root.curvature += static_cast<double>(curvatures[i]);
  }
  number_ = tree;
  said->resize(sorted_.size());
  said_ = said;
  std::vector<int64_t> all(static_cast<size_t>(rows_.features()));
  std::iota(all.begin(), all.end(), int64_t{0});
  features_ = Draw(all, settings_.tree_feature_share, 0);
  std::vector<double> histogram;
  if (MayBeCut(root)) {
    histogram = TakeHistogram();
    AddHistogram(root, &histogram);
  }
  GrowNode(root, &histogram);
  spare_.push_back(std::move(histogram));
  return std::exchange(tree_, {});
}

std::vector<int64_t> TreeGrower::Draw(const std::vector<int64_t>& from, double share,
                                      uint64_t path) const {
  if (share >= 1) return from;
  const Philox random(settings_.seed, kFeatureStream);
  const auto count = static_cast<int64_t>(share * static_cast<double>(from.size()));
  const uint64_t place = ((number_ << 22) + path) * static_cast<uint64_t>(rows_.features());
  std::vector<std::pair<float, int64_t>> drawn;
  for (const int64_t feature : from) {
    drawn.emplace_back(random.Uniform(place + static_cast<uint64_t>(feature)), feature);
  }
  std::sort(drawn.begin(), drawn.end());
  drawn.resize(static_cast<size_t>(std::max<int64_t>(1, count)));
  std::vector<int64_t> chosen;
  for (const auto& [key, feature] : drawn) chosen.push_back(feature);
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

std::vector<double> TreeGrower::TakeHistogram() {
  const auto size = static_cast<size_t>(2 * rows_.blocks() * BinnedRows::kBlock * rows_.bins());
  std::vector<double> histogram;
  if (!spare_.empty()) {
    histogram = std::move(spare_.back());
    spare_.pop_back();
  }
  histogram.assign(size, 0.0);
  return histogram;
}

void TreeGrower::AddHistogram(const Part& part, std::vector<double>* histogram) {
  const cpu::LearnerKernels& kernels = cpu::FindLearnerKernels();
  const cpu::RowGradient* first = sorted_.data() + part.first;
  const int64_t count = part.end - part.first;
  const auto block = [&](int64_t b) {
    double* to = histogram->data() + 2 * b * BinnedRows::kBlock * rows_.bins();
    if (rows_.AreBytes()) {
      kernels.AddHistogramOfBytes(first, count, rows_.Bytes(b), rows_.bins(), to);
    } else {
      kernels.AddHistogramOfShorts(first, count, rows_.Shorts(b), rows_.bins(), to);
    }
  };
  if (count * rows_.features() >= kSharedWork) {
    pool_.ParallelFor(rows_.blocks(), block);
  } else {
    for (int64_t b = 0; b < rows_.blocks(); ++b) block(b);
  }
}

bool TreeGrower::MayBeCut(const Part& part) const {
  return part.depth < settings_.max_depth && part.end - part.first > 1 &&
         part.curvature >= 2 * settings_.min_child_weight;
}

TreeGrower::Cut TreeGrower::FindCut(const Part& part, const std::vector<double>& histogram) {
  const auto find = cpu::FindLearnerKernels().FindSplit;
  const cpu::SplitRule rule = {part.gradient, part.curvature, settings_.penalty,
                               settings_.min_child_weight};
  const std::vector<int64_t> features = Draw(features_, settings_.split_feature_share, part.path);
  const auto count = static_cast<int64_t>(features.size());
  std::vector<cpu::Split> found(features.size());
  const auto block = [&](int64_t b) {
    std::vector<double> room(static_cast<size_t>(3 * rows_.bins()));
    const int64_t last = std::min(count, (b + 1) * BinnedRows::kBlock);
    for (int64_t i = b * BinnedRows::kBlock; i < last; ++i) {
      const int64_t feature = features[static_cast<size_t>(i)];
      found[static_cast<size_t>(i)] =
          find(histogram.data() + 2 * feature * rows_.bins(),
               static_cast<int64_t>(rows_.Cuts(feature).size()) + 1, rule, room.data());
    }
  };
  const int64_t blocks = (count + BinnedRows::kBlock - 1) / BinnedRows::kBlock;
  if (count * rows_.bins() >= kSharedWork) {
    pool_.ParallelFor(blocks, block);
  } else {
    for (int64_t b = 0; b < blocks; ++b) block(b);
  }
  Cut best;
  for (size_t i = 0; i < found.size(); ++i) {
    if (found[i].gain <= best.gain) continue;
    best = {found[i].gain, features[i], found[i].bin, found[i].gradient, found[i].curvature};
  }
  if (best.feature >= 0) {
    best.gain -= part.gradient * part.gradient / (part.curvature + settings_.penalty);
  }
  const bool gains = best.gain > kLeastGain && best.gain >= settings_.min_gain;
  return gains ? best : Cut();
}

int64_t TreeGrower::Divide(const Part& part, const Cut& cut) {
  cpu::RowGradient* left = sorted_.data() + part.first;
  cpu::RowGradient* right = behind_.data();
  for (int64_t i = part.first; i < part.end; ++i) {
    const cpu::RowGradient own = sorted_[static_cast<size_t>(i)];
    const bool below = rows_.BinOf(own.row, cut.feature) <= cut.bin;
    // Both, for no branch can be foreseen; what is not meant is written over.
    *left = own;
    *right = own;
    left += below ? 1 : 0;
    right += below ? 0 : 1;
  }
  std::copy(behind_.data(), right, left);
  return left - sorted_.data();
}

void TreeGrower::MakeLeaf(const Part& part) {
  const bool weighs = part.curvature > 0 && part.curvature >= settings_.min_child_weight;
  const double value = weighs ? -part.gradient / (part.curvature + settings_.penalty) : 0;
  TreeNode& leaf = tree_.emplace_back();
  leaf.value = static_cast<float>(settings_.learning_rate * value);
  for (int64_t i = part.first; i < part.end; ++i) {
    (*said_)[static_cast<size_t>(sorted_[static_cast<size_t>(i)].row)] = leaf.value;
  }
}

void TreeGrower::GrowNode(const Part& part, std::vector<double>* histogram) {
  const Cut cut = MayBeCut(part) ? FindCut(part, *histogram) : Cut();
  if (cut.feature < 0) return MakeLeaf(part);
  const int64_t middle = Divide(part, cut);
  const Part left = {part.first,    middle,         cut.gradient,
                     cut.curvature, part.depth + 1, 2 * part.path};
  const Part right = {middle,
                      part.end,
                      part.gradient - cut.gradient,
                      part.curvature - cut.curvature,
                      part.depth + 1,
                      2 * part.path + 1};
  const bool left_is_small = middle - part.first <= part.end - middle;
  const Part& small = left_is_small ? left : right;
  const Part& large = left_is_small ? right : left;
  std::vector<double> other;
  if (MayBeCut(small) || MayBeCut(large)) {
    other = TakeHistogram();
    AddHistogram(small, &other);
    if (MayBeCut(large)) {
      for (size_t i = 0; i < other.size(); ++i) (*histogram)[i] -= other[i];
    }
  }
  const auto node = static_cast<size_t>(tree_.size());
  tree_.push_back({cut.feature, rows_.Cuts(cut.feature)[static_cast<size_t>(cut.bin)],
                   static_cast<int64_t>(node) + 1, 0, static_cast<float>(cut.gain)});
  GrowNode(left, left_is_small ? &other : histogram);
  tree_[node].right = static_cast<int64_t>(tree_.size());
  GrowNode(right, left_is_small ? histogram : &other);
  if (!other.empty()) spare_.push_back(std::move(other));
}

int64_t TreeGrower::BytesOf(int64_t rows, int64_t features, const GrowSettings& settings) {
  const int64_t blocks = (features + BinnedRows::kBlock - 1) / BinnedRows::kBlock;
  const int64_t wide = blocks * BinnedRows::kBlock;
  // A value in its bin; a row twice with its gradients, and what is said of it; histograms of a
  // node and of those beside its forebears.
  return rows * (wide * (settings.bins <= 256 ? 1 : 2) + 48) +
         16 * wide * std::min<int64_t>(settings.bins, rows) * (settings.max_depth + 2);
}

}  // namespace beamline::engine
