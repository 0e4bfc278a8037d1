#include "base/clock.h"

#include <chrono>

#include "absl/time/clock.h"

namespace beamline {

absl::Time SystemClock::Now() const { return absl::Now(); }

int64_t SystemClock::MonotonicMillis() const {
  const auto since_start = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since_start).count();
}

FakeClock::FakeClock(absl::Time start) : start_(start) {}

absl::Time FakeClock::Now() const { return start_ + absl::Milliseconds(offset_ms_.load()); }

int64_t FakeClock::MonotonicMillis() const { return offset_ms_.load(); }

}  // namespace beamline
