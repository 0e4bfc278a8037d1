#include <cstring>

#include "engine/backend/cpu/learner_kernels.h"
#include "engine/backend/cpu/micro_kernel.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

namespace {

// Half of the lanes; of which an instruction set does as many at once as it can.
constexpr int64_t kHalf = kLanes / 2;
using Doubles __attribute__((vector_size(kHalf * sizeof(double)))) = double;
using Floats __attribute__((vector_size(kHalf * sizeof(float)))) = float;

// Rows that share what was loaded of the block.
template <int64_t rows>
struct Rows {
  static constexpr int64_t kRows = rows;
};

// By reference: how vectors are returned differs between instruction sets.
inline void Load(const float* from, Doubles* to) {
  Floats values;
  std::memcpy(&values, from, sizeof(values));
  *to = __builtin_convertvector(values, Doubles);
}

// weights: null for ones.
template <int64_t rows, bool weighted, typename T>
void Tile(const T* x, const double* weights, int64_t features, const float* block,
          double* squares) {
  Doubles low[rows] = {}, high[rows] = {};
  for (int64_t f = 0; f < features; ++f, block += kLanes) {
    Doubles first, second;
    Load(block, &first);
    Load(block + kHalf, &second);
#pragma GCC unroll 4
    for (int64_t i = 0; i < rows; ++i) {
      const auto value = static_cast<double>(x[i * features + f]);
      const double weight = weighted ? weights[i * features + f] : 1.0;
      const Doubles to_first = value - first, to_second = value - second;
      low[i] += weighted ? to_first * to_first * weight : to_first * to_first;
      high[i] += weighted ? to_second * to_second * weight : to_second * to_second;
    }
  }
  for (int64_t i = 0; i < rows; ++i, squares += kLanes) {
    std::memcpy(squares, &low[i], sizeof(Doubles));
    std::memcpy(squares + kHalf, &high[i], sizeof(Doubles));
  }
}

template <bool weighted, typename T>
void AllTiles(const T* x, const double* weights, int64_t count, int64_t features,
              const float* block, double* squares) {
  int64_t i = 0;
  const auto tile = [&](auto rows) {
    constexpr int64_t kCount = decltype(rows)::kRows;
    for (; i + kCount <= count; i += kCount) {
      Tile<kCount, weighted>(x + i * features, weighted ? weights + i * features : nullptr,
                             features, block, squares + i * kLanes);
    }
  };
  tile(Rows<4>());
  tile(Rows<2>());
  tile(Rows<1>());
}

}  // namespace

void SquaredDistances(const float* x, int64_t count, int64_t features, const float* block,
                      double* squares) {
  AllTiles<false>(x, nullptr, count, features, block, squares);
}

void SquaredDistancesOfDoubles(const double* x, int64_t count, int64_t features, const float* block,
                               double* squares) {
  AllTiles<false>(x, nullptr, count, features, block, squares);
}

void WeightedSquares(const double* x, const double* weights, int64_t count, int64_t features,
                     const float* block, double* squares) {
  AllTiles<true>(x, weights, count, features, block, squares);
}

void ProductsOfRows(const float* x, int64_t count, int64_t features, const float* block,
                    float* products) {
  constexpr int64_t kVectors = kLanes / Vector::kWidth;
  int64_t i = 0;
  const auto tile = [&](auto rows) {
    constexpr int64_t kCount = decltype(rows)::kRows;
    for (; i + kCount <= count; i += kCount) {
      for (int64_t v = 0; v < kVectors; ++v) {
        Vector sum[kCount][1];
        Begin<kCount, 1>(sum, nullptr, 0, false);
        MultiplyInto<kCount, 1, false>(sum, features, x + i * features, features,
                                       block + v * Vector::kWidth, kLanes);
        End<kCount, 1>(sum, products + i * kLanes + v * Vector::kWidth, kLanes);
      }
    }
  };
  tile(Rows<12>());
  tile(Rows<4>());
  tile(Rows<1>());
}

void Least(const double* squares, int64_t count, double* least, double* which) {
  for (int64_t half = 0; half < kLanes; half += kHalf) {
    Doubles best = {}, at = {};
    best += __builtin_inf();
    for (int64_t i = 0; i < count; ++i) {
      Doubles now;
      std::memcpy(&now, squares + i * kLanes + half, sizeof(now));
      const auto better = now < best;
      best = better ? now : best;
      at = better ? Doubles{} + static_cast<double>(i) : at;
    }
    std::memcpy(least + half, &best, sizeof(best));
    std::memcpy(which + half, &at, sizeof(at));
  }
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
