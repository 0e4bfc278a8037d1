// One command of `beamline`: everything that parsing, help, suggestions and shell completion know
// about it. There is no second list of commands or flags.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "clients/cli/exit_code.h"

namespace beamline::cli {

class Invocation;

// What a shell offers for a value.
enum class Completion { kNone, kFile, kFolder };

struct Flag {
  // Without dashes.
  std::string name;
  // Placeholder of the value in help, "FILE". Empty: a switch.
  std::string value;
  std::string help;
  Completion completion = Completion::kNone;
  // May be given more than once.
  bool repeated = false;
};

struct Positional {
  // Placeholder in help, "PIPELINE.yaml".
  std::string name;
  bool optional = false;
  // Takes all that follow; only the last may be so.
  bool repeated = false;
  Completion completion = Completion::kNone;
};

struct Command {
  // One or two words: "run create".
  std::string path;
  // One line, no full stop.
  std::string summary;
  std::vector<Positional> positionals;
  std::vector<Flag> flags;
  // Further paragraphs of `beamline help`.
  std::string details;
  // Returns an error, which main prints, or the exit code.
  absl::StatusOr<ExitCode> (*run)(Invocation& invocation) = nullptr;
};

// Flags that every command takes.
const std::vector<Flag>& GlobalFlags();

}  // namespace beamline::cli
