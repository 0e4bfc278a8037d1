// Convolution to few channels: too narrow for the tiles of a product.
#pragma once

#include "engine/backend/cuda/image.h"
#include "engine/backend/cuda/kernels.h"

namespace beamline::engine::cuda {

// Positions that a thread makes: of 16 channels each.
inline constexpr int kNarrowPositions = 2;
inline constexpr int kNarrowUnits = 16;

// Whether ConvNarrow can do it and wins: channels and units are multiples of 4, there are many
// positions, and the weight of 16 units fits into a block's memory.
inline bool IsNarrow(int64_t positions, int64_t units, int64_t k, int64_t channels) {
  return units % 4 == 0 && channels % 4 == 0 && units <= 2 * kNarrowUnits &&
         positions * ((units + kNarrowUnits - 1) / kNarrowUnits) >= int64_t{1} << 17 &&
         k * kNarrowUnits <= int64_t{12} << 10;
}

// done(position, unit, sum over k of window and weight): each sum one chain in order of k, as
// Product's. weight: Load(unit, k, to) gives 4 elements (unit, k...) or (unit..., k), as an operand
// of Product does.
template <typename Weight, typename Done>
void ConvNarrow(const RunState& run, int64_t positions, int64_t units, int64_t k,
                const Windows<4>& windows, const Weight& weight, const Done& done) {
  constexpr int64_t kTile = kBlock * kNarrowPositions;
  const int64_t tiles = (positions + kTile - 1) / kTile;
  const int64_t parts = (units + kNarrowUnits - 1) / kNarrowUnits;
  const auto bytes = k * kNarrowUnits * static_cast<int64_t>(sizeof(float));
  const int taps = static_cast<int>(k) / windows.walk.channels.divisor();
  Teams<kBlock>(run, tiles * parts, bytes, [=] BEAMLINE_LAMBDA(Team<kBlock> & team) {
    const auto unit0 = static_cast<int>(team.index() % parts) * kNarrowUnits;
    const auto position0 = static_cast<int>(team.index() / parts * kTile);
    float* shared = team.template shared<float>();  // [k, kNarrowUnits]
    // Four neighbours of the weight at a time, along k or along the units.
    constexpr bool kInner = Weight::kInnerFast;
    const auto depth = static_cast<int>(k);
    team.For(static_cast<int64_t>(depth) * kNarrowUnits / 4, [&](int64_t at) {
      const auto i = static_cast<int>(at);
      const int unit = kInner ? i % kNarrowUnits : i % (kNarrowUnits / 4) * 4;
      const int kk = kInner ? i / kNarrowUnits * 4 : i / (kNarrowUnits / 4);
      float four[4] = {};
      if (unit0 + unit < units) weight.Load(weight.At(unit0 + unit), kk, four);
      for (int v = 0; v < 4; ++v) {
        shared[kInner ? (kk + v) * kNarrowUnits + unit : kk * kNarrowUnits + unit + v] = four[v];
      }
    });
    team.For(kBlock, [&](int64_t lane) {
      const int channels = windows.walk.channels.divisor();
      float sum[kNarrowPositions][kNarrowUnits] = {};
      WindowWalk::Corner corner[kNarrowPositions];
      BEAMLINE_UNROLL
      for (int p = 0; p < kNarrowPositions; ++p) {
        const int position = position0 + p * kBlock + static_cast<int>(lane);
        corner[p] = windows.At(position < positions ? position : static_cast<int>(positions) - 1);
      }
      for (int tap = 0; tap < taps; ++tap) {
        const WindowWalk::Tap place = windows.walk.TapOf(tap * channels);
        int at[kNarrowPositions];
        BEAMLINE_UNROLL
        for (int p = 0; p < kNarrowPositions; ++p) at[p] = windows.walk.Find(corner[p], place);
        const float* weights = shared + tap * channels * kNarrowUnits;
        for (int c = 0; c < channels; c += 4) {
          float x[kNarrowPositions][4] = {};
          BEAMLINE_UNROLL
          for (int p = 0; p < kNarrowPositions; ++p) {
            if (at[p] >= 0) LoadVector<4>(windows.data + at[p] + c, x[p]);
          }
          BEAMLINE_UNROLL
          for (int v = 0; v < 4; ++v) {
            float w[kNarrowUnits];
            BEAMLINE_UNROLL
            for (int u = 0; u < kNarrowUnits; u += 4) {
              LoadVector<4>(weights + (c + v) * kNarrowUnits + u, w + u);
            }
            BEAMLINE_UNROLL
            for (int p = 0; p < kNarrowPositions; ++p) {
              BEAMLINE_UNROLL
              for (int u = 0; u < kNarrowUnits; ++u)
                sum[p][u] = math::Fma(x[p][v], w[u], sum[p][u]);
            }
          }
        }
      }
      BEAMLINE_UNROLL
      for (int p = 0; p < kNarrowPositions; ++p) {
        const int position = position0 + p * kBlock + static_cast<int>(lane);
        if (position >= positions) continue;
        BEAMLINE_UNROLL
        for (int u = 0; u < kNarrowUnits; ++u) {
          if (unit0 + u < units) done(position, unit0 + u, sum[p][u]);
        }
      }
    });
  });
}

}  // namespace beamline::engine::cuda
