// How good a model is on some rows, whatever its objective.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "beamline/v1/model.pb.h"
#include "beamline/v1/run.pb.h"
#include "engine/learners/learner.h"
#include "pipeline/measure.h"
#include "pipeline/row_source.h"

namespace beamline::pipeline {

// Predictions of the target, of each row or of each step that has one.
Said SaidOf(engine::Learner& learner, const engine::BatchSource& source, const v1::ModelCard& card);

// Metrics by name; `names` empty: all that fit the card's objective. Figures that cannot be
// computed from these rows are left out. "loss" is the caller's.
std::map<std::string, double> JudgeMetrics(engine::Learner& learner,
                                           const engine::BatchSource& source, const Truth& truth,
                                           const v1::ModelCard& card,
                                           const std::vector<std::string>& names);

// Everything: metrics; ROC of two classes or of `anomalies` (1 for anomalies; empty: not known);
// confusion matrix of classes.
v1::Evaluation Judge(engine::Learner& learner, const engine::BatchSource& source,
                     const Truth& truth, std::span<const int32_t> anomalies,
                     const v1::ModelCard& card, const std::vector<std::string>& names);

}  // namespace beamline::pipeline
