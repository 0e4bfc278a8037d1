#include "clients/cli/definition.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "clients/cli/error_text.h"
#include "clients/cli/format.h"

namespace beamline::cli {
namespace {

// Messages can hold nothing else.
absl::Status CheckUtf8(const std::string& path, const std::string& text) {
  const size_t at = FindInvalidUtf8(text);
  if (at == std::string::npos) return absl::OkStatus();
  const std::string before = text.substr(0, at);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t newline = before.rfind('\n');
  const size_t column =
      1 + DisplayWidth(newline == std::string::npos ? before : before.substr(newline + 1));
  return absl::InvalidArgumentError(absl::StrFormat(
      "%s:%d:%d: the text is not UTF-8 from here on; save the file as UTF-8", path, line, column));
}

constexpr size_t kMaxProgramBytes = 1 << 20;

// A definition by somebody else must not take what lies elsewhere on this machine. Links count as
// what they lead to.
bool LiesBelow(const std::filesystem::path& folder, const std::filesystem::path& path) {
  std::error_code error;
  const auto top = std::filesystem::weakly_canonical(
      std::filesystem::absolute(folder.empty() ? "." : folder), error);
  if (error) return false;
  const auto place = std::filesystem::weakly_canonical(std::filesystem::absolute(path), error);
  if (error) return false;
  const auto [top_end, below] = std::mismatch(top.begin(), top.end(), place.begin(), place.end());
  return top_end == top.end() && below != place.end();
}

absl::StatusOr<bool> TakeFiles(const std::filesystem::path& folder, const std::string& field,
                               v1::Program* program) {
  bool taken = false;
  for (auto& [name, file] : *program->mutable_files()) {
    if (!file.has_file()) continue;
    const std::string path = (folder / file.file()).string();
    if (!LiesBelow(folder, path)) {
      return UsageError(absl::StrFormat(
          "%s.files.%s: %s lies outside of the definition's folder: put the program's files there",
          field, name, file.file()));
    }
    const absl::StatusOr<std::string> text = ReadFile(path, kMaxProgramBytes);
    if (!text.ok()) {
      return UsageError(
          absl::StrFormat("%s.files.%s: %s", field, name, S(text.status().message())));
    }
    RETURN_IF_ERROR(CheckUtf8(path, *text));
    file.set_text(*text);
    taken = true;
  }
  return taken;
}

}  // namespace

absl::StatusOr<bool> TakeProgramFiles(const std::string& folder,
                                      v1::PipelineDefinition* definition) {
  bool any = false;
  for (v1::Step& step : *definition->mutable_steps()) {
    const std::string field = "steps." + step.name();
    if (step.has_command()) {
      ASSIGN_OR_RETURN(const bool taken, TakeFiles(folder, field + ".command.program",
                                                   step.mutable_command()->mutable_program()));
      any |= taken;
    } else if (step.train().has_command()) {
      ASSIGN_OR_RETURN(const bool taken,
                       TakeFiles(folder, field + ".train.command.program",
                                 step.mutable_train()->mutable_command()->mutable_program()));
      any |= taken;
    }
  }
  return any;
}

absl::StatusOr<v1::DefinitionSource> SourceOf(const CheckedDefinition& checked,
                                              const std::string& path) {
  v1::DefinitionSource source;
  v1::PipelineDefinition definition = checked.definition;
  ASSIGN_OR_RETURN(
      const bool taken,
      TakeProgramFiles(std::filesystem::path(path).parent_path().string(), &definition));
  if (taken) {
    *source.mutable_definition() = std::move(definition);
  } else {
    source.set_yaml(checked.yaml);
  }
  return source;
}

absl::Status DefinitionError(const std::string& path, const v1::ValidatePipelineResponse& answer) {
  std::string text = absl::StrFormat("%s has %d error%s", path, answer.violations_size(),
                                     answer.violations_size() == 1 ? "" : "s");
  for (const v1::Violation& violation : answer.violations()) {
    absl::StrAppend(&text, "\n", ViolationLine(path, violation));
  }
  return absl::InvalidArgumentError(text);
}

absl::StatusOr<std::string> ReadDefinition(const std::string& path) {
  absl::StatusOr<std::string> yaml = ReadFile(path, kMaxDefinitionBytes);
  if (!yaml.ok()) return UsageError(S(yaml.status().message()));
  RETURN_IF_ERROR(CheckUtf8(path, *yaml));
  return yaml;
}

absl::StatusOr<CheckedDefinition> CheckDefinition(Invocation& invocation, const std::string& path) {
  CheckedDefinition checked;
  ASSIGN_OR_RETURN(checked.yaml, ReadDefinition(path));
  v1::ValidatePipelineRequest request;
  ASSIGN_OR_RETURN(const std::string project, invocation.Project());
  request.set_parent(project);
  request.mutable_source()->set_yaml(checked.yaml);
  ASSIGN_OR_RETURN(v1::ValidatePipelineResponse answer,
                   invocation.Call(kValidatePipeline, request));
  if (answer.violations_size() > 0) return DefinitionError(path, answer);
  checked.definition = std::move(*answer.mutable_definition());
  checked.arcs = std::move(*answer.mutable_arcs());
  return checked;
}

}  // namespace beamline::cli
