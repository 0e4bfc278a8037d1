// The audit: a chain of entries to which is only added, see v1.AuditService.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "beamline/v1/audit.pb.h"
#include "store/store.h"

namespace beamline::store {

// Where the chain ends.
struct AuditHead {
  // 0: there is no entry.
  int64_t sequence = 0;
  std::string hash;
};

// Which entries a list has.
struct AuditFilter {
  // A bare id. Empty: all.
  std::string project = {};
  // "users/U" or "workers/W". Empty: all.
  std::string principal = {};
  // Not those before.
  absl::Time since = absl::InfinitePast();
};

// P of "projects/P" or "projects/P/..."; empty for what belongs to no project.
std::string_view ProjectOfResource(std::string_view resource);

// Appends `entry`, whose sequence is given here; `count` 0 becomes 1.
absl::Status AppendAudit(Writer& writer, v1::AuditEntry entry);

absl::StatusOr<AuditHead> GetAuditHead(const View& view);

// At most `limit` entries before sequence `before`, newest first.
absl::StatusOr<std::vector<v1::AuditEntry>> ListAudit(const View& view, const AuditFilter& filter,
                                                      int64_t before, int64_t limit);
// At most `limit` links after sequence `after`, oldest first. They end before an entry that is not
// found in lists as what it is; DataLoss, naming it, if that is the first.
absl::StatusOr<std::vector<v1::AuditLink>> ReadAuditChain(const View& view, int64_t after,
                                                          int64_t limit);

// Walks the whole chain of the database at `path`, which a server may have open, and returns its
// end. DataLoss, naming the first entry that is wrong, if anything was changed, taken out or put
// in, if the end was cut off, or if no entry has the hash `known` (unless that is empty).
// NotFound if there is no database; FailedPrecondition if it is of a version before the chain.
absl::StatusOr<AuditHead> CheckAudit(const std::string& path, std::string_view known);

// The step of the migration to schema 5 that SQL cannot do. Private to this folder.
absl::Status ChainOldAudit(Connection& connection);

}  // namespace beamline::store
