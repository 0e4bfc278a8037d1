#include "engine/learners/naive_bayes.h"

#include "pipeline/learners/kinds.h"

namespace beamline::pipeline {

void CheckFields(const v1::NaiveBayesLearner& fields, LearnerCheck& check) {
  check.Range("smoothing", fields.smoothing(), 1e-30, 1e6);
}

void CompleteFields(const LearnerFacts& /*facts*/, v1::NaiveBayesLearner* fields) {
  if (fields->smoothing() == 0) fields->set_smoothing(1e-9);
}

double BytesOf(const v1::NaiveBayesLearner& /*fields*/, const LearnerFacts& facts) {
  return 4 * static_cast<double>(facts.features) * static_cast<double>(facts.rows);
}

std::unique_ptr<engine::Learner> Make(const v1::NaiveBayesLearner& fields,
                                      const LearnerSetting& setting) {
  return engine::MakeNaiveBayes(
      {.smoothing = fields.smoothing(), .seed = setting.seed, .threads = setting.threads},
      setting.data);
}

}  // namespace beamline::pipeline
