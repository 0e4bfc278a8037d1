// v1.WorkerService without the wire.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "auth/principal.h"
#include "beamline/v1/worker.pb.h"
#include "server/api/byte_stream.h"
#include "server/api/context.h"
#include "server/api/done.h"
#include "store/workers.h"

namespace beamline::server {

// See v1.WorkerService for what each call does and fails with. Thread-safe.
class WorkerApi {
 public:
  explicit WorkerApi(ApiContext context);
  ~WorkerApi();

  void Join(const auth::Principal& caller, const v1::JoinRequest& request,
            Done<v1::JoinResponse> done);
  void RenewCertificate(const auth::Principal& caller, const v1::RenewCertificateRequest& request,
                        Done<v1::RenewCertificateResponse> done);
  void Synchronize(const auth::Principal& caller, const v1::SynchronizeRequest& request,
                   Done<v1::SynchronizeResponse> done);
  void ReportAttempt(const auth::Principal& caller, const v1::ReportAttemptRequest& request,
                     Done<v1::ReportAttemptResponse> done);

  absl::StatusOr<ByteSource> ReadBlob(const auth::Principal& caller,
                                      const v1::ReadBlobRequest& request);
  // Begins a WriteBlob stream with what its first message says of the blob and the attempt; every
  // message's data, also the first's, then go to Write. Null if the blob is there already: nothing
  // need be received, and the answer is an empty WriteBlobResponse.
  absl::StatusOr<std::unique_ptr<BlobSink>> WriteBlob(const auth::Principal& caller,
                                                      const v1::WriteBlobRequest& first);

 private:
  // A worker that may be let in.
  struct Joining {
    // Id of the join token that it spends.
    std::string token;
    store::StoredWorker worker;
    v1::JoinResponse response;
  };
  absl::StatusOr<Joining> Examine(const v1::JoinRequest& request);

  ApiContext context_;
};

}  // namespace beamline::server
