// Models that translate: how well they do, and what they write.
#pragma once

#include <cstdint>
#include <vector>

#include "beamline/v1/model.pb.h"
#include "engine/data/transform.h"
#include "engine/learners/learner.h"
#include "pipeline/tokens.h"

namespace beamline::pipeline {

// Of each row, all tokens of its target and the end behind them, each after the right ones before
// it. The most probable token is that of all but the unknown one, which nobody can write. Goes
// through the rows some at a time: memory grows by four numbers a row.
std::vector<TokenSums> SumTranslated(engine::Learner& learner, const engine::BatchSource& source);

// What is written of one row.
struct Written {
  std::vector<int32_t> codes;  // of the target, without its boundary
  double probability = 1;      // the product of those of its tokens and its end
};

// Writes the most probable token, none of them unknown, until that is the end or the layout has no
// room: of each row the codes of the source alone are read. At most (target codes - 1) passes over
// the rows.
std::vector<Written> WriteTargets(engine::Learner& learner, const engine::BatchSource& source);

// As predictions: the text, its tokens and its probability. `fitted`: the vocabularies (FitTexts).
std::vector<v1::Prediction> Translate(engine::Learner& learner, const engine::BatchSource& source,
                                      const engine::data::FittedTransforms& fitted,
                                      v1::Translation::Tokens tokens);

}  // namespace beamline::pipeline
