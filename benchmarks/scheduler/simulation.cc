#include "benchmarks/scheduler/simulation.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "benchmarks/scheduler/auditor.h"
#include "scheduler/run_history.h"

namespace beamline::replay {
namespace {

using scheduler::Action;
using scheduler::Event;
using scheduler::TaskId;

constexpr int64_t kCheckpointMs = 3'600'000;

enum class What { kFinish, kWork, kAnswer, kFail, kDrain, kReturn };

struct Due {
  int64_t at_ms;
  What what;
  // Or the worker.
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
  // Asked to leave, and has not answered yet.
  bool leaving = false;
  bool displaced = false;
};

class Simulation {
 public:
  Simulation(const Trace& trace, const Cluster& cluster, const scheduler::Options& options,
             const Faults& faults, Predictions predictions, int32_t attacker, bool hash)
      : trace_(trace),
        cluster_(cluster),
        options_(options),
        faults_(faults),
        predictions_(predictions),
        random_(faults.seed),
        scheduler_(std::make_unique<scheduler::Scheduler>(options)),
        auditor_(options),
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
      Tell(Seen(i));
      if (faults_.seed == 0) continue;
      Plan(What::kFail, i, faults_.failures_per_worker_month);
      Plan(What::kDrain, i, faults_.drains_per_worker_month);
    }
  }

