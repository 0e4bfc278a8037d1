#include "engine/learners/liquid_state.h"

#include "pipeline/learners/kinds.h"

namespace beamline::pipeline {

void CheckFields(const v1::LiquidStateLearner& fields, LearnerCheck& check) {
  check.Count("cells", fields.cells(), 20'000, 0, "");
  if (check.facts().steps == 0) {
    check.Add("cells", "needs rows in their order: set windows or sequences in the data");
  }
  check.Range("density", fields.density(), 1e-6, 1);
  if (!(fields.inhibitory() >= 0 && fields.inhibitory() < 1)) {
    check.Add("inhibitory", "must be in [0, 1)");
  }
  check.Range("input_scale", fields.input_scale(), 1e-12, 1e12);
  check.Range("recurrent_scale", fields.recurrent_scale(), 0, 1e12);
  check.Range("membrane_steps", fields.membrane_steps(), 1e-6, 1e9);
  check.Range("filter_steps", fields.filter_steps(), 1e-6, 1e9);
  check.Range("presentation", fields.presentation(), 1, 10'000);
  check.Range("penalty", fields.penalty(), 0, 1e12);
}

void CompleteFields(const LearnerFacts& /*facts*/, v1::LiquidStateLearner* fields) {
  if (fields->density() == 0) fields->set_density(0.1);
  if (!fields->has_inhibitory()) fields->set_inhibitory(0.2);
  if (fields->input_scale() == 0) fields->set_input_scale(1);
  if (!fields->has_recurrent_scale()) fields->set_recurrent_scale(0.5);
  if (fields->membrane_steps() == 0) fields->set_membrane_steps(20);
  if (fields->filter_steps() == 0) fields->set_filter_steps(20);
  if (fields->presentation() == 0) fields->set_presentation(10);
  if (!fields->has_penalty()) fields->set_penalty(1e-3);
}

double BytesOf(const v1::LiquidStateLearner& fields, const LearnerFacts& /*facts*/) {
  const double cells = fields.cells();
  return 8 * cells * cells + 12 * cells * cells * fields.density();
}

std::unique_ptr<engine::Learner> Make(const v1::LiquidStateLearner& fields,
                                      const LearnerSetting& setting) {
  engine::LiquidStateSpec spec;
  spec.cells = fields.cells();
  spec.density = fields.density();
  spec.inhibitory = fields.inhibitory();
  spec.input_scale = fields.input_scale();
  spec.recurrent_scale = fields.recurrent_scale();
  spec.membrane_steps = fields.membrane_steps();
  spec.filter_steps = fields.filter_steps();
  spec.presentation = fields.presentation();
  spec.penalty = fields.penalty();
  spec.mean_state = setting.facts.has_lengths;
  spec.seed = setting.seed;
  spec.threads = setting.threads;
  return engine::MakeLiquidState(spec, setting.data);
}

}  // namespace beamline::pipeline
