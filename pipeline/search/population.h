// Population-based training: trials that go on with what the best of them have learned.
#pragma once

#include <functional>
#include <vector>

#include "pipeline/search/search.h"

namespace beamline::pipeline::search {

// The epoch with which each generation ends: as even as whole epochs can be, the last step_epochs.
std::vector<int> GenerationEnds(int generations, int step_epochs);

// `size` trials, which `draw` gives their first values. A generation begins when the one before it
// has ended; its worst trials, those that failed among them, then go on from the best.
Plan PlanPopulation(const Setting& setting, int size, const std::vector<Outcome>& outcomes,
                    int limit, const std::function<Values(int number)>& draw);

}  // namespace beamline::pipeline::search
