// AdversarialLearner::Save and Load.
#include <cstring>
#include <string>
#include <utility>

#include "engine/core/error.h"
#include "engine/learners/adversarial_learner.h"
#include "engine/learners/checkpoint.h"

namespace beamline::engine {

void AdversarialLearner::Save(std::string* bytes) const {
  CheckpointWriter out(bytes);
  out.Integer(Fingerprint(spec_, layout_));
  out.Integer(training_ != nullptr ? static_cast<uint64_t>(training_->rows()) : 0);
  out.Integer(static_cast<uint64_t>(progress_.step));
  out.Integer(static_cast<uint64_t>(progress_.generator_steps));
  out.Integer(static_cast<uint64_t>(progress_.epoch));
  out.Integer(static_cast<uint64_t>(progress_.position));
  out.Integer(static_cast<uint64_t>(progress_.examples_seen));
  out.Number(progress_.generator_loss);
  out.Number(progress_.epoch_loss);
  out.Number(progress_.epoch_main_loss);
  out.Number(progress_.epoch_weight);
  out.Integer(variables_.all().size());
  for (const auto& [name, variable] : variables_.all()) {
    out.Text(name);
    out.Elements(variable.tensor);
  }
  out.Finish();
}

void AdversarialLearner::Load(std::string_view bytes) {
  CheckpointReader in(bytes);
  if (in.Integer() != Fingerprint(spec_, layout_)) {
    Fail("the checkpoint belongs to another definition: start the training anew");
  }
  const int64_t rows = training_ != nullptr ? training_->rows() : 0;
  if (in.Count() != rows) {
    Fail("the checkpoint belongs to other training rows than these ", rows,
         ": start the training anew");
  }
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
      progress.generator_steps < 0 || (training_ != nullptr && progress.position >= rows)) {
    Fail("the checkpoint is damaged: start the training anew");
  }
  std::map<std::string, Tensor> variables;
  for (uint64_t left = in.Integer(); left > 0; --left) {
    const std::string name(in.Text());
    const Tensor& now = variables_.Get(name);
    Tensor tensor(now.shape(), now.dtype());
    in.Elements(&tensor);
    variables[name] = std::move(tensor);
  }
  in.Finish();
  if (variables.size() != variables_.all().size()) {
    Fail("the checkpoint lacks variables of the networks: it belongs to others");
  }
  for (const auto& [name, tensor] : variables) {
    std::memcpy(variables_.Get(name).raw(), tensor.raw(), static_cast<size_t>(tensor.size_bytes()));
  }
  progress_ = progress;
  order_drawn_ = false;
}

}  // namespace beamline::engine
