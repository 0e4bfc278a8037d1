// Weights that leave a learner and come back.
#pragma once

#include <string>
#include <vector>

#include "engine/executor/variables.h"

namespace beamline::engine {

// Copies the weights into the variables. Throws Error, and changes nothing, if a name is not among
// `names` (ascending), one of them is missing, or a shape or type differs.
void AssignWeights(const std::vector<std::string>& names, const std::vector<NamedTensor>& weights,
                   Variables* variables);

}  // namespace beamline::engine
