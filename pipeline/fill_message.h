// From what was written to a message, by reflection: every field of the schema is readable by the
// same rules, and none has to be named in code. The rules are in yaml.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "google/protobuf/message.h"
#include "pipeline/text_value.h"

namespace beamline::pipeline {

// Sets `message` from a mapping (or from nothing, which leaves it empty). Adds a violation for each
// error, goes on behind it, and records in `positions` (may be null) where fields stand. `path` is
// the message's own field path; "" at the top.
void FillMessage(const TextValue& value, std::string_view path, google::protobuf::Message* message,
                 Violations* violations, Positions* positions);

// Sets one field, which must not be a map entry's. Repeated fields are replaced. The same
// otherwise.
void FillField(const TextValue& value, std::string_view path,
               const google::protobuf::FieldDescriptor& field, google::protobuf::Message* message,
               Violations* violations, Positions* positions);

// "relu" for ACTIVATION_RELU: in lower case, without the prefix of the enum's name.
std::string EnumText(const google::protobuf::EnumValueDescriptor& value);

// Names of the fields of a message, in the order of the schema.
std::vector<std::string> FieldNames(const google::protobuf::Descriptor& type);

// "a.b", or "b" if `path` is empty.
std::string JoinPath(std::string_view path, std::string_view name);

}  // namespace beamline::pipeline
