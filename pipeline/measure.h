// How good predictions are.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "beamline/v1/model.pb.h"
#include "beamline/v1/run.pb.h"
#include "engine/learners/learner.h"
#include "engine/metrics/metrics.h"
#include "pipeline/row_source.h"

namespace beamline::pipeline {

// Points of a curve that is sent to users.
inline constexpr size_t kMaxCurvePoints = 201;

// What a network said of some rows, in the terms of metrics.
struct Said {
  // [rows] for numbers (in the table's scale) and two classes (probability of the second), else
  // [rows, classes].
  std::vector<float> values;
  int64_t classes = 0;
};
Said ToSaid(const engine::Predictions& predictions, const v1::ModelCard& card);

// The same of all steps of the rows of `source`, one row after the other; those beyond a row's
// length are left out.
Said StepsSaid(engine::Learner& learner, const engine::BatchSource& source,
               const v1::ModelCard& card);

// The class that each row is taken for: the likeliest, of two the second from 1/2 on.
std::vector<int32_t> Decide(const Said& said);

// What the engine's metrics are computed from; refers to both.
engine::metrics::Outcome OutcomeOf(const Said& said, const Truth& truth);

// Metrics of classes or numbers by name (metric_names.h); `names` empty: all that fit. Figures that
// cannot be computed from these rows (only one class among them) are left out. "loss" is
// the caller's.
std::map<std::string, double> Metrics(const Said& said, const Truth& truth,
                                      const std::vector<std::string>& names);

// How many steps each row of `source` has.
std::vector<int64_t> LengthsOf(const engine::BatchSource& source);

// One prediction a row (or step), for users: the number, or label and probabilities of all classes.
std::vector<v1::Prediction> ToPredictions(const Said& said, const v1::ModelCard& card);

// Everything: metrics, confusion matrix; curves and calibration of two classes.
v1::Evaluation Measure(const Said& said, const Truth& truth, const v1::ModelCard& card,
                       const std::vector<std::string>& metrics);

// Adds the ROC and the precision-recall curve of scores, thinned. The first point of each, which
// lies above every score, has a threshold above the largest. A curve that cannot be computed (one
// class has no net weight) is left out.
void AddCurves(std::span<const float> scores, std::span<const int32_t> labels,
               std::span<const float> weights, v1::Evaluation* evaluation);

}  // namespace beamline::pipeline
