// One world from a seed: the service in it, its clients, what goes wrong, and the verdict.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/workload.h"
#include "tests/sim/world.h"

namespace beamline::sim {

// What all worlds begin with.
struct Setting {
  // A folder with the initial state, to be copied.
  std::string template_folder;
  InitialState state;
  // Definition -> digest of its model, without faults.
  std::vector<std::string> expected;
};

// Runs each definition once, without faults, in a world below `folder`, and fills in `expected`.
// Ends the program if that fails.
void Calibrate(Setting& setting, const std::string& folder);

// Lets everything go wrong for a while, heals it, and waits until all has ended. What did not hold
// is world.failure(). `folder`: where the world's disk is; made, and removed.
void Play(World& world, const Setting& setting, const std::string& folder);

}  // namespace beamline::sim
