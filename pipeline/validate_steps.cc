// Train and publish steps, optimisers, metrics.
#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/ids.h"
#include "base/strings.h"
#include "pipeline/dependencies.h"
#include "pipeline/learners/registry.h"
#include "pipeline/metric_names.h"
#include "pipeline/schema.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {
namespace {

constexpr double kMaxRate = 1000;
// The largest factor that is still below 1.
constexpr double kBelowOne = 0.9999999999;

void CheckAdam(Context& context, const std::string& path, const v1::Adam& adam) {
  CheckRange(context, path + ".learning_rate", adam.learning_rate(), 1e-12, kMaxRate);
  CheckRange(context, path + ".beta1", adam.beta1(), 0, kBelowOne);
  CheckRange(context, path + ".beta2", adam.beta2(), 0, kBelowOne);
  CheckRange(context, path + ".epsilon", adam.epsilon(), 1e-20, 1);
  CheckRange(context, path + ".weight_decay", adam.weight_decay(), 0, 100);
}

void CheckSchedule(Context& context, const std::string& path,
                   const v1::LearningRateSchedule& schedule) {
  CheckRange(context, path + ".warmup_steps", static_cast<double>(schedule.warmup_steps()), 0,
             1e12);
  if (schedule.has_step()) {
    CheckRange(context, path + ".step.every_epochs", schedule.step().every_epochs(), 1, 1'000'000,
               false);
    CheckRange(context, path + ".step.factor", schedule.step().factor(), 1e-9, 10);
  } else if (schedule.has_exponential()) {
    CheckRange(context, path + ".exponential.factor", schedule.exponential().factor(), 1e-9, 10,
               false);
  } else if (schedule.has_cosine()) {
    CheckRange(context, path + ".cosine.final_fraction", schedule.cosine().final_fraction(), 0, 1);
  }
  CheckRange(context, path + ".linear.final_fraction", schedule.linear().final_fraction(), 0, 1);
  CheckRange(context, path + ".polynomial.power", schedule.polynomial().power(), 1e-3, 100);
  CheckRange(context, path + ".polynomial.final_fraction", schedule.polynomial().final_fraction(),
             0, 1);
  const v1::OneCycleSchedule& cycle = schedule.one_cycle();
  CheckRange(context, path + ".one_cycle.initial_fraction", cycle.initial_fraction(), 1e-9, 1);
  CheckRange(context, path + ".one_cycle.final_fraction", cycle.final_fraction(), 0, 1);
  CheckRange(context, path + ".one_cycle.rising_share", cycle.rising_share(), 1e-6, 0.999999);
  const v1::PlateauSchedule& plateau = schedule.plateau();
  CheckRange(context, path + ".plateau.factor", plateau.factor(), 1e-9, kBelowOne);
  CheckRange(context, path + ".plateau.patience", plateau.patience(), 1, 1'000'000);
  CheckRange(context, path + ".plateau.final_fraction", plateau.final_fraction(), 0, 1);
  CheckRange(context, path + ".base_batch_size", schedule.base_batch_size(), 1, 1 << 20);
}

}  // namespace

void CheckOptimizer(Context& context, const std::string& path, const v1::NetworkLearner& network) {
  const v1::Optimizer& optimizer = network.optimizer();
  const std::string at = path + ".optimizer";
  switch (optimizer.kind_case()) {
    case v1::Optimizer::kSgd:
      CheckRange(context, at + ".sgd.learning_rate", optimizer.sgd().learning_rate(), 1e-12,
                 kMaxRate);
      CheckRange(context, at + ".sgd.momentum", optimizer.sgd().momentum(), 0, kBelowOne);
      CheckRange(context, at + ".sgd.weight_decay", optimizer.sgd().weight_decay(), 0, 100);
      if (optimizer.sgd().nesterov() && optimizer.sgd().momentum() == 0) {
        context.errors.Add(at + ".sgd.nesterov", "needs momentum, such as 0.9");
      }
      break;
    case v1::Optimizer::kAdam:
      CheckAdam(context, at + ".adam", optimizer.adam());
      break;
    case v1::Optimizer::kAdamw:
      CheckAdam(context, at + ".adamw", optimizer.adamw());
      break;
    case v1::Optimizer::kLamb:
      CheckAdam(context, at + ".lamb", optimizer.lamb());
      break;
    case v1::Optimizer::kRmsprop:
      CheckRange(context, at + ".rmsprop.learning_rate", optimizer.rmsprop().learning_rate(), 1e-12,
                 kMaxRate);
      CheckRange(context, at + ".rmsprop.decay", optimizer.rmsprop().decay(), 0, kBelowOne);
      CheckRange(context, at + ".rmsprop.epsilon", optimizer.rmsprop().epsilon(), 1e-20, 1);
      CheckRange(context, at + ".rmsprop.momentum", optimizer.rmsprop().momentum(), 0, kBelowOne);
      CheckRange(context, at + ".rmsprop.weight_decay", optimizer.rmsprop().weight_decay(), 0, 100);
      break;
    case v1::Optimizer::kAdagrad:
      CheckRange(context, at + ".adagrad.learning_rate", optimizer.adagrad().learning_rate(), 1e-12,
                 kMaxRate);
      CheckRange(context, at + ".adagrad.epsilon", optimizer.adagrad().epsilon(), 1e-20, 1);
      CheckRange(context, at + ".adagrad.weight_decay", optimizer.adagrad().weight_decay(), 0, 100);
      break;
    case v1::Optimizer::KIND_NOT_SET:
      break;
  }
  CheckSchedule(context, path + ".schedule", network.schedule());
}

