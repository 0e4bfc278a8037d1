// Every combination of the values of a space.
#pragma once

#include <vector>

#include "pipeline/search/space.h"

namespace beamline::pipeline::search {

// The combinations, `limit` at most, in the order of the keys, the last changing fastest. A
// combination stands where the first of those stands that differ from it only in values without
// effect. If there are more than `limit`, which of them come is not said.
std::vector<Values> GridCombinations(const SearchSpace& space, int limit);

}  // namespace beamline::pipeline::search
