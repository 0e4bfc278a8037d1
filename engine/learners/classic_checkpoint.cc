// ClassicLearner: what leaves it and comes back.
#include <cstring>
#include <utility>

#include "engine/core/error.h"
#include "engine/learners/checkpoint.h"
#include "engine/learners/classic_learner.h"

namespace beamline::engine {
namespace {

// As declared: an extent of -1 is free.
bool Fits(const Tensor& tensor, const std::vector<int64_t>& extents, DType dtype) {
  const std::span<const int64_t> own = tensor.shape().extents();
  if (tensor.dtype() != dtype || own.size() != extents.size()) return false;
  for (size_t i = 0; i < own.size(); ++i) {
    if (extents[i] >= 0 && own[i] != extents[i]) return false;
  }
  return true;
}

}  // namespace

uint64_t ClassicLearner::Fingerprint() const {
  const BatchLayout& layout = data_.layout;
  const std::string text =
      Concat(definition_.name, ' ', definition_.text, " layout ", layout.features, ' ',
             layout.code_columns, ' ', layout.targets, ' ', layout.classes, ' ', layout.has_weights,
             ' ', layout.steps, ' ', layout.has_lengths, ' ', layout.target_steps);
  return FingerprintOf(text);
}

void ClassicLearner::Save(std::string* bytes) const {
  CheckpointWriter out(bytes);
  WriteHead(Fingerprint(), data_.training, &out);
  out.Integer(static_cast<uint64_t>(progress_.step));
  out.Integer(static_cast<uint64_t>(progress_.epoch));
  out.Integer(static_cast<uint64_t>(progress_.examples_seen));
  out.Integer(progress_.finished ? 1 : 0);
  out.Number(progress_.epoch_loss);
  out.Number(progress_.epoch_weight);
  for (const auto& [name, slot] : slots_) {
    for (const int64_t extent : slot.tensor.shape().extents()) {
      out.Integer(static_cast<uint64_t>(extent));
    }
    out.Elements(slot.tensor);
  }
  out.Finish();
}

void ClassicLearner::Load(std::string_view bytes) {
  CheckpointReader in(bytes);
  CheckHead(Fingerprint(), data_.training, &in);
  Progress progress;
  progress.step = in.Count();
  progress.epoch = in.Count();
  progress.examples_seen = in.Count();
  progress.finished = in.Integer() != 0;
  progress.epoch_loss = in.Number();
  progress.epoch_weight = in.Number();
  if (progress.step < 0 || progress.step > definition_.total_steps || progress.epoch < 0) {
    Fail("the checkpoint is damaged: start the training anew");
  }
  Tensors tensors;
  for (const auto& [name, slot] : slots_) {
    std::vector<int64_t> extents = slot.extents;
    for (int64_t& extent : extents) {
      const int64_t written = in.Count();
      if (extent < 0) extent = written;
    }
    // No more elements than there are bytes left to fill them with.
    const Shape shape(extents);
    if (shape.NumElements() > static_cast<int64_t>(bytes.size())) {
      Fail("the checkpoint is damaged: start the training anew");
    }
    Tensor tensor(shape, slot.tensor.dtype());
    in.Elements(&tensor);
    tensors[name] = std::move(tensor);
  }
  in.Finish();
  Check(tensors);
  for (auto& [name, tensor] : tensors) slots_.find(name)->second.tensor = std::move(tensor);
  progress_ = progress;
  Taken(false);
}

std::vector<NamedTensor> ClassicLearner::Weights() const {
  std::vector<NamedTensor> weights;
  for (const auto& [name, slot] : slots_) {
    if (slot.is_weight) weights.push_back({name, slot.tensor.Clone()});
  }
  return weights;
}

ClassicLearner::Tensors ClassicLearner::With(
    const std::map<std::string, const Tensor*>& from) const {
  Tensors tensors;
  for (const auto& [name, slot] : slots_) {
    const auto found = from.find(name);
    tensors[name] = (found != from.end() ? *found->second : slot.tensor).Clone();
  }
  return tensors;
}

void ClassicLearner::SetWeights(const std::vector<NamedTensor>& weights) {
  std::map<std::string, const Tensor*> given;
  for (const NamedTensor& weight : weights) {
    const auto slot = slots_.find(weight.name);
    if (slot == slots_.end() || !slot->second.is_weight) {
      Fail("the learner \"", definition_.name, "\" has no weight \"", weight.name,
           "\": it belongs to another learner");
    }
    if (!Fits(weight.tensor, slot->second.extents, slot->second.tensor.dtype())) {
      Fail("weight \"", weight.name, "\" has shape ", weight.tensor.shape(), " and type ",
           Name(weight.tensor.dtype()), ", but the learner needs ", slot->second.tensor.shape(),
           " and ", Name(slot->second.tensor.dtype()));
    }
    given[weight.name] = &weight.tensor;
  }
  for (const auto& [name, slot] : slots_) {
    if (slot.is_weight && !given.contains(name)) Fail("the weight \"", name, "\" is missing");
  }
  Tensors tensors = With(given);
  Check(tensors);
  for (auto& [name, tensor] : tensors) slots_.find(name)->second.tensor = std::move(tensor);
  Taken(true);
}

}  // namespace beamline::engine
