// run list, show, cancel, logs, metrics, why.

#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "clients/cli/format.h"
#include "clients/cli/invocation.h"
#include "clients/cli/json.h"
#include "clients/cli/references.h"
#include "clients/cli/run_summary.h"
#include "clients/cli/searches.h"
#include "clients/cli/table.h"
#include "clients/cli/trial_text.h"
#include "clients/cli/verbs/verbs.h"
#include "clients/cli/watch.h"

namespace beamline::cli {
namespace {

constexpr int64_t kNoLimit = INT64_MAX;

std::string StateWord(v1::RunState state) {
  return EnumWord(v1::RunState_Name(state), "RUN_STATE_");
}

// From start to end, or to now.
std::string Took(const google::protobuf::Timestamp& start, const google::protobuf::Timestamp& end,
                 absl::Time now) {
  if (start.seconds() == 0) return "-";
  return HumanDuration((end.seconds() == 0 ? now : TimeOf(end)) - TimeOf(start));
}

absl::StatusOr<ExitCode> List(Invocation& invocation) {
  ASSIGN_OR_RETURN(const int64_t limit, invocation.args().Integer("limit", 20, 1, 1'000'000));
  v1::ListRunsRequest request;
  ASSIGN_OR_RETURN(const std::string project, invocation.Project());
  request.set_parent(project);
  request.set_pipeline(invocation.args().Get("pipeline"));
  if (const std::string word = invocation.args().Get("state"); !word.empty()) {
    v1::RunState state = v1::RUN_STATE_UNSPECIFIED;
    if (!v1::RunState_Parse("RUN_STATE_" + absl::AsciiStrToUpper(word), &state)) {
      return UsageError(absl::StrFormat(
          "--state is \"%s\"; give queued, running, paused, cancelling, succeeded, failed or "
          "cancelled",
          word));
    }
    request.set_state(state);
  }
  Table table({{"RUN"},
               {"PIPELINE"},
               {"STATE"},
               {"CREATED"},
               {"TOOK", Table::Align::kRight},
               {"BY"},
               {"FAILURE"}});
  const absl::Time now = invocation.Now();
  RETURN_IF_ERROR(
      invocation.ForEachPage(kListRuns, request, limit, [&](const v1::ListRunsResponse& page) {
        for (const v1::Run& run : page.runs()) {
          if (invocation.json()) invocation.PrintJsonLine(run);
          table.Add({LastPart(run.name()), LastPart(run.pipeline()), StateWord(run.state()),
                     RelativeTime(TimeOf(run.create_time()), now),
                     Took(run.start_time(), run.end_time(), now), LastPart(run.creator()),
                     run.failure().message().substr(0, 60)});
        }
        return page.runs_size();
      }));
  if (!invocation.json()) invocation.Print(table.Render(!invocation.quiet()));
  return ExitCode::kOk;
}

absl::StatusOr<v1::Run> GetRun(Invocation& invocation) {
  v1::GetRunRequest request;
  ASSIGN_OR_RETURN(const std::string name, ResolveRun(invocation, invocation.args().Positional(0)));
  request.set_name(name);
  return invocation.Call(kGetRun, request);
}

absl::StatusOr<ExitCode> Show(Invocation& invocation) {
  ASSIGN_OR_RETURN(const v1::Run run, GetRun(invocation));
  v1::ListTasksRequest request;
  request.set_parent(run.name());
  ASSIGN_OR_RETURN(const v1::ListTasksResponse response, invocation.Call(kListTasks, request));
  if (invocation.json()) {
    invocation.PrintJsonLine(run);
    for (const v1::Task& task : response.tasks()) invocation.PrintJsonLine(task);
    return ExitCode::kOk;
  }
  const absl::Time now = invocation.Now();
  const std::vector<v1::Task> tasks(response.tasks().begin(), response.tasks().end());
  ASSIGN_OR_RETURN(const std::vector<v1::ListTrialsResponse> searches, SearchesOf(invocation, run));
  invocation.Print(RunSummary(run, tasks, searches, {}, invocation.out()));
  Table table({{"STEP"},
               {"STATE"},
               {"ATTEMPTS", Table::Align::kRight},
               {"WORKER"},
               {"TOOK", Table::Align::kRight},
               {"FAILURE"}});
  for (const v1::Task& task : tasks) {
    table.Add({task.step(), EnumWord(v1::TaskState_Name(task.state()), "TASK_STATE_"),
               absl::StrCat(task.attempt()), LastPart(task.worker()),
               Took(task.start_time(), task.end_time(), now), task.failure().message()});
  }
  invocation.Print("\n" + table.Render(!invocation.quiet()));
  for (const std::string& model : run.models()) invocation.Print("\nmodel " + model + "\n");
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Logs(Invocation& invocation) {
  ASSIGN_OR_RETURN(const std::string name, ResolveRun(invocation, invocation.args().Positional(0)));
  if (invocation.args().Has("follow")) {
    return WatchUntilEnd(
        invocation, name,
        {.svg_path = "", .logs_only = true, .step = invocation.args().Get("step")});
  }
  v1::ListLogsRequest request;
  request.set_name(name);
  request.set_step(invocation.args().Get("step"));
  absl::Time first;
  RETURN_IF_ERROR(
      invocation.ForEachPage(kListLogs, request, kNoLimit, [&](const v1::ListLogsResponse& page) {
        for (const v1::Event& event : page.events()) {
          if (invocation.json()) {
            invocation.PrintJsonLine(event);
            continue;
          }
          if (first == absl::Time()) first = TimeOf(event.time());
          const double seconds = absl::ToDoubleSeconds(TimeOf(event.time()) - first);
          invocation.Print(absl::StrFormat("%8.2f s  %s  %s\n", seconds, TaskLabel(event),
                                           Printable(event.log().text())));
        }
        return page.events_size();
      }));
  return ExitCode::kOk;
}

// Metric values by task, then by optimiser step, then by name.
using MetricRows = std::map<std::string, std::map<int64_t, std::map<std::string, double>>>;

void PrintMetrics(Invocation& invocation, const MetricRows& tasks) {
  for (const auto& [task, rows] : tasks) {
    std::map<std::string, size_t> names;
    for (const auto& [at, values] : rows) {
      for (const auto& [name, value] : values) names.emplace(name, 0);
    }
    std::vector<Table::Column> columns = {{"STEP", Table::Align::kRight}};
    for (auto& [name, index] : names) {
      index = columns.size();
      columns.push_back({name, Table::Align::kRight});
    }
    const size_t width = columns.size();
    Table table(std::move(columns));
    for (const auto& [at, values] : rows) {
      std::vector<std::string> cells(width);
      cells[0] = absl::StrCat(at);
      for (const auto& [name, value] : values) cells[names[name]] = HumanNumber(value, 5);
      table.Add(std::move(cells));
    }
    if (!invocation.quiet()) invocation.Print(task + "\n");
    invocation.Print(table.Render(!invocation.quiet()));
  }
}

absl::StatusOr<ExitCode> Metrics(Invocation& invocation) {
  v1::ListMetricsRequest request;
  ASSIGN_OR_RETURN(const std::string name, ResolveRun(invocation, invocation.args().Positional(0)));
  request.set_name(name);
  request.set_step(invocation.args().Get("step"));
  request.set_metric(invocation.args().Get("metric"));
  MetricRows tasks;
  RETURN_IF_ERROR(invocation.ForEachPage(
      kListMetrics, request, kNoLimit, [&](const v1::ListMetricsResponse& page) {
        for (const v1::Event& event : page.events()) {
          if (invocation.json()) invocation.PrintJsonLine(event);
          const v1::MetricValue& metric = event.metric();
          tasks[TaskLabel(event)][metric.step()][metric.name()] = metric.value();
        }
        return page.events_size();
      }));
  if (!invocation.json()) PrintMetrics(invocation, tasks);
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> RunCommands() {
  const Positional run = {.name = "RUN", .optional = true};
  const Flag step = {"step", "STEP",
                     "Only of this step, or of one trial or fold: tune.3, tune.3.f2"};
  const std::string naming = "RUN is a run's id; default: the newest.";
  return {
      {.path = "run list",
       .summary = "List runs, newest first",
       .positionals = {},
       .flags = {{"limit", "N", "At most so many (default 20)"},
                 {"state", "STATE", "Only those: queued, running, succeeded, failed, ..."},
                 {"pipeline", "NAME", "Only those of this pipeline"}},
       .details = "",
       .run = List},
      {.path = "run show",
       .summary = "Show a run, its steps and its metrics",
       .positionals = {run},
       .flags = {},
       .details = naming,
       .run = Show},
      {.path = "run logs",
       .summary = "Print what the steps of a run wrote",
       .positionals = {run},
       .flags = {step, {"follow", "", "Go on until the run ends"}},
       .details = naming,
       .run = Logs},
      {.path = "run metrics",
       .summary = "Print the metrics of a run over time",
       .positionals = {run},
       .flags = {step, {"metric", "NAME", "Only this one: loss, validation_auc, ..."}},
       .details = naming,
       .run = Metrics},
  };
}

}  // namespace beamline::cli
