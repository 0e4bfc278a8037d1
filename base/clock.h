// Time is an argument: everything that asks what time it is takes a Clock, so that tests and the
// simulation can move it. This is the only file that reads the machine's clocks.
#pragma once

#include <atomic>
#include <cstdint>

#include "absl/time/time.h"

namespace beamline {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Wall-clock time; may jump when the machine's clock is set.
  virtual absl::Time Now() const = 0;
  // Unit: milliseconds since an arbitrary start; never goes back. For leases and intervals.
  virtual int64_t MonotonicMillis() const = 0;
};

class SystemClock : public Clock {
 public:
  absl::Time Now() const override;
  int64_t MonotonicMillis() const override;
};

// Stands still until it is told otherwise.
class FakeClock : public Clock {
 public:
  explicit FakeClock(absl::Time start = absl::FromUnixSeconds(1'700'000'000));
  absl::Time Now() const override;
  int64_t MonotonicMillis() const override;
  void AdvanceMillis(int64_t millis) { offset_ms_ += millis; }

 private:
  const absl::Time start_;
  std::atomic<int64_t> offset_ms_ = 0;
};

}  // namespace beamline
