#include <iterator>

#include "clients/cli/verbs/verbs.h"

namespace beamline::cli {

const std::vector<Command>& AllCommands() {
  static const std::vector<Command> commands = [] {
    std::vector<Command> all;
    for (auto group : {DevCommands,
                       PlanCommands,
                       RunCreateCommands,
                       RunWatchCommands,
                       RunControlCommands,
                       RunCommands,
                       RunTrialsCommands,
                       RunPlotsCommands,
                       ModelCommands,
                       ModelScoreCommands,
                       RegistryCommands,
                       DatasetCommands,
                       DatasetLookingCommands,
                       PipelineCommands,
                       ClusterCommands,
                       QueueCommands,
                       AccountCommands,
                       UserCommands,
                       ProjectCommands,
                       ProjectQuotaCommands,
                       AuditCommands,
                       SelfCommands}) {
      std::vector<Command> more = group();
      all.insert(all.end(), std::make_move_iterator(more.begin()),
                 std::make_move_iterator(more.end()));
    }
    return all;
  }();
  return commands;
}

}  // namespace beamline::cli
