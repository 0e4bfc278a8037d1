#include "tests/scheduler/model.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace beamline::scheduler {
namespace {

int32_t LeastDevices(const Demand& demand) {
  return demand.device == DeviceKind::kCuda ? std::max(demand.gpus, 1) : 0;
}

}  // namespace

void Model::Before(const Event& event, int64_t now_ms) {
  now_ms_ = now_ms;
  if (const auto* queued = std::get_if<TaskQueued>(&event)) {
    if (tasks_.count(queued->task) == 0) tasks_[queued->task] = {*queued, 0, false, {}};
  } else if (const auto* cancelled = std::get_if<TaskCancelled>(&event)) {
    const auto task = tasks_.find(cancelled->task);
    if (task != tasks_.end()) task->second.cancelling = true;
  } else if (const auto* seen = std::get_if<WorkerSeen>(&event)) {
    workers_[seen->worker] = {*seen, now_ms, true};
  } else if (const auto* heartbeat = std::get_if<WorkerHeartbeat>(&event)) {
    const auto worker = workers_.find(heartbeat->worker);
    if (worker == workers_.end()) return;
    worker->second.last_sign_ms = now_ms;
    worker->second.connected = true;
  } else if (const auto* draining = std::get_if<WorkerDraining>(&event)) {
    const auto worker = workers_.find(draining->worker);
    if (worker != workers_.end()) worker->second.seen.draining = true;
  } else if (const auto* gone = std::get_if<WorkerGone>(&event)) {
    workers_.erase(gone->worker);
  }
}

void Model::After(const std::vector<Action>& actions, const Scheduler& scheduler) {
  for (auto& [id, worker] : workers_) {
    if (now_ms_ > worker.last_sign_ms + lease_ms_) worker.connected = false;
  }
  for (const Action& action : actions) {
    std::visit([this](const auto& a) { On(a); }, action);
  }
  for (const auto& [id, task] : tasks_) {
    for (const Placement& placement : task.placements) {
      const auto worker = workers_.find(placement.worker);
      EXPECT_TRUE(worker != workers_.end() && worker->second.connected)
          << id.value << " is live on " << placement.worker.value << ", which lost its lease";
    }
  }
  ExpectWorkConserving();
  ExpectReasons(scheduler);
}

void Model::On(const Assign& action) {
  SCOPED_TRACE(ToString(action));
  ASSERT_EQ(tasks_.count(action.task), 1u) << "assigned a task that is not pending";
  Task& task = tasks_[action.task];
  EXPECT_EQ(task.live_attempt, 0) << "two live attempts";
  EXPECT_FALSE(task.cancelling);
  EXPECT_EQ(action.attempt, task.spec.last_attempt + 1) << "epochs go up by one";
  EXPECT_LE(task.spec.not_before_ms, now_ms_) << "too early";
  ASSERT_EQ(action.placements.size(), 1u);
  const Placement& placement = action.placements[0];
  const auto found = workers_.find(placement.worker);
  ASSERT_TRUE(found != workers_.end() && Usable(found->second)) << "not a usable worker";
  EXPECT_EQ(action.lease_until_ms, found->second.last_sign_ms + lease_ms_);
  EXPECT_TRUE(Fits(task.spec.demand, placement.worker)) << "capacity exceeded";

  const Demand& demand = task.spec.demand;
  EXPECT_EQ(placement.cpu_millis, demand.cpu_millis);
  EXPECT_EQ(placement.memory_bytes, demand.memory_bytes);
  EXPECT_TRUE(placement.devices.size() == static_cast<size_t>(std::max(demand.gpus, 1)) ||
              (demand.device != DeviceKind::kCuda && placement.devices.empty()));
  std::set<DeviceId> held;
  for (const auto& [id, other] : tasks_) {
    for (const Placement& place : other.placements) {
      if (place.worker == placement.worker) held.insert(place.devices.begin(), place.devices.end());
    }
  }
  for (const DeviceId& id : placement.devices) {
    EXPECT_TRUE(held.insert(id).second) << "device given twice: " << id.value;
    const auto& devices = found->second.seen.capacity.devices;
    const auto device =
        std::find_if(devices.begin(), devices.end(), [&](const Device& d) { return d.id == id; });
    ASSERT_TRUE(device != devices.end()) << "no such device: " << id.value;
    EXPECT_GE(device->memory_bytes, demand.gpu_memory_bytes);
  }
  task.live_attempt = task.spec.last_attempt = action.attempt;
  task.placements = action.placements;
}

