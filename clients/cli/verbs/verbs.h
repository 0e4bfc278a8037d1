// The commands, a group a file. Flags stand beside the code that reads them.
#pragma once

#include <vector>

#include "clients/cli/command.h"

namespace beamline::cli {

std::vector<Command> DevCommands();
std::vector<Command> AccountCommands();
std::vector<Command> AuditCommands();
std::vector<Command> ProjectCommands();
std::vector<Command> ProjectQuotaCommands();
std::vector<Command> DatasetCommands();
std::vector<Command> DatasetLookingCommands();
std::vector<Command> PipelineCommands();
std::vector<Command> PlanCommands();
std::vector<Command> RunCreateCommands();
std::vector<Command> RunWatchCommands();
std::vector<Command> RunCommands();
std::vector<Command> RunControlCommands();
std::vector<Command> RunTrialsCommands();
std::vector<Command> RunPlotsCommands();
std::vector<Command> ModelCommands();
std::vector<Command> ModelScoreCommands();
std::vector<Command> RegistryCommands();
std::vector<Command> ClusterCommands();
std::vector<Command> QueueCommands();
std::vector<Command> SelfCommands();
std::vector<Command> UserCommands();

// All of them, in the order of the help.
const std::vector<Command>& AllCommands();

}  // namespace beamline::cli
