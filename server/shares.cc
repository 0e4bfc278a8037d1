#include "server/shares.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "server/names.h"
#include "server/waits.h"
#include "store/identity.h"
#include "store/runs.h"
#include "store/time.h"

namespace beamline::server {
namespace {

// Waiting tasks among which those that the caller may see are looked for.
constexpr size_t kMaxQueueSearched = 10'000;
constexpr double kWhole = 1e9;
constexpr double kHourMs = 3'600'000;

bool MaySee(const auth::Principal& caller, const std::string& project) {
  return caller.is_operator || caller.roles.contains(project);
}

// Collects the entries of a ListQueue.
class QueueList {
 public:
  QueueList(Transaction& transaction, const auth::Principal& caller, const std::string& project,
            int64_t size)
      : transaction_(transaction), caller_(caller), project_(project), size_(size) {}

  bool full() const { return response_.entries_size() >= size_; }

  // Null: not one that is asked for.
  absl::StatusOr<v1::ListQueueResponse::Entry*> Add(const scheduler::TaskId& id) {
    ASSIGN_OR_RETURN(const TaskName name, ParseTaskName("task", id.value));
    const bool wanted = project_.empty() || name.project == project_;
    if (full() || !wanted || !MaySee(caller_, name.project)) return nullptr;
    ASSIGN_OR_RETURN(const store::StoredTask task,
                     store::GetTask(transaction_.store(), name.run, name.task));
    auto& entry = *response_.add_entries();
    entry.set_task(id.value);
    *entry.mutable_resources() = task.message.resources();
    return &entry;
  }

  absl::Status AddRunning(const scheduler::WorkerEntry& worker,
                          const scheduler::AttemptEntry& attempt) {
    ASSIGN_OR_RETURN(auto* entry, Add(attempt.task));
    if (entry == nullptr) return absl::OkStatus();
    entry->set_running(true);
    entry->set_worker(worker.worker.value);
    entry->set_leaving(attempt.state == scheduler::TaskState::kPreempting);
    ASSIGN_OR_RETURN(const TaskName name, ParseTaskName("task", attempt.task.value));
    const auto stored =
        store::GetAttempt(transaction_.store(), name.run, name.task, attempt.attempt);
    if (absl::IsNotFound(stored.status())) return absl::OkStatus();
    RETURN_IF_ERROR(stored.status());
    if (stored->start_time != absl::InfinitePast()) {
      *entry->mutable_start_time() = store::ToProto(stored->start_time);
    }
    return absl::OkStatus();
  }

  // `ahead`: how many of its project go first.
  absl::Status AddWaiting(const scheduler::QueueEntry& waiting, const Forecast& forecast,
                          int64_t ahead) {
    ASSIGN_OR_RETURN(auto* entry, Add(waiting.task));
    if (entry == nullptr) return absl::OkStatus();
    entry->set_priority(waiting.priority);
    v1::Wait& wait = *entry->mutable_wait();
    wait = WaitOf(transaction_, waiting.reason);
    wait.set_ahead(ahead);
    // Of tasks that ask for the same the answer is the same.
    const std::string alike = entry->resources().SerializeAsString();
    const auto [known, is_new] = earliest_.try_emplace(alike);
    if (is_new) {
      AddEarliestStart(transaction_, forecast, waiting.task, waiting.reason, known->second);
    }
    if (known->second.has_earliest_start_time() && !wait.has_earliest_start_time() &&
        wait.reason() != v1::WAIT_REASON_QUOTA) {
      *wait.mutable_earliest_start_time() = known->second.earliest_start_time();
    }
    *wait.mutable_since_time() = store::ToProto(absl::FromUnixMillis(waiting.queued_at_ms));
    return absl::OkStatus();
  }

  v1::ListQueueResponse Take() { return std::move(response_); }

 private:
  Transaction& transaction_;
  const auth::Principal& caller_;
  const std::string& project_;
  const int64_t size_;
  v1::ListQueueResponse response_;
  // Only the earliest start of these is set.
  std::map<std::string, v1::Wait> earliest_;
};

v1::ListSharesResponse::Share ShareOf(const scheduler::ShareEntry& entry,
                                      const v1::Project& project) {
  v1::ListSharesResponse::Share share;
  share.set_project(project.name());
  *share.mutable_quota() = project.quota();
  share.mutable_quota()->set_weight_milli(entry.weight_millis);
  share.set_held(static_cast<double>(entry.held) / kWhole);
  share.set_demand(static_cast<double>(entry.demand) / kWhole);
  share.set_entitled(static_cast<double>(entry.entitled) / kWhole);
  share.set_running_tasks(entry.running);
  share.set_waiting_tasks(static_cast<int64_t>(entry.waiting));
  share.set_cpus(static_cast<double>(entry.cpu_millis) / 1000);
  share.set_memory_bytes(entry.memory_bytes);
  share.set_gpus(static_cast<int32_t>(entry.devices));
  share.set_express_hours(static_cast<double>(entry.express_bucket) / kWhole / kHourMs);
  return share;
}

}  // namespace

absl::StatusOr<v1::ListQueueResponse> ListQueue(Transaction& transaction,
                                                const auth::Principal& caller,
                                                const std::string& project, int64_t size) {
  const scheduler::Scheduler& scheduler = transaction.scheduler();
  QueueList list(transaction, caller, project, size);
  for (const scheduler::WorkerEntry& worker : scheduler.Workers()) {
    for (const scheduler::AttemptEntry& attempt : worker.attempts) {
      if (!list.full()) RETURN_IF_ERROR(list.AddRunning(worker, attempt));
    }
  }
  ASSIGN_OR_RETURN(const Forecast forecast, Forecast::Make(transaction, transaction.store()));
  std::map<scheduler::ProjectId, int64_t> ahead;
  for (const scheduler::QueueEntry& waiting : scheduler.Queue(kMaxQueueSearched)) {
    if (list.full()) break;
    RETURN_IF_ERROR(list.AddWaiting(waiting, forecast, ahead[waiting.project]++));
  }
  v1::ListQueueResponse response = list.Take();
  response.set_queued_tasks(static_cast<int64_t>(scheduler.PendingCount()));
  response.set_running_tasks(static_cast<int64_t>(scheduler.LiveCount()));
  return response;
}

absl::StatusOr<v1::ListSharesResponse> ListShares(Transaction& transaction,
                                                  const auth::Principal& caller) {
  v1::ListSharesResponse response;
  for (const scheduler::ShareEntry& entry : transaction.scheduler().Shares()) {
    if (entry.running == 0 && entry.waiting == 0) continue;
    response.set_active_projects(response.active_projects() + 1);
    if (!MaySee(caller, entry.project.value)) continue;
    ASSIGN_OR_RETURN(const v1::Project project,
                     store::GetProject(transaction.store(), entry.project.value));
    *response.add_shares() = ShareOf(entry, project);
  }
  int64_t cpu_millis = 0;
  for (const scheduler::WorkerEntry& worker : transaction.scheduler().Workers()) {
    if (!worker.connected) continue;
    cpu_millis += worker.capacity.cpu_millis;
    response.set_memory_bytes(response.memory_bytes() + worker.capacity.memory_bytes);
    response.set_gpus(response.gpus() + static_cast<int32_t>(worker.capacity.devices.size()));
  }
  response.set_cpus(static_cast<double>(cpu_millis) / 1000);
  return response;
}

}  // namespace beamline::server
