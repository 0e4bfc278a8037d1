// pipeline: stored definitions.

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "clients/cli/dag.h"
#include "clients/cli/definition.h"
#include "clients/cli/format.h"
#include "clients/cli/invocation.h"
#include "clients/cli/json.h"
#include "clients/cli/pipeline_view.h"
#include "clients/cli/table.h"
#include "clients/cli/verbs/verbs.h"

namespace beamline::cli {
namespace {

absl::StatusOr<ExitCode> Validate(Invocation& invocation) {
  const std::string path = invocation.args().Positional(0);
  ASSIGN_OR_RETURN(const CheckedDefinition checked, CheckDefinition(invocation, path));
  if (invocation.json()) {
    invocation.PrintJson(checked.definition);
  } else {
    invocation.Print(absl::StrFormat(
        "%s is valid: %d input%s, %d step%s\n", path, checked.definition.inputs_size(),
        checked.definition.inputs_size() == 1 ? "" : "s", checked.definition.steps_size(),
        checked.definition.steps_size() == 1 ? "" : "s"));
  }
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Create(Invocation& invocation) {
  ASSIGN_OR_RETURN(const CheckedDefinition checked,
                   CheckDefinition(invocation, invocation.args().Positional(0)));
  v1::CreatePipelineRequest request;
  ASSIGN_OR_RETURN(const std::string project, invocation.Project());
  request.set_parent(project);
  ASSIGN_OR_RETURN(*request.mutable_source(), SourceOf(checked, invocation.args().Positional(0)));
  request.set_request_id(invocation.NewRequestId());
  ASSIGN_OR_RETURN(const v1::Pipeline pipeline, invocation.Call(kCreatePipeline, request));
  if (invocation.json()) {
    invocation.PrintJson(pipeline);
  } else {
    invocation.Print(absl::StrFormat("%s version %d\n", pipeline.name(), pipeline.version()));
  }
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> List(Invocation& invocation) {
  ASSIGN_OR_RETURN(const int64_t limit, invocation.args().Integer("limit", 50, 1, 1'000'000));
  v1::ListPipelinesRequest request;
  ASSIGN_OR_RETURN(const std::string project, invocation.Project());
  request.set_parent(project);
  Table table({{"PIPELINE"},
               {"VERSION", Table::Align::kRight},
               {"STEPS", Table::Align::kRight},
               {"CREATED"},
               {"BY"},
               {"DESCRIPTION"}});
  RETURN_IF_ERROR(invocation.ForEachPage(
      kListPipelines, request, limit, [&](const v1::ListPipelinesResponse& page) {
        for (const v1::Pipeline& pipeline : page.pipelines()) {
          if (invocation.json()) invocation.PrintJsonLine(pipeline);
          table.Add({LastPart(pipeline.name()), absl::StrCat(pipeline.version()),
                     absl::StrCat(pipeline.definition().steps_size()),
                     RelativeTime(TimeOf(pipeline.create_time()), invocation.Now()),
                     LastPart(pipeline.creator()), pipeline.definition().description()});
        }
        return page.pipelines_size();
      }));
  if (!invocation.json()) invocation.Print(table.Render(!invocation.quiet()));
  return ExitCode::kOk;
}

// Draws the graph, and says whether nothing else is wanted.
absl::StatusOr<bool> Draw(Invocation& invocation, const std::string& title,
                          const v1::PipelineDefinition& definition,
                          const google::protobuf::RepeatedPtrField<v1::StepArc>& arcs) {
  const std::vector<DagNode> graph = PipelineGraph(definition, arcs);
  if (const std::string path = invocation.args().Get("svg"); !path.empty()) {
    RETURN_IF_ERROR(WriteFileAtomically(path, DagSvg(title, graph)));
    invocation.Note(absl::StrCat("picture: ", path, "\n"));
  }
  if (invocation.json()) return false;
  if (invocation.args().Has("graph")) {
    invocation.Print(DagText(graph, invocation.out()));
    return true;
  }
  invocation.Note(absl::StrCat(DagText(graph, invocation.err()), "\n"));
  return false;
}

absl::StatusOr<ExitCode> ShowFile(Invocation& invocation, const std::string& path) {
  if (invocation.args().Has("version")) {
    return UsageError("--version is for stored pipelines, and not for a file");
  }
  ASSIGN_OR_RETURN(const CheckedDefinition checked, CheckDefinition(invocation, path));
  ASSIGN_OR_RETURN(const bool done,
                   Draw(invocation, checked.definition.name(), checked.definition, checked.arcs));
  if (done) return ExitCode::kOk;
  if (invocation.json()) {
    invocation.PrintJson(checked.definition);
  } else {
    invocation.Print(checked.yaml);
  }
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Show(Invocation& invocation) {
  const std::string what = invocation.args().Positional(0);
  if (absl::EndsWith(what, ".yaml") || absl::EndsWith(what, ".yml")) {
    return ShowFile(invocation, what);
  }
  v1::GetPipelineRequest request;
  ASSIGN_OR_RETURN(const std::string name, invocation.Name("pipelines", what));
  request.set_name(name);
  ASSIGN_OR_RETURN(const int64_t version, invocation.args().Integer("version", 0, 1, INT32_MAX));
  request.set_version(static_cast<int32_t>(version));
  ASSIGN_OR_RETURN(const v1::Pipeline pipeline, invocation.Call(kGetPipeline, request));
  const std::string title =
      absl::StrFormat("%s version %d", LastPart(pipeline.name()), pipeline.version());
  if (!invocation.json() && !invocation.args().Has("graph")) {
    invocation.Note(absl::StrFormat("%s version %d, created %s by %s\n", pipeline.name(),
                                    pipeline.version(),
                                    RelativeTime(TimeOf(pipeline.create_time()), invocation.Now()),
                                    LastPart(pipeline.creator())));
  }
  ASSIGN_OR_RETURN(const bool done,
                   Draw(invocation, title, pipeline.definition(), pipeline.arcs()));
  if (done) return ExitCode::kOk;
  if (invocation.json()) {
    invocation.PrintJson(pipeline);
  } else {
    invocation.Print(pipeline.yaml());
  }
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> PipelineCommands() {
  const Positional file = {.name = "PIPELINE.yaml", .completion = Completion::kFile};
  return {
      {.path = "pipeline validate",
       .summary = "Say everything that is wrong with a definition",
       .positionals = {file},
       .flags = {},
       .details = "Errors are printed as file:line:column: path: message. Nothing is stored.",
       .run = Validate},
      {.path = "pipeline create",
       .summary = "Store a definition as the next version of its name",
       .positionals = {file},
       .flags = {},
       .details = "",
       .run = Create},
      {.path = "pipeline list",
       .summary = "List stored pipelines",
       .positionals = {},
       .flags = {{"limit", "N", "At most so many (default 50)"}},
       .details = "",
       .run = List},
      {.path = "pipeline show",
       .summary = "Draw a pipeline, and print its definition",
       .positionals = {{.name = "PIPELINE", .completion = Completion::kFile}},
       .flags = {{"version", "N", "Which version (default: the latest)"},
                 {"graph", "", "Only the graph"},
                 {"svg", "FILE", "Write the graph as a picture", Completion::kFile}},
       .details =
           "A stored pipeline, or a file PIPELINE.yaml, which is checked first. The graph of "
           "inputs\n"
           "and steps goes to standard error; the definition, as YAML from which pipeline create\n"
           "and run create read the same, to standard output.",
       .run = Show},
  };
}

}  // namespace beamline::cli
