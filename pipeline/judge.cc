#include "pipeline/judge.h"

#include <cmath>

#include "engine/metrics/metrics.h"
#include "pipeline/measure.h"
#include "pipeline/metric_names.h"
#include "pipeline/reconstruction.h"
#include "pipeline/schema.h"
#include "pipeline/tokens.h"
#include "pipeline/training.h"
#include "pipeline/translation.h"

namespace beamline::pipeline {
namespace {

using engine::metrics::CountedFigures;
using Names = std::vector<std::string>;
using Figures = std::map<std::string, double>;

int64_t NeighboursOf(const std::string& metric) { return metric == "recall_at_1" ? 1 : 5; }

// Whether each row has a row of its class among its neighbours, by metric.
std::map<std::string, std::vector<double>> Neighbours(engine::Learner& learner,
                                                      const engine::BatchSource& source,
                                                      const Truth& truth, const Names& names) {
  std::map<std::string, std::vector<double>> found;
  if (source.rows() < 2) return found;
  const engine::Predictions predictions = learner.Predict(source);
  for (const std::string& name : names.empty() ? EmbeddingMetrics() : names) {
    if (name == "loss") continue;
    const auto hits = engine::metrics::FoundAtK(predictions.probabilities.values<float>(),
                                                truth.labels, NeighboursOf(name));
    found[name].assign(hits.begin(), hits.end());
  }
  return found;
}

std::vector<TokenSums> TokensOf(engine::Learner& learner, const engine::BatchSource& source,
                                const v1::ModelCard& card) {
  if (GivesNextToken(card.data())) return SumTokens(learner, source);
  if (Translates(card.data())) return SumTranslated(learner, source);
  return SumHidden(learner, source, PrepareInference(card).spec);
}

// Its figures are of tokens.
bool TellsTokens(const v1::ModelCard& card) {
  return ReadsTokens(card.data()) || Translates(card.data());
}

Names TokenNames(const v1::ModelCard& card, const Names& names) {
  return names.empty() ? TokenMetrics(Translates(card.data())) : names;
}

v1::Evaluation Only(const Figures& metrics, int64_t rows) {
  v1::Evaluation evaluation;
  for (const auto& [name, value] : metrics) (*evaluation.mutable_metrics())[name] = value;
  evaluation.set_row_count(rows);
  return evaluation;
}

// Those that could be computed, ascending.
Names ComputedOf(const v1::Evaluation& evaluation) {
  const Figures sorted(evaluation.metrics().begin(), evaluation.metrics().end());
  Names names;
  for (const auto& [name, value] : sorted) names.push_back(name);
  return names;
}

Judged JudgeTokens(std::span<const TokenSums> sums, const Truth& truth, const Names& names,
                   bool resampled) {
  Judged judged;
  judged.evaluation =
      Only(MeasureTokens(sums, truth.weights, names), static_cast<int64_t>(sums.size()));
  if (!resampled) return judged;
  judged.figures = std::make_unique<CountedFigures>(sums.size(), truth.weights);
  for (const std::string& name : ComputedOf(judged.evaluation)) {
    std::vector<double> above, below;
    for (const TokenSums& window : sums) {
      const bool whole = name == "exact_match";
      above.push_back(whole ? window.whole : name == "accuracy" ? window.right : window.log_loss);
      below.push_back(whole ? 1 : window.tokens);
    }
    double (*exponential)(double) = [](double x) { return std::exp(x); };
    judged.figures->AddRatio(name, std::move(above), std::move(below),
                             name == "perplexity" ? exponential : nullptr);
  }
  return judged;
}

Judged JudgeErrors(const RowErrors& errors, std::span<const int32_t> anomalies, const Truth& truth,
                   const Names& names, bool resampled) {
  Judged judged;
  judged.evaluation = MeasureReconstruction(errors, anomalies, truth.weights, names);
  if (!resampled) return judged;
  judged.figures = std::make_unique<CountedFigures>(errors.scores.size(), truth.weights);
  Names ranks;
  for (const std::string& name : ComputedOf(judged.evaluation)) {
    if (name != "mse" && name != "mae") {
      ranks.push_back(name);
      continue;
    }
    const std::vector<float>& values = name == "mse" ? errors.scores : errors.absolute;
    judged.figures->AddRatio(name, {values.begin(), values.end()});
  }
  judged.figures->AddRanks(errors.scores, anomalies, ranks);
  return judged;
}

Judged JudgeEmbeddings(engine::Learner& learner, const engine::BatchSource& source,
                       const Truth& truth, const Names& names, bool resampled) {
  Judged judged;
  judged.evaluation.set_row_count(source.rows());
  const auto rows = static_cast<size_t>(source.rows());
  if (resampled) judged.figures = std::make_unique<CountedFigures>(rows, truth.weights);
  for (auto& [name, found] : Neighbours(learner, source, truth, names)) {
    double above = 0, below = 0;
    for (size_t i = 0; i < rows; ++i) {
      const double weight = truth.weights.empty() ? 1 : static_cast<double>(truth.weights[i]);
      above += weight * found[i];
      below += weight;
    }
    (*judged.evaluation.mutable_metrics())[name] = above / below;
    if (resampled) judged.figures->AddRatio(name, std::move(found));
  }
  return judged;
}

}  // namespace

Said SaidOf(engine::Learner& learner, const engine::BatchSource& source,
            const v1::ModelCard& card) {
  if (JudgesEachStep(card.data())) return StepsSaid(learner, source, card);
  return ToSaid(learner.Predict(source), card);
}

std::map<std::string, double> JudgeMetrics(engine::Learner& learner,
                                           const engine::BatchSource& source, const Truth& truth,
                                           const v1::ModelCard& card, const Names& names,
                                           std::span<const int32_t> anomalies) {
  if (EmbedsTokens(card.data())) return {};
  if (TellsTokens(card)) {
    return MeasureTokens(TokensOf(learner, source, card), truth.weights, TokenNames(card, names));
  }
  if (!HasTarget(card.data())) {
    return MeasureErrors(ErrorsOf(learner, source), anomalies, truth.weights, names);
  }
  if (Embeds(card.network().loss())) {
    const Judged judged = JudgeEmbeddings(learner, source, truth, names, false);
    return {judged.evaluation.metrics().begin(), judged.evaluation.metrics().end()};
  }
  return Metrics(SaidOf(learner, source, card), truth, names);
}

Judged JudgeSaid(const Said& said, const Truth& truth, const v1::ModelCard& card,
                 const Names& names, bool resampled) {
  Judged judged;
  judged.evaluation = Measure(said, truth, card, names);
  if (said.classes > 0) judged.decided = Decide(said);
  if (!resampled) return judged;
  judged.figures = std::make_unique<CountedFigures>(truth.targets.size(), truth.weights);
  judged.figures->AddMetrics(OutcomeOf(said, truth), ComputedOf(judged.evaluation));
  return judged;
}

Judged Judge(engine::Learner& learner, const engine::BatchSource& source, const Truth& truth,
             std::span<const int32_t> anomalies, const v1::ModelCard& card, const Names& names,
             bool resampled) {
  if (EmbedsTokens(card.data())) {
    Judged judged;
    judged.evaluation.set_row_count(source.rows());
    return judged;
  }
  if (TellsTokens(card)) {
    return JudgeTokens(TokensOf(learner, source, card), truth, TokenNames(card, names), resampled);
  }
  if (!HasTarget(card.data())) {
    return JudgeErrors(ErrorsOf(learner, source), anomalies, truth, names, resampled);
  }
  if (Embeds(card.network().loss())) {
    return JudgeEmbeddings(learner, source, truth, names, resampled);
  }
  Judged judged = JudgeSaid(SaidOf(learner, source, card), truth, card, names, resampled);
  if (!resampled || !JudgesEachStep(card.data())) return judged;
  const std::vector<int64_t> lengths = LengthsOf(source);
  for (size_t example = 0; example < lengths.size(); ++example) {
    judged.units.insert(judged.units.end(), static_cast<size_t>(lengths[example]),
                        static_cast<int64_t>(example));
  }
  return judged;
}

}  // namespace beamline::pipeline
