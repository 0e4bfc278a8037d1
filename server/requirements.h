// Whether a run may be accepted now.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "beamline/v1/run.pb.h"
#include "server/api/context.h"
#include "server/transaction.h"

namespace beamline::server {

// What can only be known while nobody else changes anything: the project has room for one more run
// and may run the programs that it has, the datasets and models are there, and what each step asks
// for is not more than the project's quota allows or than some worker that has joined could ever
// give. ResourceExhausted with google.rpc.RetryInfo; FailedPrecondition; NotFound; InvalidArgument
// with the fields and the most that is possible.
absl::Status CheckAcceptable(Transaction& transaction, const std::string& project,
                             const v1::Run& run, const Limits& limits);

}  // namespace beamline::server
