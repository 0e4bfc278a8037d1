// A naive book of a cluster with gangs, caps and preemption: it follows events and actions, never
// the scheduler's own state, and says what must not be.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "scheduler/scheduler.h"

namespace beamline::scheduler {

// Not thread-safe. Reports breaches as failures of the running test.
class ClusterModel {
 public:
  struct Task {
    TaskQueued spec;
    // 0: pending.
    int32_t live_attempt = 0;
    bool cancelling = false;
    bool preempting = false;
    int64_t started_ms = 0;
    int64_t deadline_ms = 0;
    std::vector<Placement> placements;
    // Somebody was asked to leave for it at this time; -1: nobody.
    int64_t promised_ms = -1;
  };

  explicit ClusterModel(const Options& options) : options_(options) {}

  void Before(const Event& event, int64_t now_ms);
  void After(const std::vector<Action>& actions, const Scheduler& scheduler);

  const std::map<TaskId, Task>& tasks() const { return tasks_; }
  int64_t preemptions() const { return preemptions_; }
  int64_t gangs() const { return gangs_; }
  int64_t kept_promises() const { return kept_promises_; }

 private:
  void On(const Assign& action);
  void On(const StopAttempt& action);
  void On(const Preempt& action);
  void On(const Requeue& action);
  void On(const EndTask& action);
  void On(const Park&) {}
  void On(const SetTimer& action);
  void On(const Ignored&) {}

  // What each worker and project holds now; no device twice.
  void Count();
  void ExpectCapacity() const;
  void ExpectCaps() const;
  // Nobody is a victim and a beneficiary of one round.
  void ExpectOneRole(const std::vector<Action>& actions) const;
  // Each pending task has a reason, buckets and entitlements are bounded.
  void ExpectReasonsAndBuckets(const Scheduler& scheduler) const;
  // With nothing reserved, no waiting task fits on one worker.
  void ExpectWorkConserving(const Scheduler& scheduler) const;
  // What was promised comes within the grace, or the promise was broken by an event.
  void ExpectPromises(const Scheduler& scheduler);
  bool FitsOn(const Demand& demand, const WorkerId& id) const;
  bool CapAllows(const Task& task) const;

  struct Held {
    int64_t cpu_millis = 0;
    std::set<DeviceId> devices;
  };

  const Options options_;
  int64_t now_ms_ = 0;
  bool disturbed_ = false;
  std::map<TaskId, Task> tasks_;
  std::map<WorkerId, WorkerSeen> workers_;
  std::map<ProjectId, int64_t> max_devices_;
  std::map<WorkerId, Held> held_;
  std::map<ProjectId, int64_t> project_devices_;
  int64_t events_ = 0;
  int64_t preemptions_ = 0;
  int64_t gangs_ = 0;
  int64_t kept_promises_ = 0;
};

}  // namespace beamline::scheduler
