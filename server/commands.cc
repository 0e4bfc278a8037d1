#include "server/commands.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "pipeline/programs.h"
#include "store/identity.h"

namespace beamline::server {

absl::Status CheckCommands(const store::View& view, std::string_view project,
                           const v1::PipelineDefinition& definition) {
  const v1::Step* step = pipeline::FindProgramStep(definition);
  if (step == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(const v1::Project stored, store::GetProject(view, project));
  if (stored.commands_allowed()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("step \"", step->name(), "\" runs a program of the user's own, which project \"",
                   A(project), "\" may not: ask an operator for \"beamline project set ",
                   A(project), " --programs allow\""));
}

}  // namespace beamline::server
