// Messages as JSON, with the field names of the protos (snake_case).
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "google/protobuf/message.h"
#include "google/protobuf/struct.pb.h"

namespace beamline::cli {

// One line, without its end. Fields that have no value are left out.
std::string JsonLine(const google::protobuf::Message& message);

// Indented, ends with a newline.
std::string PrettyJson(const google::protobuf::Message& message);

// InvalidArgument, in the parser's words. Unknown fields are errors.
absl::Status ParseJson(std::string_view json, google::protobuf::Message* message);

// What "--set rate=0.01" means: JSON if it is a number, true, false, null, a list, an object or
// quoted text, else the text itself.
google::protobuf::Value ValueOf(std::string_view text);

// "RUN_STATE_SUCCEEDED" -> "succeeded": without the prefix that `prefix` names ("RUN_STATE_"),
// lower case, blanks for underscores.
std::string EnumWord(std::string_view name, std::string_view prefix);

}  // namespace beamline::cli
