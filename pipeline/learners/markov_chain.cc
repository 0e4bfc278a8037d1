#include "engine/learners/markov_chain.h"

#include "pipeline/learners/kinds.h"

namespace beamline::pipeline {

void CheckFields(const v1::MarkovLearner& fields, LearnerCheck& check) {
  check.Range("order", fields.order(), 1, 20);
  check.Range("alpha", fields.alpha(), 1e-12, 1e12);
  if (fields.smoothing() == v1::MarkovLearner::SMOOTHING_WITTEN_BELL && fields.alpha() != 0) {
    check.Add("alpha", "is of additive smoothing: remove it");
  }
}

void CompleteFields(const LearnerFacts& /*facts*/, v1::MarkovLearner* fields) {
  if (fields->order() == 0) fields->set_order(1);
  if (fields->smoothing() == v1::MarkovLearner::SMOOTHING_UNSPECIFIED) {
    fields->set_smoothing(v1::MarkovLearner::SMOOTHING_ADDITIVE);
  }
  const bool additive = fields->smoothing() == v1::MarkovLearner::SMOOTHING_ADDITIVE;
  if (additive && fields->alpha() == 0) fields->set_alpha(1);
}

double BytesOf(const v1::MarkovLearner& fields, const LearnerFacts& facts) {
  // Codes of a place with what is known of them; contexts are at most as many.
  return (44.0 + 28.0 * (fields.order() + 1)) * static_cast<double>(facts.rows);
}

std::unique_ptr<engine::Learner> Make(const v1::MarkovLearner& fields,
                                      const LearnerSetting& setting) {
  engine::MarkovSpec spec;
  spec.vocabulary = setting.facts.code_sizes.empty() ? 0 : setting.facts.code_sizes[0];
  spec.order = fields.order();
  if (fields.smoothing() == v1::MarkovLearner::SMOOTHING_WITTEN_BELL) {
    spec.smoothing = engine::MarkovSmoothing::kWittenBell;
  } else {
    spec.alpha = fields.alpha();
  }
  spec.threads = setting.threads;
  return engine::MakeMarkovChain(spec, setting.data);
}

}  // namespace beamline::pipeline
