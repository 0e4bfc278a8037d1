#include "clients/cli/connection.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "clients/cli/interrupt.h"
#include "google/rpc/status.pb.h"

namespace beamline::cli {
namespace {

// How long a wait may ignore an interrupt.
constexpr int64_t kInterruptPollMs = 50;
// Answers hold whole definitions, curves and statistics; more than this is refused.
constexpr int kMaxMessageBytes = 64 << 20;

gpr_timespec After(int64_t milliseconds) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_millis(milliseconds, GPR_TIMESPAN));
}

// Whether gRPC itself speaks, because no connection could be made or it was cut, rather than the
// server.
bool FromTransport(const std::string& message) {
  for (const char* words : {"failed to connect", "Socket closed", "onnection reset", "DNS",
                            "GOAWAY", "Broken pipe", "andshake", "keepalive", "empty address"}) {
    if (absl::StrContains(message, words)) return true;
  }
  return false;
}

absl::Status FromGrpc(const grpc::Status& status, const std::string& address) {
  if (status.ok()) return absl::OkStatus();
  // The codes are numerically equal.
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  if (code == absl::StatusCode::kUnavailable && FromTransport(status.error_message())) {
    return absl::UnavailableError(absl::StrFormat(
        "cannot reach the server at %s: %s; start one on this machine with \"beamline dev\", or "
        "check the address in the context",
        address, status.error_message()));
  }
  if (code == absl::StatusCode::kDeadlineExceeded) {
    return absl::DeadlineExceededError(
        absl::StrFormat("the server at %s did not answer in time; try again", address));
  }
  absl::Status result(code, status.error_message());
  google::rpc::Status details;
  if (details.ParseFromString(status.error_details())) {
    for (const auto& any : details.details()) {
      result.SetPayload(any.type_url(), absl::Cord(any.value()));
    }
  }
  return result;
}

grpc::ByteBuffer Serialized(const google::protobuf::Message& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

class GrpcStream : public Stream {
 public:
  // `timeout_ms`: 0 for none.
  GrpcStream(grpc::GenericStub& stub, const char* path, const std::string& token,
             const std::string& address, int64_t timeout_ms)
      : address_(address) {
    if (!token.empty()) context_.AddMetadata("authorization", "Bearer " + token);
    if (timeout_ms > 0) context_.set_deadline(After(timeout_ms));
    call_ = stub.PrepareCall(&context_, path, &queue_);
    call_->StartCall(this);
    // A call that could not start tells why when it is finished.
    Wait();
  }

  ~GrpcStream() override {
    if (!finished_) {
      context_.TryCancel();
      Finish().IgnoreError();
    }
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  bool Write(const google::protobuf::Message& message) override {
    call_->Write(Serialized(message), this);
    return Wait();
  }

  bool WritesDone() override {
    call_->WritesDone(this);
    return Wait();
  }

  bool Read(google::protobuf::Message* message) override {
    grpc::ByteBuffer buffer;
    call_->Read(&buffer, this);
    if (!Wait()) return false;
    grpc::ProtoBufferReader reader(&buffer);
    if (reader.status().ok() && message->ParseFromZeroCopyStream(&reader)) return true;
    malformed_ = true;
    context_.TryCancel();
    return false;
  }

  absl::Status Finish() override {
    grpc::Status status;
    call_->Finish(&status, this);
    Wait();
    finished_ = true;
    if (malformed_) {
      return absl::InternalError("the server's answer cannot be read; is it of another version?");
    }
    // What was answered in spite of it has happened.
    if (interrupted_ && !status.ok()) return InterruptedError();
    return FromGrpc(status, address_);
  }

 private:
  // For the operation that was begun; true if it succeeded. Exactly one is pending at any time.
  bool Wait() {
    void* tag = nullptr;
    bool ok = false;
    do {
      if (InterruptCount() > 0 && !interrupted_) {
        interrupted_ = true;
        context_.TryCancel();
      }
    } while (queue_.AsyncNext(&tag, &ok, After(kInterruptPollMs)) ==
             grpc::CompletionQueue::TIMEOUT);
    return ok;
  }

  const std::string address_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  bool interrupted_ = false;
  bool malformed_ = false;
  bool finished_ = false;
};

class GrpcConnection : public Connection {
 public:
  GrpcConnection(const std::shared_ptr<grpc::Channel>& channel, Context context)
      : context_(std::move(context)), stub_(channel) {}

  absl::Status CallRaw(const char* path, const google::protobuf::Message& request,
                       google::protobuf::Message* response, int64_t timeout_ms) override {
    GrpcStream stream(stub_, path, context_.token, context_.server, timeout_ms);
    if (stream.Write(request) && stream.WritesDone()) stream.Read(response);
    return stream.Finish();
  }

  std::unique_ptr<Stream> Open(const char* path) override {
    return std::make_unique<GrpcStream>(stub_, path, context_.token, context_.server, 0);
  }

 private:
  const Context context_;
  grpc::GenericStub stub_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Connection>> Connect(const Context& context) {
  if (!absl::StrContains(context.server, ':')) {
    return absl::InvalidArgumentError(
        absl::StrFormat("\"%s\" has no port; give the server as HOST:PORT, such as %s:7447",
                        context.server, context.server));
  }
  grpc::SslCredentialsOptions options;
  if (!context.ca.empty()) {
    absl::StatusOr<std::string> authority = ReadFile(context.ca, 1 << 20);
    if (!authority.ok()) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "cannot read the certificate authority's file: %s", S(authority.status().message())));
    }
    options.pem_root_certs = *std::move(authority);
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetUserAgentPrefix("beamline-cli");
  // Notices a server that vanished without a word while a stream is silent. gRPC servers refuse
  // pings that come more often than every five minutes.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 320'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  return std::make_unique<GrpcConnection>(
      grpc::CreateCustomChannel(context.server, grpc::SslCredentials(options), arguments), context);
}

std::string GrpcVersion() { return grpc::Version(); }

}  // namespace beamline::cli
