#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/states.h"
#include "tests/sim/checks/checks.h"

namespace beamline::sim {

using server::IsTerminal;
namespace {

// What the events so far say of one task.
struct Task {
  v1::TaskState state = v1::TASK_STATE_UNSPECIFIED;
  int32_t attempt = 0;
  // Of the attempt: the last step that it reported, and the one that it went on from.
  int64_t step = 0;
  int64_t from = 0;
  // Of all: the newest checkpoint's.
  int64_t checkpoint = 0;
  // Of a search, which may deal out epochs.
  bool is_round = false;
};

// Empty if the event may come now.
std::string Follow(Task& task, const v1::Event& event) {
  if (IsTerminal(task.state)) return "comes after the task has ended";
  if (event.has_task_state()) {
    const v1::TaskState state = event.task_state().state();
    // It may be said of a task that runs that it is about to make room, and why.
    const bool remark = !event.task_state().reason().empty();
    if (state == v1::TASK_STATE_RUNNING && task.state == state && !remark) {
      return "starts a task that runs";
    }
    task.state = state;
    return "";
  }
  if (event.attempt() == 0) return "";
  if (event.attempt() < task.attempt) return "is of an attempt that was given up";
  if (task.state != v1::TASK_STATE_RUNNING) {
    return absl::StrCat("comes while the task is ", v1::TaskState_Name(task.state));
  }
  if (event.attempt() > task.attempt) {
    task.attempt = event.attempt();
    task.step = 0;
    task.from = task.checkpoint;
  }
  if (event.has_metric()) {
    const int64_t step = event.metric().step();
    // The first one of an attempt follows the checkpoint that it went on from. A round of a search
    // goes on from where the one before ended.
    const bool begins_round = task.is_round && task.checkpoint == 0;
    const bool follows =
        task.step != 0 ? step == task.step + 1 : (begins_round || step == task.from + 1);
    if (!follows)
      return absl::StrCat("is of step ", step, " after ", std::max(task.step, task.from));
    task.step = step;
  }
  if (event.has_checkpoint()) {
    if (event.checkpoint().step() < task.checkpoint) return "goes back to an older checkpoint";
    task.checkpoint = event.checkpoint().step();
  }
  return "";
}

}  // namespace

void CheckAttempts(World& world, const WantedRun& run) {
  if (run.watchers.empty()) return;
  std::map<std::pair<std::string, std::string>, Task> tasks;
  for (const v1::Event& event : run.watchers.front()->events) {
    if (event.step().empty() || event.has_trial_ended()) continue;
    Task& task = tasks[{event.step(), event.task()}];
    task.is_round = !event.task().empty();
    const std::string wrong = Follow(task, event);
    if (wrong.empty()) continue;
    return world.Fail(
        "attempts", absl::StrCat(run.name, ": event ", event.sequence(), " of ", event.step(), ".",
                                 event.task(), " ", wrong, ": ", event.ShortDebugString()));
  }
  for (const auto& [name, task] : tasks) {
    if (IsTerminal(task.state)) continue;
    world.Fail("attempts", absl::StrCat(run.name, " has ended, and ", name.first, ".", name.second,
                                        " is ", v1::TaskState_Name(task.state)));
  }
}

}  // namespace beamline::sim
