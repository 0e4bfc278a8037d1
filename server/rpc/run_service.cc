#include "beamline/v1/run.grpc.pb.h"
#include "server/api/run_api.h"
#include "server/rpc/services.h"
#include "server/rpc/streams.h"
#include "server/rpc/unary.h"

namespace beamline::server::rpc {
namespace {

class RunService : public v1::RunService::CallbackService {
 public:
  RunService(Gate& gate, RunApi& api) : gate_(gate), api_(api) {}

  BEAMLINE_UNARY(RunService, CreateRun, v1::CreateRunRequest, v1::Run)
  BEAMLINE_UNARY(RunService, GetRun, v1::GetRunRequest, v1::Run)
  BEAMLINE_UNARY(RunService, ListRuns, v1::ListRunsRequest, v1::ListRunsResponse)
  BEAMLINE_UNARY(RunService, ListTasks, v1::ListTasksRequest, v1::ListTasksResponse)
  BEAMLINE_UNARY(RunService, ListTrials, v1::ListTrialsRequest, v1::ListTrialsResponse)
  BEAMLINE_UNARY(RunService, CancelRun, v1::CancelRunRequest, v1::Run)
  BEAMLINE_UNARY(RunService, PauseRun, v1::PauseRunRequest, v1::Run)
  BEAMLINE_UNARY(RunService, ResumeRun, v1::ResumeRunRequest, v1::Run)
  BEAMLINE_UNARY(RunService, RetryRun, v1::RetryRunRequest, v1::Run)
  BEAMLINE_UNARY(RunService, ListLogs, v1::ListLogsRequest, v1::ListLogsResponse)
  BEAMLINE_UNARY(RunService, ListMetrics, v1::ListMetricsRequest, v1::ListMetricsResponse)
  BEAMLINE_UNARY(RunService, ExplainRun, v1::ExplainRunRequest, v1::ExplainRunResponse)

  grpc::ServerWriteReactor<v1::Event>* WatchRun(grpc::CallbackServerContext* context,
                                                const v1::WatchRunRequest* request) override {
    constexpr std::string_view kMethod = "/beamline.v1.RunService/WatchRun";
    auth::Principal caller;
    grpc::Status refusal = gate_.Admit(*context, kMethod, *request, &caller);
    if (refusal.ok()) {
      absl::StatusOr<std::shared_ptr<RunWatcher>> watcher = api_.WatchRun(caller, *request);
      if (watcher.ok()) {
        return std::make_unique<Watch>(*std::move(watcher), kMethod, std::move(caller)).release();
      }
      refusal = Gate::Conclude(watcher.status(), kMethod, caller);
    }
    return std::make_unique<RefusedWriter<v1::Event>>(refusal).release();
  }

 private:
  Gate& gate_;
  RunApi& api_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeRunService(Gate& gate, RunApi& api) {
  return std::make_unique<RunService>(gate, api);
}

}  // namespace beamline::server::rpc
