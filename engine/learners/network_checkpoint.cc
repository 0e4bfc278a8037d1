// NetworkLearner::Save and Load.
#include <optional>
#include <utility>

#include "engine/learners/checkpoint.h"
#include "engine/learners/network_learner.h"

namespace beamline::engine {

void NetworkLearner::Save(std::string* bytes) const {
  CheckpointWriter out(bytes);
  WriteHead(Fingerprint(spec_, layout_), training_, &out);
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
  WriteVariables(variables_, &out);
  WriteTensors(best_, &out);
  out.Number(progress_.plateau_scale);
  out.Integer(progress_.plateau_has_best ? 1 : 0);
  out.Number(progress_.plateau_best);
  out.Integer(static_cast<uint64_t>(progress_.plateau_epochs));
  out.Integer(static_cast<uint64_t>(average_.updates()));
  if (average_.active()) {
    WriteTensors(average_.averages(), &out);
  } else {
    out.Integer(0);
  }
  out.Finish();
}

void NetworkLearner::Load(std::string_view bytes) { Restore(bytes, Fingerprint(spec_, layout_)); }

void NetworkLearner::Adopt(std::string_view bytes) { Restore(bytes, std::nullopt); }

void NetworkLearner::Restore(std::string_view bytes, std::optional<uint64_t> fingerprint) {
  CheckpointReader in(bytes);
  CheckHead(fingerprint, training_, &in);
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
      (training_ != nullptr && progress.position >= training_->rows())) {
    Fail("the checkpoint is damaged: start the training anew");
  }
  if (!fingerprint.has_value() &&
      (progress.position != 0 || progress.step != progress.epoch * steps_per_epoch_)) {
    Fail("only the state at the end of an epoch, of batches as large, can be taken over");
  }
  const std::map<std::string, Tensor> variables = ReadVariables(variables_, &in);
  std::map<std::string, Tensor> best = ReadTensors(variables_, &in);
  progress.plateau_scale = in.Number();
  progress.plateau_has_best = in.Integer() != 0;
  progress.plateau_best = in.Number();
  progress.plateau_epochs = in.Count();
  const int64_t updates = in.Count();
  const std::map<std::string, Tensor> averages = ReadTensors(variables_, &in);
  in.Finish();
  if (updates > 0) {
    average_.Restore(updates, averages);
  } else {
    average_.Reset();
  }
  RestoreVariables(variables, &variables_);
  best_ = std::move(best);
  progress_ = progress;
  fed_position_ = -1;
  order_drawn_ = false;
}

}  // namespace beamline::engine
