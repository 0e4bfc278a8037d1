// v1.DatasetService without the wire.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "auth/principal.h"
#include "beamline/v1/dataset.pb.h"
#include "google/protobuf/empty.pb.h"
#include "server/api/byte_stream.h"
#include "server/api/context.h"
#include "server/api/done.h"

namespace beamline::server {

class BusyUploads;

// See v1.DatasetService for what each call does and fails with. Thread-safe.
class DatasetApi {
 public:
  explicit DatasetApi(ApiContext context);
  ~DatasetApi();

  void BeginUpload(const auth::Principal& caller, const v1::BeginUploadRequest& request,
                   Done<v1::BeginUploadResponse> done);
  void GetUpload(const auth::Principal& caller, const v1::GetUploadRequest& request,
                 Done<v1::Upload> done);
  void FinishUpload(const auth::Principal& caller, const v1::FinishUploadRequest& request,
                    Done<v1::Dataset> done);
  void GetDataset(const auth::Principal& caller, const v1::GetDatasetRequest& request,
                  Done<v1::Dataset> done);
  void ListDatasets(const auth::Principal& caller, const v1::ListDatasetsRequest& request,
                    Done<v1::ListDatasetsResponse> done);
  void DeleteDataset(const auth::Principal& caller, const v1::DeleteDatasetRequest& request,
                     Done<google::protobuf::Empty> done);
  // These two end early, with Cancelled, once nobody waits any more.
  void ComputeHistogram(const auth::Principal& caller, const v1::ComputeHistogramRequest& request,
                        Waiting waiting, Done<v1::ComputeHistogramResponse> done);
  void ComputeCorrelation(const auth::Principal& caller,
                          const v1::ComputeCorrelationRequest& request, Waiting waiting,
                          Done<v1::ComputeCorrelationResponse> done);

  // Begins a WriteUpload stream with the `upload` of its first message; every message's offset and
  // data, also the first's, then go to Write. Aborted if another stream writes the same upload.
  absl::StatusOr<std::unique_ptr<UploadSink>> WriteUpload(const auth::Principal& caller,
                                                          const v1::WriteUploadRequest& first);
  absl::StatusOr<ByteSource> DownloadDataset(const auth::Principal& caller,
                                             const v1::DownloadDatasetRequest& request);

 private:
  std::shared_ptr<BusyUploads> busy_;
  ApiContext context_;
};

}  // namespace beamline::server
