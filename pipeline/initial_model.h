// Training that begins with what another model learned.
#pragma once

#include <string>
#include <vector>

#include "engine/core/tensor.h"
#include "engine/data/transform.h"
#include "engine/learners/learner.h"

namespace beamline::pipeline {

// Gives the columns that both encode by codes the codes of `from`.
// Of translations: TakeTextCodes, where a source's codes are not a target's.
void TakeCodes(const engine::data::FittedTransforms& from, engine::data::FittedTransforms* to);
void TakeTextCodes(const engine::data::FittedTransforms& from, engine::data::FittedTransforms* to);

// Gives the learner those weights whose name and shape it has, "vectors" of tokens to an embedding
// with the name "vectors"; returns the names of its others.
// Throws engine::Error if it has none of them.
std::vector<std::string> TakeWeights(const std::vector<engine::NamedTensor>& from,
                                     engine::Learner* learner);

}  // namespace beamline::pipeline
