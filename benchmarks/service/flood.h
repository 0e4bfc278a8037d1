// Many CreateRuns at once.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "beamline/v1/run.grpc.pb.h"
#include "benchmarks/service/daemons.h"

namespace beamline::bench {

// Keeps so many calls under way, on a connection of its own, from Start to Stop. What is refused
// because it is too much is asked again at once. Owns nothing that it is given.
class Flood {
 public:
  Flood(const Cluster& cluster, const v1::CreateRunRequest& request, int callers);

  void Start();
  // Runs accepted per second.
  double Stop();
  // Both.
  double Run(double seconds);

 private:
  struct Slot;
  void Call();

  const Cluster& cluster_;
  const v1::CreateRunRequest& request_;
  const int callers_;
  const std::unique_ptr<v1::RunService::Stub> stub_;
  std::chrono::steady_clock::time_point begin_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int64_t> accepted_ = 0;
  std::mutex mutex_;
  std::condition_variable done_;
  // Guarded by mutex_.
  int active_ = 0;
};

}  // namespace beamline::bench
