#include "engine/learners/kohonen_map.h"

#include <algorithm>

#include "pipeline/learners/kinds.h"

namespace beamline::pipeline {

void CheckFields(const v1::KohonenLearner& fields, LearnerCheck& check) {
  check.Range("rows", fields.rows(), 1, 1000);
  check.Range("columns", fields.columns(), 1, 1000);
  check.Range("epochs", fields.epochs(), 1, 100'000);
  check.Range("first_radius", fields.first_radius(), 1e-3, 1e6);
  check.Range("last_radius", fields.last_radius(), 1e-3, 1e6);
}

void CompleteFields(const LearnerFacts& /*facts*/, v1::KohonenLearner* fields) {
  if (fields->rows() == 0) fields->set_rows(10);
  if (fields->columns() == 0) fields->set_columns(10);
  if (fields->epochs() == 0) fields->set_epochs(20);
  if (fields->first_radius() == 0) {
    fields->set_first_radius(std::max(fields->rows(), fields->columns()) / 2.0);
  }
  if (fields->last_radius() == 0) fields->set_last_radius(0.5);
}

double BytesOf(const v1::KohonenLearner& fields, const LearnerFacts& facts) {
  return 28.0 * fields.rows() * fields.columns() * static_cast<double>(facts.features + 1);
}

std::unique_ptr<engine::Learner> Make(const v1::KohonenLearner& fields,
                                      const LearnerSetting& setting) {
  engine::KohonenSpec spec;
  spec.rows = fields.rows();
  spec.columns = fields.columns();
  spec.epochs = fields.epochs();
  spec.first_radius = fields.first_radius();
  spec.last_radius = fields.last_radius();
  spec.seed = setting.seed;
  spec.threads = setting.threads;
  return engine::MakeKohonenMap(spec, setting.data);
}

}  // namespace beamline::pipeline
