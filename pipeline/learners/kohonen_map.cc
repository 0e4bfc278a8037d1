#include "engine/learners/kohonen_map.h"

#include <algorithm>
#include <utility>

#include "pipeline/learners/kinds.h"

namespace beamline::pipeline {

void CheckFields(const v1::KohonenLearner& fields, LearnerCheck& check) {
  check.Range("rows", fields.rows(), 1, 1000);
  check.Range("columns", fields.columns(), 1, 1000);
  check.Range("epochs", fields.epochs(), 1, 100'000);
  check.Range("first_radius", fields.first_radius(), 1e-3, 1e6);
  check.Range("last_radius", fields.last_radius(), 1e-3, 1e6);
  check.Range("first_learning_rate", fields.first_learning_rate(), 1e-9, 1);
  check.Range("last_learning_rate", fields.last_learning_rate(), 1e-9, 1);
  if (fields.rule() == v1::KohonenLearner::RULE_ONLINE) return;
  for (const auto& [name, rate] : {std::pair("first_learning_rate", fields.first_learning_rate()),
                                   std::pair("last_learning_rate", fields.last_learning_rate())}) {
    if (rate != 0) check.Add(name, "is of the online rule: set rule to online, or remove it");
  }
}

void CompleteFields(const LearnerFacts& /*facts*/, v1::KohonenLearner* fields) {
  if (fields->rows() == 0) fields->set_rows(10);
  if (fields->columns() == 0) fields->set_columns(10);
  if (fields->epochs() == 0) fields->set_epochs(20);
  if (fields->first_radius() == 0) {
    fields->set_first_radius(std::max(fields->rows(), fields->columns()) / 2.0);
  }
  if (fields->last_radius() == 0) fields->set_last_radius(0.5);
  if (fields->rule() == v1::KohonenLearner::RULE_UNSPECIFIED) {
    fields->set_rule(v1::KohonenLearner::RULE_BATCH);
  }
  if (fields->rule() != v1::KohonenLearner::RULE_ONLINE) return;
  if (fields->first_learning_rate() == 0) fields->set_first_learning_rate(0.5);
  if (fields->last_learning_rate() == 0) fields->set_last_learning_rate(0.01);
}

double BytesOf(const v1::KohonenLearner& fields, const LearnerFacts& facts) {
  const double order =
      fields.rule() == v1::KohonenLearner::RULE_ONLINE ? 8.0 * static_cast<double>(facts.rows) : 0;
  return order + 28.0 * fields.rows() * fields.columns() * static_cast<double>(facts.features + 1);
}

std::unique_ptr<engine::Learner> Make(const v1::KohonenLearner& fields,
                                      const LearnerSetting& setting) {
  engine::KohonenSpec spec;
  spec.rows = fields.rows();
  spec.columns = fields.columns();
  spec.epochs = fields.epochs();
  spec.first_radius = fields.first_radius();
  spec.last_radius = fields.last_radius();
  spec.online = fields.rule() == v1::KohonenLearner::RULE_ONLINE;
  if (spec.online) {
    spec.first_learning_rate = fields.first_learning_rate();
    spec.last_learning_rate = fields.last_learning_rate();
  }
  spec.seed = setting.seed;
  spec.threads = setting.threads;
  return engine::MakeKohonenMap(spec, setting.data);
}

}  // namespace beamline::pipeline
