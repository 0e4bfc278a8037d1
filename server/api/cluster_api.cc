#include "server/api/cluster_api.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "server/coordinator.h"
#include "server/idempotency.h"
#include "server/names.h"
#include "server/paging.h"
#include "server/shares.h"
#include "server/worker_sessions.h"
#include "store/identity.h"
#include "store/runs.h"
#include "store/time.h"
#include "store/workers.h"

namespace beamline::server {
namespace {

// The worker as stored, with what scheduler and sessions know about it now.
v1::Worker Describe(const store::StoredWorker& stored, const WorkerSessions& sessions,
                    const scheduler::WorkerEntry* entry, bool with_tasks) {
  const std::string name = absl::StrCat("workers/", stored.id);
  const v1::Worker* current = sessions.Description(name);
  v1::Worker worker = current != nullptr ? *current : stored.message;
  worker.set_name(name);
  *worker.mutable_join_time() = store::ToProto(stored.join_time);
  if (const auto seen = sessions.LastSeen(name)) {
    *worker.mutable_last_seen_time() = store::ToProto(*seen);
  }
  worker.set_state(v1::WORKER_STATE_LOST);
  if (entry != nullptr && entry->connected) {
    worker.set_state(entry->draining || stored.draining ? v1::WORKER_STATE_DRAINING
                                                        : v1::WORKER_STATE_READY);
  }
  if (entry == nullptr) return worker;
  int64_t cpu_millis = 0;
  int64_t memory_bytes = 0;
  for (const scheduler::AttemptEntry& attempt : entry->attempts) {
    cpu_millis += attempt.placement.cpu_millis;
    memory_bytes += attempt.placement.memory_bytes;
    if (with_tasks) worker.add_running_tasks(attempt.task.value);
  }
  worker.set_cpus_in_use(static_cast<double>(cpu_millis) / 1000);
  worker.set_memory_in_use_bytes(memory_bytes);
  return worker;
}

const scheduler::WorkerEntry* FindEntry(const std::vector<scheduler::WorkerEntry>& entries,
                                        std::string_view name) {
  for (const scheduler::WorkerEntry& entry : entries) {
    if (entry.worker.value == name) return &entry;
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<v1::ListWorkersResponse> DescribeWorkers(Transaction& transaction,
                                                        const WorkerSessions& sessions,
                                                        bool with_tasks) {
  ASSIGN_OR_RETURN(const auto workers, store::ListWorkers(transaction.store()));
  const auto entries = transaction.scheduler().Workers();
  v1::ListWorkersResponse response;
  for (const store::StoredWorker& stored : workers) {
    const auto* entry = FindEntry(entries, absl::StrCat("workers/", stored.id));
    *response.add_workers() = Describe(stored, sessions, entry, with_tasks);
  }
  return response;
}

ClusterApi::ClusterApi(ApiContext context) : start_time_(context.clock.Now()), context_(context) {}
ClusterApi::~ClusterApi() = default;

void ClusterApi::GetServerInfo(const auth::Principal&, const v1::GetServerInfoRequest&,
                               Done<v1::GetServerInfoResponse> done) {
  v1::GetServerInfoResponse response;
  const absl::Time now = context_.clock.Now();
  response.set_version(BEAMLINE_VERSION);
  *response.mutable_time() = store::ToProto(now);
  response.set_uptime_seconds(absl::ToInt64Seconds(now - start_time_));
  done(std::move(response));
}

void ClusterApi::ListWorkers(const auth::Principal& caller, const v1::ListWorkersRequest&,
                             Done<v1::ListWorkersResponse> done) {
  context_.coordinator.Call<v1::ListWorkersResponse>(
      [caller,
       &sessions = context_.sessions](Transaction& tx) -> absl::StatusOr<v1::ListWorkersResponse> {
        return DescribeWorkers(tx, sessions, caller.is_operator);
      },
      std::move(done));
}

void ClusterApi::DrainWorker(const auth::Principal& caller, const v1::DrainWorkerRequest& request,
                             Done<v1::Worker> done) {
  const auto id = ParseWorkerName("name", request.name());
  if (!id.ok()) return done(id.status());
  context_.coordinator.Call<v1::Worker>(
      [caller, request, id = *id,
       &sessions = context_.sessions](Transaction& tx) -> absl::StatusOr<v1::Worker> {
        ASSIGN_OR_RETURN(store::StoredWorker stored, store::GetWorker(tx.store(), id));
        stored.draining = true;
        RETURN_IF_ERROR(store::UpdateWorker(tx.store(), stored));
        tx.Schedule(scheduler::WorkerDraining{.worker = scheduler::WorkerId(request.name())});
        tx.Wake(request.name());
        const auto entries = tx.scheduler().Workers();
        v1::Worker worker = Describe(stored, sessions, FindEntry(entries, request.name()), true);
        const Mutation mutation{.caller = caller,
                                .method = "ClusterService.DrainWorker",
                                .resource = request.name(),
                                .request_id = "",
                                .request = request};
        RETURN_IF_ERROR(KeepAnswer(tx, mutation, worker));
        return worker;
      },
      std::move(done));
}

void ClusterApi::ListQueue(const auth::Principal& caller, const v1::ListQueueRequest& request,
                           Done<v1::ListQueueResponse> done) {
  const auto size = PageSize(request.page_size(), 100, 1000);
  if (!size.ok()) return done(size.status());
  std::string project;
  if (!request.project().empty()) {
    const auto name = ParseProjectName("project", request.project());
    if (!name.ok()) return done(name.status());
    // As for any other call: projects of others are not there.
    if (!caller.is_operator && !caller.roles.contains(*name)) {
      return done(absl::NotFoundError(absl::StrCat("project ", *name, " does not exist")));
    }
    project = *name;
  }
  context_.coordinator.Call<v1::ListQueueResponse>(
      [caller, project, size = *size](Transaction& tx) {
        return server::ListQueue(tx, caller, project, size);
      },
      std::move(done));
}

void ClusterApi::ListShares(const auth::Principal& caller, const v1::ListSharesRequest&,
                            Done<v1::ListSharesResponse> done) {
  context_.coordinator.Call<v1::ListSharesResponse>(
      [caller](Transaction& tx) { return server::ListShares(tx, caller); }, std::move(done));
}

}  // namespace beamline::server