  SimulationResult Run() {
    size_t next = 0;
    // Failures would go on for ever; without them what is too large is left.
    while (next < trace_.jobs.size() || (faults_.seed != 0 ? unfinished_ > 0 : !due_.empty())) {
      int64_t at_ms = due_.empty() ? INT64_MAX : due_.top().at_ms;
      if (next < trace_.jobs.size()) at_ms = std::min(at_ms, trace_.jobs[next].submit_ms);
      if (timer_ms_ > 0 && timer_ms_ < at_ms) {
        now_ms_ = timer_ms_;
        timer_ms_ = 0;
        Tell(scheduler::Tick{});
        continue;
      }
      if (faults_.seed != 0 && result_.steps / faults_.steps_per_snapshot > result_.snapshots) {
        Snapshot();
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
    result_.parked = static_cast<int64_t>(scheduler_->PendingCount());
    result_.audited = auditor_.checked();
    return result_;
  }

 private:
  scheduler::WorkerId WorkerName(int32_t i) const {
    char name[32];
    std::snprintf(name, sizeof name, "w%06d", i);
    return scheduler::WorkerId(name);
  }

  scheduler::WorkerSeen Seen(int32_t i) const {
    scheduler::WorkerSeen seen;
    seen.worker = WorkerName(i);
    for (int32_t k = 0; k < cluster_.gpus_per_node; ++k) {
      seen.capacity.devices.push_back(
          {scheduler::DeviceId("g" + std::to_string(k)), scheduler::DeviceKind::kCuda, 0});
    }
    return seen;
  }

  static std::string KindOf(const Job& job) {
    return std::to_string(job.tenant) + "/" + std::to_string(job.gpus);
  }

  int64_t Pick(int64_t below) { return static_cast<int64_t>(random_() % below); }

  // At a random time, on average so often.
  void Plan(What what, int32_t worker, double per_month) {
    const auto mean_ms = static_cast<int64_t>(30.0 * 86'400'000 / per_month);
    due_.push({now_ms_ + 1 + Pick(2 * mean_ms), what, worker, 0});
  }

  void HappenToWorker(const Due& due) {
    const scheduler::WorkerId name = WorkerName(due.job);
    if (due.what == What::kReturn) {
      Tell(Seen(due.job));
      return;
    }
    due_.push({now_ms_ + 1 + Pick(faults_.longest_outage_ms), What::kReturn, due.job, 0});
    if (due.what == What::kFail) {
      ++result_.failures;
      Plan(What::kFail, due.job, faults_.failures_per_worker_month);
      // One that failed before has not come back yet.
      Tell(Seen(due.job));
      Tell(scheduler::WorkerGone{name});
    } else {
      ++result_.drains;
      Plan(What::kDrain, due.job, faults_.drains_per_worker_month);
      Tell(Seen(due.job));
      Tell(scheduler::WorkerDraining{name});
    }
  }

  void Snapshot() {
    const std::string snapshot = scheduler_->Snapshot();
    scheduler_ = scheduler::Scheduler::Restore(options_, snapshot);
    if (scheduler_ == nullptr || scheduler_->Snapshot() != snapshot) Fail("a snapshot is damaged");
    auditor_.Compare(*scheduler_);
    ++result_.snapshots;
  }

  void Submit(int32_t job) {
    const Job& what = trace_.jobs[job];
    recorder_.Submitted(job, now_ms_);
    ++unfinished_;
    scheduler::TaskQueued queued;
    queued.task = names_[job];
    queued.project = scheduler::ProjectId(trace_.tenants[what.tenant]);
    queued.demand.cpu_millis = 0;
    queued.demand.device = scheduler::DeviceKind::kCuda;
    queued.demand.gpus = 1;
    queued.demand.min_workers = queued.demand.max_workers = what.gpus;
    queued.queued_at_ms = now_ms_ + 1;
    if (predictions_ == Predictions::kPerfect) queued.predicted_ms = what.run_ms;
    if (predictions_ == Predictions::kHistory) queued.predicted_ms = history_.Predict(KindOf(what));
    Tell(queued);
  }

  void Happen(const Due& due) {
    if (due.what >= What::kFail) {
      HappenToWorker(due);
      return;
    }
    State& state = states_[due.job];
    if (due.what == What::kAnswer) {
      Answer(due.job, due.attempt);
      return;
    }
    if (state.attempt != due.attempt || state.works_from_ms < 0) return;
    if (due.what == What::kWork) {
      Tell(scheduler::AttemptStarted{names_[due.job], due.attempt});
      return;
    }
    state.works_from_ms = -1;
    state.leaving = false;
    --unfinished_;
    recorder_.Finished(due.job, now_ms_);
    history_.Add(KindOf(trace_.jobs[due.job]), trace_.jobs[due.job].run_ms);
    Tell(scheduler::AttemptFinished{names_[due.job], due.attempt, scheduler::Outcome::kSucceeded});
  }

  // The job says that it has stopped; if it is too late, to no effect.
  void Answer(int32_t job, int32_t attempt) {
    State& state = states_[job];
    if (state.attempt == attempt && state.leaving) {
      state.leaving = false;
      if (now_ms_ > state.works_from_ms) state.left_ms -= now_ms_ - state.works_from_ms;
      state.works_from_ms = -1;
      recorder_.Stopped(job, now_ms_, state.displaced);
    }
    Tell(scheduler::AttemptFinished{names_[job], attempt, scheduler::Outcome::kPreempted});
  }

  void Tell(const Event& event) {
    events_.push_back(event);
    while (!events_.empty()) {
      const Event next = std::move(events_.front());
      events_.pop_front();
      ++result_.steps;
      if (faults_.seed != 0) auditor_.Before(next, now_ms_);
      for (const Action& action : scheduler_->Step(next, now_ms_)) {
        if (hash_) Hash(ToString(action));
        if (faults_.seed != 0) auditor_.After(action);
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
    state.displaced = preempt.code == scheduler::PreemptCode::kDisplaced;
    state.leaving = true;
    if (faults_.seed != 0) {
      const int64_t answer_ms = Pick(faults_.longest_answer_ms);
      result_.late_answers += answer_ms > options_.grace_ms;
      due_.push({now_ms_ + answer_ms, What::kAnswer, job, preempt.attempt});
      return;
    }
    state.leaving = false;
    recorder_.Stopped(job, now_ms_, state.displaced);
    if (now_ms_ > state.works_from_ms) state.left_ms -= now_ms_ - state.works_from_ms;
    state.works_from_ms = -1;
    events_.push_back(
        scheduler::AttemptFinished{preempt.task, preempt.attempt, scheduler::Outcome::kPreempted});
  }

  void On(const scheduler::SetTimer& timer) { timer_ms_ = timer.at_ms; }
  // Whoever did not give its place back by itself has lost what it did since its last checkpoint.
  void On(const scheduler::Requeue& requeue) {
    const int32_t job = JobOf(requeue.task);
    State& state = states_[job];
    if (state.works_from_ms < 0) return;
    const int64_t worked_ms = std::max<int64_t>(now_ms_ - state.works_from_ms, 0);
    state.left_ms -= worked_ms - worked_ms % kCheckpointMs;
    state.works_from_ms = -1;
    state.leaving = false;
    recorder_.Stopped(job, now_ms_, false);
  }
  void On(const scheduler::EndTask& end) {
    if (end.state != scheduler::EndState::kSucceeded) Fail(ToString(Action(end)));
  }
  void On(const scheduler::Park&) {}
  void On(const scheduler::StopAttempt& stop) {
    if (faults_.seed == 0) Fail(ToString(Action(stop)));
  }
  // Late answers of attempts that are over.
  void On(const scheduler::Ignored& ignored) {
    if (faults_.seed == 0 || ignored.code == scheduler::IgnoredCode::kInvalid) {
      Fail(ToString(Action(ignored)));
    }
  }

  [[noreturn]] static void Fail(const std::string& what) {
    std::fprintf(stderr, "unexpected: %s\n", what.c_str());
    std::exit(1);
  }

  static int32_t JobOf(const TaskId& task) { return std::atoi(task.value.c_str() + 1); }

  void Hash(const std::string& line) {
    for (const char c : line + "\n") {
      result_.log_hash = (result_.log_hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
    }
  }

  const Trace& trace_;
  const Cluster cluster_;
  const scheduler::Options options_;
  const Faults faults_;
  const Predictions predictions_;
  scheduler::RunHistory history_;
  std::mt19937_64 random_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
  Auditor auditor_;
  Recorder recorder_;
  std::vector<State> states_;
  std::vector<TaskId> names_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::deque<Event> events_;
  int64_t now_ms_ = 0;
  int64_t timer_ms_ = 0;
  int64_t unfinished_ = 0;
  const bool hash_;
  SimulationResult result_{.report = {}, .log_hash = 14695981039346656037ull};
};

}  // namespace

int64_t RestartCostMs(int32_t gpus) {
  if (gpus <= 1) return 7'000;
  return gpus <= 8 ? 30'000 : 60'000;
}

SimulationResult Simulate(const Trace& trace, const Cluster& cluster,
                          const scheduler::Options& options, const Faults& faults,
                          Predictions predictions, int32_t attacker, bool hash) {
  return Simulation(trace, cluster, options, faults, predictions, attacker, hash).Run();
}

}  // namespace beamline::replay
