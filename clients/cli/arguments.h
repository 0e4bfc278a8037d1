// The command line, read against the table of commands.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "clients/cli/command.h"

namespace beamline::cli {

// Values of one command line. Immutable after parsing.
class Arguments {
 public:
  // True if the switch or flag was given.
  bool Has(std::string_view flag) const { return values_.contains(std::string(flag)); }
  // Last value of the flag; `fallback` if it was not given.
  std::string Get(std::string_view flag, std::string_view fallback = "") const;
  // All values of a repeated flag, in order.
  std::vector<std::string> All(std::string_view flag) const;
  // UsageError if the value is not a whole number in [min, max].
  absl::StatusOr<int64_t> Integer(std::string_view flag, int64_t fallback, int64_t min,
                                  int64_t max) const;

  // Positional arguments by place; empty if it was optional and not given.
  std::string Positional(size_t index) const;
  const std::vector<std::string>& positionals() const { return positionals_; }

  void Add(std::string_view flag, std::string_view value);
  void AddPositional(std::string_view value) { positionals_.emplace_back(value); }

 private:
  std::map<std::string, std::vector<std::string>> values_;
  std::vector<std::string> positionals_;
};

struct ParsedLine {
  // Null if no command was named (then --help was, or nothing at all).
  const Command* command = nullptr;
  // Words that start commands of a group without naming one: "run". Empty otherwise.
  std::string group;
  Arguments arguments;
};

// Finds the command and reads its flags: "--flag value", "--flag=value", and global flags
// anywhere; "--" ends the flags. `words` is argv without the program.
// UsageError: no such command or flag (with the nearest name), a value that is missing or
// superfluous, too few or too many arguments. With --help nothing is required.
absl::StatusOr<ParsedLine> ParseLine(const std::vector<Command>& commands,
                                     const std::vector<std::string>& words);

}  // namespace beamline::cli
