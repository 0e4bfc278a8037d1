// NetworkLearner::Save and Load.
#include <utility>

#include "engine/learners/checkpoint.h"
#include "engine/learners/network_learner.h"

namespace beamline::engine {

void NetworkLearner::Save(std::string* bytes) const {
  CheckpointWriter out(bytes);
  out.Integer(Fingerprint(spec_, layout_));
  out.Integer(training_ != nullptr ? static_cast<uint64_t>(training_->rows()) : 0);
  out.Integer(static_cast<uint64_t>(progress_.step));
  out.Integer(static_cast<uint64_t>(progress_.epoch));
  out.Integer(static_cast<uint64_t>(progress_.position));
  out.Integer(static_cast<uint64_t>(progress_.examples_seen));
  out.Number(progress_.epoch_loss);
  out.Number(progress_.epoch_main_loss);
  out.Number(progress_.epoch_weight);
  out.Integer(progress_.awaiting_metric ? 1 : 0);
  out.Integer(progress_.stopped ? 1 : 0);
  out.Integer(progress_.restored ? 1 : 0);
  out.Integer(progress_.has_best ? 1 : 0);
  out.Number(progress_.best);
  out.Integer(static_cast<uint64_t>(progress_.epochs_without_improvement));
  out.Integer(variables_.all().size());
  for (const auto& [name, variable] : variables_.all()) {
    out.Text(name);
    out.Elements(variable.tensor);
  }
  out.Integer(best_.size());
  for (const auto& [name, tensor] : best_) {
    out.Text(name);
    out.Elements(tensor);
  }
  out.Number(progress_.plateau_scale);
  out.Integer(progress_.plateau_has_best ? 1 : 0);
  out.Number(progress_.plateau_best);
  out.Integer(static_cast<uint64_t>(progress_.plateau_epochs));
  out.Integer(static_cast<uint64_t>(average_.updates()));
  out.Integer(average_.active() ? average_.averages().size() : 0);
  for (const auto& [name, tensor] : average_.averages()) {
    if (!average_.active()) break;
    out.Text(name);
    out.Elements(tensor);
  }
  out.Finish();
}

void NetworkLearner::Load(std::string_view bytes) {
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
  progress.epoch = in.Count();
  progress.position = in.Count();
  progress.examples_seen = in.Count();
  progress.epoch_loss = in.Number();
  progress.epoch_main_loss = in.Number();
  progress.epoch_weight = in.Number();
  progress.awaiting_metric = in.Integer() != 0;
  progress.stopped = in.Integer() != 0;
  progress.restored = in.Integer() != 0;
  progress.has_best = in.Integer() != 0;
  progress.best = in.Number();
  progress.epochs_without_improvement = in.Count();
  if (progress.position < 0 || progress.step < 0 || progress.epoch < 0 ||
      (training_ != nullptr && progress.position >= rows)) {
    Fail("the checkpoint is damaged: start the training anew");
  }
  const auto read = [this, &in] {
    std::map<std::string, Tensor> tensors;
    for (uint64_t left = in.Integer(); left > 0; --left) {
      const std::string name(in.Text());
      const Tensor& now = variables_.Get(name);
      Tensor tensor(now.shape(), now.dtype());
      in.Elements(&tensor);
      tensors[name] = std::move(tensor);
    }
    return tensors;
  };
  const std::map<std::string, Tensor> variables = read();
  std::map<std::string, Tensor> best = read();
  progress.plateau_scale = in.Number();
  progress.plateau_has_best = in.Integer() != 0;
  progress.plateau_best = in.Number();
  progress.plateau_epochs = in.Count();
  const int64_t updates = in.Count();
  const std::map<std::string, Tensor> averages = read();
  in.Finish();
  if (variables.size() != variables_.all().size()) {
    Fail("the checkpoint lacks variables of the network: it belongs to another one");
  }
  if (updates > 0) {
    average_.Restore(updates, averages);
  } else {
    average_.Reset();
  }
  for (const auto& [name, tensor] : variables) {
    Tensor& to = variables_.Get(name);
    const std::string_view from(reinterpret_cast<const char*>(tensor.raw()),
                                static_cast<size_t>(tensor.size_bytes()));
    from.copy(reinterpret_cast<char*>(to.raw()), from.size());
  }
  best_ = std::move(best);
  progress_ = progress;
  order_drawn_ = false;
}

}  // namespace beamline::engine
