// v1.PipelineService without the wire.
#pragma once

#include "auth/principal.h"
#include "beamline/v1/pipeline.pb.h"
#include "server/api/context.h"
#include "server/api/done.h"

namespace beamline::server {

// See v1.PipelineService for what each call does and fails with. Thread-safe.
class PipelineApi {
 public:
  explicit PipelineApi(ApiContext context);
  ~PipelineApi();

  void ValidatePipeline(const auth::Principal& caller, const v1::ValidatePipelineRequest& request,
                        Done<v1::ValidatePipelineResponse> done);
  void CreatePipeline(const auth::Principal& caller, const v1::CreatePipelineRequest& request,
                      Done<v1::Pipeline> done);
  void GetPipeline(const auth::Principal& caller, const v1::GetPipelineRequest& request,
                   Done<v1::Pipeline> done);
  void ListPipelines(const auth::Principal& caller, const v1::ListPipelinesRequest& request,
                     Done<v1::ListPipelinesResponse> done);
  void PlanPipeline(const auth::Principal& caller, const v1::PlanPipelineRequest& request,
                    Waiting waiting, Done<v1::PlanPipelineResponse> done);

 private:
  ApiContext context_;
};

}  // namespace beamline::server
