#include "scheduler/preemption.h"

#include <algorithm>

#include "scheduler/entitlement.h"
#include "scheduler/express.h"

namespace beamline::scheduler {
namespace {

// Whether `more` belongs to what is owed, after `before`: if more than half of it does.
bool IsIn(const Amounts& before, const Amounts& more, const Amounts& total, int64_t entitled) {
  return DominantShare(before, total) + DominantShare(more, total) / 2 <= entitled;
}

// The waiting tasks of a project in its own order, of all shapes together.
class Waiting {
 public:
  explicit Waiting(const Project& project) {
    for (const std::unique_ptr<Line>& line : project.lines) {
      if (!line->shape.counted || line->capped) continue;
      for (const auto& group : line->groups) {
        if (!group.empty()) cursors_.push_back({group.begin(), group.end()});
      }
    }
  }

  // The next one of `band`; nullptr: none.
  Task* First(const Band& band) {
    at_ = nullptr;
    for (Cursor& cursor : cursors_) {
      while (cursor.next != cursor.end && cursor.next->band < band) ++cursor.next;
      if (cursor.next == cursor.end || !(cursor.next->band == band)) continue;
      if (at_ == nullptr || cursor.next->entry < at_->next->entry) at_ = &cursor;
    }
    return at_ == nullptr ? nullptr : at_->next->entry.task;
  }
  void Pass() { ++at_->next; }
  // No further task like this one.
  void Drop() { at_->next = at_->end; }

 private:
  struct Cursor {
    SortedKeys<RankKey>::Iterator next;
    SortedKeys<RankKey>::Iterator end;
  };
  std::vector<Cursor> cursors_;
  Cursor* at_ = nullptr;
};

// Small ones first, so that no more is taken than is needed; then those that have had most service,
// then those that lose least by it.
bool WorseVictim(const Task* a, const Task* b) {
  const int64_t a_rate = ServiceRate(a->held);
  const int64_t b_rate = ServiceRate(b->held);
  if (a_rate != b_rate) return a_rate < b_rate;
  if (a->level != b->level) return a->level > b->level;
  if (a->started_ms != b->started_ms) return a->started_ms > b->started_ms;
  return a->spec.task < b->spec.task;
}

}  // namespace

bool Preemption::Preemptible(const Task& task) const {
  return task.spec.preemptible && !task.vacating &&
         (task.state == TaskState::kAssigned || task.state == TaskState::kRunning) &&
         now_ms_ - task.started_ms >= options_.min_run_ms;
}

void Preemption::RecheckShapes() {
  for (const auto& [demand, shape] : queue_.shapes()) {
    if (shape->checked_at != workers_.version()) {
      shape->feasible = workers_.Feasible(demand);
      shape->checked_at = workers_.version();
    }
    queue_.SetCounted(*shape, shape->feasible);
  }
}

void Preemption::GuardTheStarved() {
  for (Task* task : queue_.Starved(now_ms_ - options_.starvation_ms)) {
    queue_.Remove(*task);
    task->guarded = true;
    queue_.Push(*task);
  }
}

void Preemption::Begin(int64_t now_ms) {
  now_ms_ = now_ms;
  ++round_;
  parties_.clear();
  victims_.clear();
  preempted_ = 0;
  failures_ = 0;
  first_victim_ = 0;
  visits_ = 0;
  queue_.projects().Sweep();
  RefillBuckets(queue_, options_, now_ms);
  GuardTheStarved();
  RecheckShapes();
  std::vector<Project*> top;
  for (const auto& [id, project] : queue_.projects().all()) {
    if (project->parent == nullptr) top.push_back(project.get());
  }
  ComputeEntitlements(queue_, top);
  size_t beneficiaries = 0;
  for (const auto& [id, project] : queue_.projects().all()) {
    if (project->waiting == 0) continue;
    Party party{project.get(), {}, 0};
    Sort(*project, &party.beneficiaries, nullptr);
    beneficiaries += party.beneficiaries.size();
    parties_.push_back(std::move(party));
  }
  if (beneficiaries == 0) return;
  for (const auto& [id, project] : queue_.projects().all()) Sort(*project, nullptr, &victims_);
  std::sort(victims_.begin(), victims_.end(), WorseVictim);
}

void Preemption::Sort(Project& project, std::vector<Task*>* in, std::vector<Task*>* out) {
  const Amounts& total = queue_.total();
  Waiting waiting(project);
  Amounts sum;
  bool full = false;
  for (const BandSums& sums : project.bands) {
    if (DominantShare(sum + sums.running_amounts, total) <= project.entitled) {
      sum = sum + sums.running_amounts;
    } else {
      for (const TimeKey& key : sums.running) {
        Task* task = key.task;
        if (IsIn(sum, task->held, total, project.entitled)) {
          sum = sum + task->held;
        } else if (out != nullptr && Preemptible(*task)) {
          task->victim_of_round = round_;
          out->push_back(task);
        }
      }
    }
    full = full || DominantShare(sum, total) >= project.entitled;
    while (!full && sums.waiting > 0) {
      Task* task = waiting.First(sums.band);
      if (task == nullptr) break;
      if (IsIn(sum, task->shape->amounts, total, project.entitled)) {
        sum = sum + task->shape->amounts;
        if (in != nullptr) in->push_back(task);
        waiting.Pass();
      } else {
        waiting.Drop();
      }
    }
    if (full && out == nullptr) break;
  }
}

Plan Preemption::Try(Task& task) {
  const auto party = std::find_if(parties_.begin(), parties_.end(),
                                  [&](const Party& each) { return each.project == task.project; });
  if (party == parties_.end() ||
      std::count(party->beneficiaries.begin(), party->beneficiaries.end(), &task) == 0) {
    return Plan();
  }
  Plan plan = PlanFor(task);
  Count(plan);
  return plan;
}

Task* Preemption::Next() {
  if (preempted_ >= options_.max_preempted || failures_ >= kMaxFailuresOfRound ||
      visits_ >= kMaxVisitsOfRound) {
    return nullptr;
  }
  Party* best = nullptr;
  Class best_class = Class::kNormal;
  for (Party& party : parties_) {
    if (party.next >= party.beneficiaries.size()) continue;
    const Class own = queue_.ClassOf(*party.beneficiaries[party.next]);
    if (best == nullptr || own < best_class ||
        (own == best_class && HoldsLess(*party.project, *best->project))) {
      best = &party;
      best_class = own;
    }
  }
  return best == nullptr ? nullptr : best->beneficiaries[best->next++];
}

void Preemption::Count(const Plan& plan) {
  preempted_ += static_cast<int32_t>(plan.victims.size() + plan.moves.size());
}

}  // namespace beamline::scheduler
