// Steering runs that are there, and why they wait.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "clients/cli/format.h"
#include "clients/cli/invocation.h"
#include "clients/cli/json.h"
#include "clients/cli/references.h"
#include "clients/cli/rpc.h"
#include "clients/cli/run_view.h"
#include "clients/cli/table.h"
#include "clients/cli/verbs/verbs.h"
#include "clients/cli/wait_text.h"
#include "clients/cli/watch.h"

namespace beamline::cli {
namespace {

void PrintState(Invocation& invocation, const v1::Run& run) {
  if (invocation.json()) {
    invocation.PrintJson(run);
  } else {
    invocation.Print(absl::StrFormat("%s is %s\n", LastPart(run.name()),
                                     EnumWord(v1::RunState_Name(run.state()), "RUN_STATE_")));
  }
}

// Sends `request` for the run that the argument names.
template <class Method, class Request>
absl::StatusOr<v1::Run> Steer(Invocation& invocation, const Method& method, Request request) {
  ASSIGN_OR_RETURN(const std::string name, ResolveRun(invocation, invocation.args().Positional(0)));
  request.set_name(name);
  request.set_request_id(invocation.NewRequestId());
  return invocation.Call(method, request);
}

absl::StatusOr<ExitCode> Cancel(Invocation& invocation) {
  v1::CancelRunRequest request;
  request.set_reason(invocation.args().Get("reason"));
  ASSIGN_OR_RETURN(const v1::Run run, Steer(invocation, kCancelRun, request));
  PrintState(invocation, run);
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Pause(Invocation& invocation) {
  ASSIGN_OR_RETURN(const v1::Run run, Steer(invocation, kPauseRun, v1::PauseRunRequest()));
  PrintState(invocation, run);
  if (!invocation.json()) {
    invocation.Note(absl::StrCat("let it go on: beamline run resume ", LastPart(run.name()), "\n"));
  }
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Resume(Invocation& invocation) {
  ASSIGN_OR_RETURN(const v1::Run run, Steer(invocation, kResumeRun, v1::ResumeRunRequest()));
  PrintState(invocation, run);
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Retry(Invocation& invocation) {
  ASSIGN_OR_RETURN(const v1::Run run, Steer(invocation, kRetryRun, v1::RetryRunRequest()));
  if (invocation.json()) {
    invocation.PrintJsonLine(run);
  } else {
    invocation.Print(run.name() + "\n");
  }
  if (!invocation.args().Has("watch")) return ExitCode::kOk;
  return WatchUntilEnd(invocation, run.name(), {.svg_path = ""});
}

absl::StatusOr<ExitCode> Why(Invocation& invocation) {
  v1::ExplainRunRequest request;
  ASSIGN_OR_RETURN(const std::string name, ResolveRun(invocation, invocation.args().Positional(0)));
  request.set_name(name);
  ASSIGN_OR_RETURN(const v1::ExplainRunResponse response, invocation.Call(kExplainRun, request));
  if (invocation.json()) {
    invocation.PrintJson(response);
    return ExitCode::kOk;
  }
  Table table({{"TASK"},
               {"REASON"},
               {"SINCE"},
               {"AHEAD", Table::Align::kRight},
               {"EARLIEST START"},
               {"WHY"}});
  for (const auto& waiting : response.tasks()) {
    const v1::Wait& wait = waiting.wait();
    table.Add({LastPart(waiting.task()), WaitWord(wait), WaitSince(wait, invocation.Now()),
               wait.has_ahead() ? absl::StrCat(wait.ahead()) : "",
               EarliestStart(wait, invocation.Now()), WaitSentence(wait)});
  }
  if (!table.empty()) invocation.Print(table.Render(!invocation.quiet()));
  invocation.Note(absl::StrFormat("%s waiting, %d running\n",
                                  table.empty() ? "nothing" : absl::StrCat(response.tasks_size()),
                                  response.running_tasks()));
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> RunControlCommands() {
  const Positional one = {.name = "RUN"};
  const std::string naming = "RUN is a run's id, or \"latest\".";
  return {
      {.path = "run cancel",
       .summary = "Stop a run",
       .positionals = {one},
       .flags = {{"reason", "TEXT", "Kept with the run"}},
       .details = naming,
       .run = Cancel},
      {.path = "run pause",
       .summary = "Let a run give back what it holds, at a checkpoint",
       .positionals = {one},
       .flags = {},
       .details = naming + " Its result does not change.",
       .run = Pause},
      {.path = "run resume",
       .summary = "Let a paused run go on from its checkpoints",
       .positionals = {one},
       .flags = {},
       .details = naming,
       .run = Resume},
      {.path = "run retry",
       .summary = "Run a failed or cancelled run again, without the steps that succeeded",
       .positionals = {one},
       .flags = {{"watch", "", "Follow it until it ends"}},
       .details = naming + " The retry is a run of its own.",
       .run = Retry},
      {.path = "why",
       .summary = "Say why each task of a run waits, and until when",
       .positionals = {{.name = "RUN", .optional = true}},
       .flags = {},
       .details = "RUN is a run's id; default: the newest.",
       .run = Why},
  };
}

}  // namespace beamline::cli
