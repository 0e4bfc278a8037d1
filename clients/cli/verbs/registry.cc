// model stage, lineage, reproduce: what models are for, where things came from, and making a model
// again.
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "clients/cli/format.h"
#include "clients/cli/invocation.h"
#include "clients/cli/json.h"
#include "clients/cli/references.h"
#include "clients/cli/rpc.h"
#include "clients/cli/verbs/verbs.h"
#include "clients/cli/watch.h"

namespace beamline::cli {
namespace {

using Lineage = v1::GetLineageResponse;

std::string StageWord(v1::ModelStage stage) {
  return EnumWord(v1::ModelStage_Name(stage), "MODEL_STAGE_");
}

absl::StatusOr<ExitCode> Stage(Invocation& invocation) {
  ASSIGN_OR_RETURN(const std::string name,
                   ResolveModel(invocation, invocation.args().Positional(0)));
  v1::GetModelRequest get;
  get.set_name(name);
  ASSIGN_OR_RETURN(v1::Model model, invocation.Call(kGetModel, get));
  if (const std::string word = invocation.args().Positional(1); !word.empty()) {
    v1::SetModelStageRequest request;
    request.set_name(model.name());
    v1::ModelStage stage = v1::MODEL_STAGE_UNSPECIFIED;
    if (!v1::ModelStage_Parse(absl::StrCat("MODEL_STAGE_", absl::AsciiStrToUpper(word)), &stage) ||
        stage == v1::MODEL_STAGE_UNSPECIFIED) {
      return UsageError(
          absl::StrCat("\"", word, "\" is no stage: give none, staging, production or archived"));
    }
    request.set_stage(stage);
    request.set_request_id(invocation.NewRequestId());
    ASSIGN_OR_RETURN(model, invocation.Call(kSetModelStage, request));
  }
  if (invocation.json()) {
    invocation.PrintJson(model);
  } else {
    invocation.Print(absl::StrCat(model.name(), " ", StageWord(model.stage()), "\n"));
  }
  return ExitCode::kOk;
}

// "run r-1a2b (higgs)", "dataset points.csv sha256:0123456789ab", "model higgs/3 sha256:...".
std::string NodeText(const Lineage::Node& node) {
  const auto is = [&](const char* kind) { return node.name().find(kind) != std::string::npos; };
  std::string text;
  if (is("/runs/")) {
    text = absl::StrCat("run ", LastPart(node.name()));
    if (!node.display_name().empty()) absl::StrAppend(&text, " (", node.display_name(), ")");
  } else {
    const std::string shown = node.display_name().empty() ? node.name() : node.display_name();
    text = absl::StrCat(is("/models/") ? "model " : "dataset ", shown);
    if (!node.digest().empty()) absl::StrAppend(&text, " sha256:", node.digest().substr(0, 12));
  }
  return node.gone() ? absl::StrCat(text, ", deleted") : text;
}

// The tree of what `name` was made from, or was made of it, a line a node, each node once.
class Tree {
 public:
  Tree(const Lineage& lineage, bool down) {
    for (const Lineage::Node& node : lineage.nodes()) nodes_[node.name()] = &node;
    for (const Lineage::Arc& arc : lineage.arcs()) {
      next_[down ? arc.from() : arc.to()].push_back(down ? arc.to() : arc.from());
    }
  }
  std::string Text(const std::string& name) {
    seen_ = {name};
    std::string text;
    Append(name, 1, &text);
    return text;
  }

 private:
  void Append(const std::string& name, int depth, std::string* text) {
    for (const std::string& other : next_[name]) {
      const bool again = !seen_.insert(other).second;
      absl::StrAppend(text, std::string(2 * static_cast<size_t>(depth), ' '),
                      NodeText(*nodes_.at(other)), again ? ", see above" : "", "\n");
      if (!again) Append(other, depth + 1, text);
    }
  }

