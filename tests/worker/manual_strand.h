// A strand whose time a test moves.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>

#include "worker/strand.h"

namespace beamline::worker {

// Not thread-safe.
class ManualStrand : public Strand {
 public:
  void After(int64_t delay_ms, Task task) override {
    tasks_.emplace(std::pair(now_ms_ + std::max<int64_t>(delay_ms, 0), ++posted_), std::move(task));
  }
  int64_t NowMillis() const override { return now_ms_; }

  // Runs everything that is due now.
  void Settle() { Advance(0); }
  // Runs everything that comes due in the next `millis` milliseconds, each at its time.
  void Advance(int64_t millis) {
    const int64_t end_ms = now_ms_ + millis;
    while (!tasks_.empty() && tasks_.begin()->first.first <= end_ms) {
      now_ms_ = std::max(now_ms_, tasks_.begin()->first.first);
      Task task = std::move(tasks_.extract(tasks_.begin()).mapped());
      task();
    }
    now_ms_ = end_ms;
  }

 private:
  int64_t now_ms_ = 0;
  uint64_t posted_ = 0;
  std::map<std::pair<int64_t, uint64_t>, Task> tasks_;
};

}  // namespace beamline::worker
