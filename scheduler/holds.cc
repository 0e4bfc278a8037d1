// Places that are kept for tasks which have starved. What ends there goes to nobody else, so that a
// large task starts when the last of those that run there has ended, however many small ones wait.
#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "scheduler/core.h"

namespace beamline::scheduler {
namespace {

// Guarded tasks of a pool that a round looks at.
constexpr int32_t kMaxLooked = 1000;

// Than it is owed, it or one above it: then its waiting is nobody else's affair.
bool HoldsMore(const Project& project) {
  return std::any_of(project.path.begin(), project.path.end(), [](const Project* each) {
    return each->held_share > each->entitled;
  });
}

}  // namespace

void Scheduler::Core::KeepAt(Task& task, Worker& worker) {
  workers_.Unreserve(task, task.placements, task.workers);
  task.placements = {workers_.Keep(task, worker)};
  task.workers = {&worker};
}

// One for each pool, so that what stays empty meanwhile is bounded: that of the longest waiting
// task whose project may hold it, and holds no more than it is owed. Looks in each round anew where
// least is missing.
void Scheduler::Core::KeepPlaces() {
  std::set<std::string> pools;
  for (Task* task : holds_) {
    pools.insert(task->spec.demand.pool);
    Worker* before = task->workers.front();
    Worker* best = workers_.FindToKeep(*task);
    if (best == nullptr || best == before) continue;
    KeepAt(*task, *best);
    maybe_ready_.insert(task);
    Opened(*before);
  }
  for (const auto& [pool, waiting] : queue_.guarded()) {
    if (pools.count(pool) > 0) continue;
    int32_t looked = 0;
    for (const TimeKey& key : waiting) {
      Task& task = *key.task;
      const Demand& demand = task.spec.demand;
      if (++looked > kMaxLooked) break;
      if (demand.min_workers > 1 || !task.shape->feasible) continue;
      if (!CapAllows(*task.project, task.shape->amounts) || HoldsMore(*task.project)) continue;
      Worker* worker = workers_.FindToKeep(task);
      if (worker == nullptr) continue;
      task.holds = true;
      BecomeReserved(task, {workers_.Keep(task, *worker)});
      holds_.insert(&task);
      break;
    }
  }
}

}  // namespace beamline::scheduler
