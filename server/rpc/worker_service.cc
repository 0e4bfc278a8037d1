#include "beamline/v1/worker.grpc.pb.h"
#include "server/api/worker_api.h"
#include "server/rpc/services.h"
#include "server/rpc/streams.h"
#include "server/rpc/unary.h"

namespace beamline::server::rpc {
namespace {

class WorkerService : public v1::WorkerService::CallbackService {
 public:
  WorkerService(Gate& gate, WorkerApi& api, WorkPool& pool) : gate_(gate), api_(api), pool_(pool) {}

  BEAMLINE_UNARY(WorkerService, Join, v1::JoinRequest, v1::JoinResponse)
  BEAMLINE_UNARY(WorkerService, RenewCertificate, v1::RenewCertificateRequest,
                 v1::RenewCertificateResponse)
  BEAMLINE_UNARY(WorkerService, Synchronize, v1::SynchronizeRequest, v1::SynchronizeResponse)
  BEAMLINE_UNARY(WorkerService, ReportAttempt, v1::ReportAttemptRequest, v1::ReportAttemptResponse)

  grpc::ServerWriteReactor<v1::ReadBlobResponse>* ReadBlob(
      grpc::CallbackServerContext* context, const v1::ReadBlobRequest* request) override {
    return StartDownload<v1::ReadBlobResponse>(
        gate_, context, pool_, "/beamline.v1.WorkerService/ReadBlob", request,
        [&](const auth::Principal& caller) { return api_.ReadBlob(caller, *request); });
  }
  grpc::ServerReadReactor<v1::WriteBlobRequest>* WriteBlob(
      grpc::CallbackServerContext* context, v1::WriteBlobResponse* response) override {
    return std::make_unique<Intake<v1::WriteBlobRequest, v1::WriteBlobResponse>>(
               gate_, context, pool_, "/beamline.v1.WorkerService/WriteBlob",
               [this](const auth::Principal& caller, const v1::WriteBlobRequest& first) {
                 return api_.WriteBlob(caller, first);
               },
               [](const v1::WriteBlobRequest&) { return int64_t{0}; }, response)
        .release();
  }

 private:
  Gate& gate_;
  WorkerApi& api_;
  WorkPool& pool_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeWorkerService(Gate& gate, WorkerApi& api, WorkPool& pool) {
  return std::make_unique<WorkerService>(gate, api, pool);
}

}  // namespace beamline::server::rpc
