// What a project may keep.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "server/api/context.h"
#include "store/store.h"

namespace beamline::server {

// OK if `project` may keep `more_bytes` besides what it keeps already. ResourceExhausted with
// google.rpc.RetryInfo otherwise; NotFound if there is no such project.
absl::Status CheckStorage(const store::View& view, std::string_view project, int64_t more_bytes,
                          const Limits& limits);

}  // namespace beamline::server
