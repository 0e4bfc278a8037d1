// Help texts and shell completion, made from the table of commands.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "clients/cli/command.h"

namespace beamline::cli {

// One screen: all commands in the order of the table, flags, exit codes.
std::string Overview(const std::vector<Command>& commands);

// All that is to be known about one command.
std::string HelpFor(const Command& command);

// The commands that start with `group`: "run".
std::string GroupHelp(const std::vector<Command>& commands, std::string_view group);

// A script that the shell sources. UsageError unless `shell` is bash, zsh or fish.
absl::StatusOr<std::string> CompletionScript(const std::vector<Command>& commands,
                                             std::string_view shell);

// "beamline run create PIPELINE.yaml [--watch] ...", without flags.
std::string Synopsis(const Command& command);

}  // namespace beamline::cli
