// What sequential minimal optimisation does to all rows in each of its iterations, and panels of
// rows times numbers.
#include <cstring>

#include "engine/backend/cpu/learner_kernels.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace beamline::engine::cpu::BEAMLINE_ISA {

namespace {

constexpr int64_t kHalf = kLanes / 2;
using Doubles __attribute__((vector_size(kHalf * sizeof(double)))) = double;
using Floats __attribute__((vector_size(kHalf * sizeof(float)))) = float;

// By reference: how vectors are returned differs between instruction sets.
inline __attribute__((always_inline)) void Load(const double* from, Doubles* to) {
  std::memcpy(to, from, sizeof(*to));
}
inline __attribute__((always_inline)) void Load(const float* from, Doubles* to) {
  Floats values;
  std::memcpy(&values, from, sizeof(values));
  *to = __builtin_convertvector(values, Doubles);
}

// Lanes at a time, of which each has its own best, and where it stands.
struct Best {
  Doubles value[2], at[2];
};

// The best of all lanes; the last of equal ones.
template <typename Better>
Place Reduce(const Best& best, const Better& better) {
  Place place = {best.value[0][0], static_cast<int64_t>(best.at[0][0])};
  for (int half = 0; half < 2; ++half) {
    for (int64_t lane = 0; lane < kHalf; ++lane) {
      const double value = best.value[half][lane];
      const auto at = static_cast<int64_t>(best.at[half][lane]);
      const bool same = value == place.value && at > place.at;
      if (better(value, place.value) || same) place = {value, at};
    }
  }
  return place;
}

inline __attribute__((always_inline)) void Count(Doubles* counts) {
  for (int64_t lane = 0; lane < kHalf; ++lane) (*counts)[lane] = static_cast<double>(lane);
}

}  // namespace

#if defined(__AVX512F__)
constexpr int kWidth = 8;
using Register = __m512d;
inline __attribute__((always_inline)) Register Widen(const float* p) {
  return _mm512_maskz_cvtps_pd(0xFF, _mm256_loadu_ps(p));
}
inline __attribute__((always_inline)) Register MulAddAll(Register a, Register b, Register c) {
  return _mm512_fmadd_pd(a, b, c);
}
inline __attribute__((always_inline)) Register MulAdd(double a, Register b, Register c) {
  return MulAddAll(_mm512_set1_pd(a), b, c);
}
#elif defined(__AVX2__)
constexpr int kWidth = 4;
using Register = __m256d;
inline __attribute__((always_inline)) Register Widen(const float* p) {
  return _mm256_cvtps_pd(_mm_loadu_ps(p));
}
inline __attribute__((always_inline)) Register MulAddAll(Register a, Register b, Register c) {
  return _mm256_fmadd_pd(a, b, c);
}
inline __attribute__((always_inline)) Register MulAdd(double a, Register b, Register c) {
  return MulAddAll(_mm256_set1_pd(a), b, c);
}
#else
constexpr int kWidth = 1;
using Register = double;
inline __attribute__((always_inline)) Register Widen(const float* p) {
  return static_cast<double>(*p);
}
inline __attribute__((always_inline)) Register MulAddAll(Register a, Register b, Register c) {
  return __builtin_fma(a, b, c);
}
inline __attribute__((always_inline)) Register MulAdd(double a, Register b, Register c) {
  return MulAddAll(a, b, c);
}
#endif

namespace {

// Panels side by side: chains that do not wait for each other.
template <int panels>
void DotPanels(const float* x, int64_t features, const float* from, double* products) {
  constexpr int kVectors = static_cast<int>(kLanes) / kWidth;
  Register sum[panels][kVectors] = {};
  for (int64_t f = 0; f < features; ++f) {
    const auto value = static_cast<double>(x[f]);
#pragma GCC unroll 4
    for (int p = 0; p < panels; ++p) {
      const float* line = from + (p * features + f) * kLanes;
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        sum[p][v] = MulAdd(value, Widen(line + v * kWidth), sum[p][v]);
      }
    }
  }
  std::memcpy(products, sum, sizeof(sum));
}

}  // namespace

