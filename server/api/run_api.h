// v1.RunService without the wire.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "auth/principal.h"
#include "beamline/v1/run.pb.h"
#include "server/api/context.h"
#include "server/api/done.h"
#include "server/api/run_watcher.h"

namespace beamline::server {

// See v1.RunService for what each call does and fails with. Thread-safe.
class RunApi {
 public:
  explicit RunApi(ApiContext context);
  ~RunApi();

  void CreateRun(const auth::Principal& caller, const v1::CreateRunRequest& request,
                 Done<v1::Run> done);
  void GetRun(const auth::Principal& caller, const v1::GetRunRequest& request, Done<v1::Run> done);
  void ListRuns(const auth::Principal& caller, const v1::ListRunsRequest& request,
                Done<v1::ListRunsResponse> done);
  void ListTasks(const auth::Principal& caller, const v1::ListTasksRequest& request,
                 Done<v1::ListTasksResponse> done);
  void ListTrials(const auth::Principal& caller, const v1::ListTrialsRequest& request,
                  Done<v1::ListTrialsResponse> done);
  void CancelRun(const auth::Principal& caller, const v1::CancelRunRequest& request,
                 Done<v1::Run> done);
  void PauseRun(const auth::Principal& caller, const v1::PauseRunRequest& request,
                Done<v1::Run> done);
  void ResumeRun(const auth::Principal& caller, const v1::ResumeRunRequest& request,
                 Done<v1::Run> done);
  void RetryRun(const auth::Principal& caller, const v1::RetryRunRequest& request,
                Done<v1::Run> done);
  void ListLogs(const auth::Principal& caller, const v1::ListLogsRequest& request,
                Done<v1::ListLogsResponse> done);
  void ListMetrics(const auth::Principal& caller, const v1::ListMetricsRequest& request,
                   Done<v1::ListMetricsResponse> done);
  void ExplainRun(const auth::Principal& caller, const v1::ExplainRunRequest& request,
                  Done<v1::ExplainRunResponse> done);

  // The events of a run; ask it for the first page with Next.
  absl::StatusOr<std::shared_ptr<RunWatcher>> WatchRun(const auth::Principal& caller,
                                                       const v1::WatchRunRequest& request);

 private:
  ApiContext context_;
};

}  // namespace beamline::server
