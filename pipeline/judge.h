// How good a model is on some rows, whatever its objective.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "beamline/v1/model.pb.h"
#include "beamline/v1/run.pb.h"
#include "engine/learners/learner.h"
#include "engine/metrics/bootstrap.h"
#include "pipeline/measure.h"
#include "pipeline/row_source.h"

namespace beamline::pipeline {

// Predictions of the target, of each row or of each step that has one.
Said SaidOf(engine::Learner& learner, const engine::BatchSource& source, const v1::ModelCard& card);

// Metrics by name; `names` empty: all that fit the card's objective. Figures that cannot be
// computed from these rows are left out. "loss" is the caller's. `anomalies`: 1 for anomalies;
// empty: not known.
std::map<std::string, double> JudgeMetrics(engine::Learner& learner,
                                           const engine::BatchSource& source, const Truth& truth,
                                           const v1::ModelCard& card,
                                           const std::vector<std::string>& names,
                                           std::span<const int32_t> anomalies = {});

// What can be told of a model and some rows.
struct Judged {
  // Metrics; curves of two classes or of anomalies; confusion matrix of classes.
  v1::Evaluation evaluation;
  // The same metrics, of rows that count more or less often than once.
  std::unique_ptr<engine::metrics::CountedFigures> figures;
  // Which of the rows of the source each row of `figures` belongs to, if not its own.
  std::vector<int64_t> units;
  // Of classifiers: the class that each row (or step) is taken for.
  std::vector<int32_t> decided;
};

// Everything, with `figures` if it is `resampled`.
Judged Judge(engine::Learner& learner, const engine::BatchSource& source, const Truth& truth,
             std::span<const int32_t> anomalies, const v1::ModelCard& card,
             const std::vector<std::string>& names, bool resampled);
// The same of predictions.
Judged JudgeSaid(const Said& said, const Truth& truth, const v1::ModelCard& card,
                 const std::vector<std::string>& names, bool resampled);

}  // namespace beamline::pipeline
