#include "engine/learners/inverse_iteration.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "engine/backend/cpu/learner_kernels.h"
#include "engine/core/philox.h"

namespace beamline::engine {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
// Where iterations start.
constexpr uint64_t kStartStream = 0x73746172;
// Solutions, and those after one that has grown enough.
constexpr int kMostIterations = 5, kExtraIterations = 2;

double LargestOf(const std::vector<double>& x) {
  double largest = 0;
  for (const double value : x) largest = std::max(largest, std::abs(value));
  return largest;
}

// A block of T less a number, as rows that were swapped where that makes pivots larger.
class Factors {
 public:
  Factors(std::span<const double> diagonal, std::span<const double> off, double value, double least)
      : upper_(diagonal.size()),
        second_(upper_.size()),
        third_(upper_.size()),
        factors_(upper_.size()),
        swapped_(upper_.size()) {
    const size_t n = upper_.size();
    double pivot = diagonal[0] - value, beside = n > 1 ? off[0] : 0;
    for (size_t i = 0; i + 1 < n; ++i) {
      const double below = off[i], next = diagonal[i + 1] - value;
      const double behind = i + 2 < n ? off[i + 1] : 0;
      swapped_[i] = std::abs(below) > std::abs(pivot);
      if (swapped_[i]) {
        factors_[i] = pivot / below;
        upper_[i] = below;
        second_[i] = next;
        third_[i] = behind;
        pivot = beside - factors_[i] * next;
        beside = -factors_[i] * behind;
      } else {
        upper_[i] = std::abs(pivot) > least ? pivot : least;
        factors_[i] = below / upper_[i];
        second_[i] = beside;
        pivot = next - factors_[i] * beside;
        beside = behind;
      }
    }
    upper_[n - 1] = std::abs(pivot) > least ? pivot : least;
  }

  double last() const { return std::abs(upper_.back()); }

  void Solve(std::vector<double>* solution) const {
    std::vector<double>& x = *solution;
    const size_t n = x.size();
    for (size_t i = 0; i + 1 < n; ++i) {
      if (swapped_[i]) std::swap(x[i], x[i + 1]);
      x[i + 1] -= factors_[i] * x[i];
    }
    for (size_t i = n; i-- > 0;) {
      if (i + 1 < n) x[i] -= second_[i] * x[i + 1];
      if (i + 2 < n) x[i] -= third_[i] * x[i + 2];
      x[i] /= upper_[i];
    }
  }

 private:
  std::vector<double> upper_, second_, third_, factors_;
  std::vector<char> swapped_;
};

// A block of T: rows first..last.
struct Block {
  int64_t first = 0;
  int64_t size = 0;
  double norm = 0;
};

Block BlockOf(std::span<const double> diagonal, std::span<const double> off, int64_t row) {
  Block block;
  int64_t last = row;
  block.first = row;
  const auto n = static_cast<int64_t>(diagonal.size());
  while (block.first > 0 && !IsNegligible(diagonal, off, block.first - 1)) --block.first;
  while (last + 1 < n && !IsNegligible(diagonal, off, last)) ++last;
  block.size = last + 1 - block.first;
  for (int64_t i = block.first; i <= last; ++i) {
    double sum = std::abs(diagonal[static_cast<size_t>(i)]);
    if (i > block.first) sum += std::abs(off[static_cast<size_t>(i - 1)]);
    if (i < last) sum += std::abs(off[static_cast<size_t>(i)]);
    block.norm = std::max(block.norm, sum);
  }
  return block;
}

}  // namespace

bool IsNegligible(std::span<const double> diagonal, std::span<const double> off, int64_t i) {
  const auto at = static_cast<size_t>(i);
  return std::abs(off[at]) <= kEpsilon * (std::abs(diagonal[at]) + std::abs(diagonal[at + 1]));
}

bool EigenvectorsOfTridiagonal(std::span<const double> diagonal, std::span<const double> off,
                               std::span<const KnownEigenvalue> values, Matrix* vectors) {
  const auto dot = cpu::FindLearnerKernels().UpdateAndDot;
  // Of the vectors before, in the block of each: the value that was used, and which ones are near.
  struct Earlier {
    int64_t first;
    double value;
    int64_t cluster;  // the first vector of those that are near to each other
  };
  std::vector<Earlier> earlier;
  std::fill(vectors->values.begin(), vectors->values.end(), 0.0);
  for (size_t k = 0; k < values.size(); ++k) {
    const Block block = BlockOf(diagonal, off, values[k].row);
    const auto begin = static_cast<size_t>(block.first), size = static_cast<size_t>(block.size);
    double* const out = vectors->Row(static_cast<int64_t>(k)) + block.first;
    Earlier own = {block.first, values[k].value, static_cast<int64_t>(k)};
    const Earlier* before = nullptr;
    for (const Earlier& one : earlier) before = one.first == own.first ? &one : before;
    if (before != nullptr) {
      // Equal values would give equal vectors.
      const double gap = 10 * kEpsilon * std::abs(own.value);
      if (before->value - own.value < gap) own.value = before->value - gap;
      if (before->value - own.value < 1e-3 * block.norm) own.cluster = before->cluster;
    }
    earlier.push_back(own);
    if (block.size == 1) {
      out[0] = 1;
      continue;
    }
    const Factors factors(diagonal.subspan(begin, size), off.subspan(begin, size), own.value,
                          std::max(kEpsilon * block.norm, std::numeric_limits<double>::min()));
    const Philox random(k, kStartStream);
    std::vector<double> x(size);
    for (size_t i = 0; i < size; ++i) x[i] = static_cast<double>(random.Uniform(i)) - 0.5;
    const double enough = std::sqrt(0.1 / static_cast<double>(size));
    int extra = 0;
    for (int i = 0; extra <= kExtraIterations; ++i) {
      const double largest = LargestOf(x);
      if (i == kMostIterations || !(largest > 0) || !std::isfinite(largest)) return false;
      const double scale =
          static_cast<double>(size) * block.norm * std::max(kEpsilon, factors.last()) / largest;
      for (double& value : x) value *= scale;
      factors.Solve(&x);
      for (int64_t other = own.cluster; other < static_cast<int64_t>(k); ++other) {
        if (earlier[static_cast<size_t>(other)].first != own.first) continue;
        const double* z = vectors->Row(other) + block.first;
        const double along = dot({}, z, block.size, x.data());
        for (size_t j = 0; j < size; ++j) x[j] -= along * z[j];
      }
      if (LargestOf(x) >= enough) ++extra;
    }
    const double length = std::sqrt(dot({}, x.data(), block.size, x.data()));
    if (!(length > 0) || !std::isfinite(length)) return false;
    for (size_t i = 0; i < size; ++i) out[i] = x[i] / length;
  }
  return true;
}

}  // namespace beamline::engine
