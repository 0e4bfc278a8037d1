#include "engine/learners/k_means.h"

#include "engine/learners/cluster.h"

#include "pipeline/learners/kinds.h"

namespace beamline::pipeline {

void CheckFields(const v1::KMeansLearner& fields, LearnerCheck& check) {
  check.Count("clusters", fields.clusters(), 1'000'000, check.facts().rows, "training rows");
  check.Range("max_iterations", fields.max_iterations(), 1, 100'000);
  check.Range("starts", fields.starts(), 1, 1000);
  check.Range("tolerance", fields.tolerance(), 0, 1e12);
}

void CompleteFields(const LearnerFacts& /*facts*/, v1::KMeansLearner* fields) {
  if (fields->max_iterations() == 0) fields->set_max_iterations(300);
  if (fields->starts() == 0) fields->set_starts(1);
  if (!fields->has_tolerance()) fields->set_tolerance(1e-4);
}

double BytesOf(const v1::KMeansLearner& fields, const LearnerFacts& facts) {
  return 36.0 * fields.clusters() * static_cast<double>(facts.features) +
         static_cast<double>(engine::LloydBytes(facts.rows, fields.clusters(), facts.features));
}

std::unique_ptr<engine::Learner> Make(const v1::KMeansLearner& fields,
                                      const LearnerSetting& setting) {
  engine::KMeansSpec spec;
  spec.clusters = fields.clusters();
  spec.max_iterations = fields.max_iterations();
  spec.starts = fields.starts();
  spec.tolerance = fields.tolerance();
  spec.seed = setting.seed;
  spec.threads = setting.threads;
  return engine::MakeKMeans(spec, setting.data);
}

}  // namespace beamline::pipeline
