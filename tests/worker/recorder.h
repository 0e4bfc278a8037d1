// Collects what an attempt says.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "worker/executor.h"

namespace beamline::worker {

// Thread-safe.
class Recorder : public ExecutionListener {
 public:
  void OnEvent(v1::Event event) override {
    std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    changed_.notify_all();
  }
  void OnEnd(v1::AttemptResult result) override {
    std::lock_guard lock(mutex_);
    EXPECT_FALSE(end_.has_value()) << "ended twice";
    end_ = std::move(result);
    changed_.notify_all();
  }
  v1::AttemptResult End() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(
        changed_.wait_for(lock, std::chrono::seconds(30), [&] { return end_.has_value(); }));
    return end_.value_or(v1::AttemptResult());
  }
  template <typename Predicate>
  bool WaitForEvent(Predicate predicate) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] {
      return std::any_of(events_.begin(), events_.end(), predicate);
    });
  }
  std::vector<v1::Event> events() {
    std::lock_guard lock(mutex_);
    return events_;
  }
  std::vector<std::string> Logs() {
    std::vector<std::string> logs;
    for (const v1::Event& event : events()) {
      if (event.has_log()) logs.push_back(event.log().text());
    }
    return logs;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<v1::Event> events_;
  std::optional<v1::AttemptResult> end_;
};

}  // namespace beamline::worker
