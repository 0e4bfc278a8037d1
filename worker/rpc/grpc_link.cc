#include "worker/rpc/grpc_link.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "beamline/v1/worker.grpc.pb.h"

namespace beamline::worker::rpc {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;
constexpr int64_t kChunkBytes = 512 << 10;
constexpr int64_t kReportMillis = 30'000;

// The codes are numerically equal.
absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
}

void SetDeadline(grpc::ClientContext& context, int64_t timeout_ms) {
  context.set_deadline(
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(timeout_ms, GPR_TIMESPAN)));
}

// What one call needs until its end.
template <class Stub, class Request, class Response>
struct Call {
  // First: what else is here is gone before it.
  std::shared_ptr<Stub> stub;
  grpc::ClientContext context;
  Request request;
  Response response;
  Done<Response> done;
};

}  // namespace

struct GrpcLink::Stub {
  std::unique_ptr<v1::WorkerService::Stub> service;
};

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address,
                                           const Credentials& credentials) {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = credentials.authority;
  tls.pem_private_key = credentials.key;
  tls.pem_cert_chain = credentials.certificate;
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  // Finds out about a server whose machine has vanished.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  return grpc::CreateCustomChannel(address, grpc::SslCredentials(tls), arguments);
}

absl::StatusOr<v1::JoinResponse> Join(const std::shared_ptr<grpc::Channel>& channel,
                                      const v1::JoinRequest& request) {
  const auto stub = v1::WorkerService::NewStub(channel);
  grpc::ClientContext context;
  SetDeadline(context, 30'000);
  v1::JoinResponse response;
  const grpc::Status status = stub->Join(&context, request, &response);
  if (!status.ok()) return FromGrpc(status);
  return response;
}

GrpcLink::GrpcLink(std::shared_ptr<grpc::Channel> channel) { Use(std::move(channel)); }

GrpcLink::~GrpcLink() { CancelAll(); }

void GrpcLink::Use(std::shared_ptr<grpc::Channel> channel) {
  auto stub = std::make_shared<Stub>(Stub{v1::WorkerService::NewStub(std::move(channel))});
  std::lock_guard lock(mutex_);
  std::erase_if(stubs_, [](const std::shared_ptr<Stub>& old) { return old.use_count() == 1; });
  stubs_.push_back(std::move(stub));
}

std::shared_ptr<GrpcLink::Stub> GrpcLink::Current() {
  std::lock_guard lock(mutex_);
  return stubs_.back();
}

void GrpcLink::CancelAll() {
  std::unique_lock lock(mutex_);
  for (grpc::ClientContext* context : contexts_) context->TryCancel();
  ended_.wait(lock, [&] { return calls_ == 0; });
}

void GrpcLink::Begin(grpc::ClientContext* context, bool is_synchronize) {
  std::lock_guard lock(mutex_);
  contexts_.insert(context);
  if (is_synchronize) synchronize_ = context;
  ++calls_;
}

void GrpcLink::Retire(grpc::ClientContext* context) {
  std::lock_guard lock(mutex_);
  if (synchronize_ == context) synchronize_ = nullptr;
  contexts_.erase(context);
}

void GrpcLink::End() {
  std::lock_guard lock(mutex_);
  --calls_;
  ended_.notify_all();
}

template <class Pending>
void GrpcLink::Answer(std::shared_ptr<Pending> call, const grpc::Status& status) {
  Retire(&call->context);
  if (status.ok()) {
    call->done(std::move(call->response));
  } else {
    call->done(FromGrpc(status));
  }
  // Before End: the context shares the channel, and a channel must not die on gRPC's own thread,
  // for which it would wait.
  call.reset();
  End();
}

template <class Request, class Response, class Start>
void GrpcLink::Send(const Request& request, int64_t timeout_ms, Done<Response> done, Start start,
                    bool is_synchronize) {
  auto call = std::make_shared<Call<Stub, Request, Response>>();
  call->stub = Current();
  call->request = request;
  call->done = std::move(done);
  SetDeadline(call->context, timeout_ms);
  Begin(&call->context, is_synchronize);
  auto& [stub, context, sent, response, unused] = *call;
  start(*stub->service->async(), &context, &sent, &response,
        [this, call = std::move(call)](const grpc::Status& status) mutable {
          Answer(std::move(call), status);
        });
}

void GrpcLink::Synchronize(const v1::SynchronizeRequest& request, int64_t timeout_ms,
                           Done<v1::SynchronizeResponse> done) {
  Send(
      request, timeout_ms, std::move(done),
      [](auto& service, auto* context, auto* sent, auto* response, auto answer) {
        service.Synchronize(context, sent, response, std::move(answer));
      },
      /*is_synchronize=*/true);
}

void GrpcLink::CancelSynchronize() {
  std::lock_guard lock(mutex_);
  if (synchronize_ != nullptr) synchronize_->TryCancel();
}

void GrpcLink::ReportAttempt(const v1::ReportAttemptRequest& request,
                             Done<v1::ReportAttemptResponse> done) {
  Send(request, kReportMillis, std::move(done),
       [](auto& service, auto* context, auto* sent, auto* response, auto answer) {
         service.ReportAttempt(context, sent, response, std::move(answer));
       });
}

void GrpcLink::RenewCertificate(const v1::RenewCertificateRequest& request,
                                Done<v1::RenewCertificateResponse> done) {
  Send(request, kReportMillis, std::move(done),
       [](auto& service, auto* context, auto* sent, auto* response, auto answer) {
         service.RenewCertificate(context, sent, response, std::move(answer));
       });
}

absl::Status GrpcLink::ReadBlob(const AttemptId& attempt, const std::string& digest, int64_t offset,
                                const Sink& sink, Cancellation& cancellation) {
  v1::ReadBlobRequest request;
  request.set_digest(digest);
  request.set_offset(offset);
  request.set_task(attempt.task);
  request.set_number(attempt.number);
  absl::Status sink_status;
  absl::Status status;
  {
    const std::shared_ptr<Stub> stub = Current();
    grpc::ClientContext context;
    Begin(&context);
    const Cancellation::Hook hook(cancellation, [&context] { context.TryCancel(); });
    const auto reader = stub->service->ReadBlob(&context, request);
    v1::ReadBlobResponse response;
    while (sink_status.ok() && reader->Read(&response)) {
      sink_status = sink(response.data());
    }
    if (!sink_status.ok()) context.TryCancel();
    status = FromGrpc(reader->Finish());
    Retire(&context);
  }
  End();
  return sink_status.ok() ? status : sink_status;
}

absl::Status GrpcLink::WriteBlob(const AttemptId& attempt, const v1::Blob& blob, int fd,
                                 Cancellation& cancellation) {
  absl::Status read_status;
  absl::Status status;
  {
    const std::shared_ptr<Stub> stub = Current();
    grpc::ClientContext context;
    Begin(&context);
    const Cancellation::Hook hook(cancellation, [&context] { context.TryCancel(); });
    v1::WriteBlobResponse response;
    const auto writer = stub->service->WriteBlob(&context, &response);
    v1::WriteBlobRequest request;
    *request.mutable_blob() = blob;
    request.set_task(attempt.task);
    request.set_number(attempt.number);
    int64_t offset = 0;
    do {
      std::string& data = *request.mutable_data();
      data.resize(static_cast<size_t>(std::min(kChunkBytes, blob.size_bytes() - offset)));
      const ssize_t got = pread(fd, data.data(), data.size(), offset);
      if (got < 0 || (got == 0 && !data.empty())) {
        read_status = absl::InternalError(absl::StrCat(
            "cannot read the file to upload: ", got < 0 ? std::strerror(errno) : "too short"));
        context.TryCancel();
        break;
      }
      data.resize(static_cast<size_t>(got));
      offset += got;
      // Refused or already there: Finish tells which.
      if (!writer->Write(request)) break;
      request.Clear();
    } while (offset < blob.size_bytes());
    writer->WritesDone();
    status = FromGrpc(writer->Finish());
    Retire(&context);
  }
  End();
  return read_status.ok() ? status : read_status;
}

}  // namespace beamline::worker::rpc
