// Replays a trace of a cluster under a policy, and prints what jobs and tenants would have seen.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <map>
#include <string>

#include "benchmarks/scheduler/baselines.h"
#include "benchmarks/scheduler/simulation.h"
#include "benchmarks/scheduler/trace.h"

namespace beamline::replay {
namespace {

constexpr const char* kUsage =
    "usage: scheduler_replay TRACE.csv [--policy fair] [--nodes 80] [--gpus-per-node 8]\n"
    "         [--from-s 0] [--to-s 0] [--attacker TENANT] [--hash] [--tenants]\n"
    "         [--round-s 180] [--min-run-s 780] [--express-percent 200] [--faults SEED]\n"
    "         [--predict none|history|perfect]\n"
    "policies: fair  the production scheduler with preemption\n"
    "          fifo  the same in strict order of age\n"
    "          drf   the same without preemption, levels and express\n"
    "          easy  backfill that knows all run times     las  Tiresias, three queues\n"
    "--from-s and --to-s cut a slice of the trace. --hash prints a hash of all decisions.\n"
    "--faults: workers fail and are drained, answers come late, snapshots are restored; every\n"
    "decision is audited, and the first breach ends the replay with 1.\n";

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
  Faults faults;
  Predictions predictions = Predictions::kNone;
};

[[noreturn]] void Misused() {
  std::fputs(kUsage, stderr);
  std::exit(2);
}

Arguments Parse(int argc, char** argv) {
  Arguments arguments;
  // A simulated cluster loses no workers and sends no heartbeats: a lease of a century.
  arguments.options.lease_ms = int64_t{100} * 365 * 86'400'000;
  arguments.options.gangs = true;
  arguments.options.preemption = true;
  const auto number = [](const std::string& text) { return std::atoll(text.c_str()); };
  const std::map<std::string, std::function<void(const std::string&)>> with_value = {
      {"--policy", [&](const std::string& v) { arguments.policy = v; }},
      {"--attacker", [&](const std::string& v) { arguments.attacker = v; }},
      {"--nodes",
       [&](const std::string& v) { arguments.cluster.nodes = static_cast<int32_t>(number(v)); }},
      {"--gpus-per-node",
       [&](const std::string& v) {
         arguments.cluster.gpus_per_node = static_cast<int32_t>(number(v));
       }},
      {"--from-s", [&](const std::string& v) { arguments.from_s = number(v); }},
      {"--to-s", [&](const std::string& v) { arguments.to_s = number(v); }},
      {"--round-s", [&](const std::string& v) { arguments.options.round_ms = 1000 * number(v); }},
      {"--express-percent",
       [&](const std::string& v) { arguments.options.express_refill_percent = number(v); }},
      {"--predict",
       [&](const std::string& v) {
         if (v != "none" && v != "history" && v != "perfect") Misused();
         if (v == "history") arguments.predictions = Predictions::kHistory;
         if (v == "perfect") arguments.predictions = Predictions::kPerfect;
       }},
      {"--faults",
       [&](const std::string& v) { arguments.faults.seed = static_cast<uint64_t>(number(v)); }},
      {"--min-run-s",
       [&](const std::string& v) { arguments.options.min_run_ms = 1000 * number(v); }},
  };
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto option = with_value.find(name);
    if (name == "--hash") {
      arguments.hash = true;
    } else if (name == "--tenants") {
      arguments.tenants = true;
    } else if (option != with_value.end() && i + 1 < argc) {
      option->second(argv[++i]);
    } else if (name.rfind("--", 0) != 0 && arguments.trace.empty()) {
      arguments.trace = name;
    } else {
      Misused();
    }
  }
  if (arguments.trace.empty()) Misused();
  return arguments;
}

SimulationResult Run(const Arguments& arguments, const Trace& trace, int32_t attacker) {
  scheduler::Options options = arguments.options;
  SimulationResult result;
  if (arguments.policy == "easy") {
    result.report = SimulateEasy(trace, arguments.cluster, attacker);
    return result;
  }
  if (arguments.policy == "las") {
    result.report = SimulateLas(trace, arguments.cluster, attacker);
    return result;
  }
  if (arguments.policy == "fifo") {
    options.policy = scheduler::Policy::kStrictFifo;
  } else if (arguments.policy == "drf") {
    options.preemption = false;
    options.express_levels = 0;
  } else if (arguments.policy != "fair") {
    Misused();
  }
  // Workers come and go for months: losing one too often is no reason to give up here.
  if (arguments.faults.seed != 0) options.max_losses = 1'000'000'000;
  return Simulate(trace, arguments.cluster, options, arguments.faults, arguments.predictions,
                  attacker, arguments.hash);
}

int Main(int argc, char** argv) {
  const Arguments arguments = Parse(argc, argv);
  const Trace trace = LoadTrace(arguments.trace, arguments.from_s, arguments.to_s);
  int32_t attacker = -1;
  for (size_t i = 0; i < trace.tenants.size(); ++i) {
    if (trace.tenants[i] == arguments.attacker) attacker = static_cast<int32_t>(i);
  }
  const auto begin = std::chrono::steady_clock::now();
  const std::clock_t cpu_begin = std::clock();
  const SimulationResult result = Run(arguments, trace, attacker);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const double cpu_s = static_cast<double>(std::clock() - cpu_begin) / CLOCKS_PER_SEC;
  for (size_t i = 0; arguments.tenants && i < trace.tenants.size(); ++i) {
    std::printf("tenant %-12s slowdown %.3f\n", trace.tenants[i].c_str(),
                result.report.slowdowns[i]);
  }
  if (arguments.faults.seed != 0) {
    std::printf(
        "{\"faults\": %llu, \"failures\": %lld, \"drains\": %lld, \"late_answers\": %lld, "
        "\"snapshots\": %lld, \"audited\": %lld}\n",
        static_cast<unsigned long long>(arguments.faults.seed),
        static_cast<long long>(result.failures), static_cast<long long>(result.drains),
        static_cast<long long>(result.late_answers), static_cast<long long>(result.snapshots),
        static_cast<long long>(result.audited));
  }
  std::printf(
      "{\"trace\": \"%s\", \"policy\": \"%s\", \"nodes\": %d, \"gpus_per_node\": %d, %s, "
      "\"parked\": %lld, \"steps\": %lld, \"log_hash\": \"%016llx\", \"seconds\": %.2f, "
      "\"cpu_seconds\": %.2f}\n",
      trace.name.c_str(), arguments.policy.c_str(), arguments.cluster.nodes,
      arguments.cluster.gpus_per_node, ToJson(result.report).c_str(),
      static_cast<long long>(result.parked), static_cast<long long>(result.steps),
      static_cast<unsigned long long>(arguments.hash ? result.log_hash : 0), took.count(), cpu_s);
  return 0;
}

}  // namespace
}  // namespace beamline::replay

int main(int argc, char** argv) { return beamline::replay::Main(argc, argv); }
