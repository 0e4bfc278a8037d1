// Definitions as text: YAML, or JSON, which is read by the same rules.
//
// The text has exactly the fields of v1.PipelineDefinition, by these rules:
//   enum values    lower case without their prefix: "relu" for ACTIVATION_RELU
//   *_bytes        a number of bytes, or with a unit: "512 MiB", "2 GB"
//   *_seconds      a number of seconds, or with a unit: "90 s", "10 min", "1.5 h", "2 d"
//   maps           a mapping by key
//   no fields      an empty mapping, or nothing at all: "standardize: {}", "standardize:"
//   steps          "kind" is chosen by the field that is there: "train:", "evaluate:", ...
#pragma once

#include <string>
#include <string_view>

#include "beamline/v1/pipeline.pb.h"
#include "pipeline/violation.h"

namespace beamline::pipeline {

// Larger texts are refused. Unit: bytes.
inline constexpr size_t kMaxDefinitionBytes = size_t{1} << 20;
// Deeper nesting is refused.
inline constexpr int kMaxDefinitionDepth = 64;
// More nodes (values, keys, aliases counted at each use) are refused.
inline constexpr int kMaxDefinitionNodes = 200'000;

struct ParsedDefinition {
  // As far as it could be understood: complete only if `violations` is empty.
  v1::PipelineDefinition definition;
  // Every error in the text, in its order: syntax (then nothing else), unknown fields with the
  // nearest known one, wrong types, values out of an enum, duplicate keys, two kinds of one choice.
  std::vector<v1::Violation> violations;
  // For violations that are found later, by Validate.
  Positions positions;
};

// Never throws. Thread-safe.
ParsedDefinition ParseDefinition(std::string_view text);

// The definition as YAML that ParseDefinition reads back to the same message. Fields in the order
// of the schema; defaults left out. The same text for equal messages.
std::string WriteYaml(const v1::PipelineDefinition& definition);

}  // namespace beamline::pipeline
