// The tree of projects: what each holds, is owed and may have. Private to this folder.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "scheduler/amounts.h"
#include "scheduler/contest.h"
#include "scheduler/events.h"
#include "scheduler/ids.h"
#include "scheduler/sorted_keys.h"
#include "scheduler/task.h"

namespace beamline::scheduler {

// A project's waiting tasks of one shape, by the class that they have while the project's bucket is
// not empty: express level 0, express level 1, the rest.
inline constexpr size_t kGroups = 3;
struct Line {
  Line(Project& of, Shape& with) : project(of), shape(with) { places.fill(-1); }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  Project& project;
  Shape& shape;
  // Its place in the contests of its shape, kept by these; -1: not entered.
  std::array<int32_t, kClasses> places;
  // The project's cap has no room for one task of this shape.
  bool capped = false;
  // Which groups have tasks.
  std::array<bool, kGroups> waits{};
  std::array<SortedKeys<RankKey>, kGroups> groups;
};

// What a project's tasks of one band hold and ask for.
struct BandSums {
  Band band;
  SortedKeys<TimeKey> running;
  Amounts running_amounts;
  Amounts waiting_amounts;
  int64_t waiting = 0;
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
  // DominantShare(held), and for its weight; current for all projects at any time.
  int64_t held_share = 0;
  Ratio held_ratio = 0;
  // PrefixOf(id).
  uint64_t name = 0;
  int64_t tasks = 0;
  int64_t waiting = 0;

  // One per shape of its waiting tasks, the oldest shape first.
  std::vector<std::unique_ptr<Line>> lines;
  // Those in use, in the project's order.
  std::vector<BandSums> bands;
  // Of its lines.
  int64_t capped_lines = 0;

  // The sums of `band`, which is in use from now on.
  BandSums& SumsOf(const Band& band);
  // Forgets the sums of `band` if it is not in use any more.
  void DropIfIdle(const Band& band);

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
  // What it would lose by plan `chosen_in_plan`.
  Amounts chosen;
  int64_t chosen_in_plan = 0;
};

// Lowest held share for its weight first, compared at the highest node where the two differ.
bool HoldsLess(const Project& a, const Project& b);

// After a change of held or weight.
void SetHeldShare(Project& project, const Amounts& total);

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
  // Moves `project`, with what it holds, to another parent; nullptr: to the top.
  void Adopt(Project& project, Project* parent);
  // Forgets projects without tasks, quota and relatives, and with a full bucket.
  void Sweep();
  // The same for one of them.
  void ForgetIfIdle(const Project& project);

 private:
  static void SetPaths(Project& project);
  std::map<ProjectId, std::unique_ptr<Project>> projects_;
  std::unordered_map<ProjectId, Project*, IdHash> by_id_;  // only looked up
};

}  // namespace beamline::scheduler
