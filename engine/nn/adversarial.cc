#include "engine/nn/adversarial.h"

#include <cmath>
#include <string>

#include "engine/core/error.h"
#include "engine/nn/initializer.h"
#include "engine/nn/layer_stack.h"
#include "engine/passes/autodiff.h"
#include "engine/passes/fusion.h"

namespace beamline::engine {
namespace {

constexpr int64_t kMaxLatent = int64_t{1} << 20;
constexpr int64_t kMaxDiscriminatorSteps = 1000;

void RequirePlain(const NetworkSpec& network, const char* which) {
  const bool penalised = network.weight_l1 != 0 || network.weight_l2 != 0;
  if (network.objective != Objective::kTarget || penalised ||
      network.averaging.kind != AveragingKind::kNone || network.early_stopping.patience != 0) {
    Fail("the ", which,
         " has an objective, a weight penalty, an average of weights or early stopping of its own: "
         "remove it; decay of weights is the optimiser's");
  }
  if (network.schedule.kind == ScheduleKind::kPlateau) {
    Fail("the ", which,
         " has a plateau schedule, but no loss of adversarial training falls while it gets better: "
         "choose another schedule");
  }
  for (const LayerSpec& layer : network.layers) {
    if (layer.kind != LayerKind::kLatent && layer.kind != LayerKind::kActivityPenalty) continue;
    Fail("the ", which, " has a ", layer.kind == LayerKind::kLatent ? "latent" : "penalty",
         " layer \"", layer.name, "\", which adds to a loss of its own: remove it");
  }
}

void CheckNumbers(const AdversarialSpec& spec, const BatchLayout& layout) {
  NetworkSpec numbers;
  numbers.batch_size = spec.batch_size;
  numbers.epochs = spec.epochs;
  CheckNumbers(numbers);
  CheckNumbers(spec.generator);
  CheckNumbers(spec.discriminator);
  RequirePlain(spec.generator, "generator");
  RequirePlain(spec.discriminator, "discriminator");
  if (spec.latent < 1 || spec.latent > kMaxLatent) {
    Fail("latent must be from 1 to ", kMaxLatent, ", got ", spec.latent);
  }
  if (spec.discriminator_steps < 1 || spec.discriminator_steps > kMaxDiscriminatorSteps) {
    Fail("discriminator_steps must be from 1 to ", kMaxDiscriminatorSteps, ", got ",
         spec.discriminator_steps);
  }
  if (!(spec.gradient_penalty >= 0) || !std::isfinite(spec.gradient_penalty)) {
    Fail("gradient_penalty must not be negative, got ", spec.gradient_penalty);
  }
  if (spec.loss == AdversarialLoss::kWasserstein && spec.gradient_penalty == 0) {
    Fail(
        "the Wasserstein loss has no bound unless something keeps the discriminator's slope near "
        "1: set gradient_penalty, for example to 10");
  }
  if (layout.features < 1) Fail("there are no features to generate: all columns are codes");
  if (layout.has_lengths) {
    Fail("rows of lengths of their own cannot be generated: cut them to one length");
  }
}

class Wiring {
 public:
  Wiring(const AdversarialSpec& spec, const BatchLayout& layout, int64_t batch,
         AdversarialMode mode, LatentSource latent)
      : spec_(spec), layout_(layout), batch_(batch), mode_(mode), given_(latent) {
    made_.batch = batch;
    if (mode == AdversarialMode::kEvaluation || mode == AdversarialMode::kSampling) {
      given_ = LatentSource::kGiven;
    }
  }

  AdversarialNetwork Build() {
    const Value generated = Generated();
    switch (mode_) {
      case AdversarialMode::kSampling:
        made_.samples = generated;
        graph().MarkOutput(generated);
        break;
      case AdversarialMode::kGeneratorStep:
        AddGeneratorStep(generated);
        break;
      case AdversarialMode::kDiscriminatorStep:
      case AdversarialMode::kEvaluation:
        AddDiscriminator(generated);
        break;
    }
    Optimize(&graph());
    return std::move(made_);
  }

 private:
  Graph& graph() { return made_.graph; }
  bool training() const {
    return mode_ == AdversarialMode::kDiscriminatorStep || mode_ == AdversarialMode::kGeneratorStep;
  }

