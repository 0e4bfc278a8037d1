// Follows what a scheduler decides in a simulation, and ends the program at the first breach of
// what must always hold. Cheap enough for years of a cluster: each action costs what it touches.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>

#include "scheduler/scheduler.h"

namespace beamline::replay {

// Capacity, whole gangs, epochs, one state per job, shortest runs, named beneficiaries, promises
// kept within the grace, ends that come once. Not thread-safe.
class Auditor {
 public:
  explicit Auditor(const scheduler::Options& options) : options_(options) {}

  void Before(const scheduler::Event& event, int64_t now_ms);
  void After(const scheduler::Action& action);
  // Everything that is held, counted anew, against the scheduler's own tables.
  void Compare(const scheduler::Scheduler& scheduler) const;
  int64_t checked() const { return checked_; }

 private:
  struct Task {
    int32_t places = 0;
    int32_t last_attempt = 0;
    // 0: pending.
    int32_t live_attempt = 0;
    bool preempting = false;
    int64_t started_ms = 0;
    int64_t deadline_ms = 0;
    std::vector<scheduler::Placement> placements;
  };
  struct Worker {
    bool usable = true;
    std::map<scheduler::DeviceId, scheduler::TaskId> holders;
  };

  void On(const scheduler::Assign& action);
  void On(const scheduler::StopAttempt& action);
  void On(const scheduler::Preempt& action);
  void On(const scheduler::Requeue& action);
  void On(const scheduler::EndTask& action);
  void On(const scheduler::Park&) {}
  void On(const scheduler::SetTimer& action);
  void On(const scheduler::Ignored&) {}
  Task& Known(const scheduler::TaskId& id);
  void Free(const scheduler::TaskId& id, Task& task);
  void Require(bool holds, const std::string& what) const;

  const scheduler::Options options_;
  int64_t now_ms_ = 0;
  int64_t checked_ = 0;
  std::unordered_map<scheduler::TaskId, Task, scheduler::IdHash> tasks_;
  std::map<scheduler::WorkerId, Worker> workers_;
};

}  // namespace beamline::replay
