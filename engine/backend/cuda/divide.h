// Division by a number that is known when a kernel is started, as a multiplication (Granlund,
// Montgomery, "Division by invariant integers using multiplication", PLDI 1994).
#pragma once

#include <cstdint>

#include "engine/core/math.h"

namespace beamline::engine::cuda {

// n / divisor for 0 <= n < 2^31 and 1 <= divisor < 2^31.
class Divider {
 public:
  explicit Divider(int64_t divisor) : divisor_(static_cast<uint32_t>(divisor)) {
    int log2 = 0;
    while ((int64_t{1} << log2) < divisor) ++log2;
    if (divisor == 1) return;
    const int power = 31 + log2;
    multiplier_ = static_cast<uint32_t>(((uint64_t{1} << power) + divisor_ - 1) / divisor_);
    shift_ = power - 32;
  }

#if defined(__CUDACC__)
  __host__ __device__
#endif
      int
      Divide(int n) const {
    if (divisor_ == 1) return n;
    return static_cast<int>((static_cast<uint64_t>(static_cast<uint32_t>(n)) * multiplier_ >> 32) >>
                            shift_);
  }
#if defined(__CUDACC__)
  __host__ __device__
#endif
      int
      divisor() const {
    return static_cast<int>(divisor_);
  }

 private:
  uint32_t divisor_;
  uint32_t multiplier_ = 0;
  int shift_ = 0;
};

}  // namespace beamline::engine::cuda
