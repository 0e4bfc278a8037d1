#include "server/rpc/services.h"

#include <grpcpp/impl/codegen/service_type.h>

#include "server/server.h"

namespace beamline::server::rpc {

std::vector<std::unique_ptr<grpc::Service>> MakeServices(Gate& gate, Server& server,
                                                         WorkPool& pool) {
  std::vector<std::unique_ptr<grpc::Service>> services;
  services.push_back(MakeAuditService(gate, server.audit()));
  services.push_back(MakeAuthService(gate, server.auth()));
  services.push_back(MakeClusterService(gate, server.cluster()));
  services.push_back(MakeDatasetService(gate, server.datasets(), pool));
  services.push_back(MakeModelService(gate, server.models(), pool));
  services.push_back(MakePipelineService(gate, server.pipelines()));
  services.push_back(MakeProjectService(gate, server.projects()));
  services.push_back(MakeRunService(gate, server.runs()));
  services.push_back(MakeWorkerService(gate, server.workers(), pool));
  return services;
}

}  // namespace beamline::server::rpc
