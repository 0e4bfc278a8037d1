#include "benchmarks/scheduler/trace.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string_view>

namespace beamline::replay {
namespace {

[[noreturn]] void Fail(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::exit(2);
}

std::vector<std::string> Fields(const std::string& line) {
  std::vector<std::string> fields(1);
  for (const char c : line) {
    if (c == '\r') continue;
    if (c == ',') {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

int64_t Number(const std::string& text, const std::string& path, size_t line) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || number < 0) {
    Fail(path + ":" + std::to_string(line) + ": \"" + text + "\" is not a number");
  }
  return static_cast<int64_t>(number * 1000 + 0.5);
}

}  // namespace

Trace LoadTrace(const std::string& path, int64_t from_s, int64_t to_s) {
  std::ifstream in(path);
  if (!in) Fail(path + " cannot be read");
  Trace trace;
  trace.name = path.substr(path.find_last_of('/') + 1);
  std::map<std::string, int32_t> tenants;
  std::string line;
  size_t number = 0;
  while (std::getline(in, line)) {
    if (++number == 1 || line.empty()) continue;
    const std::vector<std::string> fields = Fields(line);
    if (fields.size() < 7) Fail(path + ":" + std::to_string(number) + ": needs seven columns");
    Job job;
    job.submit_ms = Number(fields[0], path, number) - from_s * 1000;
    if (job.submit_ms < 0 || (to_s > 0 && job.submit_ms >= (to_s - from_s) * 1000)) continue;
    job.gpus = static_cast<int32_t>(Number(fields[2], path, number) / 1000);
    job.run_ms = Number(fields[5], path, number);
    const auto [tenant, is_new] =
        tenants.try_emplace(fields[1], static_cast<int32_t>(trace.tenants.size()));
    if (is_new) trace.tenants.push_back(fields[1]);
    job.tenant = tenant->second;
    if (job.gpus < 1) Fail(path + ":" + std::to_string(number) + ": needs at least one GPU");
    trace.jobs.push_back(job);
  }
  std::stable_sort(trace.jobs.begin(), trace.jobs.end(),
                   [](const Job& a, const Job& b) { return a.submit_ms < b.submit_ms; });
  return trace;
}

}  // namespace beamline::replay
