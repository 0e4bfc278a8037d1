// Calls that wait for a server which is away for a moment, as it may be just when a run has ended.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/invocation.h"

namespace beamline::cli {

inline constexpr int64_t kFirstDelayMs = 200;
inline constexpr int64_t kGiveUpAfterMs = 600'000;

// Calls until the server answers, for ten minutes or until Ctrl-C.
template <class Method>
absl::StatusOr<typename Method::Response> CallPatiently(Invocation& invocation,
                                                        const Method& method,
                                                        const typename Method::Request& request) {
  const int64_t give_up_ms = invocation.clock().MonotonicMillis() + kGiveUpAfterMs;
  while (true) {
    auto response = invocation.Call(method, request);
    if (!absl::IsUnavailable(response.status()) ||
        invocation.clock().MonotonicMillis() > give_up_ms || WaitUnlessInterrupted(kFirstDelayMs)) {
      return response;
    }
  }
}

}  // namespace beamline::cli
