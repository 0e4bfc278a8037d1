// Promises that hold over time, on a simulated cluster where tasks have durations: guarantees are
// reached, nobody waits for ever, splitting tasks gains nothing, shares come out as owed.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "scheduler/scheduler.h"

namespace beamline::scheduler {
namespace {

constexpr int64_t kMinute = 60'000;
constexpr int64_t kHour = 60 * kMinute;

// A cluster of workers with eight GPUs, tasks that run for as long as they were made for, and
// workers that stop at once when asked. Not thread-safe.
class Market {
 public:
  explicit Market(int workers) : scheduler_(Preempting()) {
    for (int i = 0; i < workers; ++i) {
      WorkerSeen seen;
      seen.worker = WorkerId("w" + std::to_string(i));
      for (int k = 0; k < 8; ++k) {
        seen.capacity.devices.push_back(
            {DeviceId("g" + std::to_string(k)), DeviceKind::kCuda, int64_t{80} << 30});
      }
      Tell(seen);
    }
  }

  static Options Preempting() {
    Options options;
    options.lease_ms = int64_t{1} << 40;
    options.gangs = true;
    options.preemption = true;
    return options;
  }

  void SetQuota(const std::string& project, int64_t guaranteed_devices, int64_t weight_millis) {
    QuotaChanged quota;
    quota.project = ProjectId(project);
    quota.guaranteed_devices = guaranteed_devices;
    quota.weight_millis = weight_millis;
    Tell(quota);
  }

  // The name of the new task.
  std::string Submit(const std::string& project, int32_t gpus, int64_t run_ms) {
    const std::string name = "t" + std::to_string(1'000'000 + tasks_made_++);
    Job& job = jobs_[name];
    job = {project, gpus, run_ms, -1, 0, now_ms_, 0};
    TaskQueued queued;
    queued.task = TaskId(name);
    queued.project = ProjectId(project);
    queued.demand.cpu_millis = 0;
    queued.demand.device = DeviceKind::kCuda;
    queued.demand.gpus = 1;
    queued.demand.min_workers = queued.demand.max_workers = gpus;
    ++waiting_[project];
    Tell(queued);
    return name;
  }

  // Keeps `count` tasks of this kind waiting from now on.
  void KeepWaiting(const std::string& project, int64_t count, int32_t gpus, int64_t run_ms) {
    backlogs_.push_back({project, count, gpus, run_ms});
    Refill();
  }

  void RunUntil(int64_t until_ms) {
    for (;;) {
      int64_t next_ms = until_ms;
      if (timer_ms_ > 0) next_ms = std::min(next_ms, timer_ms_);
      if (!ends_.empty()) next_ms = std::min(next_ms, ends_.begin()->first);
      Advance(next_ms);
      if (now_ms_ >= until_ms) return;
      if (timer_ms_ > 0 && timer_ms_ <= now_ms_) {
        timer_ms_ = 0;
        Tell(Tick{});
      } else {
        const std::string name = ends_.begin()->second;
        ends_.erase(ends_.begin());
        Tell(AttemptFinished{TaskId(name), jobs_.at(name).attempt, Outcome::kSucceeded});
        Refill();
      }
    }
  }

  int64_t now_ms() const { return now_ms_; }
  int64_t held(const std::string& project) const {
    const auto held = held_.find(project);
    return held == held_.end() ? 0 : held->second;
  }
  // GPU milliseconds that the project has held so far.
  int64_t served(const std::string& project) { return served_[project]; }
  // -1: it has not started yet.
  int64_t waited_ms(const std::string& name) const { return jobs_.at(name).waited_ms; }

 private:
  struct Job {
    std::string project;
    int32_t gpus = 1;
    int64_t left_ms = 0;
    int64_t started_ms = -1;
    int32_t attempt = 0;
    int64_t submitted_ms = 0;
    int64_t waited_ms = -1;
  };
  struct Backlog {
    std::string project;
    int64_t count;
    int32_t gpus;
    int64_t run_ms;
  };

  void Advance(int64_t to_ms) {
    for (const auto& [project, gpus] : held_) served_[project] += gpus * (to_ms - now_ms_);
    now_ms_ = to_ms;
  }

  void Refill() {
    for (const Backlog& backlog : backlogs_) {
      while (waiting_[backlog.project] < backlog.count) {
        Submit(backlog.project, backlog.gpus, backlog.run_ms);
      }
    }
  }

  void Tell(const Event& event) {
    std::vector<Event> events = {event};
    for (size_t i = 0; i < events.size(); ++i) {
      const Event next = events[i];
      for (const Action& action : scheduler_.Step(next, now_ms_)) Do(action, events);
    }
  }

