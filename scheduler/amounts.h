// Several resources at once, and the dominant one among them. Private to this folder.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "scheduler/resources.h"

namespace beamline::scheduler {

// A share of the cluster's capacity. Unit: parts of 10^9.
inline constexpr int64_t kWhole = 1'000'000'000;

// Compared and summed dimension by dimension: thousandths of a core, bytes of memory, devices,
// bytes of device memory that were asked for. Value.
struct Amounts {
  static constexpr size_t kDimensions = 4;
  std::array<int64_t, kDimensions> of{};

  int64_t cpu_millis() const { return of[0]; }
  int64_t memory_bytes() const { return of[1]; }
  int64_t devices() const { return of[2]; }
  bool operator==(const Amounts&) const = default;
};

inline Amounts operator+(const Amounts& a, const Amounts& b) {
  Amounts sum;
  for (size_t i = 0; i < Amounts::kDimensions; ++i) sum.of[i] = a.of[i] + b.of[i];
  return sum;
}

inline Amounts operator-(const Amounts& a, const Amounts& b) {
  Amounts difference;
  for (size_t i = 0; i < Amounts::kDimensions; ++i) difference.of[i] = a.of[i] - b.of[i];
  return difference;
}

Amounts operator*(const Amounts& a, int64_t times);
// Whether no dimension of `a` is above that of `b`.
inline bool Within(const Amounts& a, const Amounts& b) {
  for (size_t i = 0; i < Amounts::kDimensions; ++i) {
    if (a.of[i] > b.of[i]) return false;
  }
  return true;
}

// What one process of `demand` takes where it gets `devices` devices.
Amounts ProcessAmounts(const Demand& demand, int32_t devices);
// What the whole gang takes: its least number of workers, each with all devices it may get.
Amounts GangAmounts(const Demand& demand);
Amounts CapacityAmounts(const Capacity& capacity);
// What `placement` takes for a task of `demand`.
Amounts PlacementAmounts(const Placement& placement, const Demand& demand);

// The largest share that `amounts` have in any dimension of `total` (the dominant share of Ghodsi
// et al., NSDI'11); dimensions that the cluster lacks do not count. Rounded down, at most 2^40.
int64_t DominantShare(const Amounts& amounts, const Amounts& total);
// The share in one dimension.
int64_t ShareOf(const Amounts& amounts, const Amounts& total, size_t dimension);

// How fast a task of these amounts attains service: devices if it has any, cores (or memory, at
// 4 GiB a core) otherwise. Unit: thousandths of a device or core.
int64_t ServiceRate(const Amounts& amounts);

}  // namespace beamline::scheduler
