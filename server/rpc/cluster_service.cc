#include "beamline/v1/cluster.grpc.pb.h"
#include "server/api/cluster_api.h"
#include "server/rpc/services.h"
#include "server/rpc/unary.h"

namespace beamline::server::rpc {
namespace {

class ClusterService : public v1::ClusterService::CallbackService {
 public:
  ClusterService(Gate& gate, ClusterApi& api) : gate_(gate), api_(api) {}

  BEAMLINE_UNARY(ClusterService, GetServerInfo, v1::GetServerInfoRequest, v1::GetServerInfoResponse)
  BEAMLINE_UNARY(ClusterService, ListWorkers, v1::ListWorkersRequest, v1::ListWorkersResponse)
  BEAMLINE_UNARY(ClusterService, DrainWorker, v1::DrainWorkerRequest, v1::Worker)
  BEAMLINE_UNARY(ClusterService, ListQueue, v1::ListQueueRequest, v1::ListQueueResponse)
  BEAMLINE_UNARY(ClusterService, ListShares, v1::ListSharesRequest, v1::ListSharesResponse)

 private:
  Gate& gate_;
  ClusterApi& api_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeClusterService(Gate& gate, ClusterApi& api) {
  return std::make_unique<ClusterService>(gate, api);
}

}  // namespace beamline::server::rpc
