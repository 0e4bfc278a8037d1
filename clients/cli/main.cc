// beamline: the command line of Beamline.

#include <unistd.h>

#include <cstdio>
#include <exception>

#include "base/clock.h"
#include "base/file.h"
#include "base/strings.h"
#include "clients/cli/arguments.h"
#include "clients/cli/error_text.h"
#include "clients/cli/help.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/invocation.h"
#include "clients/cli/verbs/verbs.h"

namespace beamline::cli {
namespace {

// Prints what went wrong where it belongs, and turns it into the exit code.
ExitCode Report(const absl::Status& status, bool json) {
  const ExitCode code = ExitCodeOf(status);
  if (code == ExitCode::kInterrupted) return code;
  const std::string text = json ? ErrorJson(status) : ErrorText(status);
  // Nobody can be told that standard error is closed.
  WriteFully(STDERR_FILENO, text).IgnoreError();
  return code;
}

absl::StatusOr<ExitCode> Dispatch(const ParsedLine& line) {
  const SystemClock clock;
  Invocation invocation(line.arguments, clock);
  if (line.command == nullptr) {
    const std::string text =
        line.group.empty() ? Overview(AllCommands()) : GroupHelp(AllCommands(), line.group);
    if (line.arguments.Has("help")) {
      invocation.Print(text);
      return ExitCode::kOk;
    }
    WriteFully(STDERR_FILENO, text).IgnoreError();
    return ExitCode::kUsage;
  }
  if (line.arguments.Has("help")) {
    invocation.Print(HelpFor(*line.command));
    return ExitCode::kOk;
  }
  CatchInterrupts();
  return line.command->run(invocation);
}

int Main(const std::vector<std::string>& words) {
  // What everyone tries first, although "version" is a command like any other.
  const bool asks_version = words == std::vector<std::string>{"--version"};
  const absl::StatusOr<ParsedLine> line =
      ParseLine(AllCommands(), asks_version ? std::vector<std::string>{"version"} : words);
  if (!line.ok()) return static_cast<int>(Report(line.status(), false));
  const absl::StatusOr<ExitCode> code = Dispatch(*line);
  if (!code.ok()) return static_cast<int>(Report(code.status(), line->arguments.Has("json")));
  return static_cast<int>(*code);
}

}  // namespace
}  // namespace beamline::cli

int main(int argc, char** argv) {
  try {
    return beamline::cli::Main({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return static_cast<int>(beamline::cli::ExitCode::kInternal);
  }
}
