// Definitions on their way from a YAML file to the server.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "beamline/v1/pipeline.pb.h"
#include "clients/cli/invocation.h"

namespace beamline::cli {

// Larger texts are refused before they are sent.
inline constexpr size_t kMaxDefinitionBytes = 4 << 20;

// The text of a definition in a file. UsageError if it cannot be read or is too large;
// InvalidArgument if it is not UTF-8.
absl::StatusOr<std::string> ReadDefinition(const std::string& path);

struct CheckedDefinition {
  // As it is in the file.
  std::string yaml;
  // As the server understands it.
  v1::PipelineDefinition definition;
  google::protobuf::RepeatedPtrField<v1::StepArc> arcs;
};

// Reads the file and has the server check it: there is no second reading of definitions here.
// InvalidArgument, with every violation as "file:line:column: path: message": it has errors.
absl::StatusOr<CheckedDefinition> CheckDefinition(Invocation& invocation, const std::string& path);

// Puts the text of the files that programs name, relative to `folder`, into the definition, which
// so says all that will run. InvalidArgument names the field: no such file, larger than 1 MiB, not
// UTF-8. Returns whether there was any.
absl::StatusOr<bool> TakeProgramFiles(const std::string& folder,
                                      v1::PipelineDefinition* definition);

// The definition as it is sent: the text, of which the server can say where errors stand; the
// message if it had to take files in.
absl::StatusOr<v1::DefinitionSource> SourceOf(const CheckedDefinition& checked,
                                              const std::string& path);

// The violations as one error.
absl::Status DefinitionError(const std::string& path, const v1::ValidatePipelineResponse& answer);

}  // namespace beamline::cli
