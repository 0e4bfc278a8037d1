// How products of matrices are cut into pieces of work.
#pragma once

#include <cstdint>

#include "engine/backend/backend.h"

namespace beamline::engine::cuda {

// Tiles of the result, and splits of k. Depends on m, n and k alone, not on the device, and so do
// the bits of float32 results.
struct ProductPlan {
  enum class Tile { k256x16, k128x32, k32x32, k64x64, k128x64 };
  Tile tile = Tile::k64x64;
  int64_t splits = 1;
  int64_t per_split = 0;  // of k, a multiple of 32

  // The tiles' last blocks add them; or else a warp for each element.
  bool splits_are_few() const { return splits > 1 && splits <= 8; }
};

// m, n and k below 2^31. `narrow`: there are kernels for tiles of few columns.
inline ProductPlan PlanProduct(int64_t m, int64_t n, int64_t k, bool narrow) {
  constexpr int64_t kEnough = 180;  // blocks that keep a large device busy
  constexpr int64_t kWanted = 264;  // two on each of its multiprocessors
  constexpr int64_t kLeast = 128;   // of k in a split
  const auto tiles = [&](int64_t rows, int64_t columns) {
    return ((m + rows - 1) / rows) * ((n + columns - 1) / columns);
  };
  ProductPlan plan;
  int64_t made = 0;
  const bool long_sum = k >= 4096;  // enough splits for large tiles
  if (narrow && n <= 16 && (m >= 2048 || (m > 64 && long_sum))) {
    plan.tile = ProductPlan::Tile::k256x16;
    made = tiles(256, 16);
  } else if (narrow && n <= 32 && (m >= 2048 || (m > 64 && long_sum))) {
    plan.tile = ProductPlan::Tile::k128x32;
    made = tiles(128, 32);
  } else if (tiles(128, 64) >= kWanted) {
    plan.tile = ProductPlan::Tile::k128x64;
    made = tiles(128, 64);
  } else if (n > 32 && m > 32 && (tiles(64, 64) * (1 + k / 256) >= 64 || long_sum)) {
    plan.tile = ProductPlan::Tile::k64x64;
    made = tiles(64, 64);
  } else {
    plan.tile = ProductPlan::Tile::k32x32;
    made = tiles(32, 32);
  }
  const int64_t wanted = made >= kEnough || made == 0 ? 1 : kWanted / made;
  const int64_t possible = k / kLeast;
  plan.splits = wanted < possible ? wanted : possible;
  if (plan.splits < 1) plan.splits = 1;
  plan.per_split = ((k + plan.splits - 1) / plan.splits + 31) / 32 * 32;
  if (plan.per_split < 32) plan.per_split = 32;
  plan.splits = k > 0 ? (k + plan.per_split - 1) / plan.per_split : 1;
  return plan;
}

// Memory for the splits' sums.
inline Scratch ProductScratch(int64_t m, int64_t n, int64_t k, bool narrow) {
  const ProductPlan plan = PlanProduct(m, n, k, narrow);
  return {plan.splits > 1 ? plan.splits * m * n * static_cast<int64_t>(sizeof(float)) : 0, 0};
}

}  // namespace beamline::engine::cuda
