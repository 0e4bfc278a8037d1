// A clock whose wall time a test sets, apart from the time that passes.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/clock.h"

namespace beamline::server {

// Its wall clock can be set, as an operator sets that of a machine.
class SettableClock : public FakeClock {
 public:
  absl::Time Now() const override {
    return FakeClock::Now() + absl::Milliseconds(set_by_ms_.load());
  }
  void SetWallClockBy(int64_t millis) { set_by_ms_ += millis; }

 private:
  std::atomic<int64_t> set_by_ms_ = 0;
};

}  // namespace beamline::server
