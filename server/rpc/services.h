// One adapter per service of beamline.v1, each a file that knows one API class.
#pragma once

#include <memory>
#include <vector>

namespace grpc {
class Service;
}  // namespace grpc

namespace beamline::server {
class AuditApi;
class AuthApi;
class ClusterApi;
class DatasetApi;
class ModelApi;
class PipelineApi;
class ProjectApi;
class RunApi;
class Server;
class WorkPool;
class WorkerApi;
}  // namespace beamline::server

namespace beamline::server::rpc {

class Gate;

// All of them, over one server. Nothing is owned; `pool` runs what waits for a disk. Destroy them
// after the listener has shut down.
std::vector<std::unique_ptr<grpc::Service>> MakeServices(Gate& gate, Server& server,
                                                         WorkPool& pool);

std::unique_ptr<grpc::Service> MakeAuditService(Gate& gate, AuditApi& api);
std::unique_ptr<grpc::Service> MakeAuthService(Gate& gate, AuthApi& api);
std::unique_ptr<grpc::Service> MakeClusterService(Gate& gate, ClusterApi& api);
std::unique_ptr<grpc::Service> MakeDatasetService(Gate& gate, DatasetApi& api, WorkPool& pool);
std::unique_ptr<grpc::Service> MakeModelService(Gate& gate, ModelApi& api, WorkPool& pool);
std::unique_ptr<grpc::Service> MakePipelineService(Gate& gate, PipelineApi& api);
std::unique_ptr<grpc::Service> MakeProjectService(Gate& gate, ProjectApi& api);
std::unique_ptr<grpc::Service> MakeRunService(Gate& gate, RunApi& api);
std::unique_ptr<grpc::Service> MakeWorkerService(Gate& gate, WorkerApi& api, WorkPool& pool);

}  // namespace beamline::server::rpc
