#include "absl/strings/str_cat.h"
#include "tests/sim/checks/checks.h"

namespace beamline::sim {

namespace {

// Of a run whose cancellation was acknowledged: it is not among the events, or something started
// afterwards. The run may still succeed, if all that it did came to its end by itself.
bool IgnoredItsCancellation(const Watcher& watcher) {
  bool cancelled = false;
  for (const v1::Event& event : watcher.events) {
    cancelled = cancelled || event.run_state().state() == v1::RUN_STATE_CANCELLING;
    const v1::TaskStateChanged& task = event.task_state();
    if (cancelled && task.state() == v1::TASK_STATE_RUNNING && task.reason().empty()) return true;
  }
  return !cancelled;
}

}  // namespace

std::string ModelOf(const WantedRun& run) {
  if (run.watchers.empty()) return "";
  for (const v1::Event& event : run.watchers.front()->events) {
    if (event.step() != "fit" || !event.task().empty()) continue;
    if (event.task_state().state() != v1::TASK_STATE_SUCCEEDED) continue;
    const auto& artifacts = event.task_state().result().artifacts();
    const auto model = artifacts.find("model");
    if (model != artifacts.end()) return model->second.digest();
  }
  return "";
}

void CheckResult(World& world, const WantedRun& run, const std::vector<std::string>& expected) {
  if (run.watchers.empty() || run.watchers.front()->events.empty()) return;
  const v1::RunStateChanged& end = run.watchers.front()->events.back().run_state();
  if (end.state() == v1::RUN_STATE_CANCELLED && run.cancel_asked) return;
  if (run.cancelled && IgnoredItsCancellation(*run.watchers.front())) {
    return world.Fail("durability", absl::StrCat(run.name, " was cancelled, and went on"));
  }
  if (end.state() != v1::RUN_STATE_SUCCEEDED) {
    return world.Fail("results", absl::StrCat(run.name, " of definition ", run.definition,
                                              " ended as ", v1::RunState_Name(end.state()), ": ",
                                              end.failure().ShortDebugString()));
  }
  const std::string model = ModelOf(run);
  if (model != expected[run.definition]) {
    world.Fail("results", absl::StrCat(run.name, " of definition ", run.definition, " has model ",
                                       model, ", undisturbed ", expected[run.definition]));
  }
}

}  // namespace beamline::sim
