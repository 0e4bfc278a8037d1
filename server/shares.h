// The queue, and who holds what and is owed what. All within a command of the coordinator.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "auth/principal.h"
#include "beamline/v1/cluster.pb.h"
#include "server/transaction.h"

namespace beamline::server {

// At most `size` entries, of tasks that the caller may see; of `project` alone if it is not empty.
absl::StatusOr<v1::ListQueueResponse> ListQueue(Transaction& transaction,
                                                const auth::Principal& caller,
                                                const std::string& project, int64_t size);

absl::StatusOr<v1::ListSharesResponse> ListShares(Transaction& transaction,
                                                  const auth::Principal& caller);

}  // namespace beamline::server
