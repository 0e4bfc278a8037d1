#include <sstream>
#include <string>
#include <string_view>

#include "engine/nn/adversarial.h"
#include "engine/nn/network.h"

namespace beamline::engine {
namespace {

void DescribeLayer(const LayerSpec& layer, std::ostringstream& out) {
  out << "layer " << static_cast<int>(layer.kind) << ' ' << layer.name.size() << layer.name;
  for (const std::string& input : layer.inputs) out << ' ' << input.size() << input;
  out << ' ' << layer.units << ' ' << static_cast<int>(layer.activation) << ' ' << layer.bias << ' '
      << static_cast<int>(layer.initializer) << ' ' << layer.rate << ' ' << layer.momentum << ' '
      << layer.epsilon;
  for (const int64_t categories : layer.categories) out << " c" << categories;
  for (const int64_t extent : layer.shape) out << " s" << extent;
  out << ' ' << static_cast<int>(layer.graph_conv);
  out << ' ' << layer.tokens << ' ' << layer.heads << ' ' << layer.causal << ' ' << layer.rotary
      << ' ' << layer.mask_padding << ' ' << static_cast<int>(layer.positions) << ' '
      << layer.begin;
  out << ' ' << layer.deviation << ' ' << layer.beta << ' ' << layer.l1 << ' '
      << layer.sparsity_weight << ' ' << layer.sparsity_target;
  for (const int64_t extent : layer.kernel) out << " k" << extent;
  for (const int64_t step : layer.stride) out << " t" << step;
  for (const int64_t zeros : layer.pad) out << " p" << zeros;
  for (const int64_t distance : layer.dilation) out << " d" << distance;
  out << ' ' << static_cast<int>(layer.padding) << ' ' << layer.groups << ' '
      << static_cast<int>(layer.reduction);
  if (layer.sequence) out << " sequence";
  if (layer.bidirectional) out << " bidirectional";
  if (layer.kind == LayerKind::kMemory) {
    out << " memory " << static_cast<int>(layer.memory) << ' ' << layer.slots << ' ' << layer.width;
  }
  if (layer.steps != 0) out << " steps " << layer.steps;
  if (layer.kind == LayerKind::kPair) out << " pair " << static_cast<int>(layer.pair);
  if (layer.dimension != 0) {
    out << " capsules " << layer.capsules << ' ' << layer.dimension << ' ' << layer.iterations;
  }
  out << '\n';
}

// Everything that a training depends on, as text. Numbers in hexadecimal: exact.
std::string Describe(const NetworkSpec& spec, const BatchLayout& layout) {
  std::ostringstream out;
  out << std::hexfloat;
  for (const LayerSpec& layer : spec.layers) DescribeLayer(layer, out);
  out << "objective " << static_cast<int>(spec.objective) << '\n';
  if (spec.objective == Objective::kMasked) {
    out << "masking " << spec.masking.share << ' ' << spec.masking.masked << ' '
        << spec.masking.random << '\n';
  }
  out << "loss " << static_cast<int>(spec.loss.kind) << ' ' << spec.loss.delta << ' '
      << spec.loss.label_smoothing;
  for (const double weight : spec.loss.class_weights) out << ' ' << weight;
  out << "\nobjective " << static_cast<int>(spec.objective) << ' ' << spec.loss.gamma << ' '
      << spec.loss.margin << ' ' << spec.loss.temperature << ' ' << spec.weight_l1 << ' '
      << spec.weight_l2;
  if (spec.loss.kind == LossKind::kMargin) out << " absent " << spec.loss.absent_weight;
  const OptimizerSpec& o = spec.optimizer;
  out << "\noptimizer " << static_cast<int>(o.kind) << ' ' << o.learning_rate << ' ' << o.momentum
      << ' ' << o.nesterov << ' ' << o.beta1 << ' ' << o.beta2 << ' ' << o.decay << ' ' << o.epsilon
      << ' ' << o.weight_decay;
  out << ' ' << o.decay_matrices_only << ' ' << spec.clip_value;
  const ScheduleSpec& s = spec.schedule;
  out << "\nschedule " << static_cast<int>(s.kind) << ' ' << s.warmup_steps << ' ' << s.every_epochs
      << ' ' << s.factor << ' ' << s.final_fraction;
  out << ' ' << s.power << ' ' << s.initial_fraction << ' ' << s.rising_share << ' '
      << s.plateau_patience << ' ' << static_cast<int>(s.batch_scaling) << ' ' << s.base_batch_size;
  const AveragingSpec& a = spec.averaging;
  out << "\naveraging " << static_cast<int>(a.kind) << ' ' << a.decay << ' ' << a.start_epoch;
  const EarlyStoppingSpec& e = spec.early_stopping;
  out << "\nstop " << e.patience << ' ' << e.metric << ' ' << e.larger_is_better << ' '
      << e.min_delta << ' ' << e.restore_best;
  out << "\nrun " << spec.clip_norm << ' ' << spec.batch_size << ' ' << spec.epochs << ' '
      << spec.seed;
  out << "\nlayout " << layout.features << ' ' << layout.code_columns << ' ' << layout.targets
      << ' ' << layout.classes << ' ' << layout.has_weights;
  if (layout.has_lengths) out << " lengths";
  if (layout.steps != 0) out << " steps " << layout.steps;
  if (layout.target_steps != 0) out << " target steps " << layout.target_steps;
  if (layout.target_codes != 0) out << " target codes " << layout.target_codes;
  return out.str();
}

uint64_t HashOf(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

}  // namespace

uint64_t Fingerprint(const NetworkSpec& spec, const BatchLayout& layout) {
  return HashOf(Describe(spec, layout));
}

uint64_t Fingerprint(const AdversarialSpec& spec, const BatchLayout& layout) {
  std::ostringstream out;
  out << std::hexfloat << Describe(spec.generator, layout) << "\nagainst "
      << Describe(spec.discriminator, layout) << "\nadversarial " << static_cast<int>(spec.loss)
      << ' ' << spec.gradient_penalty << ' ' << spec.discriminator_steps << ' ' << spec.latent
      << ' ' << spec.batch_size << ' ' << spec.epochs << ' ' << spec.seed;
  return HashOf(out.str());
}

}  // namespace beamline::engine
