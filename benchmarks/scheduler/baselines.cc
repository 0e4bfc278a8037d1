#include "benchmarks/scheduler/baselines.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <queue>
#include <set>
#include <tuple>
#include <vector>

namespace beamline::replay {
namespace {

// Attained service at which Tiresias' queues end. Unit: GPU milliseconds.
constexpr int64_t kQueueEndsMs[] = {int64_t{3250} * 1000, int64_t{36'000} * 1000};
constexpr int64_t kRoundMs = 60'000;

// GPUs of nodes: best fit on one, or whole nodes and a remainder.
class Nodes {
 public:
  explicit Nodes(const Cluster& cluster)
      : per_node_(cluster.gpus_per_node),
        open_(static_cast<size_t>(cluster.nodes), cluster.gpus_per_node),
        free_(cluster.nodes * cluster.gpus_per_node) {}

  int32_t free() const { return free_; }

  // Where `gpus` go, as (node, how many); empty: they do not fit.
  std::vector<std::pair<size_t, int32_t>> Take(int32_t gpus) {
    std::vector<std::pair<size_t, int32_t>> taken;
    int32_t missing = gpus;
    if (gpus > free_) return {};
    for (size_t i = 0; i < open_.size() && missing > per_node_; ++i) {
      if (open_[i] < per_node_) continue;
      taken.push_back({i, per_node_});
      missing -= per_node_;
    }
    if (missing > per_node_) return {};
    size_t best = open_.size();
    for (size_t i = 0; i < open_.size(); ++i) {
      const bool used = std::any_of(taken.begin(), taken.end(),
                                    [i](const auto& part) { return part.first == i; });
      if (used || open_[i] < missing) continue;
      if (best == open_.size() || open_[i] < open_[best]) best = i;
    }
    if (best == open_.size()) return {};
    taken.push_back({best, missing});
    for (const auto& [node, count] : taken) open_[node] -= count;
    free_ -= gpus;
    return taken;
  }

  void Give(const std::vector<std::pair<size_t, int32_t>>& taken) {
    for (const auto& [node, count] : taken) {
      open_[node] += count;
      free_ += count;
    }
  }

 private:
  const int32_t per_node_;
  std::vector<int32_t> open_;
  int32_t free_;
};

struct State {
  std::vector<std::pair<size_t, int32_t>> place;
  bool running = false;
  int64_t left_ms = 0;
  int64_t works_from_ms = 0;
  int64_t attained_ms = 0;
  int32_t attempt = 0;
};

using Ends =
    std::priority_queue<std::tuple<int64_t, int32_t, int32_t>,
                        std::vector<std::tuple<int64_t, int32_t, int32_t>>, std::greater<>>;

// When `gpus` will be free by count, and how many more will be free then.
std::pair<int64_t, int32_t> Shadow(const std::multimap<int64_t, int32_t>& ends, int32_t free,
                                   int32_t gpus) {
  for (const auto& [at_ms, freed] : ends) {
    free += freed;
    if (free >= gpus) return {at_ms, free - gpus};
  }
  return {INT64_MAX, 0};
}

// What least attained service decides anew every minute.
class Las {
 public:
  Las(const Trace& trace, const Cluster& cluster, int32_t attacker)
      : trace_(trace),
        nodes_(cluster),
        recorder_(trace, cluster.nodes * cluster.gpus_per_node, attacker),
        states_(trace.jobs.size()),
        total_(cluster.nodes * cluster.gpus_per_node) {}

  Report Run() {
    size_t next = 0;
    int64_t now_ms = 0;
    while (next < trace_.jobs.size() || !active_.empty()) {
      if (active_.empty()) now_ms = std::max(now_ms, trace_.jobs[next].submit_ms);
      const int64_t round_ms = (now_ms / kRoundMs + 1) * kRoundMs;
      while (next < trace_.jobs.size() && trace_.jobs[next].submit_ms <= round_ms) {
        EndUntil(trace_.jobs[next].submit_ms);
        states_[next].left_ms = trace_.jobs[next].run_ms;
        recorder_.Submitted(static_cast<int32_t>(next), trace_.jobs[next].submit_ms);
        active_.insert(static_cast<int32_t>(next++));
      }
      EndUntil(round_ms);
      now_ms = round_ms;
      if (!active_.empty()) Round(now_ms);
    }
    return recorder_.Finish();
  }

 private:
  void EndUntil(int64_t until_ms) {
    while (!ends_.empty() && std::get<0>(ends_.top()) <= until_ms) {
      const auto [at_ms, job, attempt] = ends_.top();
      ends_.pop();
      State& state = states_[job];
      if (!state.running || state.attempt != attempt) continue;
      state.running = false;
      nodes_.Give(state.place);
      recorder_.Finished(job, at_ms);
      active_.erase(job);
    }
  }

  void Round(int64_t now_ms) {
    std::vector<std::tuple<int, bool, int32_t>> order;
    for (const int32_t job : active_) {
      const State& state = states_[job];
      int64_t attained_ms = state.attained_ms;
      if (state.running) {
        attained_ms += std::max<int64_t>(now_ms - state.works_from_ms, 0) * trace_.jobs[job].gpus;
      }
      const int queue = (attained_ms >= kQueueEndsMs[0]) + (attained_ms >= kQueueEndsMs[1]);
      order.push_back({queue, !state.running, job});
    }
    std::sort(order.begin(), order.end());
    int32_t left = total_;
    std::vector<int32_t> starts;
    std::vector<int32_t> stops;
    for (const auto& [queue, waits, job] : order) {
      const bool in = trace_.jobs[job].gpus <= left;
      if (in) left -= trace_.jobs[job].gpus;
      if (in && waits) starts.push_back(job);
      if (!in && !waits) stops.push_back(job);
    }
    for (const int32_t job : stops) {
      State& state = states_[job];
      const int64_t worked_ms = std::max<int64_t>(now_ms - state.works_from_ms, 0);
      state.attained_ms += worked_ms * trace_.jobs[job].gpus;
      state.left_ms -= worked_ms;
      state.running = false;
      nodes_.Give(state.place);
      recorder_.Stopped(job, now_ms, false);
    }
    for (const int32_t job : starts) {
      State& state = states_[job];
      state.place = nodes_.Take(trace_.jobs[job].gpus);
      if (state.place.empty()) continue;
      state.running = true;
      state.works_from_ms =
          now_ms + (state.attempt++ > 0 ? RestartCostMs(trace_.jobs[job].gpus) : 0);
      ends_.push({state.works_from_ms + state.left_ms, job, state.attempt});
      recorder_.Started(job, now_ms);
    }
  }

  const Trace& trace_;
  Nodes nodes_;
  Recorder recorder_;
  std::vector<State> states_;
  const int32_t total_;
  std::set<int32_t> active_;
  Ends ends_;
};

}  // namespace

Report SimulateEasy(const Trace& trace, const Cluster& cluster, int32_t attacker) {
  Nodes nodes(cluster);
  Recorder recorder(trace, cluster.nodes * cluster.gpus_per_node, attacker);
  std::vector<State> states(trace.jobs.size());
  std::set<int32_t> waiting;
  std::multimap<int64_t, int32_t> ends;
  Ends due;
  const auto start = [&](int32_t job, int64_t now_ms) {
    states[job].place = nodes.Take(trace.jobs[job].gpus);
    if (states[job].place.empty()) return false;
    recorder.Started(job, now_ms);
    due.push({now_ms + trace.jobs[job].run_ms, job, 0});
    ends.emplace(now_ms + trace.jobs[job].run_ms, trace.jobs[job].gpus);
    return true;
  };
  size_t next = 0;
  while (next < trace.jobs.size() || !due.empty()) {
    int64_t now_ms = due.empty() ? INT64_MAX : std::get<0>(due.top());
    if (next < trace.jobs.size()) now_ms = std::min(now_ms, trace.jobs[next].submit_ms);
    while (!due.empty() && std::get<0>(due.top()) <= now_ms) {
      const int32_t job = std::get<1>(due.top());
      due.pop();
      nodes.Give(states[job].place);
      const auto [first, last] = ends.equal_range(now_ms);
      ends.erase(std::find_if(first, last,
                              [&](const auto& end) { return end.second == trace.jobs[job].gpus; }));
      recorder.Finished(job, now_ms);
    }
    while (next < trace.jobs.size() && trace.jobs[next].submit_ms <= now_ms) {
      recorder.Submitted(static_cast<int32_t>(next), now_ms);
      waiting.insert(static_cast<int32_t>(next++));
    }
    while (!waiting.empty() && start(*waiting.begin(), now_ms)) waiting.erase(waiting.begin());
    if (waiting.empty() || nodes.free() == 0) continue;
    auto [shadow_ms, extra] = Shadow(ends, nodes.free(), trace.jobs[*waiting.begin()].gpus);
    for (auto it = std::next(waiting.begin()); it != waiting.end() && nodes.free() > 0;) {
      const Job& job = trace.jobs[*it];
      const bool ends_before = now_ms + job.run_ms <= shadow_ms;
      if (job.gpus <= nodes.free() && (ends_before || job.gpus <= extra) && start(*it, now_ms)) {
        if (!ends_before) extra -= job.gpus;
        it = waiting.erase(it);
      } else {
        ++it;
      }
    }
  }
  return recorder.Finish();
}

Report SimulateLas(const Trace& trace, const Cluster& cluster, int32_t attacker) {
  return Las(trace, cluster, attacker).Run();
}

}  // namespace beamline::replay
