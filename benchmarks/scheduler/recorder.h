// What a replay measures.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "benchmarks/scheduler/trace.h"

namespace beamline::replay {

struct Report {
  int64_t finished = 0;
  // Job completion time: from submission to the end. Unit: seconds.
  double jct_mean_s = 0;
  double jct_median_s = 0;
  double jct_p95_s = 0;
  double jct_p99_s = 0;
  // Time not running, of all stretches together. Unit: seconds.
  double wait_mean_s = 0;
  double wait_p99_s = 0;
  // The longest single stretch of waiting of any job. Unit: hours.
  double gap_h = 0;
  // GPU time by which backlogged tenants were below their max-min entitlement, as a share of all
  // entitlements while anything was queued.
  double deficit = 0;
  // Mean of JCT / max(10 min, run) of a tenant's jobs: of the tenant for which it is worst.
  double worst_slowdown = 0;
  std::vector<double> slowdowns;
  double preemptions_per_job = 0;
  double displacements_per_job = 0;
  // GPU time held while jobs were left to submit, as a share of what there was.
  double utilisation = 0;
  double makespan_h = 0;
  // Mean JCT of the jobs of all tenants but the one named in Recorder. Unit: seconds.
  double others_jct_mean_s = 0;
};

// Is told what happens to jobs, in order of time. Not thread-safe.
class Recorder {
 public:
  // `attacker`: the tenant whose jobs do not count for others_jct_mean_s; -1: none.
  Recorder(const Trace& trace, int32_t total_gpus, int32_t attacker);

  void Submitted(int32_t job, int64_t now_ms);
  void Started(int32_t job, int64_t now_ms);
  void Stopped(int32_t job, int64_t now_ms, bool displaced);
  void Finished(int32_t job, int64_t now_ms);
  Report Finish() const;

 private:
  // Accounts for the time since the last change.
  void Advance(int64_t now_ms);
  void Refill();

  const Trace& trace_;
  const double total_gpus_;
  const int32_t attacker_;
  int64_t now_ms_ = 0;
  bool changed_ = true;
  std::vector<double> held_;
  std::vector<double> waiting_;
  int64_t queued_ = 0;
  double owed_ = 0;
  double missing_ = 0;
  double owed_sum_ = 0;
  double missing_sum_ = 0;
  double busy_ = 0;
  double busy_sum_ = 0;
  std::vector<int64_t> waits_since_ms_;
  std::vector<int64_t> waited_ms_;
  std::vector<int64_t> ended_ms_;
  int64_t longest_wait_ms_ = 0;
  int64_t preemptions_ = 0;
  int64_t displacements_ = 0;
};

// One JSON object, without a line end.
std::string ToJson(const Report& report);

}  // namespace beamline::replay
