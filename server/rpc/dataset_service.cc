#include "beamline/v1/dataset.grpc.pb.h"
#include "server/api/dataset_api.h"
#include "server/rpc/services.h"
#include "server/rpc/streams.h"
#include "server/rpc/unary.h"

namespace beamline::server::rpc {
namespace {

class DatasetService : public v1::DatasetService::CallbackService {
 public:
  DatasetService(Gate& gate, DatasetApi& api, WorkPool& pool)
      : gate_(gate), api_(api), pool_(pool) {}

  BEAMLINE_UNARY(DatasetService, BeginUpload, v1::BeginUploadRequest, v1::BeginUploadResponse)
  BEAMLINE_UNARY(DatasetService, GetUpload, v1::GetUploadRequest, v1::Upload)
  BEAMLINE_HEAVY_UNARY(DatasetService, FinishUpload, v1::FinishUploadRequest, v1::Dataset)
  BEAMLINE_UNARY(DatasetService, GetDataset, v1::GetDatasetRequest, v1::Dataset)
  BEAMLINE_UNARY(DatasetService, ListDatasets, v1::ListDatasetsRequest, v1::ListDatasetsResponse)
  BEAMLINE_UNARY(DatasetService, DeleteDataset, v1::DeleteDatasetRequest, google::protobuf::Empty)
  BEAMLINE_LONG_UNARY(DatasetService, ComputeHistogram, v1::ComputeHistogramRequest,
                      v1::ComputeHistogramResponse)
  BEAMLINE_LONG_UNARY(DatasetService, ComputeCorrelation, v1::ComputeCorrelationRequest,
                      v1::ComputeCorrelationResponse)

  grpc::ServerReadReactor<v1::WriteUploadRequest>* WriteUpload(grpc::CallbackServerContext* context,
                                                               v1::Upload* response) override {
    return std::make_unique<Intake<v1::WriteUploadRequest, v1::Upload>>(
               gate_, context, pool_, "/beamline.v1.DatasetService/WriteUpload",
               [this](const auth::Principal& caller, const v1::WriteUploadRequest& first) {
                 return api_.WriteUpload(caller, first);
               },
               [](const v1::WriteUploadRequest& message) { return message.offset(); }, response)
        .release();
  }
  grpc::ServerWriteReactor<v1::DownloadDatasetResponse>* DownloadDataset(
      grpc::CallbackServerContext* context, const v1::DownloadDatasetRequest* request) override {
    return StartDownload<v1::DownloadDatasetResponse>(
        gate_, context, pool_, "/beamline.v1.DatasetService/DownloadDataset", request,
        [&](const auth::Principal& caller) { return api_.DownloadDataset(caller, *request); });
  }

 private:
  Gate& gate_;
  DatasetApi& api_;
  WorkPool& pool_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeDatasetService(Gate& gate, DatasetApi& api, WorkPool& pool) {
  return std::make_unique<DatasetService>(gate, api, pool);
}

}  // namespace beamline::server::rpc
