// run watch.

#include "base/status_macros.h"
#include "clients/cli/references.h"
#include "clients/cli/verbs/verbs.h"
#include "clients/cli/watch.h"

namespace beamline::cli {
namespace {

absl::StatusOr<ExitCode> Watch(Invocation& invocation) {
  ASSIGN_OR_RETURN(const std::string name, ResolveRun(invocation, invocation.args().Positional(0)));
  WatchOptions options;
  ASSIGN_OR_RETURN(options.after_sequence, invocation.args().Integer("after", 0, 0, INT64_MAX));
  options.svg_path = invocation.args().Get("svg");
  return WatchUntilEnd(invocation, name, options);
}

}  // namespace

std::vector<Command> RunWatchCommands() {
  return {
      {.path = "run watch",
       .summary = "Follow a run until it ends",
       .positionals = {{.name = "RUN", .optional = true}},
       .flags = {{"after", "SEQUENCE", "Only events after this number"},
                 {"svg", "FILE", "Write the ROC curve as a picture", Completion::kFile}},
       .details = "RUN is a run's id; default: the newest. Ctrl-C detaches and the run goes on.\n"
                  "After a cut the watch goes on from the last event seen. With --json: one event "
                  "a line.",
       .run = Watch},
  };
}

}  // namespace beamline::cli
