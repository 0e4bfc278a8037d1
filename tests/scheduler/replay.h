// A scheduler test as a table that reads as a story.
//
//   Replay("t=0 queued a gpu=1 | t=0 seen w1 gpu=1 -> assign a w1");
//
// Steps are separated by `|`. A step is a time in milliseconds, an event, and after `->` all
// actions that must follow, separated by `;`, or `(nothing)`. Without `->` the step is not checked.
// An action matches if its words are among the words of the real one, in order. Timers are left
// out, except in steps that expect one.
//
// Events: queued TASK | cancel TASK | started TASK#N | succeeded TASK#N | failed TASK#N |
//   broken TASK#N | stopped TASK#N | released TASK#N | restored TASK#N WORKER | preempted TASK#N |
//   checkpointed TASK#N | quota PROJECT |
//   seen WORKER | heartbeat WORKER | draining WORKER | gone WORKER | tick
// Of a task: p=PRIORITY project=ID cpu=CORES mem=GIB gpu=N gpumem=GIB any pool=ID workers=N max=N
//   after=MS at=MS attempt=N failures=N losses=N gpus=g0,g1 cancelling fixed attained=DEVICE_HOURS
//   predicted=HOURS
// Of a quota: weight=N parent=ID gpu=N cpu=CORES maxgpu=N maxcpu=CORES
// Of a worker: cpu=CORES (8) mem=GIB (64) gpu=N gpumem=GIB[,GIB...] (80) pool=ID[,ID...] draining
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "scheduler/scheduler.h"

namespace beamline::scheduler {

// Not thread-safe. The state stays between calls of Replay.
class Story {
 public:
  explicit Story(const Options& options = {}) : scheduler(options) {}

  // Fails the test, with the step and what really happened, where a step goes otherwise.
  void Replay(std::string_view steps);

  Scheduler scheduler;
};

// What an event of the story's language means. Ends the program if it is misspelt.
Event ParseEvent(std::string_view text);

// The words that Replay compares: "assign", "a", "w1", "attempt=1", "gpus=g0,g1", "lease=10000".
std::vector<std::string> Words(const Action& action);

}  // namespace beamline::scheduler
