// Traces of real clusters, as CSV: submit_time_s,tenant,gpus,cpus,mem_gb,duration_s,job_id.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace beamline::replay {

struct Job {
  int64_t submit_ms = 0;
  // How long it runs, without queueing.
  int64_t run_ms = 0;
  int32_t gpus = 1;
  // Index into Trace::tenants.
  int32_t tenant = 0;
};

struct Trace {
  std::string name;
  // By time of submission, then as in the file.
  std::vector<Job> jobs;
  std::vector<std::string> tenants;
};

// Ends the program with a message if the file cannot be read or a row is malformed. Jobs outside
// [from_s, to_s) are left out and times count from `from_s`; to_s 0: no end.
Trace LoadTrace(const std::string& path, int64_t from_s, int64_t to_s);

}  // namespace beamline::replay
