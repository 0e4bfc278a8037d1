// Rows of symmetric matrices while their eigenvectors are found.
#include <cstring>

#include "engine/backend/cpu/learner_kernels.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

namespace {

constexpr int64_t kWidth = 8;
using Doubles __attribute__((vector_size(kWidth * sizeof(double)))) = double;

inline void Load(const double* from, Doubles* to) { std::memcpy(to, from, sizeof(*to)); }
inline void Store(const Doubles& from, double* to) { std::memcpy(to, &from, sizeof(from)); }

}  // namespace

double UpdateAndDot(const RankTwo& update, const double* u, int64_t size, double* row) {
  Doubles sums[2] = {};
  int64_t k = 0;
  for (; k + 2 * kWidth <= size; k += 2 * kWidth) {
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      Doubles value, x, y, by;
      const int64_t at = k + v * kWidth;
      Load(row + at, &value);
      Load(u + at, &by);
      if (update.x != nullptr) {
        Load(update.x + at, &x);
        Load(update.y + at, &y);
        value += update.a * x + update.b * y;
        Store(value, row + at);
      }
      sums[v] += value * by;
    }
  }
  double rest = 0;
  for (; k < size; ++k) {
    if (update.x != nullptr) row[k] += update.a * update.x[k] + update.b * update.y[k];
    rest += row[k] * u[k];
  }
  sums[0] += sums[1];
  double sum = 0;
  for (int64_t lane = 0; lane < kWidth; ++lane) sum += sums[0][lane];
  return sum + rest;
}

double UpdateAndMultiply(const RankTwo& update, const double* u, double own, int64_t size,
                         double* row, double* products) {
  Doubles sums[2] = {};
  int64_t k = 0;
  for (; k + 2 * kWidth <= size; k += 2 * kWidth) {
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      Doubles value, x, y, by, product;
      const int64_t at = k + v * kWidth;
      Load(row + at, &value);
      Load(u + at, &by);
      Load(products + at, &product);
      if (update.x != nullptr) {
        Load(update.x + at, &x);
        Load(update.y + at, &y);
        value += update.a * x + update.b * y;
        Store(value, row + at);
      }
      sums[v] += value * by;
      product += own * value;
      Store(product, products + at);
    }
  }
  double rest = 0;
  for (; k < size; ++k) {
    if (update.x != nullptr) row[k] += update.a * update.x[k] + update.b * update.y[k];
    rest += row[k] * u[k];
    products[k] += own * row[k];
  }
  sums[0] += sums[1];
  double sum = 0;
  for (int64_t lane = 0; lane < kWidth; ++lane) sum += sums[0][lane];
  return sum + rest;
}

void Rotate(const Rotation* rotations, int64_t count, double* rows, int64_t stride) {
  constexpr int kVectors = kStrip / kWidth;
  Doubles low[kVectors], high[kVectors];
  int64_t held = -1;  // the row that is in `low`, and not yet stored
  for (int64_t i = 0; i < count; ++i) {
    const Rotation& turn = rotations[i];
    if (turn.row + 1 != held) {
      for (int v = 0; held >= 0 && v < kVectors; ++v) {
        Store(low[v], rows + held * stride + v * kWidth);
      }
      for (int v = 0; v < kVectors; ++v) {
        Load(rows + (turn.row + 1) * stride + v * kWidth, &low[v]);
      }
    }
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      high[v] = low[v];
      Load(rows + turn.row * stride + v * kWidth, &low[v]);
      const Doubles up = turn.sine * low[v] + turn.cosine * high[v];
      low[v] = turn.cosine * low[v] - turn.sine * high[v];
      Store(up, rows + (turn.row + 1) * stride + v * kWidth);
    }
    held = turn.row;
  }
  for (int v = 0; held >= 0 && v < kVectors; ++v) {
    Store(low[v], rows + held * stride + v * kWidth);
  }
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
