#include "scheduler/amounts.h"

#include <algorithm>

namespace beamline::scheduler {
namespace {

constexpr int64_t kMaxShare = int64_t{1} << 40;
constexpr int64_t kBytesPerCore = int64_t{4} << 30;
__extension__ typedef __int128 Wide;

}  // namespace

Amounts operator*(const Amounts& a, int64_t times) {
  Amounts product;
  for (size_t i = 0; i < Amounts::kDimensions; ++i) {
    product.of[i] =
        static_cast<int64_t>(std::min<Wide>(static_cast<Wide>(a.of[i]) * times, int64_t{1} << 60));
  }
  return product;
}

Amounts ProcessAmounts(const Demand& demand, int32_t devices) {
  return {{demand.cpu_millis, demand.memory_bytes, devices,
           (Amounts{{demand.gpu_memory_bytes, 0, 0, 0}} * devices).of[0]}};
}

Amounts GangAmounts(const Demand& demand) {
  return ProcessAmounts(demand, DeviceCount(demand)) * demand.min_workers;
}

Amounts CapacityAmounts(const Capacity& capacity) {
  Amounts sum{{capacity.cpu_millis, capacity.memory_bytes, 0, 0}};
  for (const Device& device : capacity.devices) sum = sum + Amounts{{0, 0, 1, device.memory_bytes}};
  return sum;
}

Amounts PlacementAmounts(const Placement& placement, const Demand& demand) {
  const auto devices = static_cast<int64_t>(placement.devices.size());
  return {{placement.cpu_millis, placement.memory_bytes, devices,
           (Amounts{{demand.gpu_memory_bytes, 0, 0, 0}} * devices).of[0]}};
}

int64_t ShareOf(const Amounts& amounts, const Amounts& total, size_t dimension) {
  if (total.of[dimension] <= 0 || amounts.of[dimension] <= 0) return 0;
  const Wide share = static_cast<Wide>(amounts.of[dimension]) * kWhole / total.of[dimension];
  return static_cast<int64_t>(std::min<Wide>(share, kMaxShare));
}

int64_t DominantShare(const Amounts& amounts, const Amounts& total) {
  int64_t share = 0;
  for (size_t i = 0; i < Amounts::kDimensions; ++i) {
    share = std::max(share, ShareOf(amounts, total, i));
  }
  return share;
}

int64_t ServiceRate(const Amounts& amounts) {
  if (amounts.devices() > 0) return amounts.devices() * 1000;
  return std::max(amounts.cpu_millis(),
                  (amounts.memory_bytes() >> 20) * 1000 / (kBytesPerCore >> 20));
}

}  // namespace beamline::scheduler
