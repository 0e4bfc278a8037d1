// A user's file into a dataset: pipeline/ingest with messages on both sides.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "beamline/v1/dataset.pb.h"

namespace beamline::pipeline {

// OK if this version can read files so. InvalidArgument names the field; Unimplemented a format
// that is not built yet.
absl::Status CheckImportOptions(const v1::ImportOptions& options);

// Reads the file `input`, which the user calls `display_name`, and writes the columnar table to
// `output`. Returns row_count, columns with statistics, and `options`; the caller fills in the
// rest. `max_bytes`: of the file when decompressed. `files`: of how many the input consists.
// Fails as Ingest does (pipeline/ingest/ingest.h), or as CheckImportOptions.
absl::StatusOr<v1::Dataset> ImportFile(const std::string& input, std::string_view display_name,
                                       const v1::ImportOptions& options, int threads,
                                       int64_t max_bytes, const std::string& output, int files = 1);

}  // namespace beamline::pipeline
