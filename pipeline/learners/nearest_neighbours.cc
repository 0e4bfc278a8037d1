#include "engine/learners/nearest_neighbours.h"

#include "absl/strings/str_cat.h"
#include "pipeline/learners/kinds.h"

namespace beamline::pipeline {

void CheckFields(const v1::NearestNeighboursLearner& fields, LearnerCheck& check) {
  check.Range("neighbours", fields.neighbours(), 1, 1'000'000);
  const int64_t rows = check.facts().rows;
  if (rows <= 0 || fields.neighbours() <= rows) return;
  check.Add("neighbours", absl::StrCat("is ", fields.neighbours(), ", but there are only ", rows,
                                       " rows to learn from"));
}

void CompleteFields(const LearnerFacts& /*facts*/, v1::NearestNeighboursLearner* fields) {
  if (fields->neighbours() == 0) fields->set_neighbours(5);
  if (fields->weights() == v1::NearestNeighboursLearner::WEIGHTS_UNSPECIFIED) {
    fields->set_weights(v1::NearestNeighboursLearner::WEIGHTS_UNIFORM);
  }
}

double BytesOf(const v1::NearestNeighboursLearner& /*fields*/, const LearnerFacts& facts) {
  return (4 * static_cast<double>(facts.features) + 40) * static_cast<double>(facts.rows);
}

std::unique_ptr<engine::Learner> Make(const v1::NearestNeighboursLearner& fields,
                                      const LearnerSetting& setting) {
  engine::NearestNeighboursSpec spec;
  spec.neighbours = fields.neighbours();
  spec.by_distance = fields.weights() == v1::NearestNeighboursLearner::WEIGHTS_DISTANCE;
  spec.seed = setting.seed;
  spec.threads = setting.threads;
  return engine::MakeNearestNeighbours(spec, setting.data);
}

}  // namespace beamline::pipeline
