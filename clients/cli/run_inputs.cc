#include "clients/cli/run_inputs.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/edit_distance.h"
#include "base/status_macros.h"
#include "clients/cli/definition.h"
#include "clients/cli/error_text.h"
#include "clients/cli/json.h"
#include "clients/cli/references.h"
#include "clients/cli/upload.h"

namespace beamline::cli {
namespace {

namespace fs = std::filesystem;

// "name=value" flags as a map. UsageError if there is no "=" or a name comes twice.
absl::StatusOr<std::map<std::string, std::string>> Pairs(const Arguments& args,
                                                         std::string_view flag) {
  std::map<std::string, std::string> pairs;
  for (const std::string& text : args.All(flag)) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return UsageError(absl::StrFormat("--%s is \"%s\"; give NAME=VALUE", flag, text));
    }
    if (!pairs.emplace(text.substr(0, equals), text.substr(equals + 1)).second) {
      return UsageError(absl::StrFormat("--%s gives %s twice", flag, text.substr(0, equals)));
    }
  }
  return pairs;
}

// "--input NAME=VALUE" by name; a name that comes several times names the files of one input.
// UsageError if there is no "=" or no such input.
absl::StatusOr<std::map<std::string, std::vector<std::string>>> ChosenInputs(
    const Arguments& args, const v1::PipelineDefinition& definition) {
  std::vector<std::string> names;
  for (const auto& [name, input] : definition.inputs()) names.push_back(name);
  std::map<std::string, std::vector<std::string>> chosen;
  for (const std::string& text : args.All("input")) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return UsageError(absl::StrFormat("--input is \"%s\"; give NAME=DATASET", text));
    }
    const std::string name = text.substr(0, equals);
    if (!definition.inputs().contains(name)) {
      const std::string nearest = DidYouMean(name, names);
      return UsageError(
          absl::StrFormat("the pipeline has no input \"%s\"%s", name,
                          nearest.empty() ? "" : "; did you mean \"" + nearest + "\"?"));
    }
    chosen[name].push_back(text.substr(equals + 1));
  }
  return chosen;
}

// The name of the dataset that is chosen for an input by --input; uploads local files.
absl::StatusOr<std::string> ResolveChosen(Invocation& invocation, const std::string& name,
                                          const std::vector<std::string>& values,
                                          const v1::Input& input) {
  const bool all_files = std::all_of(values.begin(), values.end(), IsFile);
  if (!all_files && values.size() > 1) {
    return UsageError(absl::StrFormat(
        "--input gives %s %d times, which is for the files of one dataset, but not all are files",
        name, values.size()));
  }
  if (!all_files) return ResolveDataset(invocation, values[0]);
  ASSIGN_OR_RETURN(const v1::Dataset uploaded,
                   UploadFile(invocation, {values, "", input.options()}));
  return uploaded.name();
}

}  // namespace

bool IsFile(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

absl::StatusOr<google::protobuf::Map<std::string, google::protobuf::Value>> ParametersOf(
    const Arguments& args) {
  ASSIGN_OR_RETURN(const auto pairs, Pairs(args, "set"));
  google::protobuf::Map<std::string, google::protobuf::Value> parameters;
  for (const auto& [path, text] : pairs) parameters[path] = ValueOf(text);
  return parameters;
}

absl::StatusOr<google::protobuf::Map<std::string, std::string>> InputsOf(
    Invocation& invocation, const std::string& folder, const v1::PipelineDefinition& definition) {
  google::protobuf::Map<std::string, std::string> inputs;
  ASSIGN_OR_RETURN(const auto chosen, ChosenInputs(invocation.args(), definition));
  for (const auto& [name, values] : chosen) {
    ASSIGN_OR_RETURN(inputs[name],
                     ResolveChosen(invocation, name, values, definition.inputs().at(name)));
  }
  for (const auto& [name, input] : definition.inputs()) {
    if (chosen.contains(name)) continue;
    std::vector<std::string> files(input.files().begin(), input.files().end());
    if (!input.file().empty()) files.push_back(input.file());
    if (files.empty()) continue;
    for (size_t i = 0; i < files.size(); ++i) {
      const std::string path = (fs::path(folder) / files[i]).string();
      if (!IsFile(path)) {
        return UsageError(absl::StrFormat(
            "inputs.%s.%s: there is no file %s; put it there, or choose another with --input "
            "%s=FILE",
            name, input.file().empty() ? absl::StrCat("files.", i) : "file", path, name));
      }
      files[i] = path;
    }
    ASSIGN_OR_RETURN(const v1::Dataset uploaded,
                     UploadFile(invocation, {files, "", input.options()}));
    inputs[name] = uploaded.name();
  }
  return inputs;
}

bool NamesFile(const std::string& pipeline) {
  return IsFile(pipeline) || pipeline.ends_with(".yaml") || pipeline.ends_with(".yml") ||
         pipeline.ends_with(".json");
}

absl::Status WithFile(const absl::Status& status, const std::string& path) {
  v1::ValidatePipelineResponse answer;
  for (const v1::Violation& violation : ViolationsOf(status)) {
    *answer.add_violations() = violation;
  }
  if (path.empty() || answer.violations().empty()) return status;
  return {status.code(), DefinitionError(path, answer).message()};
}

}  // namespace beamline::cli
