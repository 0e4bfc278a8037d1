// What must always hold, kept by a second, naive book of everything: it follows events and actions,
// never the scheduler's own state, and compares whole tables after every step.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "scheduler/scheduler.h"

namespace beamline::scheduler {

// Not thread-safe. Reports breaches as failures of the running test.
class Model {
 public:
  struct Worker {
    WorkerSeen seen;
    int64_t last_sign_ms = 0;
    bool connected = false;
  };
  struct Task {
    TaskQueued spec;
    // 0: pending.
    int32_t live_attempt = 0;
    bool cancelling = false;
    std::vector<Placement> placements;
  };

  explicit Model(int64_t lease_ms) : lease_ms_(lease_ms) {}

  // Writes down what the caller is about to tell the scheduler.
  void Before(const Event& event, int64_t now_ms);
  // Writes down and judges what the scheduler answered, then compares the two.
  void After(const std::vector<Action>& actions, const Scheduler& scheduler);

  const std::map<TaskId, Task>& tasks() const { return tasks_; }
  const std::map<WorkerId, Worker>& workers() const { return workers_; }
  // Tasks that ended, and the last attempt of each.
  const std::map<TaskId, int32_t>& ended() const { return ended_; }

 private:
  void On(const Assign& action);
  void On(const StopAttempt& action);
  void On(const Preempt& action);
  void On(const Requeue& action);
  void On(const EndTask& action);
  void On(const Park& action);
  void On(const SetTimer& action);
  void On(const Ignored&) {}

  bool Usable(const Worker& worker) const;
  // Whether `demand` fits beside what the worker's live attempts hold.
  bool Fits(const Demand& demand, const WorkerId& id) const;
  void ExpectWorkConserving() const;
  void ExpectReasons(const Scheduler& scheduler) const;

  const int64_t lease_ms_;
  int64_t now_ms_ = 0;
  std::map<TaskId, Task> tasks_;
  std::map<WorkerId, Worker> workers_;
  std::map<TaskId, int32_t> ended_;
};

}  // namespace beamline::scheduler
