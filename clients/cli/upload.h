// Files on their way to the server.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "beamline/v1/dataset.pb.h"
#include "clients/cli/invocation.h"

namespace beamline::cli {

// What to upload, and as what.
struct FileUpload {
  std::string path;
  // Default: the last part of the path.
  std::string display_name;
  v1::ImportOptions options;
};

// Uploads the file unless the project has a dataset of the same bytes and options, and returns the
// dataset. Goes on where an earlier upload was cut off, and tries again while the server is away,
// for a minute. Shows a bar on a terminal.
// InvalidArgument: the file cannot be read (here or by the server; the message names row and
// column). Cancelled after an interrupt: the next upload of the file goes on from there.
absl::StatusOr<v1::Dataset> UploadFile(Invocation& invocation, const FileUpload& file);

}  // namespace beamline::cli
