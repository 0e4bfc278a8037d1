#include "pipeline/judge.h"

#include "engine/metrics/metrics.h"
#include "pipeline/measure.h"
#include "pipeline/metric_names.h"
#include "pipeline/reconstruction.h"
#include "pipeline/schema.h"
#include "pipeline/tokens.h"
#include "pipeline/training.h"

namespace beamline::pipeline {
namespace {

std::map<std::string, double> EmbeddingFigures(engine::Learner& learner,
                                               const engine::BatchSource& source,
                                               const Truth& truth,
                                               const std::vector<std::string>& names) {
  std::map<std::string, double> values;
  if (source.rows() < 2) return values;
  const engine::Predictions predictions = learner.Predict(source);
  for (const std::string& name : names.empty() ? EmbeddingMetrics() : names) {
    if (name == "loss") continue;
    values[name] =
        engine::metrics::RecallAtK(predictions.probabilities.values<float>(), truth.labels,
                                   name == "recall_at_1" ? 1 : 5, truth.weights);
  }
  return values;
}

std::map<std::string, double> TokenFigures(engine::Learner& learner,
                                           const engine::BatchSource& source, const Truth& truth,
                                           const v1::ModelCard& card,
                                           const std::vector<std::string>& names) {
  if (GivesNextToken(card.data())) return MeasureTokens(learner, source, truth.weights, names);
  return MeasureHidden(learner, source, truth.weights, PrepareInference(card).spec, names);
}

v1::Evaluation Only(const std::map<std::string, double>& metrics, int64_t rows) {
  v1::Evaluation evaluation;
  for (const auto& [name, value] : metrics) (*evaluation.mutable_metrics())[name] = value;
  evaluation.set_row_count(rows);
  return evaluation;
}

}  // namespace

Said SaidOf(engine::Learner& learner, const engine::BatchSource& source,
            const v1::ModelCard& card) {
  if (JudgesEachStep(card.data())) return StepsSaid(learner, source, card);
  return ToSaid(learner.Predict(source), card);
}

std::map<std::string, double> JudgeMetrics(engine::Learner& learner,
                                           const engine::BatchSource& source, const Truth& truth,
                                           const v1::ModelCard& card,
                                           const std::vector<std::string>& names) {
  if (ReadsTokens(card.data())) return TokenFigures(learner, source, truth, card, names);
  if (!HasTarget(card.data())) {
    return MeasureErrors(ErrorsOf(learner, source), {}, truth.weights, names);
  }
  if (Embeds(card.network().loss())) return EmbeddingFigures(learner, source, truth, names);
  return Metrics(SaidOf(learner, source, card), truth, names);
}

v1::Evaluation Judge(engine::Learner& learner, const engine::BatchSource& source,
                     const Truth& truth, std::span<const int32_t> anomalies,
                     const v1::ModelCard& card, const std::vector<std::string>& names) {
  if (ReadsTokens(card.data())) {
    return Only(TokenFigures(learner, source, truth, card, names), source.rows());
  }
  if (!HasTarget(card.data())) {
    return MeasureReconstruction(ErrorsOf(learner, source), anomalies, truth.weights, names);
  }
  if (Embeds(card.network().loss())) {
    return Only(EmbeddingFigures(learner, source, truth, names), source.rows());
  }
  return Measure(SaidOf(learner, source, card), truth, card, names);
}

}  // namespace beamline::pipeline
