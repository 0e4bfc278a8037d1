// Tree-structured Parzen estimators: Bergstra, Bardenet, Bengio and Kegl, "Algorithms for
// hyper-parameter optimization", NeurIPS 2011, with the estimators of Optuna.
#pragma once

#include <vector>

#include "pipeline/search/search.h"
#include "pipeline/search/space.h"

namespace beamline::pipeline::search {

// The values of trial `number`: of 24 candidates drawn from the density of the good ones among
// `known`, the one where it is highest by comparison with that of the others. `known`: trials that
// have ended, in the order of their numbers. Failed ones count as the worst; `running`, whose
// results are not known yet, are not good either, so that trials at the same time are not the same.
Values TpeValues(const SearchSpace& space, const Setting& setting,
                 const std::vector<const Outcome*>& known,
                 const std::vector<const Values*>& running, int number);

}  // namespace beamline::pipeline::search
