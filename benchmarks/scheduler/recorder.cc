#include "benchmarks/scheduler/recorder.h"

#include <algorithm>
#include <cstddef>
#include <cstdio>

namespace beamline::replay {
namespace {

constexpr double kShortestRunMs = 600'000;

double Percentile(std::vector<double>& values, double part) {
  if (values.empty()) return 0;
  const auto at = static_cast<size_t>(part * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

double Mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

}  // namespace

Recorder::Recorder(const Trace& trace, int32_t total_gpus, int32_t attacker)
    : trace_(trace),
      total_gpus_(total_gpus),
      attacker_(attacker),
      held_(trace.tenants.size()),
      waiting_(trace.tenants.size()),
      waits_since_ms_(trace.jobs.size()),
      waited_ms_(trace.jobs.size()),
      ended_ms_(trace.jobs.size(), -1) {}

void Recorder::Refill() {
  changed_ = false;
  std::vector<std::pair<double, size_t>> demands;
  for (size_t i = 0; i < held_.size(); ++i) {
    if (held_[i] + waiting_[i] > 0) demands.push_back({held_[i] + waiting_[i], i});
  }
  std::sort(demands.begin(), demands.end());
  double left = total_gpus_;
  owed_ = missing_ = busy_ = 0;
  for (size_t k = 0; k < demands.size(); ++k) {
    const auto& [demand, i] = demands[k];
    const double share = std::min(demand, left / static_cast<double>(demands.size() - k));
    left -= share;
    owed_ += share;
    missing_ += std::max(0.0, share - held_[i]);
    busy_ += held_[i];
  }
}

void Recorder::Advance(int64_t now_ms) {
  if (now_ms > now_ms_) {
    if (changed_) Refill();
    const auto passed = static_cast<double>(now_ms - now_ms_);
    if (queued_ > 0) {
      owed_sum_ += owed_ * passed;
      missing_sum_ += missing_ * passed;
    }
    if (now_ms_ < trace_.jobs.back().submit_ms) busy_sum_ += busy_ * passed;
    now_ms_ = now_ms;
  }
  changed_ = true;
}

void Recorder::Submitted(int32_t job, int64_t now_ms) {
  Advance(now_ms);
  waits_since_ms_[job] = now_ms;
  waiting_[trace_.jobs[job].tenant] += trace_.jobs[job].gpus;
  ++queued_;
}

void Recorder::Started(int32_t job, int64_t now_ms) {
  Advance(now_ms);
  const int64_t waited_ms = now_ms - waits_since_ms_[job];
  waited_ms_[job] += waited_ms;
  longest_wait_ms_ = std::max(longest_wait_ms_, waited_ms);
  waiting_[trace_.jobs[job].tenant] -= trace_.jobs[job].gpus;
  held_[trace_.jobs[job].tenant] += trace_.jobs[job].gpus;
  --queued_;
}

void Recorder::Stopped(int32_t job, int64_t now_ms, bool displaced) {
  Advance(now_ms);
  held_[trace_.jobs[job].tenant] -= trace_.jobs[job].gpus;
  waiting_[trace_.jobs[job].tenant] += trace_.jobs[job].gpus;
  waits_since_ms_[job] = now_ms;
  ++queued_;
  ++preemptions_;
  if (displaced) ++displacements_;
}

void Recorder::Finished(int32_t job, int64_t now_ms) {
  Advance(now_ms);
  held_[trace_.jobs[job].tenant] -= trace_.jobs[job].gpus;
  ended_ms_[job] = now_ms;
}

Report Recorder::Finish() const {
  Report report;
  std::vector<double> jcts;
  std::vector<double> waits;
  std::vector<double> others;
  std::vector<std::vector<double>> slowdowns(trace_.tenants.size());
  int64_t end_ms = 1;
  for (size_t i = 0; i < trace_.jobs.size(); ++i) {
    if (ended_ms_[i] < 0) continue;
    const Job& job = trace_.jobs[i];
    const auto jct_ms = static_cast<double>(ended_ms_[i] - job.submit_ms);
    jcts.push_back(jct_ms / 1000);
    waits.push_back(static_cast<double>(waited_ms_[i]) / 1000);
    if (job.tenant != attacker_) others.push_back(jct_ms / 1000);
    slowdowns[static_cast<size_t>(job.tenant)].push_back(
        jct_ms / std::max(kShortestRunMs, static_cast<double>(job.run_ms)));
    end_ms = std::max(end_ms, ended_ms_[i]);
  }
  const auto jobs = static_cast<double>(trace_.jobs.size());
  report.finished = static_cast<int64_t>(jcts.size());
  report.jct_mean_s = Mean(jcts);
  report.jct_median_s = Percentile(jcts, 0.5);
  report.jct_p95_s = Percentile(jcts, 0.95);
  report.jct_p99_s = Percentile(jcts, 0.99);
  report.wait_mean_s = Mean(waits);
  report.wait_p99_s = Percentile(waits, 0.99);
  report.gap_h = static_cast<double>(longest_wait_ms_) / 3.6e6;
  report.deficit = owed_sum_ > 0 ? missing_sum_ / owed_sum_ : 0;
  for (const auto& of_tenant : slowdowns) {
    report.slowdowns.push_back(Mean(of_tenant));
    report.worst_slowdown = std::max(report.worst_slowdown, report.slowdowns.back());
  }
  report.preemptions_per_job = static_cast<double>(preemptions_) / jobs;
  report.displacements_per_job = static_cast<double>(displacements_) / jobs;
  const auto span_ms = static_cast<double>(std::max<int64_t>(trace_.jobs.back().submit_ms, 1));
  report.utilisation = busy_sum_ / (total_gpus_ * span_ms);
  report.makespan_h = static_cast<double>(end_ms) / 3.6e6;
  report.others_jct_mean_s = Mean(others);
  return report;
}

std::string ToJson(const Report& report) {
  char text[1024];
  std::snprintf(text, sizeof text,
                "\"finished\": %lld, \"jct_mean_s\": %.3f, \"jct_median_s\": %.0f, "
                "\"jct_p95_s\": %.0f, \"jct_p99_s\": %.0f, \"wait_mean_s\": %.0f, "
                "\"wait_p99_s\": %.0f, \"gap_h\": %.2f, \"deficit\": %.5f, "
                "\"worst_slowdown\": %.3f, \"preemptions_per_job\": %.4f, "
                "\"displacements_per_job\": %.4f, \"utilisation\": %.4f, \"makespan_h\": %.1f, "
                "\"others_jct_mean_s\": %.0f",
                static_cast<long long>(report.finished), report.jct_mean_s, report.jct_median_s,
                report.jct_p95_s, report.jct_p99_s, report.wait_mean_s, report.wait_p99_s,
                report.gap_h, report.deficit, report.worst_slowdown, report.preemptions_per_job,
                report.displacements_per_job, report.utilisation, report.makespan_h,
                report.others_jct_mean_s);
  return text;
}

}  // namespace beamline::replay
