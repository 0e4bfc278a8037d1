// Which features matter, where a learner tells.
#pragma once

#include <map>
#include <string>

#include "beamline/v1/model.pb.h"
#include "engine/learners/learner.h"

namespace beamline::pipeline {

// Features whose importance stands among the metrics of a training.
inline constexpr size_t kMaxImportant = 50;

// "importance.NAME": the share of each of the most important features (engine::Learner). Empty for
// learners that cannot tell.
std::map<std::string, double> ImportanceOf(const engine::Learner& learner,
                                           const v1::ModelCard& card);

}  // namespace beamline::pipeline
