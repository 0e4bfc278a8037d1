#include "benchmarks/scheduler/simulation.h"

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <queue>
#include <string>
#include <vector>

namespace beamline::replay {
namespace {

using scheduler::Action;
using scheduler::Event;
using scheduler::TaskId;

enum class What { kFinish, kWork, kSubmit };

struct Due {
  int64_t at_ms;
  What what;
  int32_t job;
  int32_t attempt;
  bool operator>(const Due& other) const {
    if (at_ms != other.at_ms) return at_ms > other.at_ms;
    if (what != other.what) return what > other.what;
    return job != other.job ? job > other.job : attempt > other.attempt;
  }
};

struct State {
  int64_t left_ms = 0;
  // From when on the live attempt makes progress; -1: no attempt.
  int64_t works_from_ms = -1;
  int32_t attempt = 0;
};

class Simulation {
 public:
  Simulation(const Trace& trace, const Cluster& cluster, const scheduler::Options& options,
             int32_t attacker, bool hash)
      : trace_(trace),
        scheduler_(options),
        recorder_(trace, cluster.nodes * cluster.gpus_per_node, attacker),
        states_(trace.jobs.size()),
        hash_(hash) {
    char name[32];
    for (size_t i = 0; i < trace.jobs.size(); ++i) {
      std::snprintf(name, sizeof name, "j%07zu", i);
      names_.emplace_back(name);
      states_[i].left_ms = trace.jobs[i].run_ms;
    }
    for (const std::string& tenant : trace.tenants) {
      scheduler::QuotaChanged quota;
      quota.project = scheduler::ProjectId(tenant);
      Tell(quota);
    }
    for (int32_t i = 0; i < cluster.nodes; ++i) {
      scheduler::WorkerSeen seen;
      std::snprintf(name, sizeof name, "w%06d", i);
      seen.worker = scheduler::WorkerId(name);
      for (int32_t k = 0; k < cluster.gpus_per_node; ++k) {
        seen.capacity.devices.push_back(
            {scheduler::DeviceId("g" + std::to_string(k)), scheduler::DeviceKind::kCuda, 0});
      }
      Tell(seen);
    }
  }

  SimulationResult Run() {
    size_t next = 0;
    while (next < trace_.jobs.size() || !due_.empty()) {
      int64_t at_ms = due_.empty() ? INT64_MAX : due_.top().at_ms;
      if (next < trace_.jobs.size()) at_ms = std::min(at_ms, trace_.jobs[next].submit_ms);
      if (timer_ms_ > 0 && timer_ms_ < at_ms) {
        now_ms_ = timer_ms_;
        timer_ms_ = 0;
        Tell(scheduler::Tick{});
        continue;
      }
      now_ms_ = at_ms;
      if (!due_.empty() && due_.top().at_ms == at_ms) {
        const Due due = due_.top();
        due_.pop();
        Happen(due);
      } else {
        Submit(static_cast<int32_t>(next++));
      }
    }
    result_.report = recorder_.Finish();
    result_.parked = static_cast<int64_t>(scheduler_.PendingCount());
    return result_;
  }

 private:
  void Submit(int32_t job) {
    const Job& what = trace_.jobs[job];
    recorder_.Submitted(job, now_ms_);
    scheduler::TaskQueued queued;
    queued.task = names_[job];
    queued.project = scheduler::ProjectId(trace_.tenants[what.tenant]);
    queued.demand.cpu_millis = 0;
    queued.demand.device = scheduler::DeviceKind::kCuda;
    queued.demand.gpus = 1;
    queued.demand.min_workers = queued.demand.max_workers = what.gpus;
    queued.queued_at_ms = now_ms_ + 1;
    Tell(queued);
  }

  void Happen(const Due& due) {
    State& state = states_[due.job];
    if (state.attempt != due.attempt || state.works_from_ms < 0) return;
    if (due.what == What::kWork) {
      Tell(scheduler::AttemptStarted{names_[due.job], due.attempt});
      return;
    }
    state.works_from_ms = -1;
    recorder_.Finished(due.job, now_ms_);
    Tell(scheduler::AttemptFinished{names_[due.job], due.attempt, scheduler::Outcome::kSucceeded});
  }

  void Tell(const Event& event) {
    events_.push_back(event);
    while (!events_.empty()) {
      const Event next = std::move(events_.front());
      events_.pop_front();
      ++result_.steps;
      for (const Action& action : scheduler_.Step(next, now_ms_)) {
        if (hash_) Hash(ToString(action));
        std::visit([this](const auto& a) { On(a); }, action);
      }
    }
  }

  void On(const scheduler::Assign& assign) {
    const int32_t job = JobOf(assign.task);
    State& state = states_[job];
    recorder_.Started(job, now_ms_);
    const bool again = state.attempt > 0;
    state.attempt = assign.attempt;
    state.works_from_ms = now_ms_ + (again ? RestartCostMs(trace_.jobs[job].gpus) : 0);
    due_.push({state.works_from_ms + state.left_ms, What::kFinish, job, assign.attempt});
    if (again) {
      due_.push({state.works_from_ms, What::kWork, job, assign.attempt});
    } else {
      events_.push_back(scheduler::AttemptStarted{assign.task, assign.attempt});
    }
  }

  void On(const scheduler::Preempt& preempt) {
    const int32_t job = JobOf(preempt.task);
    State& state = states_[job];
    recorder_.Stopped(job, now_ms_, preempt.code == scheduler::PreemptCode::kDisplaced);
    if (now_ms_ > state.works_from_ms) state.left_ms -= now_ms_ - state.works_from_ms;
    state.works_from_ms = -1;
    events_.push_back(
        scheduler::AttemptFinished{preempt.task, preempt.attempt, scheduler::Outcome::kPreempted});
  }

  void On(const scheduler::SetTimer& timer) { timer_ms_ = timer.at_ms; }
  void On(const scheduler::Requeue&) {}
  void On(const scheduler::EndTask&) {}
  void On(const scheduler::Park&) {}
  void On(const scheduler::StopAttempt& stop) {
    std::fprintf(stderr, "unexpected: %s\n", ToString(Action(stop)).c_str());
    std::exit(1);
  }
  void On(const scheduler::Ignored& ignored) {
    std::fprintf(stderr, "unexpected: %s\n", ToString(Action(ignored)).c_str());
    std::exit(1);
  }

  static int32_t JobOf(const TaskId& task) { return std::atoi(task.value.c_str() + 1); }

  void Hash(const std::string& line) {
    for (const char c : line + "\n") {
      result_.log_hash = (result_.log_hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
    }
  }

  const Trace& trace_;
  scheduler::Scheduler scheduler_;
  Recorder recorder_;
  std::vector<State> states_;
  std::vector<TaskId> names_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::deque<Event> events_;
  int64_t now_ms_ = 0;
  int64_t timer_ms_ = 0;
  const bool hash_;
  SimulationResult result_{{}, 0, 14695981039346656037ull, 0};
};

}  // namespace

int64_t RestartCostMs(int32_t gpus) {
  if (gpus <= 1) return 7'000;
  return gpus <= 8 ? 30'000 : 60'000;
}

SimulationResult Simulate(const Trace& trace, const Cluster& cluster,
                          const scheduler::Options& options, int32_t attacker, bool hash) {
  return Simulation(trace, cluster, options, attacker, hash).Run();
}

}  // namespace beamline::replay
