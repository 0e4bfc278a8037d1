// Histograms of gradients, and where they are best cut: what trees are grown by; and counts of
// bits.
#include <cstring>

#include "engine/backend/cpu/learner_kernels.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

namespace {

using Pair __attribute__((vector_size(2 * sizeof(double)))) = double;
using FloatPair __attribute__((vector_size(2 * sizeof(float)))) = float;

template <typename Bin>
void AddRows(const RowGradient* rows, int64_t count, const Bin* bins, int64_t stride,
             double* sums) {
  for (int64_t i = 0; i < count; ++i) {
    FloatPair narrow;
    std::memcpy(&narrow, &rows[i].gradient, sizeof(narrow));
    const Pair own = __builtin_convertvector(narrow, Pair);
    const Bin* of_row = bins + static_cast<int64_t>(rows[i].row) * kHistogramFeatures;
#pragma GCC unroll 8
    for (int64_t f = 0; f < kHistogramFeatures; ++f) {
      double* to = sums + 2 * (f * stride + of_row[f]);
      Pair sum;
      std::memcpy(&sum, to, sizeof(sum));
      sum += own;
      std::memcpy(to, &sum, sizeof(sum));
    }
  }
}

}  // namespace

void AddHistogramOfBytes(const RowGradient* rows, int64_t count, const uint8_t* bins,
                         int64_t stride, double* sums) {
  AddRows(rows, count, bins, stride, sums);
}

void AddHistogramOfShorts(const RowGradient* rows, int64_t count, const uint16_t* bins,
                          int64_t stride, double* sums) {
  AddRows(rows, count, bins, stride, sums);
}

int64_t CountDifferent(const uint64_t* x, const uint64_t* y, int64_t words) {
  int64_t count = 0;
  for (int64_t i = 0; i < words; ++i) count += __builtin_popcountll(x[i] ^ y[i]);
  return count;
}

Split FindSplit(const double* sums, int64_t bins, const SplitRule& rule, double* room) {
  const int64_t cuts = bins - 1;
  double* const gradients = room;
  double* const curvatures = room + bins;
  double* const gains = room + 2 * bins;
  double gradient = 0, curvature = 0;
  for (int64_t b = 0; b < cuts; ++b) {
    gradients[b] = gradient += sums[2 * b];
    curvatures[b] = curvature += sums[2 * b + 1];
  }
#pragma GCC ivdep
  for (int64_t b = 0; b < cuts; ++b) {
    const double left = curvatures[b], right = rule.curvature - left;
    const double other = rule.gradient - gradients[b];
    const double gain = gradients[b] * gradients[b] / (left + rule.penalty) +
                        other * other / (right + rule.penalty);
    const double least = left < right ? left : right;
    gains[b] = (least >= rule.least_curvature) & (least > 0) ? gain : -1;
  }
  Split best = {-1, 0, 0, 0};
  for (int64_t b = 0; b < cuts; ++b) {
    if (gains[b] > best.gain) best = {gains[b], b, gradients[b], curvatures[b]};
  }
  return best;
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
