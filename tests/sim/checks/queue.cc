#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/sim/checks/checks.h"

namespace beamline::sim {
namespace {

constexpr double kWorkerCpus = 2;
constexpr double kRounding = 1e-6;

double CpusOf(const v1::Resources& resources) {
  return resources.cpus() == 0 ? 1 : resources.cpus();
}

}  // namespace

void CheckQueue(World& world, const v1::ListQueueResponse& queue) {
  std::map<std::string, double> by_project;
  std::map<std::string, double> by_worker;
  std::set<std::string> running;
  for (const auto& entry : queue.entries()) {
    if (!entry.running()) continue;
    if (!running.insert(entry.task()).second) {
      world.Fail("queue", absl::StrCat(entry.task(), " runs twice"));
    }
    const std::vector<std::string> parts = absl::StrSplit(entry.task(), '/');
    by_project[parts.at(1)] += CpusOf(entry.resources());
    by_worker[entry.worker()] += CpusOf(entry.resources());
  }
  for (size_t i = 0; i < kProjects.size(); ++i) {
    const double held = by_project[std::string(kProjects[i])];
    if (kMaxCpus[i] > 0 && held > kMaxCpus[i] + kRounding) {
      world.Fail("queue", absl::StrCat(std::string(kProjects[i]), " holds ", held, " cores of ",
                                       kMaxCpus[i]));
    }
  }
  for (const auto& [worker, held] : by_worker) {
    if (held > kWorkerCpus + kRounding) {
      world.Fail("queue", absl::StrCat(worker, " was given ", held, " cores of ", kWorkerCpus));
    }
  }
}

}  // namespace beamline::sim
