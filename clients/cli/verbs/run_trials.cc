// run trials, tasks.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "clients/cli/format.h"
#include "clients/cli/invocation.h"
#include "clients/cli/json.h"
#include "clients/cli/leaderboard.h"
#include "clients/cli/references.h"
#include "clients/cli/table.h"
#include "clients/cli/trial_files.h"
#include "clients/cli/trial_text.h"
#include "clients/cli/verbs/verbs.h"

namespace beamline::cli {
namespace {

// Of cross-validation alone: the objective on each fold.
std::string FoldsOf(const v1::ListTrialsResponse& search) {
  Table table(
      {{"FOLD", Table::Align::kRight}, {Printable(search.objective()), Table::Align::kRight}});
  for (const v1::TrialSummary& only : search.trials()) {
    for (int fold = 0; fold < only.fold_values_size(); ++fold) {
      table.Add({absl::StrCat(fold + 1), ObjectiveText(only.fold_values(fold))});
    }
    if (!only.has_value()) continue;
    table.Add({"mean", UncertainText(only.value(), only.standard_error())});
  }
  return table.empty() ? "" : table.Render();
}

absl::Status WriteFiles(Invocation& invocation, const v1::ListTrialsResponse& search,
                        const std::string& run) {
  if (const std::string path = invocation.args().Get("csv"); !path.empty()) {
    RETURN_IF_ERROR(WriteFileAtomically(path, TrialsCsv(search)));
    invocation.Note(absl::StrCat("table: ", path, "\n"));
  }
  if (const std::string path = invocation.args().Get("svg"); !path.empty()) {
    const std::string title = absl::StrCat("run ", LastPart(run), ", step ", search.step());
    RETURN_IF_ERROR(WriteFileAtomically(path, TrialsSvg(search, title)));
    invocation.Note(absl::StrCat("picture: ", path, "\n"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ExitCode> Trials(Invocation& invocation) {
  ASSIGN_OR_RETURN(const int64_t limit,
                   invocation.args().Integer("limit", 1'000'000, 1, 1'000'000));
  v1::ListTrialsRequest request;
  ASSIGN_OR_RETURN(const std::string run, ResolveRun(invocation, invocation.args().Positional(0)));
  request.set_parent(run);
  request.set_step(invocation.args().Get("step"));
  ASSIGN_OR_RETURN(v1::ListTrialsResponse search, invocation.Call(kListTrials, request));
  RETURN_IF_ERROR(WriteFiles(invocation, search, run));
  if (invocation.json()) {
    const int shown = static_cast<int>(std::min<int64_t>(limit, search.trials_size()));
    search.mutable_trials()->DeleteSubrange(shown, search.trials_size() - shown);
    invocation.PrintJson(search);
    return ExitCode::kOk;
  }
  if (search.trials().empty()) {
    invocation.Note("no trial has begun\n");
  } else if (HasTrials(search)) {
    if (!invocation.quiet()) invocation.Print(SearchHeadline(search));
    invocation.Print(TrialTable(search, static_cast<size_t>(limit), true, invocation.out()));
  } else {
    invocation.Print(FoldsOf(search));
  }
  return ExitCode::kOk;
}

std::string Took(const v1::Task& task, absl::Time now) {
  if (task.start_time().seconds() == 0) return "-";
  const absl::Time end = task.end_time().seconds() == 0 ? now : TimeOf(task.end_time());
  return HumanDuration(end - TimeOf(task.start_time()));
}

absl::StatusOr<ExitCode> Tasks(Invocation& invocation) {
  v1::ListTasksRequest request;
  ASSIGN_OR_RETURN(const std::string run, ResolveRun(invocation, invocation.args().Positional(0)));
  request.set_parent(run);
  request.set_step(invocation.args().Get("step"));
  Table table({{"TASK"},
               {"STATE"},
               {"ATTEMPTS", Table::Align::kRight},
               {"WORKER"},
               {"TOOK", Table::Align::kRight},
               {"FAILURE"}});
  const absl::Time now = invocation.Now();
  RETURN_IF_ERROR(invocation.ForEachPage(
      kListTasks, request, INT64_MAX, [&](const v1::ListTasksResponse& page) {
        for (const v1::Task& task : page.tasks()) {
          if (invocation.json()) invocation.PrintJsonLine(task);
          table.Add({LastPart(task.name()),
                     EnumWord(v1::TaskState_Name(task.state()), "TASK_STATE_"),
                     absl::StrCat(task.attempt()), LastPart(task.worker()), Took(task, now),
                     FailureText(task.failure())});
        }
        return page.tasks_size();
      }));
  if (invocation.json()) return ExitCode::kOk;
  if (table.empty()) {
    invocation.Note("there are no such tasks\n");
  } else {
    invocation.Print(table.Render(!invocation.quiet()));
  }
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> RunTrialsCommands() {
  const Positional run = {.name = "RUN", .optional = true};
  return {
      {.path = "run trials",
       .summary = "List the trials of a search, the best first",
       .positionals = {run},
       .flags = {{"step", "STEP", "The step with the search (default: the only one)"},
                 {"limit", "N", "At most so many (default: all)"},
                 {"svg", "FILE", "Write pictures: progress, trade-off, importance, each value",
                  Completion::kFile},
                 {"csv", "FILE", "Write all trials as a table", Completion::kFile}},
       .details = "RUN is a run's id; default: the newest. Of cross-validation without a search: "
                  "the folds.",
       .run = Trials},
      {.path = "run tasks",
       .summary = "List the tasks of a run: steps, or trials and folds",
       .positionals = {run},
       .flags = {{"step", "STEP", "The trials and folds of this step"}},
       .details = "RUN is a run's id; default: the newest.",
       .run = Tasks},
  };
}

}  // namespace beamline::cli
