// run create.

#include <filesystem>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "clients/cli/definition.h"
#include "clients/cli/format.h"
#include "clients/cli/run_inputs.h"
#include "clients/cli/verbs/verbs.h"
#include "clients/cli/watch.h"

namespace beamline::cli {
namespace {

// A definition in a file.
absl::Status FillFromFile(Invocation& invocation, const std::string& path,
                          v1::CreateRunRequest& request) {
  ASSIGN_OR_RETURN(const CheckedDefinition checked, CheckDefinition(invocation, path));
  ASSIGN_OR_RETURN(*request.mutable_source(), SourceOf(checked, path));
  ASSIGN_OR_RETURN(
      *request.mutable_inputs(),
      InputsOf(invocation, std::filesystem::path(path).parent_path().string(), checked.definition));
  return absl::OkStatus();
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
  ASSIGN_OR_RETURN(*request.mutable_inputs(), InputsOf(invocation, "", pipeline->definition()));
  return absl::OkStatus();
}

absl::StatusOr<ExitCode> Create(Invocation& invocation) {
  const std::string pipeline = invocation.args().Positional(0);
  v1::CreateRunRequest request;
  ASSIGN_OR_RETURN(const std::string project, invocation.Project());
  request.set_parent(project);
  ASSIGN_OR_RETURN(*request.mutable_parameters(), ParametersOf(invocation.args()));
  ASSIGN_OR_RETURN(const int64_t priority, invocation.args().Integer("priority", 0, -100, 100));
  request.set_priority(static_cast<int32_t>(priority));
  request.set_fresh(invocation.args().Has("fresh"));
  request.set_request_id(invocation.args().Get("request-id", invocation.NewRequestId()));
  const bool is_path = NamesFile(pipeline);
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
