// What workers report about their attempts.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "beamline/v1/worker.pb.h"
#include "server/transaction.h"

namespace beamline::server {

// OK if the request is well-formed: reports numbered without gaps, of kinds that a worker may
// report, at most one result, which comes last. InvalidArgument otherwise.
absl::Status CheckReports(const v1::ReportAttemptRequest& request);

// Takes in the reports that are new: their events get the run's next sequence numbers, a result
// ends the attempt. Returns the number up to which all are durable after the commit.
// NotFound if the attempt is not, or not any more, held by `worker` ("workers/W").
absl::StatusOr<int64_t> TakeReports(Transaction& transaction, std::string_view worker,
                                    const v1::ReportAttemptRequest& request);

}  // namespace beamline::server
