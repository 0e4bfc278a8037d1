#include "scheduler/projects.h"

#include <algorithm>

namespace beamline::scheduler {
namespace {

constexpr size_t kMaxDepth = 8;
constexpr int64_t kMaxWeight = 1'000'000'000;

bool InRange(int64_t amount) { return amount >= 0 && amount <= kMaxAmount; }

bool IsIdle(const Project& project) {
  return project.tasks == 0 && !project.has_quota && project.children.empty() &&
         project.parent == nullptr &&
         (!project.bucket_known || project.bucket >= project.bucket_most);
}

}  // namespace

bool HoldsLess(const Project& a, const Project& b) {
  const size_t depth = std::min(a.path.size(), b.path.size());
  for (size_t i = 0; i < depth; ++i) {
    const Project& left = *a.path[i];
    const Project& right = *b.path[i];
    if (&left == &right) continue;
    if (left.held_ratio != right.held_ratio) return left.held_ratio < right.held_ratio;
    return left.id < right.id;
  }
  return a.path.size() < b.path.size();
}

BandSums& Project::SumsOf(const Band& band) {
  auto sums = bands.begin();
  while (sums != bands.end() && sums->band < band) ++sums;
  if (sums == bands.end() || !(sums->band == band)) {
    sums = bands.emplace(sums);
    sums->band = band;
  }
  return *sums;
}

void Project::DropIfIdle(const Band& band) {
  const auto sums = bands.begin() + (&SumsOf(band) - bands.data());
  if (sums->running.empty() && sums->waiting == 0) bands.erase(sums);
}

void SetHeldShare(Project& project, const Amounts& total) {
  project.held_share = DominantShare(project.held, total);
  project.held_ratio = RatioOf(project.held_share, project.weight_millis);
}

bool CapAllows(const Project& project, const Amounts& more) {
  for (const Project* node : project.path) {
    for (size_t i = 0; i < Amounts::kDimensions; ++i) {
      if (node->cap.of[i] >= 0 &&
          node->held.of[i] + node->leaving.of[i] + more.of[i] > node->cap.of[i] && more.of[i] > 0) {
        return false;
      }
    }
  }
  return true;
}

Project& ProjectTree::FindOrAdd(const ProjectId& id) {
  Project*& known = by_id_[id];
  if (known == nullptr) {
    std::unique_ptr<Project>& project = projects_[id];
    project = std::make_unique<Project>();
    project->id = id;
    project->name = PrefixOf(id);
    project->path = {project.get()};
    known = project.get();
  }
  return *known;
}

Project* ProjectTree::Find(const ProjectId& id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

std::string ProjectTree::SetQuota(const QuotaChanged& event) {
  if (event.project.empty()) return "the project has no id";
  if (event.weight_millis < 1 || event.weight_millis > kMaxWeight) {
    return "weight_millis is " + std::to_string(event.weight_millis) +
           ": it must be from 1 to 10^9";
  }
  for (const int64_t amount :
       {event.guaranteed_cpu_millis, event.guaranteed_memory_bytes, event.guaranteed_devices}) {
    if (!InRange(amount))
      return "a guarantee is " + std::to_string(amount) + ": it must be from 0 to 2^50";
  }
  for (const int64_t amount : {event.max_cpu_millis, event.max_memory_bytes, event.max_devices}) {
    if (amount != -1 && !InRange(amount)) {
      return "a cap is " + std::to_string(amount) + ": it must be from 0 to 2^50, or -1 for none";
    }
  }
  if (!event.parent.empty()) {
    const Project* parent = Find(event.parent);
    if (event.parent == event.project) return "a project cannot be its own parent";
    if (parent != nullptr) {
      if (parent->path.size() >= kMaxDepth) return "the tree of projects is deeper than 8";
      for (const Project* node : parent->path) {
        if (node->id == event.project) return "a project cannot be its own ancestor";
      }
    }
  }
  Project& project = FindOrAdd(event.project);
  Project* parent = event.parent.empty() ? nullptr : &FindOrAdd(event.parent);
  Adopt(project, parent);
  project.weight_millis = event.weight_millis;
  project.guaranteed = {
      {event.guaranteed_cpu_millis, event.guaranteed_memory_bytes, event.guaranteed_devices, 0}};
  project.cap = {{event.max_cpu_millis, event.max_memory_bytes, event.max_devices, -1}};
  project.has_quota = true;
  return "";
}

void ProjectTree::Adopt(Project& project, Project* parent) {
  if (project.parent == parent) return;
  for (Project* node = project.parent; node != nullptr; node = node->parent) {
    node->held = node->held - project.held;
    node->leaving = node->leaving - project.leaving;
  }
  if (project.parent != nullptr) project.parent->children.erase(project.id);
  project.parent = parent;
  if (parent != nullptr) parent->children[project.id] = &project;
  for (Project* node = parent; node != nullptr; node = node->parent) {
    node->held = node->held + project.held;
    node->leaving = node->leaving + project.leaving;
  }
  SetPaths(project);
}

void ProjectTree::SetPaths(Project& project) {
  project.path.clear();
  if (project.parent != nullptr) project.path = project.parent->path;
  project.path.push_back(&project);
  for (const auto& [id, child] : project.children) SetPaths(*child);
}

void ProjectTree::Sweep() {
  for (auto it = projects_.begin(); it != projects_.end();) {
    const auto next = std::next(it);
    ForgetIfIdle(*it->second);
    it = next;
  }
}

void ProjectTree::ForgetIfIdle(const Project& project) {
  if (!IsIdle(project)) return;
  by_id_.erase(project.id);
  projects_.erase(ProjectId(project.id));
}

}  // namespace beamline::scheduler
