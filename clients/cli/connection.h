// Calls to a server: the one place of the CLI that knows gRPC.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clients/cli/config.h"
#include "clients/cli/rpc.h"
#include "google/protobuf/message.h"

namespace beamline::cli {

// One call with a stream on either side. Not thread-safe.
// All of it blocks, and ends with Cancelled after an interrupt (interrupt.h).
class Stream {
 public:
  virtual ~Stream() = default;
  // False if the call has ended; Finish() says why.
  virtual bool Write(const google::protobuf::Message& message) = 0;
  virtual bool WritesDone() = 0;
  // False at the end of the stream.
  virtual bool Read(google::protobuf::Message* message) = 0;
  // How the call ended. Call once, after Read() or Write() was false.
  virtual absl::Status Finish() = 0;
};

// Failures of all calls, beside those in the RPC's comment: Unavailable (the message names the
// address and what to do), Cancelled after an interrupt. google.rpc details become payloads of the
// status, by their type URL.
// Thread-safe.
class Connection {
 public:
  virtual ~Connection() = default;

  // `timeout_ms`: 0 waits without limit.
  template <class Method>
  absl::StatusOr<typename Method::Response> Call(const Method& method,
                                                 const typename Method::Request& request,
                                                 int64_t timeout_ms = 60'000) {
    typename Method::Response response;
    const absl::Status status = CallRaw(method.path, request, &response, timeout_ms);
    if (!status.ok()) return status;
    return response;
  }

  virtual absl::Status CallRaw(const char* path, const google::protobuf::Message& request,
                               google::protobuf::Message* response, int64_t timeout_ms) = 0;
  virtual std::unique_ptr<Stream> Open(const char* path) = 0;
};

// Opens nothing yet: the first call does. InvalidArgument: the authority's file cannot be read, or
// the address has no port.
absl::StatusOr<std::unique_ptr<Connection>> Connect(const Context& context);

// gRPC's version, for `beamline version`.
std::string GrpcVersion();

}  // namespace beamline::cli
