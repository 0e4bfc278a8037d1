// help, completion, version: about the program itself.

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/edit_distance.h"
#include "base/status_macros.h"
#include "clients/cli/help.h"
#include "clients/cli/invocation.h"
#include "clients/cli/verbs/verbs.h"

namespace beamline::cli {
namespace {

absl::StatusOr<ExitCode> Help(Invocation& invocation) {
  const std::string path = absl::StrJoin(invocation.args().positionals(), " ");
  if (path.empty()) {
    invocation.Print(Overview(AllCommands()));
    return ExitCode::kOk;
  }
  std::vector<std::string> paths;
  bool is_group = false;
  for (const Command& command : AllCommands()) {
    if (command.path == path) {
      invocation.Print(HelpFor(command));
      return ExitCode::kOk;
    }
    is_group = is_group || command.path.starts_with(path + " ");
    paths.push_back(command.path);
  }
  if (is_group) {
    invocation.Print(GroupHelp(AllCommands(), path));
    return ExitCode::kOk;
  }
  const std::string nearest = DidYouMean(path, paths);
  return UsageError(absl::StrCat("there is no command \"", path, "\"",
                                 nearest.empty() ? "" : "; did you mean \"" + nearest + "\"?"));
}

absl::StatusOr<ExitCode> PrintCompletion(Invocation& invocation) {
  ASSIGN_OR_RETURN(const std::string script,
                   CompletionScript(AllCommands(), invocation.args().Positional(0)));
  invocation.Print(script);
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Version(Invocation& invocation) {
  v1::GetServerInfoResponse info;
  info.set_version(BEAMLINE_VERSION);
  if (invocation.json()) {
    invocation.PrintJson(info);
  } else {
    invocation.Print(absl::StrCat("beamline ", info.version(), " (gRPC ", GrpcVersion(), ")\n"));
  }
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> SelfCommands() {
  return {
      {.path = "help",
       .summary = "Explain a command",
       .positionals = {{.name = "COMMAND", .optional = true, .repeated = true}},
       .flags = {},
       .details = "",
       .run = Help},
      {.path = "completion",
       .summary = "Print a completion script for bash, zsh or fish",
       .positionals = {{.name = "SHELL"}},
       .flags = {},
       .details = "For bash: source <(beamline completion bash)",
       .run = PrintCompletion},
      {.path = "version",
       .summary = "Print the version of this program",
       .positionals = {},
       .flags = {},
       .details = "\"beamline status\" prints the version of the server.",
       .run = Version},
  };
}

}  // namespace beamline::cli