  Value One() {
    const Value one = graph().Find("one");
    return one.valid() ? one : graph().Constant("one", {}, std::vector<double>{1});
  }

  Value Latent() {
    const Shape shape({batch_, spec_.latent});
    if (given_ == LatentSource::kGiven) return made_.latent = graph().Input("latent", shape);
    return graph().Gaussian("latent", One(), shape);
  }

  // The layers of one network applied to `features`.
  Value Apply(const NetworkSpec& network, std::string_view prefix, Value features,
              int64_t last_units, bool updates_statistics) {
    LayerStack stack;
    stack.layers = network.layers;
    stack.mode = training() ? NetworkMode::kTraining : NetworkMode::kPrediction;
    stack.batch = batch_;
    stack.prefix = prefix;
    stack.last_units = last_units;
    stack.shared = true;
    stack.updates_statistics = updates_statistics;
    stack.input = [&](const std::string& layer, const std::string& name) -> Value {
      if (name == kFeaturesInput) return features;
      Fail("layer \"", layer, "\" takes \"", name,
           "\", but adversarial networks see numbers only: take \"features\"");
    };
    std::vector<Value> losses;
    const Value output = AppendLayers(&graph(), stack, &made_.rates, &losses);
    if (graph().info(output).dtype != graph().real()) {
      Fail("layer \"", prefix, "...\" gives codes and not numbers: end with a dense layer");
    }
    return output;
  }

  // Generated rows, [batch, features].
  Value Generated() {
    const Value output = Apply(spec_.generator, kGeneratorPrefix, Latent(), layout_.features,
                               mode_ == AdversarialMode::kGeneratorStep);
    const Shape shape = graph().shape(output);
    const Shape rows({batch_, layout_.features});
    if (shape.NumElements() != rows.NumElements() || shape.rank() < 2 || shape.dim(0) != batch_) {
      Fail("the generator's last layer has outputs of shape ", shape, " but a row has ",
           layout_.features, " features: let it end in as many numbers");
    }
    return graph().Flatten("generated", output);
  }

  // [batch, 1]
  Value Judged(Value rows) {
    const Value output = Apply(spec_.discriminator, kDiscriminatorPrefix, rows, 1,
                               mode_ == AdversarialMode::kDiscriminatorStep);
    if (graph().shape(output) != Shape({batch_, 1})) {
      Fail("the discriminator's last layer has outputs of shape ", graph().shape(output),
           " but judges a row by one number: end with a dense layer of 1 unit");
    }
    const LayerSpec& last = spec_.discriminator.layers.back();
    const bool activates = last.kind == LayerKind::kDense || last.kind == LayerKind::kActivation;
    if (activates && last.activation != Activation::kLinear) {
      Fail("the discriminator's last layer has activation ", Name(last.activation),
           ", but its loss takes any number: set its activation to linear");
    }
    return output;
  }

  // The mean loss of outputs that should be `real`, for the network that wants it.
  Graph::LossValues LossOf(Value judged, bool real, bool generator, Value weights) {
    Graph::LossOptions options;
    switch (spec_.loss) {
      case AdversarialLoss::kNonSaturating:
        options.kind = LossKind::kBinaryCrossEntropy;
        break;
      case AdversarialLoss::kLeastSquares:
        options.kind = LossKind::kMeanSquaredError;
        break;
      case AdversarialLoss::kHinge:
        options.kind = generator ? LossKind::kWasserstein : LossKind::kHinge;
        break;
      case AdversarialLoss::kWasserstein:
        options.kind = LossKind::kWasserstein;
        break;
    }
    const char* name = real ? "real" : "generated";
    const Value target = graph().Constant(
        name, {batch_, 1}, std::vector<double>(static_cast<size_t>(batch_), real ? 1.0 : 0.0));
    Graph::LossValues values = graph().Loss(name, judged, target, weights, Value(), options);
    if (spec_.loss == AdversarialLoss::kLeastSquares) {
      values.loss = graph().Multiply(name, values.loss, Number("half", 0.5));
    }
    return values;
  }

  Value Number(const std::string& name, double number) {
    const Value there = graph().Find(name);
    if (there.valid()) return there;
    const Value value = graph().Number(name);
    made_.rates.emplace_back(value, number);
    return value;
  }

