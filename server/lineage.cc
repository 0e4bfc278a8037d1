#include "server/lineage.h"

#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "auth/policy.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "pipeline/dependencies.h"
#include "server/errors.h"
#include "server/names.h"
#include "server/registry.h"
#include "store/datasets.h"
#include "store/identity.h"
#include "store/pipelines.h"
#include "store/runs.h"

namespace beamline::server {
namespace {

constexpr int64_t kMaxRuns = 20'000;
constexpr int kMaxNodes = 1'000;

// What was made of what, in one project.
class Graph {
 public:
  static absl::StatusOr<Graph> Load(const store::View& view, const std::string& project) {
    Graph graph;
    ASSIGN_OR_RETURN(auto runs, store::ListRuns(view, project, {},
                                                std::numeric_limits<int64_t>::max(), kMaxRuns + 1));
    graph.truncated_ = std::ssize(runs) > kMaxRuns;
    if (graph.truncated_) runs.resize(kMaxRuns);
    for (const auto& [serial, listed] : runs) {
      ASSIGN_OR_RETURN(const store::StoredRun run,
                       store::GetRun(view, project, store::IdOf(listed.name())));
      RETURN_IF_ERROR(graph.AddRun(view, project, run.message));
    }
    return graph;
  }

  // Names that `name` was made of (or, `down`, that were made of it), nearest first, at most
  // `count`.
  std::deque<std::string> Walk(const std::string& name, bool down, size_t count) {
    const auto& arcs = down ? children_ : parents_;
    std::deque<std::string> found;
    std::deque<std::string> open = {name};
    std::set<std::string> seen = {name};
    while (!open.empty()) {
      const auto next = arcs.find(open.front());
      open.pop_front();
      if (next == arcs.end()) continue;
      for (const std::string& other : next->second) {
        if (!seen.insert(other).second) continue;
        if (found.size() == count) {
          truncated_ = true;
          return found;
        }
        found.push_back(other);
        open.push_back(other);
      }
    }
    return found;
  }

  const std::map<std::string, std::set<std::string>>& children() const { return children_; }
  bool truncated() const { return truncated_; }

 private:
  void Add(const std::string& from, const std::string& to) {
    children_[from].insert(to);
    parents_[to].insert(from);
  }

  // Results are workers' words: names of other projects, and what is no name, are left out.
  absl::Status AddRun(const store::View& view, const std::string& project, const v1::Run& run) {
    for (const auto& [name, input] : run.definition().inputs()) {
      Add(DatasetName(project, store::IdOf(input.dataset())), run.name());
    }
    for (const v1::Step& step : run.definition().steps()) {
      for (const std::string& model :
           {step.train().initial_model(), pipeline::ModelUseOf(step).model}) {
        const auto name = ParseModelName("model", model);
        if (name.ok() && name->project == project) Add(model, run.name());
      }
      if (!step.has_cross_validation() && !step.has_predict()) continue;
      const auto task = store::GetTask(view, store::IdOf(run.name()), step.name());
      if (absl::IsNotFound(task.status())) continue;
      RETURN_IF_ERROR(task.status());
      const v1::TaskResult& result = task->message.result();
      for (const std::string& made : {result.out_of_fold().name(), result.table().name()}) {
        const auto name = ParseDatasetName("name", made);
        if (name.ok() && name->project == project) Add(run.name(), made);
      }
    }
    for (const std::string& model : run.models()) {
      const auto name = ParseModelName("model", model);
      if (!name.ok() || name->project != project) continue;
      const auto found = LookUpModel(view, *name);
      // A step that was taken from an earlier run was trained there.
      const bool elsewhere = found.ok() && found->lineage().run() != run.name();
      Add(elsewhere ? found->lineage().run() : run.name(), model);
    }
    return absl::OkStatus();
  }

  std::map<std::string, std::set<std::string>> children_;
  std::map<std::string, std::set<std::string>> parents_;
  bool truncated_ = false;
};

// What is known of the thing; nullopt: it is gone.
absl::StatusOr<v1::GetLineageResponse::Node> Describe(const store::View& view,
                                                      const std::string& name) {
  v1::GetLineageResponse::Node node;
  node.set_name(name);
  absl::Status status;
  if (const auto dataset = ParseDatasetName("name", name); dataset.ok()) {
    const auto found = store::GetDataset(view, dataset->project, dataset->id);
    status = found.status();
    if (found.ok()) {
      node.set_display_name(found->display_name());
      node.set_digest(found->source().digest());
      *node.mutable_create_time() = found->create_time();
    }
  } else if (const auto run = ParseRunName("name", name); run.ok()) {
    const auto found = store::GetRun(view, run->project, run->id);
    status = found.status();
    if (found.ok()) {
      node.set_display_name(std::string(store::IdOf(found->message.pipeline())));
      *node.mutable_create_time() = found->message.create_time();
    }
  } else if (const auto model = ParseModelName("name", name); model.ok()) {
    const auto found = LookUpModel(view, *model);
    status = found.status();
    if (found.ok()) {
      node.set_name(found->name());
      node.set_display_name(absl::StrCat(model->id, "/", A(store::IdOf(found->name()))));
      node.set_digest(found->file().digest());
      *node.mutable_create_time() = found->create_time();
    }
  } else {
    return BadField("name", "must be a dataset, a run or a model");
  }
  node.set_gone(absl::IsNotFound(status));
  if (!status.ok() && !node.gone()) return status;
  return node;
}

}  // namespace

absl::StatusOr<v1::GetLineageResponse> LineageOf(const store::View& view,
                                                 const std::string& asked) {
  ASSIGN_OR_RETURN(const auto first, Describe(view, asked));
  if (first.gone()) return absl::NotFoundError(absl::StrCat(asked, " does not exist"));
  const std::string& name = first.name();
  ASSIGN_OR_RETURN(const std::string project, auth::ProjectOf(name));
  ASSIGN_OR_RETURN(Graph graph, Graph::Load(view, project));
  v1::GetLineageResponse response;
  *response.add_nodes() = first;
  std::set<std::string> there = {name};
  // Half of the room for either direction, and what one leaves for the other.
  constexpr size_t kHalf = kMaxNodes / 2;
  std::deque<std::string> up = graph.Walk(name, false, kHalf);
  const std::deque<std::string> down = graph.Walk(name, true, kMaxNodes - 1 - up.size());
  up.insert(up.end(), down.begin(), down.end());
  for (const std::string& other : up) {
    if (!there.insert(other).second) continue;
    ASSIGN_OR_RETURN(*response.add_nodes(), Describe(view, other));
  }
  for (const auto& [from, children] : graph.children()) {
    if (!there.contains(from)) continue;
    for (const std::string& to : children) {
      if (!there.contains(to)) continue;
      auto& arc = *response.add_arcs();
      arc.set_from(from);
      arc.set_to(to);
    }
  }
  response.set_truncated(graph.truncated());
  return response;
}

}  // namespace beamline::server
