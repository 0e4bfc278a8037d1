// What a project may keep and hold.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "beamline/v1/project.pb.h"
#include "scheduler/events.h"
#include "server/api/context.h"
#include "server/transaction.h"
#include "store/store.h"

namespace beamline::server {

// OK if `project` may keep `more_bytes` besides what it keeps already. ResourceExhausted with
// google.rpc.RetryInfo otherwise; NotFound if there is no such project.
absl::Status CheckStorage(const store::View& view, std::string_view project, int64_t more_bytes,
                          const Limits& limits);

// The project's weight, guarantee and caps as the scheduler is to know them.
scheduler::QuotaChanged QuotaEvent(const v1::Project& project);

// Tells the scheduler the quotas of all projects that have one.
absl::Status RestoreQuotas(Transaction& transaction);

}  // namespace beamline::server
