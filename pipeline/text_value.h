// Values as users write them, before any schema: what YAML, JSON and parameters have in common.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "google/protobuf/struct.pb.h"
#include "pipeline/violation.h"

namespace beamline::pipeline {

// A tree of what was written. A plain value type.
struct TextValue {
  enum class Kind { kNull, kScalar, kList, kMap };
  struct Entry;

  Kind kind = Kind::kNull;
  // Of a scalar, as written; `quoted` tells "12" from 12.
  std::string text;
  bool quoted = false;
  std::vector<TextValue> list;
  // In the order of the text; keys may be there twice.
  std::vector<Entry> map;
  Position position;

  // "a list", "text", ... for messages.
  std::string_view KindName() const;
};
struct TextValue::Entry {
  std::string key;
  Position position;
  TextValue value;
};

// Reads one YAML (or JSON) document, within the limits of yaml.h. False, with the reason in
// `violations`, if the text is not UTF-8, not YAML, too large, too deep, or more than one document.
bool ReadYaml(std::string_view text, TextValue* value, Violations* violations);

// A value of a request; numbers become their shortest text.
TextValue FromProto(const google::protobuf::Value& value);

// The other way, by YAML's core schema: plain null, booleans and numbers, everything else text.
google::protobuf::Value ToProto(const TextValue& value);

// In one line, for messages: scalars as they are, others as JSON.
std::string ValueText(const google::protobuf::Value& value);

// The shortest decimal that reads back as the same number: "0.1", "1000000", "1e-05".
std::string NumberText(double number);

}  // namespace beamline::pipeline
