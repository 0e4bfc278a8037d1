// AdversarialLearner::Save and Load.
#include <string>
#include <utility>

#include "engine/core/error.h"
#include "engine/learners/adversarial_learner.h"
#include "engine/learners/checkpoint.h"

namespace beamline::engine {

void AdversarialLearner::Save(std::string* bytes) const {
  CheckpointWriter out(bytes);
  WriteHead(Fingerprint(spec_, layout_), training_, &out);
  out.Integer(static_cast<uint64_t>(progress_.step));
  out.Integer(static_cast<uint64_t>(progress_.generator_steps));
  out.Integer(static_cast<uint64_t>(progress_.epoch));
  out.Integer(static_cast<uint64_t>(progress_.position));
  out.Integer(static_cast<uint64_t>(progress_.examples_seen));
  out.Number(progress_.generator_loss);
  out.Number(progress_.epoch_loss);
  out.Number(progress_.epoch_main_loss);
  out.Number(progress_.epoch_weight);
  WriteVariables(variables_, &out);
  out.Finish();
}

void AdversarialLearner::Load(std::string_view bytes) {
  CheckpointReader in(bytes);
  CheckHead(Fingerprint(spec_, layout_), training_, &in);
  Progress progress;
  progress.step = in.Count();
  progress.generator_steps = in.Count();
  progress.epoch = in.Count();
  progress.position = in.Count();
  progress.examples_seen = in.Count();
  progress.generator_loss = in.Number();
  progress.epoch_loss = in.Number();
  progress.epoch_main_loss = in.Number();
  progress.epoch_weight = in.Number();
  if (progress.position < 0 || progress.step < 0 || progress.epoch < 0 ||
      progress.generator_steps < 0 ||
      (training_ != nullptr && progress.position >= training_->rows())) {
    Fail("the checkpoint is damaged: start the training anew");
  }
  const std::map<std::string, Tensor> variables = ReadVariables(variables_, &in);
  in.Finish();
  RestoreVariables(variables, &variables_);
  progress_ = progress;
  order_drawn_ = false;
}

}  // namespace beamline::engine
