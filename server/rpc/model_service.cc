#include "beamline/v1/model.grpc.pb.h"
#include "server/api/model_api.h"
#include "server/rpc/services.h"
#include "server/rpc/streams.h"
#include "server/rpc/unary.h"

namespace beamline::server::rpc {
namespace {

class ModelService : public v1::ModelService::CallbackService {
 public:
  ModelService(Gate& gate, ModelApi& api, WorkPool& pool) : gate_(gate), api_(api), pool_(pool) {}

  BEAMLINE_UNARY(ModelService, GetModel, v1::GetModelRequest, v1::Model)
  BEAMLINE_UNARY(ModelService, ListModels, v1::ListModelsRequest, v1::ListModelsResponse)
  BEAMLINE_HEAVY_UNARY(ModelService, Predict, v1::PredictRequest, v1::PredictResponse)
  BEAMLINE_UNARY(ModelService, SetModelStage, v1::SetModelStageRequest, v1::Model)
  BEAMLINE_HEAVY_UNARY(ModelService, GetLineage, v1::GetLineageRequest, v1::GetLineageResponse)
  BEAMLINE_UNARY(ModelService, ReproduceModel, v1::ReproduceModelRequest,
                 v1::ReproduceModelResponse)
  BEAMLINE_UNARY(ModelService, DeleteModel, v1::DeleteModelRequest, google::protobuf::Empty)

  grpc::ServerWriteReactor<v1::DownloadModelResponse>* DownloadModel(
      grpc::CallbackServerContext* context, const v1::DownloadModelRequest* request) override {
    return StartDownload<v1::DownloadModelResponse>(
        gate_, context, pool_, "/beamline.v1.ModelService/DownloadModel", request,
        [&](const auth::Principal& caller) { return api_.DownloadModel(caller, *request); });
  }

 private:
  Gate& gate_;
  ModelApi& api_;
  WorkPool& pool_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeModelService(Gate& gate, ModelApi& api, WorkPool& pool) {
  return std::make_unique<ModelService>(gate, api, pool);
}

}  // namespace beamline::server::rpc
