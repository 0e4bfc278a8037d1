#include "engine/learners/echo_state.h"

#include "pipeline/learners/kinds.h"

namespace beamline::pipeline {

void CheckFields(const v1::EchoStateLearner& fields, LearnerCheck& check) {
  check.Count("reservoir", fields.reservoir(), 20'000, 0, "");
  if (check.facts().steps == 0) {
    check.Add("reservoir", "needs rows in their order: set windows or sequences in the data");
  }
  check.Range("spectral_radius", fields.spectral_radius(), 1e-6, 1e6);
  check.Range("density", fields.density(), 1e-6, 1);
  check.Range("input_scale", fields.input_scale(), 1e-12, 1e12);
  check.Range("leak", fields.leak(), 1e-6, 1);
  check.Range("penalty", fields.penalty(), 0, 1e12);
}

void CompleteFields(const LearnerFacts& /*facts*/, v1::EchoStateLearner* fields) {
  if (fields->spectral_radius() == 0) fields->set_spectral_radius(0.9);
  if (fields->density() == 0) fields->set_density(0.1);
  if (fields->input_scale() == 0) fields->set_input_scale(1);
  if (fields->leak() == 0) fields->set_leak(1);
  if (!fields->has_penalty()) fields->set_penalty(1e-6);
}

double BytesOf(const v1::EchoStateLearner& fields, const LearnerFacts& /*facts*/) {
  const double units = fields.reservoir();
  return 8 * units * units + 12 * units * units * fields.density();
}

std::unique_ptr<engine::Learner> Make(const v1::EchoStateLearner& fields,
                                      const LearnerSetting& setting) {
  engine::EchoStateSpec spec;
  spec.reservoir = fields.reservoir();
  spec.spectral_radius = fields.spectral_radius();
  spec.density = fields.density();
  spec.input_scale = fields.input_scale();
  spec.leak = fields.leak();
  spec.penalty = fields.penalty();
  spec.mean_state = setting.facts.has_lengths;
  spec.seed = setting.seed;
  spec.threads = setting.threads;
  return engine::MakeEchoState(spec, setting.data);
}

}  // namespace beamline::pipeline
