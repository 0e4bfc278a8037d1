// Sums over all elements of a tensor, in double.
#pragma once

#include "engine/backend/cuda/launch.h"

namespace beamline::engine::cuda {

// A block sums a piece of so many elements; the pieces are then summed by one.
inline constexpr int64_t kTotalPiece = 8192;

inline int64_t TotalPieces(int64_t elements) { return (elements + kTotalPiece - 1) / kTotalPiece; }

// Bytes that Totals needs at `partial`.
inline int64_t TotalsBytes(int64_t elements, int values) {
  return TotalPieces(elements) * values * static_cast<int64_t>(sizeof(double));
}

// done(sums): sums[v] is the sum of f(i, v) over i in [0, elements), for each v in [0, kValues).
template <int kValues, typename F, typename Done>
void Totals(const RunState& run, int64_t elements, double* partial, const F& f, const Done& done) {
  const int64_t pieces = TotalPieces(elements);
  Teams<kBlock>(run, pieces, 0, [=] BEAMLINE_LAMBDA(Team<kBlock> & team) {
    const int64_t first = team.index() * kTotalPiece;
    for (int v = 0; v < kValues; ++v) {
      const double sum = team.template Sum<double>(math::Min(kTotalPiece, elements - first),
                                                   [&](int64_t i) { return f(first + i, v); });
      team.Once([&] { partial[team.index() * kValues + v] = sum; });
    }
  });
  Teams<kBlock>(run, 1, 0, [=] BEAMLINE_LAMBDA(Team<kBlock> & team) {
    double sums[kValues];
    for (int v = 0; v < kValues; ++v) {
      sums[v] = team.template Sum<double>(
          pieces, [&](int64_t piece) { return partial[piece * kValues + v]; });
    }
    team.Once([&] { done(sums); });
  });
}

}  // namespace beamline::engine::cuda
