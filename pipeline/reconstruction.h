// Models that reconstruct their features or forecast those of later rows: how well they do, and
// what that says of the rows.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "beamline/v1/model.pb.h"
#include "beamline/v1/pipeline.pb.h"
#include "engine/data/table.h"
#include "engine/data/transform.h"
#include "engine/learners/learner.h"

namespace beamline::pipeline {

// Errors of each row over its features, or those of the rows behind it, as the network sees them.
struct RowErrors {
  std::vector<float> squared;   // mean of (prediction - feature)^2
  std::vector<float> absolute;  // mean of |prediction - feature|
};
// Goes through all rows of `source`, some at a time: memory does not grow with their number.
RowErrors ErrorsOf(engine::Learner& learner, const engine::BatchSource& source);

// 1 for anomalies, 0 for others. Throws engine::Error if the table lacks the column, a row has no
// value there, or `labels` gives no values and the column is neither bool nor 0 and 1.
std::vector<int32_t> ReadAnomalies(const engine::data::Table& table,
                                   const v1::AnomalyLabels& labels,
                                   const std::vector<int64_t>& rows);

// mse, mae; auc and pr_auc with squared errors as scores if there are `anomalies`. `names` empty:
// all of these. Figures that cannot be computed (no anomaly among the rows) are left out. `weights`
// empty: 1 each.
std::map<std::string, double> MeasureErrors(const RowErrors& errors,
                                            std::span<const int32_t> anomalies,
                                            std::span<const float> weights,
                                            const std::vector<std::string>& names);

// As MeasureErrors, with the ROC curve of anomalies.
v1::Evaluation MeasureReconstruction(const RowErrors& errors, std::span<const int32_t> anomalies,
                                     std::span<const float> weights,
                                     const std::vector<std::string>& names);

// The features that a network made of a row, numbers in the scale of their columns. What a
// transform cut off or took away stays lost.
std::vector<double> InColumnScale(const engine::data::FittedTransforms& transforms,
                                  std::span<const float> made);

// One prediction a row of `source`: its error and, if `give_features`, the reconstruction, numbers
// in the scale of their columns.
std::vector<v1::Prediction> PredictReconstruction(engine::Learner& learner,
                                                  const engine::BatchSource& source,
                                                  const engine::data::FittedTransforms& transforms,
                                                  bool give_features);

// One prediction a window of `source`: what follows it, numbers in the scale of their columns.
std::vector<v1::Prediction> PredictForecast(engine::Learner& learner,
                                            const engine::BatchSource& source,
                                            const engine::data::FittedTransforms& transforms);

}  // namespace beamline::pipeline
