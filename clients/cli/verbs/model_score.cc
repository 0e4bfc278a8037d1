// model score: a model's predictions for a whole table.
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "clients/cli/download.h"
#include "clients/cli/format.h"
#include "clients/cli/invocation.h"
#include "clients/cli/references.h"
#include "clients/cli/rpc.h"
#include "clients/cli/run_inputs.h"
#include "clients/cli/upload.h"
#include "clients/cli/verbs/verbs.h"
#include "clients/cli/watch.h"

namespace beamline::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxPipelineName = 63;

// The name of the dataset with the rows: a local file is uploaded.
absl::StatusOr<std::string> RowsOf(Invocation& invocation, const std::string& rows) {
  if (!IsFile(rows)) return ResolveDataset(invocation, rows);
  ASSIGN_OR_RETURN(const v1::Dataset uploaded, UploadFile(invocation, {{rows}, "", {}}));
  return uploaded.name();
}

// Of a model of that id. A name ends with no hyphen, also where a long one is cut.
std::string PipelineName(std::string_view id) {
  std::string name = absl::StrCat("score-", LastPart(id)).substr(0, kMaxPipelineName);
  while (name.back() == '-') name.pop_back();
  return name;
}

// The pipeline of one step that asks `model`, "projects/P/models/M/versions/V".
v1::PipelineDefinition Definition(const std::string& model, const std::string& dataset) {
  const std::string id = model.substr(0, model.rfind("/versions/"));
  v1::PipelineDefinition definition;
  definition.set_name(PipelineName(id));
  (*definition.mutable_inputs())["rows"].set_dataset(dataset);
  v1::Step& step = *definition.add_steps();
  step.set_name("predict");
  step.mutable_predict()->set_model(model);
  step.mutable_predict()->set_input("rows");
  return definition;
}

absl::StatusOr<ExitCode> Score(Invocation& invocation) {
  const std::string rows = invocation.args().Positional(1);
  const std::string file = fs::path(rows).stem().string();
  const std::string path =
      invocation.args().Get("output", IsFile(rows) ? file + ".predictions.csv" : "");
  if (path.empty()) return UsageError("say where to: --output FILE");
  v1::GetModelRequest get;
  ASSIGN_OR_RETURN(*get.mutable_name(), ResolveModel(invocation, invocation.args().Positional(0)));
  ASSIGN_OR_RETURN(const v1::Model model, invocation.Call(kGetModel, get));
  ASSIGN_OR_RETURN(const std::string dataset, RowsOf(invocation, rows));
  v1::CreateRunRequest request;
  ASSIGN_OR_RETURN(*request.mutable_parent(), invocation.Project());
  *request.mutable_source()->mutable_definition() = Definition(model.name(), dataset);
  request.set_request_id(invocation.NewRequestId());
  ASSIGN_OR_RETURN(const v1::Run run, invocation.Call(kCreateRun, request));
  ASSIGN_OR_RETURN(const ExitCode ended, WatchUntilEnd(invocation, run.name(), {}));
  if (ended != ExitCode::kOk) return ended;
  v1::ListTasksRequest list;
  list.set_parent(run.name());
  ASSIGN_OR_RETURN(const v1::ListTasksResponse tasks, invocation.Call(kListTasks, list));
  if (tasks.tasks_size() != 1 || !tasks.tasks(0).result().has_table()) {
    return absl::InternalError(absl::StrCat(run.name(), " has left no table"));
  }
  const v1::Dataset& table = tasks.tasks(0).result().table();
  RETURN_IF_ERROR(DownloadDataset(invocation, table, path));
  if (!invocation.json()) invocation.Print(path + "\n");
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> ModelScoreCommands() {
  return {
      {.path = "model score",
       .summary = "Ask a model about a whole table, and download what it says as CSV",
       .positionals = {{.name = "MODEL"}, {.name = "ROWS", .completion = Completion::kFile}},
       .flags = {{"output", "FILE", "Where to (default: ROWS.predictions.csv)", Completion::kFile}},
       .details = "MODEL is a name (its latest version), or NAME/VERSION. ROWS is a file, which is "
                  "uploaded, or a dataset;\nit has the model's columns and needs no target. A "
                  "worker does it, as a run of one predict step,\nso that there may be many rows; "
                  "`model predict` answers a few at once.",
       .run = Score},
  };
}

}  // namespace beamline::cli
