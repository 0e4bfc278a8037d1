#include "beamline/v1/pipeline.grpc.pb.h"
#include "server/api/pipeline_api.h"
#include "server/rpc/services.h"
#include "server/rpc/unary.h"

namespace beamline::server::rpc {
namespace {

class PipelineService : public v1::PipelineService::CallbackService {
 public:
  PipelineService(Gate& gate, PipelineApi& api) : gate_(gate), api_(api) {}

  BEAMLINE_HEAVY_UNARY(PipelineService, ValidatePipeline, v1::ValidatePipelineRequest,
                       v1::ValidatePipelineResponse)
  BEAMLINE_UNARY(PipelineService, CreatePipeline, v1::CreatePipelineRequest, v1::Pipeline)
  BEAMLINE_UNARY(PipelineService, GetPipeline, v1::GetPipelineRequest, v1::Pipeline)
  BEAMLINE_UNARY(PipelineService, ListPipelines, v1::ListPipelinesRequest,
                 v1::ListPipelinesResponse)
  BEAMLINE_HEAVY_UNARY(PipelineService, PlanPipeline, v1::PlanPipelineRequest,
                       v1::PlanPipelineResponse)

 private:
  Gate& gate_;
  PipelineApi& api_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakePipelineService(Gate& gate, PipelineApi& api) {
  return std::make_unique<PipelineService>(gate, api);
}

}  // namespace beamline::server::rpc
