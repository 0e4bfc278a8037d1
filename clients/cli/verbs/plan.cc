// plan: what a run would take.

#include <filesystem>

#include "base/status_macros.h"
#include "clients/cli/definition.h"
#include "clients/cli/invocation.h"
#include "clients/cli/plan_view.h"
#include "clients/cli/run_inputs.h"
#include "clients/cli/verbs/verbs.h"

namespace beamline::cli {
namespace {

// Inputs that --input chooses, for a definition that is not known: files are read without its
// options, and files that it names are left out.
absl::StatusOr<google::protobuf::Map<std::string, std::string>> ChosenInputs(
    Invocation& invocation) {
  v1::PipelineDefinition any;
  for (const std::string& text : invocation.args().All("input")) {
    (*any.mutable_inputs())[text.substr(0, text.find('='))];
  }
  return InputsOf(invocation, "", any);
}

// A definition in a file. What the check refuses because it does not fit is what a plan is for:
// then `refusal` is that of the check, and the text goes as it is.
absl::Status FillFromFile(Invocation& invocation, const std::string& path,
                          v1::PlanPipelineRequest& request, absl::Status& refusal) {
  const absl::StatusOr<CheckedDefinition> checked = CheckDefinition(invocation, path);
  if (!checked.ok()) {
    if (!absl::IsInvalidArgument(checked.status())) return checked.status();
    refusal = checked.status();
    ASSIGN_OR_RETURN(*request.mutable_source()->mutable_yaml(), ReadDefinition(path));
    ASSIGN_OR_RETURN(*request.mutable_inputs(), ChosenInputs(invocation));
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(*request.mutable_source(), SourceOf(*checked, path));
  ASSIGN_OR_RETURN(*request.mutable_inputs(),
                   InputsOf(invocation, std::filesystem::path(path).parent_path().string(),
                            checked->definition));
  return absl::OkStatus();
}

absl::Status FillFromStored(Invocation& invocation, const std::string& id,
                            v1::PlanPipelineRequest& request) {
  v1::GetPipelineRequest get;
  ASSIGN_OR_RETURN(const std::string name, invocation.Name("pipelines", id));
  get.set_name(name);
  ASSIGN_OR_RETURN(const int64_t version, invocation.args().Integer("version", 0, 1, INT32_MAX));
  get.set_version(static_cast<int32_t>(version));
  ASSIGN_OR_RETURN(v1::Pipeline pipeline, invocation.Call(kGetPipeline, get));
  ASSIGN_OR_RETURN(*request.mutable_inputs(), InputsOf(invocation, "", pipeline.definition()));
  *request.mutable_source()->mutable_definition() = std::move(*pipeline.mutable_definition());
  return absl::OkStatus();
}

absl::StatusOr<ExitCode> Plan(Invocation& invocation) {
  const std::string pipeline = invocation.args().Positional(0);
  v1::PlanPipelineRequest request;
  ASSIGN_OR_RETURN(const std::string project, invocation.Project());
  request.set_parent(project);
  ASSIGN_OR_RETURN(*request.mutable_parameters(), ParametersOf(invocation.args()));
  const bool is_path = NamesFile(pipeline);
  absl::Status refusal;
  RETURN_IF_ERROR(is_path ? FillFromFile(invocation, pipeline, request, refusal)
                          : FillFromStored(invocation, pipeline, request));
  const absl::StatusOr<v1::PlanPipelineResponse> plan = invocation.Call(kPlanPipeline, request);
  // Refused a second time: the check has said where.
  if (absl::IsInvalidArgument(plan.status()) && !refusal.ok()) return refusal;
  if (!plan.ok()) return WithFile(plan.status(), is_path ? pipeline : "");
  if (invocation.json()) {
    invocation.PrintJson(*plan);
  } else {
    invocation.Print(PlanText(*plan));
  }
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> PlanCommands() {
  return {
      {.path = "plan",
       .summary = "Say what a run would take, and whether it fits, before it is queued",
       .positionals = {{.name = "PIPELINE.yaml", .completion = Completion::kFile}},
       .flags = {{"set", "PATH=VALUE", "Override a parameter or a field of the definition",
                  Completion::kNone, true},
                 {"input", "NAME=DATASET", "A dataset or local file for an input; repeat for more",
                  Completion::kFile, true},
                 {"version", "N", "Of a stored pipeline (default: the latest)"}},
       .details =
           "Of each step: tasks, examples, batch size, optimiser steps, parameters, FLOPs, peak "
           "memory, the\nworkers that fit, the expected time and what it rests on; and what to "
           "change where it does not\nfit. Nothing runs. Local files that the definition names are "
           "uploaded, as run create would:\nplans are made from their statistics.",
       .run = Plan},
  };
}

}  // namespace beamline::cli