  void Do(const Action& action, std::vector<Event>& events) {
    if (const auto* timer = std::get_if<SetTimer>(&action)) {
      timer_ms_ = timer->at_ms;
    } else if (const auto* assign = std::get_if<Assign>(&action)) {
      Job& job = jobs_.at(assign->task.value);
      if (job.attempt == 0) job.waited_ms = now_ms_ - job.submitted_ms;
      job.started_ms = now_ms_;
      job.attempt = assign->attempt;
      held_[job.project] += job.gpus;
      --waiting_[job.project];
      ends_.insert({now_ms_ + job.left_ms, assign->task.value});
      events.push_back(AttemptStarted{assign->task, assign->attempt});
    } else if (const auto* preempt = std::get_if<Preempt>(&action)) {
      Job& job = jobs_.at(preempt->task.value);
      ends_.erase({job.started_ms + job.left_ms, preempt->task.value});
      job.left_ms -= now_ms_ - job.started_ms;
      events.push_back(AttemptFinished{preempt->task, preempt->attempt, Outcome::kPreempted});
    } else if (const auto* requeue = std::get_if<Requeue>(&action)) {
      Job& job = jobs_.at(requeue->task.value);
      held_[job.project] -= job.gpus;
      ++waiting_[job.project];
    } else if (const auto* end = std::get_if<EndTask>(&action)) {
      Job& job = jobs_.at(end->task.value);
      held_[job.project] -= job.gpus;
    }
  }

  Scheduler scheduler_;
  int64_t now_ms_ = 1;
  int64_t timer_ms_ = 0;
  int64_t tasks_made_ = 0;
  std::map<std::string, Job> jobs_;
  std::set<std::pair<int64_t, std::string>> ends_;
  std::map<std::string, int64_t> held_;
  std::map<std::string, int64_t> served_;
  std::map<std::string, int64_t> waiting_;
  std::vector<Backlog> backlogs_;
};

// What a project is guaranteed it has within the shortest run, one round and the grace, less one
// gang, and keeps, although everybody has short tasks waiting.
TEST(Market, AGuaranteeIsReachedWithinOneRoundAndKept) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 40; ++i) {
    // All alike: where sizes differ, tasks have to be moved aside, which takes longer.
    const int32_t gang = 1 << random() % 3;
    const auto guaranteed = static_cast<int64_t>(gang + random() % 24);
    SCOPED_TRACE(testing::Message() << guaranteed << " GPUs, gangs of " << gang);
    Market market(4);
    market.SetQuota("owed", guaranteed, 1000);
    for (const char* name : {"a", "b"}) {
      market.SetQuota(name, 0, 1000 * static_cast<int64_t>(1 + random() % 8));
      market.KeepWaiting(name, 40, gang, 20 * kHour);
    }
    market.RunUntil(2 * kHour + static_cast<int64_t>(random() % kHour));
    market.KeepWaiting("owed", 40, gang, 20 * kHour);
    const Options options = Market::Preempting();
    market.RunUntil(market.now_ms() + options.min_run_ms + 2 * options.round_ms + options.grace_ms);
    for (int k = 0; k < 20; ++k) {
      EXPECT_GE(market.held("owed"), guaranteed - gang) << k;
      market.RunUntil(market.now_ms() + 7 * kMinute);
    }
  }
}

// Backlogged projects hold what their weights say, within one gang each, when nothing is short.
TEST(Market, LongTasksShareByWeight) {
  Market market(8);
  market.SetQuota("one", 0, 1000);
  market.SetQuota("three", 0, 3000);
  market.KeepWaiting("one", 40, 2, 40 * kHour);
  market.KeepWaiting("three", 40, 4, 40 * kHour);
  market.RunUntil(100 * kHour);
  const int64_t one = market.served("one");
  const int64_t three = market.served("three");
  market.RunUntil(400 * kHour);
  EXPECT_NEAR(static_cast<double>(market.served("one") - one) / (300 * kHour), 16, 2);
  EXPECT_NEAR(static_cast<double>(market.served("three") - three) / (300 * kHour), 48, 4);
}

// A gang that needs half of the cluster starts in bounded time, although its own project and
// another keep it full of small tasks.
TEST(Market, NobodyWaitsForEver) {
  for (const int32_t gang : {8, 16, 24}) {
    SCOPED_TRACE(gang);
    Market market(4);
    market.KeepWaiting("same", 100, 1, 2 * kHour);
    market.KeepWaiting("other", 100, 1, 3 * kHour);
    market.RunUntil(30 * kHour);
    const std::string large = market.Submit("same", gang, kHour);
    market.RunUntil(market.now_ms() + 40 * kHour);
    ASSERT_GE(market.waited_ms(large), 0) << "still waits";
    const Options options = Market::Preempting();
    EXPECT_LE(market.waited_ms(large), options.starvation_ms + 2 * options.guard_quantum_ms);
  }
}

// The same work in more, smaller or shorter tasks takes no more from others than express lends:
// half of what they are owed stays theirs, however long it goes on.
TEST(Market, SplittingTasksTakesAtMostHalfOfWhatOthersAreOwed) {
  const auto others_service = [](int32_t gpus, int64_t run_ms) {
    Market market(4);
    market.KeepWaiting("others", 60, 1, 10 * kHour);
    market.KeepWaiting("splits", 64 / gpus + 8, gpus, run_ms);
    market.RunUntil(100 * kHour);
    const int64_t before = market.served("others");
    market.RunUntil(500 * kHour);
    return static_cast<double>(market.served("others") - before) / (400 * kHour);
  };
  EXPECT_GT(others_service(8, 40 * kHour), 15) << "all of them long";
  EXPECT_GT(others_service(1, 8 * kHour), 7.5) << "narrower";
  EXPECT_GT(others_service(8, kHour), 7.5) << "shorter";
  EXPECT_GT(others_service(1, kHour), 7.5) << "both";
  EXPECT_GT(others_service(1, 20 * kMinute), 7.5) << "all of them short";
}

}  // namespace
}  // namespace beamline::scheduler
