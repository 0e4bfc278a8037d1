// run create.

#include <algorithm>
#include <filesystem>
#include <map>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/edit_distance.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "clients/cli/definition.h"
#include "clients/cli/error_text.h"
#include "clients/cli/format.h"
#include "clients/cli/json.h"
#include "clients/cli/references.h"
#include "clients/cli/upload.h"
#include "clients/cli/verbs/verbs.h"
#include "clients/cli/watch.h"

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

bool IsFile(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
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

// Uploads what the inputs of the definition name as local files, and resolves what --input names.
absl::Status FillInputs(Invocation& invocation, const fs::path& folder,
                        const v1::PipelineDefinition& definition, v1::CreateRunRequest& request) {
  ASSIGN_OR_RETURN(const auto chosen, ChosenInputs(invocation.args(), definition));
  for (const auto& [name, values] : chosen) {
    ASSIGN_OR_RETURN((*request.mutable_inputs())[name],
                     ResolveChosen(invocation, name, values, definition.inputs().at(name)));
  }
  for (const auto& [name, input] : definition.inputs()) {
    if (chosen.contains(name)) continue;
    std::vector<std::string> files(input.files().begin(), input.files().end());
    if (!input.file().empty()) files.push_back(input.file());
    if (files.empty()) continue;
    for (size_t i = 0; i < files.size(); ++i) {
      const std::string path = (folder / files[i]).string();
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
    (*request.mutable_inputs())[name] = uploaded.name();
  }
  return absl::OkStatus();
}

// A definition in a file.
absl::Status FillFromFile(Invocation& invocation, const std::string& path,
                          v1::CreateRunRequest& request) {
  ASSIGN_OR_RETURN(const CheckedDefinition checked, CheckDefinition(invocation, path));
  ASSIGN_OR_RETURN(*request.mutable_source(), SourceOf(checked, path));
  return FillInputs(invocation, fs::path(path).parent_path(), checked.definition, request);
}

// A stored pipeline; its local files, if it names any, lie below the current folder.
absl::Status FillFromStored(Invocation& invocation, const std::string& id,
                            v1::CreateRunRequest& request) {
  v1::GetPipelineRequest get;
  ASSIGN_OR_RETURN(const std::string name, invocation.Name("pipelines", id));
  get.set_name(name);
  ASSIGN_OR_RETURN(const int64_t version, invocation.args().Integer("version", 0, 1, INT32_MAX));
  get.set_version(static_cast<int32_t>(version));
  const absl::StatusOr<v1::Pipeline> pipeline = invocation.Call(kGetPipeline, get);
  if (absl::IsNotFound(pipeline.status())) {
    return absl::NotFoundError(absl::StrFormat(
        "there is neither a file nor a stored pipeline \"%s\"; see: beamline pipeline list", id));
  }
  RETURN_IF_ERROR(pipeline.status());
  request.set_pipeline_name(pipeline->name());
  request.set_pipeline_version(pipeline->version());
  return FillInputs(invocation, "", pipeline->definition(), request);
}

// Names the file before each violation, so that an editor finds it.
absl::Status WithFile(const absl::Status& status, const std::string& path) {
  v1::ValidatePipelineResponse answer;
  for (const v1::Violation& violation : ViolationsOf(status)) {
    *answer.add_violations() = violation;
  }
  if (path.empty() || answer.violations().empty()) return status;
  return {status.code(), DefinitionError(path, answer).message()};
}

absl::StatusOr<ExitCode> Create(Invocation& invocation) {
  const std::string pipeline = invocation.args().Positional(0);
  v1::CreateRunRequest request;
  ASSIGN_OR_RETURN(const std::string project, invocation.Project());
  request.set_parent(project);
  ASSIGN_OR_RETURN(const auto parameters, Pairs(invocation.args(), "set"));
  for (const auto& [path, text] : parameters) (*request.mutable_parameters())[path] = ValueOf(text);
  ASSIGN_OR_RETURN(const int64_t priority, invocation.args().Integer("priority", 0, -100, 100));
  request.set_priority(static_cast<int32_t>(priority));
  request.set_fresh(invocation.args().Has("fresh"));
  request.set_request_id(invocation.args().Get("request-id", invocation.NewRequestId()));
  const bool is_path = IsFile(pipeline) || pipeline.ends_with(".yaml") ||
                       pipeline.ends_with(".yml") || pipeline.ends_with(".json");
  if (is_path) {
    RETURN_IF_ERROR(FillFromFile(invocation, pipeline, request));
  } else {
    RETURN_IF_ERROR(FillFromStored(invocation, pipeline, request));
  }
  const absl::StatusOr<v1::Run> run = invocation.Call(kCreateRun, request);
  if (!run.ok()) return WithFile(run.status(), is_path ? pipeline : "");
  if (invocation.args().Has("name-only")) {
    invocation.Print(run->name() + "\n");
  } else if (invocation.json()) {
    invocation.PrintJsonLine(*run);
  } else if (!invocation.args().Has("watch")) {
    invocation.Print(run->name() + "\n");
    invocation.Note(absl::StrCat("watch it: beamline run watch ", LastPart(run->name()), "\n"));
  } else {
    invocation.Note(absl::StrCat("run ", run->name(), "\n"));
  }
  if (!invocation.args().Has("watch")) return ExitCode::kOk;
  return WatchUntilEnd(invocation, run->name(), {.svg_path = invocation.args().Get("svg")});
}

}  // namespace

std::vector<Command> RunCreateCommands() {
  return {
      {.path = "run create",
       .summary = "Run a pipeline, from a file or a stored one",
       .positionals = {{.name = "PIPELINE.yaml", .completion = Completion::kFile}},
       .flags = {{"watch", "", "Follow it until it ends"},
                 {"set", "PATH=VALUE", "Override a parameter or a field of the definition",
                  Completion::kNone, true},
                 {"input", "NAME=DATASET", "A dataset or local file for an input; repeat for more",
                  Completion::kFile, true},
                 {"priority", "N", "From -100 to 100; higher goes first (default 0)"},
                 {"version", "N", "Of a stored pipeline (default: the latest)"},
                 {"request-id", "ID", "The same id again gives the same run, not another"},
                 {"fresh", "", "Do every step, also what an earlier run has done in the same way"},
                 {"svg", "FILE", "With --watch: write the ROC curve as a picture",
                  Completion::kFile},
                 {"name-only", "", "Print the run's name and nothing else"}},
       .details =
           "Local files that the definition names (inputs.*.file and files, relative to it) are "
           "uploaded first,\nunless the project has them already. The text of files of programs "
           "becomes part of the definition.",
       .run = Create},
  };
}

}  // namespace beamline::cli
