// The one place where absl::Status becomes grpc::Status.
#pragma once

#include <string_view>

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace beamline::server::rpc {

// Code and message as they are; payloads whose keys are "type.googleapis.com/..." become the
// google.rpc.Status details of the wire, in the order of their keys. INTERNAL and UNKNOWN are our
// mistakes: the client gets an id instead of the message, and the log has both.
//
// Logs one line per failure, with `method`, `caller` and `peer`; pass nothing secret.
grpc::Status ToGrpc(const absl::Status& status, std::string_view method, std::string_view caller,
                    std::string_view peer);

}  // namespace beamline::server::rpc
