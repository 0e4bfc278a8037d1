// Rows of values for predictions: JSON objects, JSON lines or CSV.
#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/struct.pb.h"

namespace beamline::cli {

// One JSON object. `place` starts the message of an error: "--row".
absl::StatusOr<google::protobuf::Struct> ParseRow(std::string_view json, std::string_view place);

// JSON lines if the first character that is no space is a brace, else CSV (RFC 4180) with a header.
// In CSV a cell that is wholly a number is one, an empty cell is missing, all else is text.
// UsageError names the line.
absl::StatusOr<std::vector<google::protobuf::Struct>> ParseRows(std::string_view text,
                                                                std::string_view place);

}  // namespace beamline::cli