void Model::On(const StopAttempt& action) {
  const auto task = tasks_.find(action.task);
  ASSERT_TRUE(task != tasks_.end());
  EXPECT_EQ(task->second.live_attempt, action.attempt) << ToString(action);
}

void Model::On(const Preempt& action) {
  ADD_FAILURE() << "preemption is off: " << ToString(action);
}

void Model::On(const Requeue& action) {
  SCOPED_TRACE(ToString(action));
  const auto found = tasks_.find(action.task);
  ASSERT_TRUE(found != tasks_.end());
  Task& task = found->second;
  EXPECT_EQ(task.live_attempt, action.attempt);
  EXPECT_FALSE(task.cancelling);
  EXPECT_EQ(action.failures + action.losses, task.spec.failures + task.spec.losses + 1);
  EXPECT_EQ(action.not_before_ms > now_ms_, action.code != RequeueCode::kReleased);
  task.spec.failures = action.failures;
  task.spec.losses = action.losses;
  task.spec.not_before_ms = action.not_before_ms;
  task.live_attempt = 0;
  task.placements.clear();
}

void Model::On(const EndTask& action) {
  SCOPED_TRACE(ToString(action));
  EXPECT_EQ(tasks_.count(action.task), 1u) << "ended twice, or never queued";
  EXPECT_EQ(tasks_[action.task].spec.last_attempt, action.attempt);
  EXPECT_TRUE(action.state != EndState::kCancelled || tasks_[action.task].cancelling);
  EXPECT_TRUE(ended_.emplace(action.task, action.attempt).second);
  tasks_.erase(action.task);
}

void Model::On(const Park& action) {
  const auto task = tasks_.find(action.task);
  ASSERT_TRUE(task != tasks_.end());
  EXPECT_EQ(task->second.live_attempt, 0);
  EXPECT_FALSE(action.reason.text.empty());
}

void Model::On(const SetTimer& action) { EXPECT_GT(action.at_ms, now_ms_); }

bool Model::Usable(const Worker& worker) const { return worker.connected && !worker.seen.draining; }

bool Model::Fits(const Demand& demand, const WorkerId& id) const {
  const WorkerSeen& seen = workers_.at(id).seen;
  const auto& labels = seen.labels;
  if (!demand.pool.empty() && std::count(labels.begin(), labels.end(), demand.pool) == 0) {
    return false;
  }
  int64_t cpu_millis = seen.capacity.cpu_millis;
  int64_t memory_bytes = seen.capacity.memory_bytes;
  std::set<DeviceId> held;
  for (const auto& [name, task] : tasks_) {
    for (const Placement& placement : task.placements) {
      if (placement.worker != id) continue;
      cpu_millis -= placement.cpu_millis;
      memory_bytes -= placement.memory_bytes;
      held.insert(placement.devices.begin(), placement.devices.end());
    }
  }
  int64_t devices = 0;
  for (const Device& device : seen.capacity.devices) {
    devices += held.count(device.id) == 0 && device.memory_bytes >= demand.gpu_memory_bytes;
  }
  return demand.min_workers == 1 && demand.cpu_millis <= cpu_millis &&
         demand.memory_bytes <= memory_bytes && LeastDevices(demand) <= devices;
}

void Model::ExpectWorkConserving() const {
  for (const auto& [id, task] : tasks_) {
    if (task.live_attempt != 0 || task.spec.not_before_ms > now_ms_) continue;
    for (const auto& [name, worker] : workers_) {
      EXPECT_FALSE(Usable(worker) && Fits(task.spec.demand, name))
          << id.value << " waits although " << name.value << " has room";
    }
  }
}

void Model::ExpectReasons(const Scheduler& scheduler) const {
  size_t pending = 0;
  for (const auto& [id, task] : tasks_) {
    const std::optional<PendingReason> reason = scheduler.Why(id);
    EXPECT_EQ(reason.has_value(), task.live_attempt == 0) << id.value;
    pending += task.live_attempt == 0;
    if (!reason.has_value()) continue;
    EXPECT_FALSE(reason->text.empty());
    EXPECT_EQ(reason->code == PendingCode::kBackOff, task.spec.not_before_ms > now_ms_);
  }
  EXPECT_EQ(scheduler.PendingCount(), pending);
  EXPECT_EQ(scheduler.LiveCount(), tasks_.size() - pending);
  EXPECT_EQ(scheduler.Queue(tasks_.size() + 1).size(), pending);
}

}  // namespace beamline::scheduler
