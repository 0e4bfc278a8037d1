// How fast the scheduler itself is: one thread, no store, no network; in seconds of that thread's
// own time. Prints JSON lines, the last
// ones with "holds"; exits 1 if a target is missed.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <vector>

#include "scheduler/scheduler.h"

namespace beamline::scheduler {
namespace {

constexpr int kWorkers = 10'000;
constexpr int kSlots = 8;
constexpr int kProjects = 1'000;

// Seconds that this thread has computed: others' work on a shared machine is not the scheduler's
// (though it still costs it caches).
double Now() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// A full cluster with a queue, in virtual time: attempts end at random, new tasks come.
class Bench {
 public:
  Bench() : scheduler_(Preempting()) {
    for (int i = 0; i < kProjects; ++i) {
      QuotaChanged quota;
      quota.project = Project(i);
      Tell(quota);
    }
    for (int i = 0; i < kWorkers; ++i) {
      WorkerSeen seen;
      seen.worker = WorkerId("w" + std::to_string(100'000 + i));
      seen.capacity.cpu_millis = 64'000;
      seen.capacity.memory_bytes = int64_t{512} << 30;
      for (int k = 0; k < kSlots; ++k) {
        seen.capacity.devices.push_back(
            {DeviceId("g" + std::to_string(k)), DeviceKind::kCuda, int64_t{80} << 30});
      }
      Tell(seen);
    }
  }

  // Queues tasks until `count` wait.
  void Fill(size_t count) {
    length_ = count;
    while (scheduler_.PendingCount() < count) Queue();
  }

  // An attempt ends at random, and a new task follows, so that the queue keeps its length.
  void Turn() {
    const size_t at = Random() % live_.size();
    std::swap(live_[at], live_.front());
    const AttemptFinished done = std::move(live_.front());
    live_.pop_front();
    now_ms_ += 1;
    Tell(done);
    Fill(length_);
  }

  // The longest call of Tick, in milliseconds, among `rounds` rounds of preemption.
  double LongestRound(int rounds) {
    double longest = 0;
    for (int i = 0; i < rounds; ++i) {
      for (int k = 0; k < 500; ++k) Turn();
      now_ms_ = (now_ms_ / Preempting().round_ms + 1) * Preempting().round_ms;
      const double begin = Now();
      Tell(Tick{});
      longest = std::max(longest, (Now() - begin) * 1000);
    }
    return longest;
  }

  void Measure(bool on) {
    measuring_ = on;
    times_us_.clear();
    starts_ = 0;
  }
  std::vector<double>& times_us() { return times_us_; }
  int64_t starts() const { return starts_; }
  int64_t preemptions() const { return preemptions_; }
  size_t waiting() const { return scheduler_.PendingCount(); }

 private:
  static Options Preempting() {
    Options options;
    options.lease_ms = int64_t{1} << 40;
    options.gangs = true;
    options.preemption = true;
    return options;
  }
  static ProjectId Project(int i) { return ProjectId("p" + std::to_string(10'000 + i)); }

  uint64_t Random() {
    state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
    return state_ >> 33;
  }

  void Queue() {
    static constexpr int32_t kSizes[] = {1, 1, 1, 1, 1, 1, 2, 2, 4, 8};
    TaskQueued queued;
    queued.task = TaskId("t" + std::to_string(next_++));
    queued.project = Project(static_cast<int>(Random() % kProjects));
    queued.priority = static_cast<int32_t>(Random() % 2);
    queued.demand.cpu_millis = 4'000;
    queued.demand.memory_bytes = int64_t{16} << 30;
    queued.demand.device = DeviceKind::kCuda;
    queued.demand.gpus = 1;
    queued.demand.min_workers = queued.demand.max_workers = kSizes[Random() % 10];
    Tell(queued);
  }

  void Tell(const Event& event) {
    const double begin = measuring_ ? Now() : 0;
    std::vector<Action> actions = scheduler_.Step(event, now_ms_);
    if (measuring_) times_us_.push_back((Now() - begin) * 1e6);
    for (Action& action : actions) {
      if (auto* assign = std::get_if<Assign>(&action)) {
        ++starts_;
        live_.push_back({std::move(assign->task), assign->attempt, Outcome::kSucceeded});
      } else if (const auto* preempt = std::get_if<Preempt>(&action)) {
        ++preemptions_;
        leaving_.push_back({preempt->task, preempt->attempt, Outcome::kPreempted});
      }
    }
    if (telling_) return;
    telling_ = true;
    while (!leaving_.empty()) {
      const AttemptFinished left = leaving_.front();
      leaving_.pop_front();
      live_.erase(std::find_if(live_.begin(), live_.end(), [&](const AttemptFinished& live) {
        return live.task == left.task && live.attempt == left.attempt;
      }));
      Tell(left);
    }
    telling_ = false;
  }

  Scheduler scheduler_;
  int64_t now_ms_ = 1;
  uint64_t state_ = 1;
  int64_t next_ = 0;
  size_t length_ = 0;
  std::deque<AttemptFinished> live_;
  std::deque<AttemptFinished> leaving_;
  bool telling_ = false;
  bool measuring_ = false;
  std::vector<double> times_us_;
  int64_t starts_ = 0;
  int64_t preemptions_ = 0;
};

bool Judge(const char* metric, double value, double target, bool at_least) {
  const bool holds = at_least ? value >= target : value <= target;
  std::printf(
      "{\"benchmark\": \"scheduler_core\", \"metric\": \"%s\", \"value\": %.1f, "
      "\"target\": %.0f, \"holds\": %s}\n",
      metric, value, target, holds ? "true" : "false");
  return holds;
}

// Starts a second in a steady state, where each start needs an end and a new task.
double Throughput(Bench& bench, int turns) {
  bench.Measure(false);
  const double begin = Now();
  for (int i = 0; i < turns; ++i) bench.Turn();
  return static_cast<double>(bench.starts()) / (Now() - begin);
}

int Main() {
  Bench bench;
  bench.Fill(100'000);
  Throughput(bench, 50'000);
  const double starts_100k = Throughput(bench, 200'000);
  bench.Measure(true);
  for (int i = 0; i < 100'000; ++i) bench.Turn();
  std::vector<double> times = std::move(bench.times_us());
  bench.Measure(false);
  const auto p99 = static_cast<std::ptrdiff_t>(static_cast<double>(times.size()) * 0.99);
  std::nth_element(times.begin(), times.begin() + p99, times.end());
  const double p99_us = times[static_cast<size_t>(p99)];
  const double round_ms = bench.LongestRound(10);
  std::printf(
      "{\"workers\": %d, \"slots\": %d, \"projects\": %d, \"waiting\": %zu, "
      "\"preempted_in_rounds\": %lld}\n",
      kWorkers, kWorkers * kSlots, kProjects, bench.waiting(),
      static_cast<long long>(bench.preemptions()));
  bench.Fill(1'000'000);
  const double starts_1m = Throughput(bench, 200'000);
  bool holds = Judge("starts_per_s with 100000 queued", starts_100k, 150'000, true);
  holds &= Judge("p99_us per event", p99_us, 15, false);
  holds &= Judge("longest round_ms", round_ms, 50, false);
  holds &= Judge("starts_per_s with 1000000 queued", starts_1m, 100'000, true);
  return holds ? 0 : 1;
}

}  // namespace
}  // namespace beamline::scheduler

int main() { return beamline::scheduler::Main(); }
