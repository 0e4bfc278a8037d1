// Copies of the database, made while a server uses it.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "beamline/v1/common.pb.h"

namespace beamline::store {

// Writes the database at `path`, as it was at one moment of the call, to `copy`, a file that is not
// there yet, and makes it fit to be opened elsewhere: unfinished uploads, whose files are not
// copied, are forgotten, and so are the sessions of workers, whose attempts of later than that
// moment must end. Durable when it returns; never holds up the server. NotFound if there is no
// database.
absl::Status CopyDatabase(const std::string& path, const std::string& copy);

// DataLoss, with SQLite's words, if the database is damaged; FailedPrecondition if it is another
// program's or of a newer version.
absl::Status CheckDatabase(const std::string& path);

// All blobs that anything in the database refers to, each once, by digest.
absl::StatusOr<std::vector<v1::Blob>> ReferencedBlobs(const std::string& path);

}  // namespace beamline::store
