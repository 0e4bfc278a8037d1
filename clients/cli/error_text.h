// What a failed call tells its user.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "beamline/v1/common.pb.h"

namespace beamline::cli {

// What is wrong with the fields of a request: from google.rpc.BadRequest among the payloads. Line
// and column are those that the description begins with, "line 3, column 7: ".
std::vector<v1::Violation> ViolationsOf(const absl::Status& status);

// "file:line:column: path: message", as compilers write it; without what is unknown. One line.
std::string ViolationLine(std::string_view file, const v1::Violation& violation);

// The message, one indented line for each violation, and what to do. Ends with a newline.
std::string ErrorText(const absl::Status& status);

// {"error": {"code": "INVALID_ARGUMENT", "message": ..., "violations": [...], "retry_after_ms": N}}
std::string ErrorJson(const absl::Status& status);

}  // namespace beamline::cli
