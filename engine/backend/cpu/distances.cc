#include <cstring>

#include "engine/backend/cpu/learner_kernels.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

void SquaredDistances(const float* x, int64_t count, int64_t features, const float* block,
                      double* squares);
void SquaredDistancesOfDoubles(const double* x, int64_t count, int64_t features, const float* block,
                               double* squares);
void Least(const double* squares, int64_t count, double* least, double* which);

namespace {

// Half of the lanes; of which an instruction set does as many at once as it can.
constexpr int64_t kHalf = kLanes / 2;
using Doubles __attribute__((vector_size(kHalf * sizeof(double)))) = double;
using Floats __attribute__((vector_size(kHalf * sizeof(float)))) = float;

// Rows that share what was loaded of the block.
constexpr int64_t kRows = 4;

// By reference: how vectors are returned differs between instruction sets.
inline void Load(const float* from, Doubles* to) {
  Floats values;
  std::memcpy(&values, from, sizeof(values));
  *to = __builtin_convertvector(values, Doubles);
}

template <int64_t rows, typename T>
void Tile(const T* x, int64_t features, const float* block, double* squares) {
  Doubles low[rows] = {}, high[rows] = {};
  for (int64_t f = 0; f < features; ++f, block += kLanes) {
    Doubles first, second;
    Load(block, &first);
    Load(block + kHalf, &second);
#pragma GCC unroll 4
    for (int64_t i = 0; i < rows; ++i) {
      const auto value = static_cast<double>(x[i * features + f]);
      low[i] += (value - first) * (value - first);
      high[i] += (value - second) * (value - second);
    }
  }
  for (int64_t i = 0; i < rows; ++i, squares += kLanes) {
    std::memcpy(squares, &low[i], sizeof(Doubles));
    std::memcpy(squares + kHalf, &high[i], sizeof(Doubles));
  }
}

template <typename T>
void AllTiles(const T* x, int64_t count, int64_t features, const float* block, double* squares) {
  int64_t i = 0;
  for (; i + kRows <= count; i += kRows) {
    Tile<kRows>(x + i * features, features, block, squares + i * kLanes);
  }
  for (; i < count; ++i) Tile<1>(x + i * features, features, block, squares + i * kLanes);
}

}  // namespace

void SquaredDistances(const float* x, int64_t count, int64_t features, const float* block,
                      double* squares) {
  AllTiles(x, count, features, block, squares);
}

void SquaredDistancesOfDoubles(const double* x, int64_t count, int64_t features, const float* block,
                               double* squares) {
  AllTiles(x, count, features, block, squares);
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
