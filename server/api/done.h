// How API classes answer.
#pragma once

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"

namespace beamline::server {

// Called exactly once, on any thread, also before the call that was given it returns. It must not
// block. Details of an error travel as payloads of the status: the key is a type URL such as
// "type.googleapis.com/google.rpc.BadRequest", the value the serialised message.
template <typename Response>
using Done = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

}  // namespace beamline::server
