#include "scheduler/express.h"

#include <algorithm>

namespace beamline::scheduler {
namespace {

__extension__ typedef __int128 Wide;

// Has tasks or was declared.
bool IsActive(const Project& project) {
  if (project.tasks > 0 || project.has_quota) return true;
  return std::any_of(project.children.begin(), project.children.end(),
                     [](const auto& child) { return IsActive(*child.second); });
}

void SetInflow(Project& project, const Options& options, int64_t share, int64_t now_ms) {
  SettleBucket(project, now_ms);
  // Where few projects share, a multiple of the share would be the whole cluster: half of what the
  // others are owed stays theirs.
  const Wide most = (kWhole + share) / 2;
  const Wide refill = static_cast<Wide>(share) * options.express_refill_percent / 100;
  project.bucket_refill = static_cast<int64_t>(std::min<Wide>(refill, most));
  project.bucket_most = static_cast<int64_t>(std::min<Wide>(
      static_cast<Wide>(project.bucket_refill) * options.express_burst_ms, int64_t{1} << 60));
  if (!project.bucket_known) {
    project.bucket_known = true;
    project.bucket = project.bucket_most;
  }
  project.bucket = std::clamp(project.bucket, -project.bucket_most, project.bucket_most);
}

}  // namespace

void SettleBucket(Project& project, int64_t now_ms) {
  const int64_t passed_ms = now_ms - project.bucket_at_ms;
  project.bucket_at_ms = now_ms;
  if (!project.bucket_known || passed_ms <= 0) return;
  const Wide bucket =
      project.bucket + static_cast<Wide>(project.bucket_refill - project.bucket_drain) * passed_ms;
  project.bucket =
      static_cast<int64_t>(std::clamp<Wide>(bucket, -project.bucket_most, project.bucket_most));
}

void ChangeExpress(Project& project, const Amounts& change, const Amounts& total, int64_t now_ms) {
  SettleBucket(project, now_ms);
  project.express_held = project.express_held + change;
  project.bucket_drain = DominantShare(project.express_held, total);
}

void RefillBuckets(TaskQueue& queue, const Options& options, int64_t now_ms) {
  const auto share_among = [&](const auto& self, const std::vector<Project*>& equals,
                               int64_t share) -> void {
    int64_t weights = 0;
    for (const Project* project : equals) {
      if (IsActive(*project)) weights += project->weight_millis;
    }
    for (Project* project : equals) {
      const int64_t of_all = weights + (IsActive(*project) ? 0 : project->weight_millis);
      const auto own =
          static_cast<int64_t>(static_cast<Wide>(share) * project->weight_millis / of_all);
      SetInflow(*project, options, own, now_ms);
      if (const bool express = project->bucket > 0; express != project->express) {
        queue.Reorder(*project, [&] { project->express = express; });
      }
      if (project->children.empty()) continue;
      std::vector<Project*> children;
      for (const auto& [id, child] : project->children) children.push_back(child);
      self(self, children, own);
    }
  };
  std::vector<Project*> top;
  for (const auto& [id, project] : queue.projects().all()) {
    if (project->parent == nullptr) top.push_back(project.get());
  }
  share_among(share_among, top, kWhole);
}

}  // namespace beamline::scheduler