void CheckMetric(Context& context, const std::string& path, const std::string& name,
                 const TargetFacts& target, bool allow_loss) {
  if (allow_loss && name == "loss") return;
  std::vector<std::string> fitting;
  if (target.generates) {
    context.errors.Add(path, "the model generates, and nothing but the loss can be watched");
    return;
  }
  if (target.token_vectors) {
    context.errors.Add(path,
                       absl::StrCat("\"", name, "\" is not for vectors of tokens: there is loss"));
    return;
  }
  if (target.embeds) {
    fitting = EmbeddingMetrics();
  } else if (target.tokens) {
    fitting = TokenMetrics(target.translates);
  } else if (target.reconstructs || target.forecasts) {
    fitting = ReconstructionMetrics(target.anomalies && target.reconstructs);
  } else if (target.known && !(target.is_class && target.classes == 0)) {
    fitting = MetricsFor(target.is_class ? std::max<int64_t>(target.classes, 2) : 0);
  } else {
    for (const MetricName& metric : AllMetrics()) {
      const bool of_class = metric.for_classes && !metric.translation_only;
      if (!target.known || of_class) fitting.emplace_back(metric.name);
    }
  }
  if (allow_loss) fitting.emplace_back("loss");
  if (std::count(fitting.begin(), fitting.end(), name) > 0) return;
  const MetricName* metric = FindMetricName(name);
  std::string why = "there is no such metric";
  if (metric != nullptr && target.embeds) {
    why = "is for predictions, but the loss makes embeddings";
  } else if (metric != nullptr && metric->embedding_only) {
    why = "is for the losses triplet and info_nce";
  } else if (metric != nullptr && metric->translation_only) {
    why = "is for objective: translate";
  } else if (metric != nullptr && (target.tokens || target.forecasts)) {
    why = target.tokens ? "is not for models of tokens" : "is not for forecasts";
  } else if (metric != nullptr && target.reconstructs) {
    why = metric->binary_only && !target.anomalies
              ? "needs to know which rows are anomalies: give the evaluate step anomaly: {column}"
              : "is for predictions, but the model reconstructs its features";
  } else if (metric != nullptr && metric->reconstruction_only) {
    why = "is for models that reconstruct or forecast, but this one predicts";
  } else if (metric != nullptr && !metric->for_classes) {
    why = "is for numbers, but the target is classes";
  } else if (metric != nullptr && !target.is_class) {
    why = "is for classes, but the target is a number";
  } else if (metric != nullptr && metric->min_classes > target.classes) {
    why = absl::StrCat("is for ", metric->min_classes, " classes or more, but the target has ",
                       target.classes);
  } else if (metric != nullptr) {
    why = absl::StrCat("is for two classes, but the target has ", target.classes);
  }
  context.errors.Add(
      path, absl::StrCat("\"", name, "\" ", metric == nullptr ? "is unknown: " : "", why,
                         Hint(name, fitting), ": there are ", absl::StrJoin(fitting, ", ")));
}

namespace {

// "word_vectors".
std::string EmbeddingLearners() {
  std::vector<std::string> names;
  for (const LearnerKind& kind : LearnerKinds()) {
    if (kind.abilities.embed) names.push_back(kind.name);
  }
  return absl::StrJoin(names, ", ");
}

void CheckInitialModel(Context& context, const std::string& path, const v1::TrainStep& train) {
  const std::string& model = train.initial_model();
  if (model.empty()) return;
  const v1::TrainStep* other = context.FindTrain(model);
  const bool gives = other == nullptr || other->has_network() || EmbedsTokens(other->data());
  if (!train.has_network() || !gives) {
    context.errors.Add(path, "is for networks, and one of the two is none: remove it");
  } else if (other != nullptr && EmbedsTokens(other->data())) {
    const auto& layers = train.network().layers();
    const bool takes = std::any_of(layers.begin(), layers.end(), [](const v1::Layer& layer) {
      return layer.has_embedding() && layer.name() == "vectors";
    });
    if (takes) return;
    context.errors.Add(path, absl::StrCat("step \"", model,
                                          "\" makes vectors of tokens, and no layer takes them: "
                                          "give an embedding the name \"vectors\""));
  } else if (other == nullptr && !IsRegisteredModel(model)) {
    context.errors.Add(path, absl::StrCat("\"", model,
                                          "\" is no train step of this pipeline and no "
                                          "\"projects/P/models/M/versions/V\"",
                                          Hint(model, context.StepNames())));
  }
}

}  // namespace

