// Places that are kept for tasks which have starved. What ends there goes to nobody else, so that a
// large task starts when the last of those that run there has ended, however many small ones wait.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "scheduler/core.h"

namespace beamline::scheduler {
namespace {

// Guarded tasks of one project and pool that a round looks at.
constexpr int32_t kMaxLooked = 100;
// No more than one place is kept for each so many workers.
constexpr size_t kWorkersOfPlace = 4;

// Than it is owed, it or one above it: then its waiting is nobody else's affair.
bool HoldsMore(const Project& project) {
  return std::any_of(project.path.begin(), project.path.end(),
                     [](const Project* each) { return each->held_share > each->entitled; });
}

bool MayKeep(const Task& task) {
  return task.spec.demand.min_workers == 1 && task.shape->feasible &&
         CapAllows(*task.project, task.shape->amounts) && !HoldsMore(*task.project);
}

}  // namespace

std::vector<Scheduler::Core::KeptPlace> Scheduler::Core::GiveUpPlaces() {
  std::vector<KeptPlace> given_up;
  for (Task* task : std::exchange(holds_, {})) {
    given_up.push_back({task, task->workers.front()});
    workers_.Unreserve(*task, task->placements, task->workers);
    task->placements.clear();
    task->workers.clear();
    Discount(*task);
    --reserved_;
    maybe_ready_.erase(task);
    task->holds = false;
    task->state = TaskState::kPending;
    queue_.Push(*task);
  }
  return given_up;
}

bool Scheduler::Core::KeepPlace(Task& task, Worker* before) {
  if (!MayKeep(task)) return false;
  Worker* worker = workers_.FindToKeep(task.spec.demand, before);
  if (worker == nullptr) return false;
  task.victims.clear();
  task.holds = true;
  BecomeReserved(task, {workers_.Keep(task, *worker)});
  holds_.insert(&task);
  return true;
}

// Those that have a place may clear one as well as any other, and go first; else they keep theirs,
// or one where less is missing by now, before anybody can take it.
void Scheduler::Core::KeepPlaces(const std::vector<KeptPlace>& given_up) {
  for (const auto& [task, worker] : given_up) {
    const Plan plan = preemption_.Try(*task);
    if (plan.beneficiary != nullptr) Commit(plan);
    const bool kept = plan.beneficiary == nullptr && KeepPlace(*task, worker);
    if (!kept || task->workers.front() != worker) Opened(*worker);
  }
}

// In each pool one: that of the longest waiting task whose project may hold it, and holds no more
// than it is owed.
void Scheduler::Core::KeepMorePlaces() {
  const size_t most = std::max<size_t>(workers_.all().size() / kWorkersOfPlace, 1);
  std::set<std::string> pools;
  for (const Task* task : holds_) pools.insert(task->spec.demand.pool);
  std::map<std::string, std::set<TimeKey>> longest;  // of each project
  for (const auto& [key, waiting] : queue_.guarded()) {
    if (pools.count(key.first) > 0) continue;
    int32_t looked = 0;
    for (const TimeKey& wait : waiting) {
      if (++looked > kMaxLooked) break;
      if (!MayKeep(*wait.task)) continue;
      longest[key.first].insert(wait);
      break;
    }
  }
  for (const auto& [pool, tasks] : longest) {
    if (holds_.size() >= most) return;
    for (const TimeKey& wait : tasks) {
      if (KeepPlace(*wait.task, nullptr)) break;
    }
  }
}

// Looks again which devices are free there.
bool Scheduler::Core::IsReadyWhereKept(Task& task) {
  Worker& worker = *task.workers.front();
  const Demand& demand = task.spec.demand;
  if (!worker.usable()) return false;
  // Its quota may be smaller by now; then the next round gives the place up.
  Discount(task);
  const bool allowed = CapAllows(*task.project, task.held);
  Charge(task);
  if (!allowed) return false;
  const std::vector<DeviceId> before = task.placements.front().devices;
  workers_.Unreserve(task, task.placements, task.workers);
  const bool ready = OpenFor(demand, LeastDevices(demand), worker, 1) > 0;
  task.placements = {workers_.Keep(task, worker)};
  if (!ready && task.placements.front().devices != before) {
    queue_.OpenWhere([&](const Demand& other) { return workers_.MayHelp(other, worker); });
  }
  return ready;
}

}  // namespace beamline::scheduler
