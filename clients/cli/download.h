// Bytes that come from the server as a stream, into a file.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "beamline/v1/common.pb.h"
#include "beamline/v1/dataset.pb.h"
#include "clients/cli/invocation.h"

namespace beamline::cli {

// Reads all of `stream` (begun with its request), whose messages are DownloadModelResponse or
// DownloadDatasetResponse, into `path`, atomically: on failure `path` is what it was.
// DataLoss: the bytes are not those that `blob` promises.
template <class Response>
absl::Status DownloadTo(Invocation& invocation, Stream& stream, const v1::Blob& blob,
                        const std::string& path);

// The bytes that a dataset was uploaded as, into `path`.
absl::Status DownloadDataset(Invocation& invocation, const v1::Dataset& dataset,
                             const std::string& path);

}  // namespace beamline::cli