void CheckTrain(Context& context, const std::string& path, const v1::Step& step) {
  const v1::TrainStep& train = step.train();
  const size_t errors_before = context.errors.list().size();
  const TargetFacts target = FactsOfTarget(context, train);
  const FeatureFacts features = CheckData(context, path + ".data", train, target);
  CheckRange(context, path + ".checkpoint.every_seconds", train.checkpoint().every_seconds(), 0.1,
             1e9);
  CheckRange(context, path + ".checkpoint.every_steps",
             static_cast<double>(train.checkpoint().every_steps()), 1, 1e15);
  for (int i = 0; i < train.metrics_size(); ++i) {
    CheckMetric(context, absl::StrCat(path, ".metrics.", i), train.metrics(i), target, true);
  }
  if (train.learner_case() == v1::TrainStep::LEARNER_NOT_SET) {
    context.errors.Add(path + ".network",
                       "is missing: give the network to be trained, or another learner");
    return;
  }
  const bool other = FindLearnerKind(train) != nullptr;
  if (!other && EmbedsTokens(train.data())) {
    context.errors.Add(path + ".data.objective",
                       absl::StrCat("embed is for learners that make vectors of tokens: take one "
                                    "of these in place of ",
                                    LearnerField(train), " (", EmbeddingLearners(),
                                    "), or the objective masked or next_token"));
    return;
  }
  if (!train.has_network() && !train.has_adversarial() && !other) {
    context.unimplemented.Add(absl::StrCat(path, ".", LearnerField(train)),
                              "this learner is not built yet");
    return;
  }
  CheckInitialModel(context, path + ".initial_model", train);
  MemoryLimit memory = LimitOf(step.resources());
  // Beyond any machine; sizes are still numbers.
  if (context.findings != nullptr) memory.bytes = int64_t{1} << 46;
  if (train.has_command()) {
    CheckProgram(context, path + ".command.program", train.command().program());
  }
  if (other) return CheckOtherLearner(context, path, step, target, features, memory);
  if (train.has_adversarial()) {
    CheckAdversarial(context, path + ".adversarial", train, features);
    if (context.errors.list().size() == errors_before) {
      CheckAdversarialGraph(context, path + ".adversarial", step, features, memory);
    }
    return;
  }
  CheckNetwork(context, path + ".network", train, target, features, memory);
  if (context.errors.list().size() == errors_before) {
    CheckGraph(context, path + ".network", step, target, features, memory);
  }
}

void CheckPublish(Context& context, const std::string& path, const v1::PublishStep& publish) {
  const v1::TrainStep* train = context.FindTrain(publish.model());
  const auto step = context.steps.find(publish.model());
  const bool command = step != context.steps.end() && step->second->has_command();
  if (train == nullptr && !command) {
    context.errors.Add(path + ".model",
                       publish.model().empty()
                           ? "is missing: name a train step"
                           : absl::StrCat("\"", publish.model(),
                                          "\" is no train step and no command step of this "
                                          "pipeline",
                                          Hint(publish.model(), context.StepNames())));
  }
  if (publish.name().empty()) {
    context.errors.Add(path + ".name", "is missing: give the model's name in the registry");
  } else if (const absl::Status status = CheckUserId(publish.name()); !status.ok()) {
    context.errors.Add(path + ".name", S(status.message()));
  }
  TargetFacts target = train == nullptr ? TargetFacts{} : FactsOfTarget(context, *train);
  for (int i = 0; i < publish.requirements_size(); ++i) {
    const v1::Requirement& requirement = publish.requirements(i);
    const std::string at = absl::StrCat(path, ".requirements.", i);
    const auto found = context.steps.find(requirement.evaluation());
    if (found == context.steps.end() || !found->second->has_evaluate()) {
      context.errors.Add(at + ".evaluation",
                         absl::StrCat("\"", requirement.evaluation(),
                                      "\" is no evaluate step of "
                                      "this pipeline",
                                      Hint(requirement.evaluation(), context.StepNames())));
    } else {
      const v1::EvaluateStep& evaluate = found->second->evaluate();
      target.anomalies = evaluate.has_anomaly();
      if (evaluate.model() != publish.model()) {
        context.errors.Add(at + ".evaluation",
                           absl::StrCat("step \"", requirement.evaluation(), "\" measures \"",
                                        evaluate.model(), "\", not \"", publish.model(), "\""));
      } else if (evaluate.metrics_size() > 0 &&
                 std::count(evaluate.metrics().begin(), evaluate.metrics().end(),
                            requirement.metric()) == 0) {
        context.errors.Add(
            at + ".metric",
            absl::StrCat("step \"", requirement.evaluation(), "\" does not compute \"",
                         requirement.metric(), "\": add it to its metrics"));
      }
    }
    CheckMetric(context, at + ".metric", requirement.metric(), target, true);
    if (!requirement.has_at_least() && !requirement.has_at_most()) {
      context.errors.Add(at, "does not say what is required: give at_least or at_most");
    }
  }
}

}  // namespace beamline::pipeline::validation