  void AddGeneratorStep(Value generated) {
    const Graph::LossValues values = LossOf(Judged(generated), true, true, Value());
    made_.loss = made_.main_loss = values.loss;
    made_.weight_sum = values.weight_sum;
    FinishLosses();
    AddUpdates(spec_.generator, kGeneratorPrefix);
  }

  void AddDiscriminator(Value generated) {
    made_.features = graph().Input("features", {batch_, layout_.features});
    const bool evaluates = mode_ == AdversarialMode::kEvaluation;
    if (evaluates || layout_.has_weights) made_.weights = graph().Input("weights", {batch_});
    if (evaluates) made_.counted = graph().Input("counted", {batch_});
    const Graph::LossValues real = LossOf(Judged(made_.features), true, false, made_.weights);
    const Graph::LossValues fake = LossOf(Judged(generated), false, false, made_.counted);
    made_.real_loss = real.loss;
    made_.fake_loss = fake.loss;
    made_.weight_sum = real.weight_sum;
    made_.main_loss = made_.loss = graph().Add("discriminator", real.loss, fake.loss);
    if (evaluates) return FinishLosses();
    if (spec_.gradient_penalty > 0) AddPenalty(generated);
    FinishLosses();
    AddUpdates(spec_.discriminator, kDiscriminatorPrefix);
  }

  void AddPenalty(Value generated) {
    Graph& g = graph();
    const Value shares = given_ == LatentSource::kGiven ? made_.shares = g.Input("shares", {batch_})
                                                        : g.Uniform("shares", One(), {batch_});
    const Value between = g.Interpolate("between", made_.features, generated, shares);
    const Value judged = Judged(between);
    const Value ones = g.Find("real");  // [batch, 1]
    const size_t first = g.nodes().size();
    const std::vector<Value> slopes = AppendGradients(&g, judged, ones, std::vector{between});
    if (!slopes[0].valid()) Fail("the discriminator does not depend on its features");
    RequireSecondGradients(g, first);
    const Value penalty = g.GradientPenalty("gradient_penalty", slopes[0]);
    made_.loss = g.Add("total", made_.loss,
                       g.Multiply("gradient_penalty", penalty,
                                  Number("gradient_penalty", spec_.gradient_penalty)));
  }

  void FinishLosses() {
    for (const Value value :
         {made_.loss, made_.main_loss, made_.real_loss, made_.fake_loss, made_.weight_sum}) {
      if (value.valid()) graph().MarkOutput(value);
    }
  }

  // Of the parameters of one network.
  void AddUpdates(const NetworkSpec& network, std::string_view prefix) {
    std::vector<Value> parameters;
    for (size_t i = 0; i < graph().values().size(); ++i) {
      const ValueInfo& info = graph().values()[i];
      if (info.role == Role::kParameter && info.name.starts_with(prefix)) {
        parameters.push_back({static_cast<int32_t>(i)});
      }
    }
    if (parameters.empty()) {
      Fail("the network \"", prefix.substr(0, prefix.size() - 1),
           "\" has nothing to train: add a dense layer");
    }
    const std::vector<Value> gradients = AppendGradients(&graph(), made_.loss, parameters);
    UpdateOptions options;
    options.rule = RuleOf(network.optimizer);
    options.clip_norm = network.clip_norm > 0;
    options.clip_value = network.clip_value > 0;
    options.decay_matrices_only = network.optimizer.decay_matrices_only;
    made_.update = AppendUpdates(&graph(), parameters, gradients, options);
  }

  const AdversarialSpec& spec_;
  const BatchLayout& layout_;
  const int64_t batch_;
  const AdversarialMode mode_;
  LatentSource given_;
  AdversarialNetwork made_;
};

}  // namespace

AdversarialNetwork BuildAdversarial(const AdversarialSpec& spec, const BatchLayout& layout,
                                    int64_t batch, AdversarialMode mode, LatentSource latent) {
  CheckNumbers(spec, layout);
  if (batch < 1) Fail("a batch has at least one row");
  return Wiring(spec, layout, batch, mode, latent).Build();
}

}  // namespace beamline::engine
