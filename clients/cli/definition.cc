#include "clients/cli/definition.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "clients/cli/error_text.h"

namespace beamline::cli {

absl::Status DefinitionError(const std::string& path, const v1::ValidatePipelineResponse& answer) {
  std::string text = absl::StrFormat("%s has %d error%s", path, answer.violations_size(),
                                     answer.violations_size() == 1 ? "" : "s");
  for (const v1::Violation& violation : answer.violations()) {
    absl::StrAppend(&text, "\n", ViolationLine(path, violation));
  }
  return absl::InvalidArgumentError(text);
}

absl::StatusOr<CheckedDefinition> CheckDefinition(Invocation& invocation, const std::string& path) {
  CheckedDefinition checked;
  absl::StatusOr<std::string> yaml = ReadFile(path, kMaxDefinitionBytes);
  if (!yaml.ok()) return UsageError(S(yaml.status().message()));
  checked.yaml = *std::move(yaml);
  v1::ValidatePipelineRequest request;
  ASSIGN_OR_RETURN(const std::string project, invocation.Project());
  request.set_parent(project);
  request.mutable_source()->set_yaml(checked.yaml);
  ASSIGN_OR_RETURN(v1::ValidatePipelineResponse answer,
                   invocation.Call(kValidatePipeline, request));
  if (answer.violations_size() > 0) return DefinitionError(path, answer);
  checked.definition = std::move(*answer.mutable_definition());
  return checked;
}

}  // namespace beamline::cli
