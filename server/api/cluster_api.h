// v1.ClusterService without the wire.
#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "auth/principal.h"
#include "beamline/v1/cluster.pb.h"
#include "server/api/context.h"
#include "server/api/done.h"
#include "server/transaction.h"

namespace beamline::server {

// Within a command: every worker that joined, with what scheduler and sessions know about it now.
absl::StatusOr<v1::ListWorkersResponse> DescribeWorkers(Transaction& transaction,
                                                        const WorkerSessions& sessions,
                                                        bool with_tasks);

// See v1.ClusterService for what each call does and fails with. Thread-safe.
class ClusterApi {
 public:
  explicit ClusterApi(ApiContext context);
  ~ClusterApi();

  void GetServerInfo(const auth::Principal& caller, const v1::GetServerInfoRequest& request,
                     Done<v1::GetServerInfoResponse> done);
  void ListWorkers(const auth::Principal& caller, const v1::ListWorkersRequest& request,
                   Done<v1::ListWorkersResponse> done);
  void DrainWorker(const auth::Principal& caller, const v1::DrainWorkerRequest& request,
                   Done<v1::Worker> done);
  void ListQueue(const auth::Principal& caller, const v1::ListQueueRequest& request,
                 Done<v1::ListQueueResponse> done);
  void ListShares(const auth::Principal& caller, const v1::ListSharesRequest& request,
                  Done<v1::ListSharesResponse> done);

 private:
  const absl::Time start_time_;
  ApiContext context_;
};

}  // namespace beamline::server
