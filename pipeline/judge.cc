#include "pipeline/judge.h"

#include "pipeline/measure.h"
#include "pipeline/reconstruction.h"
#include "pipeline/schema.h"
#include "pipeline/tokens.h"

namespace beamline::pipeline {

std::map<std::string, double> JudgeMetrics(engine::Learner& learner,
                                           const engine::BatchSource& source, const Truth& truth,
                                           const v1::ModelCard& card,
                                           const std::vector<std::string>& names) {
  if (GivesNextToken(card.data())) return MeasureTokens(learner, source, truth.weights, names);
  if (!HasTarget(card.data())) {
    return MeasureErrors(ErrorsOf(learner, source), {}, truth.weights, names);
  }
  return Metrics(ToSaid(learner.Predict(source), card), truth, names);
}

v1::Evaluation Judge(engine::Learner& learner, const engine::BatchSource& source,
                     const Truth& truth, std::span<const int32_t> anomalies,
                     const v1::ModelCard& card, const std::vector<std::string>& names) {
  if (GivesNextToken(card.data())) {
    v1::Evaluation evaluation;
    for (const auto& [name, value] : MeasureTokens(learner, source, truth.weights, names)) {
      (*evaluation.mutable_metrics())[name] = value;
    }
    evaluation.set_row_count(source.rows());
    return evaluation;
  }
  if (!HasTarget(card.data())) {
    return MeasureReconstruction(ErrorsOf(learner, source), anomalies, truth.weights, names);
  }
  return Measure(ToSaid(learner.Predict(source), card), truth, card, names);
}

}  // namespace beamline::pipeline
