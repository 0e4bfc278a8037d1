// Replays a trace of a cluster under a policy, and prints what jobs and tenants would have seen.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "benchmarks/scheduler/simulation.h"
#include "benchmarks/scheduler/trace.h"

namespace beamline::replay {
namespace {

constexpr const char* kUsage =
    "usage: scheduler_replay TRACE.csv [--policy fair|fifo] [--nodes 80] [--gpus-per-node 8]\n"
    "         [--from-s 0] [--to-s 0] [--attacker TENANT] [--hash] [--tenants]\n"
    "         [--round-s 60] [--min-run-s 600]\n";

struct Arguments {
  std::string trace;
  std::string policy = "fair";
  Cluster cluster;
  int64_t from_s = 0;
  int64_t to_s = 0;
  std::string attacker;
  bool hash = false;
  bool tenants = false;
  scheduler::Options options;
};

Arguments Parse(int argc, char** argv) {
  Arguments arguments;
  // A simulated cluster loses no workers and sends no heartbeats: a lease of a century.
  arguments.options.lease_ms = int64_t{100} * 365 * 86'400'000;
  arguments.options.gangs = true;
  arguments.options.preemption = true;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name.rfind("--", 0) != 0) {
      arguments.trace = name;
    } else if (name == "--hash") {
      arguments.hash = true;
    } else if (name == "--tenants") {
      arguments.tenants = true;
    } else if (i + 1 < argc) {
      const std::string value = argv[++i];
      if (name == "--policy")
        arguments.policy = value;
      else if (name == "--nodes")
        arguments.cluster.nodes = std::atoi(value.c_str());
      else if (name == "--gpus-per-node")
        arguments.cluster.gpus_per_node = std::atoi(value.c_str());
      else if (name == "--from-s")
        arguments.from_s = std::atoll(value.c_str());
      else if (name == "--to-s")
        arguments.to_s = std::atoll(value.c_str());
      else if (name == "--attacker")
        arguments.attacker = value;
      else if (name == "--round-s")
        arguments.options.round_ms = 1000 * std::atoll(value.c_str());
      else if (name == "--min-run-s")
        arguments.options.min_run_ms = 1000 * std::atoll(value.c_str());
      else if (name == "--refill")
        arguments.options.express_refill_percent = std::atoll(value.c_str());
      else if (name == "--burst-h")
        arguments.options.express_burst_ms = 3600000 * std::atoll(value.c_str());
      else if (name == "--express")
        arguments.options.express_levels = std::atoi(value.c_str());
      else {
        std::fputs(kUsage, stderr);
        std::exit(2);
      }
    }
  }
  if (arguments.trace.empty()) {
    std::fputs(kUsage, stderr);
    std::exit(2);
  }
  return arguments;
}

int Main(int argc, char** argv) {
  Arguments arguments = Parse(argc, argv);
  const Trace trace = LoadTrace(arguments.trace, arguments.from_s, arguments.to_s);
  int32_t attacker = -1;
  for (size_t i = 0; i < trace.tenants.size(); ++i) {
    if (trace.tenants[i] == arguments.attacker) attacker = static_cast<int32_t>(i);
  }
  if (arguments.policy == "fifo") arguments.options.policy = scheduler::Policy::kStrictFifo;
  const auto begin = std::chrono::steady_clock::now();
  const SimulationResult result =
      Simulate(trace, arguments.cluster, arguments.options, attacker, arguments.hash);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  if (arguments.tenants) {
    for (size_t i = 0; i < trace.tenants.size(); ++i) {
      std::printf("tenant %-12s slowdown %.3f\n", trace.tenants[i].c_str(),
                  result.report.slowdowns[i]);
    }
  }
  std::printf(
      "{\"trace\": \"%s\", \"policy\": \"%s\", \"nodes\": %d, \"gpus_per_node\": %d, %s, "
      "\"parked\": %lld, \"steps\": %lld, \"log_hash\": \"%016llx\", \"seconds\": %.2f}\n",
      trace.name.c_str(), arguments.policy.c_str(), arguments.cluster.nodes,
      arguments.cluster.gpus_per_node, ToJson(result.report).c_str(),
      static_cast<long long>(result.parked), static_cast<long long>(result.steps),
      static_cast<unsigned long long>(arguments.hash ? result.log_hash : 0), took.count());
  return 0;
}

}  // namespace
}  // namespace beamline::replay

int main(int argc, char** argv) { return beamline::replay::Main(argc, argv); }
