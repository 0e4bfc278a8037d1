// How API classes answer.
#pragma once

#include <functional>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"

namespace beamline::server {

// Called exactly once, on any thread, also before the call that was given it returns. It must not
// block. Details of an error travel as payloads of the status: the key is a type URL such as
// "type.googleapis.com/google.rpc.BadRequest", the value the serialised message.
template <typename Response>
using Done = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

// Whether somebody still waits for the answer of a long call. Thread-safe; may be called until the
// answer is given.
using Waiting = std::function<bool()>;

}  // namespace beamline::server