  std::map<std::string, const Lineage::Node*> nodes_;
  std::map<std::string, std::vector<std::string>> next_;
  std::set<std::string> seen_;
};

absl::StatusOr<ExitCode> ShowLineage(Invocation& invocation) {
  const std::string text = invocation.args().Positional(0);
  v1::GetLineageRequest request;
  if (text.starts_with("projects/")) {
    request.set_name(text);
  } else if (invocation.args().Has("run")) {
    ASSIGN_OR_RETURN(*request.mutable_name(), ResolveRun(invocation, text));
  } else if (invocation.args().Has("dataset")) {
    ASSIGN_OR_RETURN(*request.mutable_name(), ResolveDataset(invocation, text));
  } else {
    ASSIGN_OR_RETURN(*request.mutable_name(), ResolveModel(invocation, text));
  }
  ASSIGN_OR_RETURN(const Lineage lineage, invocation.Call(kGetLineage, request));
  if (invocation.json()) {
    invocation.PrintJson(lineage);
    return ExitCode::kOk;
  }
  const Lineage::Node& node = lineage.nodes(0);
  const std::string up = Tree(lineage, false).Text(node.name());
  const std::string down = Tree(lineage, true).Text(node.name());
  invocation.Print(absl::StrCat(NodeText(node), "\n", "made from\n",
                                up.empty() ? "  nothing\n" : up, "used for\n",
                                down.empty() ? "  nothing yet\n" : down));
  if (lineage.truncated()) invocation.Note("there is more than is shown\n");
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Reproduce(Invocation& invocation) {
  v1::ReproduceModelRequest request;
  ASSIGN_OR_RETURN(const std::string name,
                   ResolveModel(invocation, invocation.args().Positional(0)));
  v1::GetModelRequest get;
  get.set_name(name);
  ASSIGN_OR_RETURN(const v1::Model model, invocation.Call(kGetModel, get));
  request.set_name(model.name());
  request.set_request_id(invocation.NewRequestId());
  ASSIGN_OR_RETURN(const v1::ReproduceModelResponse made,
                   invocation.Call(kReproduceModel, request));
  if (invocation.args().Has("detach")) {
    if (invocation.json()) {
      invocation.PrintJson(made);
    } else {
      invocation.Print(made.run() + "\n");
    }
    return ExitCode::kOk;
  }
  ASSIGN_OR_RETURN(const ExitCode ended, WatchUntilEnd(invocation, made.run(), {}));
  if (ended != ExitCode::kOk) return ended;
  v1::ListTasksRequest list;
  list.set_parent(made.run());
  ASSIGN_OR_RETURN(const v1::ListTasksResponse tasks, invocation.Call(kListTasks, list));
  std::string digest;
  for (const v1::Task& task : tasks.tasks()) {
    const auto& artifacts = task.result().artifacts();
    const auto file = artifacts.find("model");
    if (task.step() == made.step() && file != artifacts.end()) digest = file->second.digest();
  }
  const bool same = digest == made.digest();
  if (!invocation.json()) {
    invocation.Print(same ? absl::StrCat("the same model: sha256:", digest, "\n")
                          : absl::StrCat("another model: sha256:", digest,
                                         ", not sha256:", made.digest(), "\n"));
  }
  return same ? ExitCode::kOk : ExitCode::kWorkFailed;
}

}  // namespace

std::vector<Command> RegistryCommands() {
  const Positional model = {.name = "MODEL"};
  const std::string naming = "MODEL is a name (its latest version), or NAME/VERSION.";
  return {
      {.path = "model stage",
       .summary = "Say, or show, what a version of a model is for",
       .positionals = {model, {.name = "STAGE", .optional = true}},
       .flags = {},
       .details = naming +
                  " STAGE is none, staging, production or archived.\n"
                  "One version of a model is in production: the one before goes to archived. "
                  "NAME/production\nstands for that version wherever a model is asked for.",
       .run = Stage},
      {.path = "lineage",
       .summary = "Show what a model, dataset or run was made from, and what was made of it",
       .positionals = {{.name = "NAME"}},
       .flags = {{"dataset", "", "NAME is a dataset"}, {"run", "", "NAME is a run"}},
       .details = "NAME is a model, or a resource name (projects/P/datasets/D).",
       .run = ShowLineage},
      {.path = "reproduce",
       .summary = "Train a model again and say whether it has the same digest",
       .positionals = {model},
       .flags = {{"detach", "", "Only begin, and print the run's name"}},
       .details = naming +
                  "\nRuns the step that made it, with the same definition, values and data, takes "
                  "nothing from\nearlier runs and publishes nothing. Exit code 1: the digest is "
                  "another one.",
       .run = Reproduce},
  };
}

}  // namespace beamline::cli
