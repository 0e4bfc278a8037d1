#include "tests/scheduler/cluster_model.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace beamline::scheduler {

void ClusterModel::Before(const Event& event, int64_t now_ms) {
  now_ms_ = now_ms;
  if (const auto* queued = std::get_if<TaskQueued>(&event)) {
    if (tasks_.count(queued->task) == 0) tasks_[queued->task].spec = *queued;
  } else if (const auto* cancelled = std::get_if<TaskCancelled>(&event)) {
    const auto task = tasks_.find(cancelled->task);
    if (task != tasks_.end()) task->second.cancelling = true;
  } else if (const auto* seen = std::get_if<WorkerSeen>(&event)) {
    workers_[seen->worker] = *seen;
    disturbed_ = true;
  } else if (const auto* draining = std::get_if<WorkerDraining>(&event)) {
    const auto worker = workers_.find(draining->worker);
    if (worker != workers_.end()) worker->second.draining = true;
    disturbed_ = true;
  } else if (const auto* gone = std::get_if<WorkerGone>(&event)) {
    workers_.erase(gone->worker);
    disturbed_ = true;
  } else if (const auto* quota = std::get_if<QuotaChanged>(&event)) {
    max_devices_[quota->project] = quota->max_devices;
  }
  // Places on workers that changed are given up; the next round may promise others.
  if (disturbed_) {
    for (auto& [id, task] : tasks_) task.promised_ms = -1;
  }
  disturbed_ = false;
}

void ClusterModel::After(const std::vector<Action>& actions, const Scheduler& scheduler) {
  for (const Action& action : actions) {
    SCOPED_TRACE(ToString(action));
    std::visit([this](const auto& a) { On(a); }, action);
  }
  ExpectCapacity();
  ExpectCaps();
  ExpectWorkConserving(scheduler);
  ExpectPromises(scheduler);
  for (const auto& [id, task] : tasks_) {
    EXPECT_EQ(scheduler.Why(id).has_value(), task.live_attempt == 0) << id.value;
  }
}

void ClusterModel::On(const Assign& action) {
  ASSERT_EQ(tasks_.count(action.task), 1u);
  Task& task = tasks_[action.task];
  EXPECT_EQ(task.live_attempt, 0);
  EXPECT_FALSE(task.cancelling);
  EXPECT_EQ(action.attempt, task.spec.last_attempt + 1);
  const Demand& demand = task.spec.demand;
  int64_t cpu_millis = 0;
  int64_t devices = 0;
  std::set<WorkerId> distinct;
  for (const Placement& placement : action.placements) {
    ASSERT_EQ(workers_.count(placement.worker), 1u);
    EXPECT_FALSE(workers_[placement.worker].draining);
    EXPECT_TRUE(distinct.insert(placement.worker).second) << "a worker named twice";
    cpu_millis += placement.cpu_millis;
    devices += static_cast<int64_t>(placement.devices.size());
  }
  EXPECT_EQ(cpu_millis, demand.cpu_millis * demand.min_workers) << "the gang is not whole";
  EXPECT_EQ(devices, int64_t{demand.gpus} * demand.min_workers) << "the gang is not whole";
  gangs_ += distinct.size() > 1;
  if (task.promised_ms >= 0) ++kept_promises_;
  task.promised_ms = -1;
  task.live_attempt = task.spec.last_attempt = action.attempt;
  task.started_ms = now_ms_;
  task.placements = action.placements;
}

void ClusterModel::On(const StopAttempt& action) {
  ASSERT_EQ(tasks_.count(action.task), 1u);
  EXPECT_EQ(tasks_[action.task].live_attempt, action.attempt);
  if (action.code == StopCode::kGraceOver) {
    EXPECT_GE(now_ms_, tasks_[action.task].deadline_ms);
  }
}

void ClusterModel::On(const Preempt& action) {
  ++preemptions_;
  ASSERT_EQ(tasks_.count(action.task), 1u);
  Task& task = tasks_[action.task];
  EXPECT_EQ(task.live_attempt, action.attempt);
  EXPECT_FALSE(task.cancelling || task.preempting);
  EXPECT_TRUE(task.spec.preemptible);
  EXPECT_GE(now_ms_ - task.started_ms, options_.min_run_ms) << "too young";
  EXPECT_EQ(action.deadline_ms, now_ms_ + options_.grace_ms);
  EXPECT_EQ(action.workers.size(), task.placements.size());
  ASSERT_EQ(tasks_.count(action.beneficiary), 1u) << "for nobody";
  Task& beneficiary = tasks_[action.beneficiary];
  EXPECT_EQ(beneficiary.live_attempt, 0) << "for one that runs";
  beneficiary.promised_ms = now_ms_;
  task.preempting = true;
  task.deadline_ms = action.deadline_ms;
}