void ProductsOfRow(const float* x, int64_t features, const float* panels, int64_t count,
                   double* products) {
  constexpr int kTogether = kWidth == 8 ? 4 : kWidth == 4 ? 2 : 1;
  int64_t panel = 0;
  for (; panel + kTogether <= count; panel += kTogether) {
    DotPanels<kTogether>(x, features, panels + panel * features * kLanes,
                         products + panel * kLanes);
  }
  for (; panel < count; ++panel) {
    DotPanels<1>(x, features, panels + panel * features * kLanes, products + panel * kLanes);
  }
}

void AddLanes(const double* weights, int64_t count, const float* x, double* sums) {
  constexpr int kVectors = static_cast<int>(kLanes) / kWidth;
  Register sum[kVectors];
  std::memcpy(sum, sums, sizeof(sum));
  for (int64_t k = 0; k < count; ++k, x += kLanes) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) sum[v] = MulAdd(weights[k], Widen(x + v * kWidth), sum[v]);
  }
  std::memcpy(sums, sum, sizeof(sum));
}

void AddScaledPanel(const double* scales, int64_t count, const float* x, double* sums) {
  constexpr int kVectors = static_cast<int>(kLanes) / kWidth;
  Register scale[kVectors];
  std::memcpy(scale, scales, sizeof(scale));
  for (int64_t k = 0; k < count; ++k, x += kLanes, sums += kLanes) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      Register sum;
      std::memcpy(&sum, sums + v * kWidth, sizeof(sum));
      sum = MulAddAll(scale[v], Widen(x + v * kWidth), sum);
      std::memcpy(sums + v * kWidth, &sum, sizeof(sum));
    }
  }
}

ScoreRange MoveScores(double a, const float* x, double b, const float* y, const float* rise,
                      const float* fall, int64_t size, double* scores) {
  Best highest = {}, lowest = {};
  Doubles at[2];
  Count(&at[0]);
  at[1] = at[0] + static_cast<double>(kHalf);
  for (int half = 0; half < 2; ++half) {
    highest.value[half] -= __builtin_inf();
    lowest.value[half] += __builtin_inf();
    highest.at[half] = lowest.at[half] = at[half];
  }
  for (int64_t i = 0; i < size; i += kLanes) {
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const int64_t own = i + half * kHalf;
      Doubles score, of_x, of_y, up, down;
      Load(scores + own, &score);
      Load(x + own, &of_x);
      Load(y + own, &of_y);
      Load(rise + own, &up);
      Load(fall + own, &down);
      score -= a * of_x + b * of_y;
      std::memcpy(scores + own, &score, sizeof(score));
      up += score;
      down += score;
      const auto higher = up >= highest.value[half];
      highest.value[half] = higher ? up : highest.value[half];
      highest.at[half] = higher ? at[half] : highest.at[half];
      const auto lower = down <= lowest.value[half];
      lowest.value[half] = lower ? down : lowest.value[half];
      lowest.at[half] = lower ? at[half] : lowest.at[half];
      at[half] += static_cast<double>(kLanes);
    }
  }
  return {Reduce(highest, [](double one, double other) { return one > other; }),
          Reduce(lowest, [](double one, double other) { return one < other; })};
}

Place FindPartner(double highest, double own, double least, const float* x, const double* diagonal,
                  const double* scores, const float* fall, int64_t size) {
  Best best = {};
  Doubles at[2];
  Count(&at[0]);
  at[1] = at[0] + static_cast<double>(kHalf);
  best.at[0] = at[0];
  best.at[1] = at[1];
  for (int64_t i = 0; i < size; i += kLanes) {
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const int64_t from = i + half * kHalf;
      Doubles score, of_x, of_self, down;
      Load(scores + from, &score);
      Load(x + from, &of_x);
      Load(diagonal + from, &of_self);
      Load(fall + from, &down);
      const Doubles below = highest - (score + down);
      Doubles curvature = own + of_self - 2 * of_x;
      curvature = curvature > least ? curvature : Doubles{} + least;
      Doubles gain = below * below / curvature;
      gain = below > 0 ? gain : Doubles{};
      const auto better = gain >= best.value[half];
      best.value[half] = better ? gain : best.value[half];
      best.at[half] = better ? at[half] : best.at[half];
      at[half] += static_cast<double>(kLanes);
    }
  }
  return Reduce(best, [](double one, double other) { return one > other; });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
