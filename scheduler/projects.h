// The tree of projects: what each holds, is owed and may have. Private to this folder.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "scheduler/amounts.h"
#include "scheduler/events.h"
#include "scheduler/ids.h"
#include "scheduler/task.h"

namespace beamline::scheduler {

// Who goes first, across projects.
enum class Class { kGuaranteed, kExpressFirst, kExpressSecond, kNormal };
inline constexpr size_t kClasses = 4;

// A project's waiting tasks of one shape, by the class that they have while the project's bucket is
// not empty: express level 0, express level 1, the rest.
inline constexpr size_t kGroups = 3;
struct Line {
  std::array<std::set<Task*, ByRank>, kGroups> groups;
  // The classes in whose contest the project is entered for this shape.
  std::array<bool, kClasses> entered{};
  // The project's cap has no room for one task of this shape.
  bool capped = false;
};

// What a project's tasks of one band hold and ask for.
struct BandSums {
  std::set<Task*, ByEntry> running;
  Amounts running_amounts;
  Amounts waiting_amounts;
  int64_t waiting = 0;
};

struct ByShapeSerial {
  bool operator()(const Shape* a, const Shape* b) const;
};

// A node of the tree; leaves have tasks (inner nodes may have some too).
struct Project {
  ProjectId id;
  Project* parent = nullptr;
  // From the child of the root down to this one.
  std::vector<Project*> path;
  std::map<ProjectId, Project*> children;
  int64_t weight_millis = 1000;
  Amounts guaranteed;
  // -1: no cap in that dimension.
  Amounts cap{{-1, -1, -1, -1}};
  bool has_quota = false;

  // What its own tasks and those of its children hold.
  Amounts held;
  // Held by attempts that were asked to leave; not in `held`, but under the cap until they do.
  Amounts leaving;
  // DominantShare(held); current for all projects at any time.
  int64_t held_share = 0;
  int64_t tasks = 0;
  int64_t waiting = 0;

  std::map<Shape*, Line, ByShapeSerial> lines;
  std::map<Band, BandSums> bands;

  // Express: see express.h.
  Amounts express_held;
  int64_t bucket = 0;
  int64_t bucket_most = 0;
  int64_t bucket_refill = 0;
  int64_t bucket_drain = 0;
  int64_t bucket_at_ms = 0;
  bool bucket_known = false;
  bool express = true;
  bool below_guarantee = false;

  // Of the round in progress; see entitlement.h and preemption.h. Unit: parts of 10^9.
  Amounts demand;
  int64_t demand_share = 0;
  int64_t entitled = 0;
  int64_t floor = 0;
};

// Lowest held share for its weight first, compared at the highest node where the two differ.
bool HoldsLess(const Project& a, const Project& b);

struct ByHeldShare {
  bool operator()(const Project* a, const Project* b) const { return HoldsLess(*a, *b); }
};

// Whether the caps of `project` and its parents leave room for `more`.
bool CapAllows(const Project& project, const Amounts& more);

// Not thread-safe. Owns the projects.
class ProjectTree {
 public:
  Project& FindOrAdd(const ProjectId& id);
  Project* Find(const ProjectId& id) const;
  const std::map<ProjectId, std::unique_ptr<Project>>& all() const { return projects_; }
  // Takes over what `event` says, without moving the project. Empty: done; otherwise what is wrong.
  std::string SetQuota(const QuotaChanged& event);
  // Forgets projects without tasks, quota and relatives, and with a full bucket.
  void Sweep();
  // The same for one of them.
  void ForgetIfIdle(const Project& project);

 private:
  static void SetPaths(Project& project);
  std::map<ProjectId, std::unique_ptr<Project>> projects_;
};

}  // namespace beamline::scheduler