void ClusterModel::On(const Requeue& action) {
  ASSERT_EQ(tasks_.count(action.task), 1u);
  Task& task = tasks_[action.task];
  EXPECT_EQ(task.live_attempt, action.attempt);
  if (action.code == RequeueCode::kPreempted) {
    EXPECT_TRUE(task.preempting);
    EXPECT_EQ(action.failures, task.spec.failures) << "preemption is no failure";
    EXPECT_EQ(action.losses, task.spec.losses) << "preemption is no loss";
  }
  task.spec.failures = action.failures;
  task.spec.losses = action.losses;
  task.spec.not_before_ms = action.not_before_ms;
  task.live_attempt = 0;
  task.preempting = false;
  task.placements.clear();
}

void ClusterModel::On(const EndTask& action) {
  EXPECT_EQ(tasks_.count(action.task), 1u) << "ended twice, or never queued";
  tasks_.erase(action.task);
}

void ClusterModel::On(const SetTimer& action) { EXPECT_GT(action.at_ms, now_ms_); }

void ClusterModel::ExpectCapacity() const {
  std::map<WorkerId, int64_t> cpu_millis;
  std::map<WorkerId, std::set<DeviceId>> devices;
  for (const auto& [id, task] : tasks_) {
    for (const Placement& placement : task.placements) {
      cpu_millis[placement.worker] += placement.cpu_millis;
      for (const DeviceId& device : placement.devices) {
        EXPECT_TRUE(devices[placement.worker].insert(device).second)
            << placement.worker.value << " " << device.value << " is held twice";
      }
    }
  }
  for (const auto& [id, held] : cpu_millis) {
    ASSERT_EQ(workers_.count(id), 1u) << "an attempt lives on a worker that is gone";
    EXPECT_LE(held, workers_.at(id).capacity.cpu_millis) << id.value;
  }
}

void ClusterModel::ExpectCaps() const {
  std::map<ProjectId, int64_t> held;
  for (const auto& [id, task] : tasks_) {
    for (const Placement& placement : task.placements) {
      held[task.spec.project] += static_cast<int64_t>(placement.devices.size());
    }
  }
  for (const auto& [project, most] : max_devices_) {
    if (most >= 0) {
      EXPECT_LE(held[project], most) << project.value << " is above its cap";
    }
  }
}

bool ClusterModel::CapAllows(const Task& task) const {
  const auto cap = max_devices_.find(task.spec.project);
  if (cap == max_devices_.end() || cap->second < 0) return true;
  int64_t held = int64_t{task.spec.demand.gpus} * task.spec.demand.min_workers;
  for (const auto& [id, other] : tasks_) {
    if (other.spec.project != task.spec.project) continue;
    for (const Placement& placement : other.placements) {
      held += static_cast<int64_t>(placement.devices.size());
    }
  }
  return held <= cap->second;
}

bool ClusterModel::FitsOn(const Demand& demand, const WorkerId& id) const {
  const WorkerSeen& seen = workers_.at(id);
  int64_t cpu_millis = seen.capacity.cpu_millis;
  auto devices = static_cast<int64_t>(seen.capacity.devices.size());
  for (const auto& [name, task] : tasks_) {
    for (const Placement& placement : task.placements) {
      if (placement.worker != id) continue;
      cpu_millis -= placement.cpu_millis;
      devices -= static_cast<int64_t>(placement.devices.size());
    }
  }
  return demand.cpu_millis * demand.min_workers <= cpu_millis &&
         int64_t{demand.gpus} * demand.min_workers <= devices;
}

void ClusterModel::ExpectWorkConserving(const Scheduler& scheduler) const {
  for (const auto& [id, task] : tasks_) {
    if (task.live_attempt == 0 && scheduler.StateOf(id) == TaskState::kReserved) return;
    if (task.preempting) return;
  }
  for (const auto& [id, task] : tasks_) {
    if (task.live_attempt != 0 || task.spec.not_before_ms > now_ms_ || !CapAllows(task)) continue;
    for (const auto& [name, worker] : workers_) {
      EXPECT_FALSE(!worker.draining && FitsOn(task.spec.demand, name))
          << id.value << " waits although " << name.value << " has room";
    }
  }
}

void ClusterModel::ExpectPromises(const Scheduler& scheduler) {
  for (auto& [id, task] : tasks_) {
    if (task.promised_ms < 0 || task.live_attempt != 0) continue;
    // A reserved place that was lost with a worker is no promise any more.
    if (scheduler.StateOf(id) != TaskState::kReserved) task.promised_ms = -1;
    EXPECT_TRUE(task.promised_ms < 0 || now_ms_ <= task.promised_ms + options_.grace_ms)
        << id.value << " was promised a place that did not come";
  }
}

}  // namespace beamline::scheduler
