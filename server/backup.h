// Backups of a server's state folder: a folder of the same form, from which a server can start.
#pragma once

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace beamline::server {

// A file that backups have and state folders have not: a server that starts on a backup removes it,
// and then no later backup overwrites what the server did.
inline constexpr char kBackupMark[] = "/backup";

struct CopyReport {
  int64_t blobs = 0;
  // Of these, those that had to be copied.
  int64_t copied = 0;
  int64_t copied_bytes = 0;
};

// Called before each blob that is copied: how many are done, of how many.
using CopyProgress = absl::FunctionRef<void(int64_t done, int64_t all)>;

// Writes a backup of the state folder `state`, which a server may use meanwhile, to `to`. Blobs
// that an earlier backup has left there are not copied again. Until the last step `to` holds the
// earlier backup; killed at any point, the next call goes on. Every blob is checked against its
// digest. DataLoss: one is damaged, and the backup is not made. FailedPrecondition: `to` is in use,
// or is a state folder.
absl::StatusOr<CopyReport> Backup(const std::string& state, const std::string& to,
                                  CopyProgress progress);

// Makes a state folder from a backup, checking everything. FailedPrecondition: `state` has a
// database already. DataLoss: the backup is damaged; nothing can be started from `state` then.
absl::StatusOr<CopyReport> Restore(const std::string& from, const std::string& state,
                                   CopyProgress progress);

}  // namespace beamline::server
