#include "tests/scheduler/cluster_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

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
  ExpectOneRole(actions);
  Count();
  ExpectCapacity();
  ExpectCaps();
  ExpectWorkConserving(scheduler);
  ExpectPromises(scheduler);
  if (++events_ % 32 == 0) ExpectReasonsAndBuckets(scheduler);
}

void ClusterModel::Count() {
  held_.clear();
  for (const auto& [id, worker] : workers_) held_[id];
  project_devices_.clear();
  for (const auto& [id, task] : tasks_) {
    for (const Placement& placement : task.placements) {
      Held& held = held_[placement.worker];
      held.cpu_millis += placement.cpu_millis;
      for (const DeviceId& device : placement.devices) {
        EXPECT_TRUE(held.devices.insert(device).second)
            << placement.worker.value << " " << device.value << " is held twice";
      }
      project_devices_[task.spec.project] += static_cast<int64_t>(placement.devices.size());
    }
  }
}

void ClusterModel::ExpectOneRole(const std::vector<Action>& actions) const {
  std::set<TaskId> victims;
  std::set<TaskId> beneficiaries;
  for (const Action& action : actions) {
    const auto* preempt = std::get_if<Preempt>(&action);
    if (preempt == nullptr) continue;
    EXPECT_TRUE(victims.insert(preempt->task).second) << "asked twice";
    beneficiaries.insert(preempt->beneficiary);
  }
  for (const TaskId& id : victims) {
    EXPECT_EQ(beneficiaries.count(id), 0u) << id.value << " gains and loses in one round";
  }
}

void ClusterModel::ExpectReasonsAndBuckets(const Scheduler& scheduler) const {
  size_t pending = 0;
  for (const auto& [id, task] : tasks_) {
    const std::optional<PendingReason> reason = scheduler.Why(id);
    EXPECT_EQ(reason.has_value(), task.live_attempt == 0) << id.value;
    EXPECT_TRUE(!reason.has_value() || !reason->text.empty()) << id.value;
    pending += task.live_attempt == 0;
  }
  EXPECT_EQ(scheduler.PendingCount(), pending);
  EXPECT_EQ(scheduler.LiveCount(), tasks_.size() - pending);
  const int64_t most = options_.express_burst_ms * 10'000'000 * options_.express_refill_percent;
  for (const ShareEntry& share : scheduler.Shares()) {
    EXPECT_LE(std::abs(share.express_bucket), most) << share.project.value;
    EXPECT_GE(share.entitled, 0);
    EXPECT_LE(share.entitled, share.demand) << share.project.value << " is owed more than it asks";
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
  int64_t whole = 0;
  for (const auto& [id, worker] : workers_) {
    if (!worker.draining) whole += static_cast<int64_t>(worker.capacity.devices.size());
  }
  EXPECT_LE(int64_t{beneficiary.spec.demand.gpus} * beneficiary.spec.demand.min_workers, whole)
      << "for one that can never start";
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
  for (const auto& [id, held] : held_) {
    ASSERT_EQ(workers_.count(id), 1u) << "an attempt lives on a worker that is gone";
    EXPECT_LE(held.cpu_millis, workers_.at(id).capacity.cpu_millis) << id.value;
  }
}

void ClusterModel::ExpectCaps() const {
  for (const auto& [project, most] : max_devices_) {
    const auto held = project_devices_.find(project);
    if (most < 0 || held == project_devices_.end()) continue;
    EXPECT_LE(held->second, most) << project.value << " is above its cap";
  }
}

bool ClusterModel::CapAllows(const Task& task) const {
  const auto cap = max_devices_.find(task.spec.project);
  if (cap == max_devices_.end() || cap->second < 0) return true;
  const auto held = project_devices_.find(task.spec.project);
  return int64_t{task.spec.demand.gpus} * task.spec.demand.min_workers +
             (held == project_devices_.end() ? 0 : held->second) <=
         cap->second;
}

bool ClusterModel::FitsOn(const Demand& demand, const WorkerId& id) const {
  const Capacity& capacity = workers_.at(id).capacity;
  const Held& held = held_.at(id);
  return demand.cpu_millis * demand.min_workers <= capacity.cpu_millis - held.cpu_millis &&
         size_t(demand.gpus) * size_t(demand.min_workers) <=
             capacity.devices.size() - held.devices.size();
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
