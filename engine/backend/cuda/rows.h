// Rows of a matrix, each by one thread, a warp or a block; and totals over all of them.
#pragma once

#include "engine/backend/cuda/launch.h"

namespace beamline::engine::cuda {

// A team of one thread: for code that is a template over teams.
struct Alone {
  template <typename F>
  BEAMLINE_DEVICE void For(int64_t n, const F& f) {
    for (int64_t i = 0; i < n; ++i) f(i);
  }
  template <typename F>
  BEAMLINE_DEVICE void Once(const F& f) {
    f();
  }
  template <typename T, typename F>
  BEAMLINE_DEVICE T Sum(int64_t n, const F& f) {
    T sum = T(0);
    for (int64_t i = 0; i < n; ++i) sum += f(i);
    return sum;
  }
  template <typename T, typename F>
  BEAMLINE_DEVICE T Max(int64_t n, T least, const F& f) {
    for (int64_t i = 0; i < n; ++i) least = math::Max(least, f(i));
    return least;
  }
};

template <typename F>
struct ByTeam {
  F f;

  template <int kLanes>
  BEAMLINE_DEVICE void operator()(Team<kLanes>& team) const {
    f(team, team.index());
  }
};

// f(team, row) for each row of `columns` elements, with an Alone for the shortest rows. `f` must be
// a functor with a template operator().
template <typename F>
void EachRow(const RunState& run, int64_t rows, int64_t columns, const F& f) {
  constexpr int64_t kShort = 8;
  if (columns > kShort) return Rows(run, rows, columns, ByTeam<F>{f});
  Each(run, rows, [=] BEAMLINE_LAMBDA(int64_t row) {
    Alone alone;
    f(alone, row);
  });
}

// The team that makes a total.
inline constexpr int kTotal = 1024;

// As EachRow, then total(team) by one team, which sees what `f` wrote. One launch if there is
// little to do.
template <typename F, typename Total>
void RowsThenTotal(const RunState& run, int64_t rows, int64_t columns, const F& f,
                   const Total& total) {
  constexpr int64_t kFewColumns = 32;
  constexpr int64_t kFewElements = 8192;
  if (columns <= kFewColumns && rows * columns <= kFewElements) {
    return Teams<kTotal>(run, 1, 0, [=] BEAMLINE_LAMBDA(Team<kTotal> & team) {
      team.For(rows, [&](int64_t row) {
        Alone alone;
        f(alone, row);
      });
      total(team);
    });
  }
  EachRow(run, rows, columns, f);
  Teams<kTotal>(run, 1, 0, total);
}

// sum w l / sum |w| over rows, 0 where no row has weight; and sum |w|. Sums are in double.
// `Weight`: a functor, w of a row.
template <typename Weight>
struct WeightedMean {
  int64_t rows;
  const float* losses;
  Weight weight;
  float* mean;
  float* weight_sum;

  BEAMLINE_DEVICE void operator()(Team<kTotal>& team) const {
    const double sum = team.template Sum<double>(rows, [&](int64_t row) {
      return static_cast<double>(weight(row)) * static_cast<double>(losses[row]);
    });
    const double all = team.template Sum<double>(
        rows, [&](int64_t row) { return math::Abs(static_cast<double>(weight(row))); });
    team.Once([&] {
      *mean = static_cast<float>(all > 0 ? sum / all : 0);
      *weight_sum = static_cast<float>(all);
    });
  }
};

// Weights of rows that may not be there.
struct RowWeights {
  const float* weights;

  BEAMLINE_DEVICE float operator()(int64_t row) const {
    return weights != nullptr ? weights[row] : 1.0f;
  }
};

}  // namespace beamline::engine::cuda
