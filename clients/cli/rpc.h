// The RPCs that the CLI calls, by name and with the types of request and answer. Keeps gRPC's own
// headers, which are slow to compile, out of every file but connection.cc; a test compares each
// line with the service's descriptor.
#pragma once

#include <string_view>

#include "beamline/v1/audit.pb.h"
#include "beamline/v1/cluster.pb.h"
#include "beamline/v1/dataset.pb.h"
#include "beamline/v1/model.pb.h"
#include "beamline/v1/pipeline.pb.h"
#include "beamline/v1/project.pb.h"
#include "beamline/v1/run.pb.h"
#include "google/protobuf/empty.pb.h"

namespace beamline::cli {

// "/beamline.v1.RunService/GetRun".
template <class RequestType, class ResponseType>
struct Rpc {
  using Request = RequestType;
  using Response = ResponseType;
  const char* path;
};

#define BEAMLINE_RPC(service, method, request, response) \
  inline constexpr Rpc<v1::request, response> k##method { "/beamline.v1." #service "/" #method }

BEAMLINE_RPC(ProjectService, CreateProject, CreateProjectRequest, v1::Project);
BEAMLINE_RPC(ProjectService, GetProject, GetProjectRequest, v1::Project);
BEAMLINE_RPC(ProjectService, ListProjects, ListProjectsRequest, v1::ListProjectsResponse);
BEAMLINE_RPC(ProjectService, UpdateProject, UpdateProjectRequest, v1::Project);
BEAMLINE_RPC(ProjectService, SetMember, SetMemberRequest, v1::Member);
BEAMLINE_RPC(ProjectService, RemoveMember, RemoveMemberRequest, google::protobuf::Empty);
BEAMLINE_RPC(ProjectService, ListMembers, ListMembersRequest, v1::ListMembersResponse);

BEAMLINE_RPC(AuthService, WhoAmI, WhoAmIRequest, v1::WhoAmIResponse);
BEAMLINE_RPC(AuthService, CreateUser, CreateUserRequest, v1::User);
BEAMLINE_RPC(AuthService, UpdateUser, UpdateUserRequest, v1::User);
BEAMLINE_RPC(AuthService, ListUsers, ListUsersRequest, v1::ListUsersResponse);
BEAMLINE_RPC(AuthService, CreateToken, CreateTokenRequest, v1::CreateTokenResponse);
BEAMLINE_RPC(AuthService, ListTokens, ListTokensRequest, v1::ListTokensResponse);
BEAMLINE_RPC(AuthService, RevokeToken, RevokeTokenRequest, v1::Token);
BEAMLINE_RPC(AuthService, CreateJoinToken, CreateJoinTokenRequest, v1::CreateJoinTokenResponse);

BEAMLINE_RPC(DatasetService, BeginUpload, BeginUploadRequest, v1::BeginUploadResponse);
BEAMLINE_RPC(DatasetService, WriteUpload, WriteUploadRequest, v1::Upload);
BEAMLINE_RPC(DatasetService, GetUpload, GetUploadRequest, v1::Upload);
BEAMLINE_RPC(DatasetService, FinishUpload, FinishUploadRequest, v1::Dataset);
BEAMLINE_RPC(DatasetService, GetDataset, GetDatasetRequest, v1::Dataset);
BEAMLINE_RPC(DatasetService, ListDatasets, ListDatasetsRequest, v1::ListDatasetsResponse);
BEAMLINE_RPC(DatasetService, DeleteDataset, DeleteDatasetRequest, google::protobuf::Empty);
BEAMLINE_RPC(DatasetService, DownloadDataset, DownloadDatasetRequest, v1::DownloadDatasetResponse);
BEAMLINE_RPC(DatasetService, ComputeHistogram, ComputeHistogramRequest,
             v1::ComputeHistogramResponse);
BEAMLINE_RPC(DatasetService, ComputeCorrelation, ComputeCorrelationRequest,
             v1::ComputeCorrelationResponse);

BEAMLINE_RPC(PipelineService, ValidatePipeline, ValidatePipelineRequest,
             v1::ValidatePipelineResponse);
BEAMLINE_RPC(PipelineService, CreatePipeline, CreatePipelineRequest, v1::Pipeline);
BEAMLINE_RPC(PipelineService, GetPipeline, GetPipelineRequest, v1::Pipeline);
BEAMLINE_RPC(PipelineService, ListPipelines, ListPipelinesRequest, v1::ListPipelinesResponse);
BEAMLINE_RPC(PipelineService, PlanPipeline, PlanPipelineRequest, v1::PlanPipelineResponse);

BEAMLINE_RPC(RunService, CreateRun, CreateRunRequest, v1::Run);
BEAMLINE_RPC(RunService, GetRun, GetRunRequest, v1::Run);
BEAMLINE_RPC(RunService, ListRuns, ListRunsRequest, v1::ListRunsResponse);
BEAMLINE_RPC(RunService, ListTrials, ListTrialsRequest, v1::ListTrialsResponse);
BEAMLINE_RPC(RunService, ListTasks, ListTasksRequest, v1::ListTasksResponse);
BEAMLINE_RPC(RunService, WatchRun, WatchRunRequest, v1::Event);
BEAMLINE_RPC(RunService, CancelRun, CancelRunRequest, v1::Run);
BEAMLINE_RPC(RunService, PauseRun, PauseRunRequest, v1::Run);
BEAMLINE_RPC(RunService, ResumeRun, ResumeRunRequest, v1::Run);
BEAMLINE_RPC(RunService, RetryRun, RetryRunRequest, v1::Run);
BEAMLINE_RPC(RunService, ListLogs, ListLogsRequest, v1::ListLogsResponse);
BEAMLINE_RPC(RunService, ListMetrics, ListMetricsRequest, v1::ListMetricsResponse);
BEAMLINE_RPC(RunService, ExplainRun, ExplainRunRequest, v1::ExplainRunResponse);

BEAMLINE_RPC(ModelService, GetModel, GetModelRequest, v1::Model);
BEAMLINE_RPC(ModelService, ListModels, ListModelsRequest, v1::ListModelsResponse);
BEAMLINE_RPC(ModelService, DownloadModel, DownloadModelRequest, v1::DownloadModelResponse);
BEAMLINE_RPC(ModelService, Predict, PredictRequest, v1::PredictResponse);
BEAMLINE_RPC(ModelService, SetModelStage, SetModelStageRequest, v1::Model);
BEAMLINE_RPC(ModelService, GetLineage, GetLineageRequest, v1::GetLineageResponse);
BEAMLINE_RPC(ModelService, ReproduceModel, ReproduceModelRequest, v1::ReproduceModelResponse);

BEAMLINE_RPC(ClusterService, GetServerInfo, GetServerInfoRequest, v1::GetServerInfoResponse);
BEAMLINE_RPC(ClusterService, ListWorkers, ListWorkersRequest, v1::ListWorkersResponse);
BEAMLINE_RPC(ClusterService, DrainWorker, DrainWorkerRequest, v1::Worker);
BEAMLINE_RPC(ClusterService, ListQueue, ListQueueRequest, v1::ListQueueResponse);
BEAMLINE_RPC(ClusterService, ListShares, ListSharesRequest, v1::ListSharesResponse);

BEAMLINE_RPC(AuditService, ListAuditEntries, ListAuditEntriesRequest, v1::ListAuditEntriesResponse);
BEAMLINE_RPC(AuditService, ListProjectAuditEntries, ListProjectAuditEntriesRequest,
             v1::ListAuditEntriesResponse);
BEAMLINE_RPC(AuditService, ReadAuditChain, ReadAuditChainRequest, v1::ReadAuditChainResponse);

#undef BEAMLINE_RPC

}  // namespace beamline::cli
