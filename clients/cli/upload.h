// Files on their way to the server.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "beamline/v1/dataset.pb.h"
#include "clients/cli/invocation.h"

namespace beamline::cli {

// What to upload, and as what.
struct FileUpload {
  // At least one. Several are sent one after the other as the bytes of one dataset: IDX or NPY
  // files, each an array that becomes a column.
  std::vector<std::string> paths;
  // Default: the last part of the first path, and how many more there are.
  std::string display_name;
  v1::ImportOptions options;
};

// Uploads the files unless the project has a dataset of the same bytes and options, and returns the
// dataset. Goes on where an earlier upload was cut off, and tries again while the server is away,
// for a minute. Shows a bar on a terminal.
// InvalidArgument: a file cannot be read (here or by the server; the message names row and
// column), or several make no dataset together. Cancelled after an interrupt: the next upload of
// the file goes on from there.
absl::StatusOr<v1::Dataset> UploadFile(Invocation& invocation, const FileUpload& file);

}  // namespace beamline::cli
