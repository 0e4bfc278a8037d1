// v1.ModelService without the wire.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "auth/principal.h"
#include "beamline/v1/model.pb.h"
#include "google/protobuf/empty.pb.h"
#include "server/api/byte_stream.h"
#include "server/api/context.h"
#include "server/api/done.h"

namespace beamline::server {

// See v1.ModelService for what each call does and fails with. Thread-safe.
class ModelApi {
 public:
  explicit ModelApi(ApiContext context);
  ~ModelApi();

  void GetModel(const auth::Principal& caller, const v1::GetModelRequest& request,
                Done<v1::Model> done);
  void ListModels(const auth::Principal& caller, const v1::ListModelsRequest& request,
                  Done<v1::ListModelsResponse> done);
  void Predict(const auth::Principal& caller, const v1::PredictRequest& request,
               Done<v1::PredictResponse> done);
  void DeleteModel(const auth::Principal& caller, const v1::DeleteModelRequest& request,
                   Done<google::protobuf::Empty> done);

  void SetModelStage(const auth::Principal& caller, const v1::SetModelStageRequest& request,
                     Done<v1::Model> done);
  void GetLineage(const auth::Principal& caller, const v1::GetLineageRequest& request,
                  Done<v1::GetLineageResponse> done);
  void ReproduceModel(const auth::Principal& caller, const v1::ReproduceModelRequest& request,
                      Done<v1::ReproduceModelResponse> done);

  absl::StatusOr<ByteSource> DownloadModel(const auth::Principal& caller,
                                           const v1::DownloadModelRequest& request);

 private:
  class Predictors;
  std::shared_ptr<Predictors> predictors_;
  ApiContext context_;
};

}  // namespace beamline::server
