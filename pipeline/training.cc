#include "pipeline/training.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/learners/registry.h"
#include "pipeline/adversarial.h"
#include "pipeline/fitted.h"
#include "pipeline/initial_model.h"
#include "pipeline/network.h"
#include "pipeline/node_graph.h"
#include "pipeline/node_pairs.h"
#include "pipeline/schema.h"
#include "pipeline/sequence_source.h"
#include "pipeline/texts.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Dataset;
using engine::data::FittedTarget;
using engine::data::TargetKind;

// How many different values the column has, from the table's statistics.
int64_t DistinctOf(const Dataset& dataset, const std::string& name) {
  for (size_t i = 0; i < dataset.table.columns().size(); ++i) {
    if (dataset.table.columns()[i].name() == name) return dataset.statistics[i].distinct;
  }
  return 0;
}

FittedTarget FitTargetOf(const Dataset& dataset, const std::vector<int64_t>& rows,
                         const v1::TrainStep& train) {
  const v1::TrainingData& data = train.data();
  if (LearnsPairs(data)) {
    FittedTarget target;
    target.classes.assign(kPairClasses.begin(), kPairClasses.end());
    return target;
  }
  const Column& column = dataset.table.Get(data.target());
  engine::data::TargetSpec spec;
  spec.column = data.target();
  if (!PredictsClasses(train, ToProto(column.type()), DistinctOf(dataset, data.target()))) {
    spec.kind = TargetKind::kRegression;
    spec.standardize = true;
    return engine::data::FitTarget(dataset.table, rows, spec);
  }
  spec.kind = TargetKind::kMulticlass;
  FittedTarget target = engine::data::FitTarget(dataset.table, rows, spec);
  if (target.classes.size() == 2) target.kind = TargetKind::kBinary;
  return target;
}

std::vector<int64_t> CountClasses(const Truth& truth, size_t classes) {
  std::vector<int64_t> counts(classes);
  for (const int32_t label : truth.labels) ++counts[static_cast<size_t>(label)];
  return counts;
}

// The columns that rows for prediction must have: those that features are made of.
void AddColumns(const engine::data::Table& table, const engine::data::FittedTransforms& fitted,
                v1::ModelCard* card) {
  std::set<std::string> used;
  for (const auto& column : fitted.columns) used.insert(column.column);
  for (const Column& column : table.columns()) {
    // What is to be told of a text is no part of a row for prediction.
    const bool told = Translates(card->data()) && column.name() == card->target();
    if (used.contains(column.name()) && !told) *card->add_columns() = ToProto(column);
  }
}

std::vector<v1::Column> FeaturesOf(const engine::data::Table& table, const v1::TrainingData& data) {
  std::vector<std::string> names;
  for (const Column& column : table.columns()) names.push_back(column.name());
  std::vector<v1::Column> features;
  for (const std::string& name : FeatureColumns(data, names)) {
    features.push_back(ToProto(table.Get(name)));
  }
  return features;
}

NetworkFacts FactsOf(const v1::ModelCard& card, std::vector<int64_t> class_rows) {
  NetworkFacts facts;
  if (HasTarget(card.data())) {
    facts.classes.assign(card.classes().begin(), card.classes().end());
  }
  facts.class_rows = std::move(class_rows);
  facts.code_sizes.assign(card.code_sizes().begin(), card.code_sizes().end());
  facts.features = card.features_size();
  facts.reconstructs = Reconstructs(card.data());
  facts.next_token = GivesNextToken(card.data());
  if (GuessesHidden(card.data())) facts.masking = MaskingOf(card.data());
  facts.each_step = JudgesEachStep(card.data());
  const ExampleShape shape = ShapeOf(card.data());
  facts.steps = shape.steps;
  facts.has_lengths = card.data().has_sequences();
  if (Forecasts(card.data())) facts.horizon = shape.horizon;
  facts.source_steps = TextStepsOf(card.data()).source;
  facts.target_steps = TextStepsOf(card.data()).target;
  facts.graph = card.data().has_graph();
  facts.pairs = LearnsPairs(card.data());
  return facts;
}

void RequireFeatures(const Inference& inference, const NetworkFacts& facts) {
  const auto codes = static_cast<int64_t>(facts.code_sizes.size());
  if (inference.transforms.features() == facts.features && inference.transforms.codes() == codes) {
    return;
  }
  engine::Fail("the model card's transforms give ", inference.transforms.features(),
               " features and ", inference.transforms.codes(), " codes, but its network takes ",
               facts.features, " and ", codes);
}

std::unique_ptr<engine::Learner> MakeLearnerOf(const Specification& prepared,
                                               engine::LearnerConfig config) {
  if (prepared.other.kind != nullptr) {
    return MakeLearner(prepared.other, {.layout = std::move(config.layout),
                                        .training = config.training,
                                        .validation = config.validation});
  }
  if (prepared.adversarial.has_value()) {
    config.adversarial = &*prepared.adversarial;
    return engine::MakeLearner("adversarial", config);
  }
  config.network = &prepared.spec;
  return engine::MakeLearner("network", config);
}

// Nodes, small graphs or pairs of nodes by their numbers.
std::unique_ptr<engine::BatchSource> GraphRows(const Examples& examples,
                                               const engine::BatchLayout& layout,
                                               const Truth& truth) {
  engine::MemoryBatch batch;
  batch.rows = examples.size();
  batch.layout = layout;
  batch.codes.assign(examples.begins.begin(), examples.begins.end());
  if (layout.classes > 0) batch.labels = truth.labels;
  if (layout.targets > 0) batch.targets = truth.targets;
  if (layout.has_weights) batch.weights = truth.weights;
  return std::make_unique<engine::MemoryBatchSource>(std::move(batch));
}

// Which columns of the arcs are meant: whoever asks for predictions has no such table.
void NameEnds(const engine::data::Table& arcs, v1::NodeGraph* graph) {
  if (arcs.columns().size() < 2) return;  // ReadArcs complains.
  if (graph->from().empty()) graph->set_from(arcs.columns()[0].name());
  if (graph->to().empty()) graph->set_to(arcs.columns()[1].name());
}

// The tokens of a model that predicts such, by their code: the first stands for unknown ones.
void AddTokens(const engine::data::FittedTransforms& fitted, v1::ModelCard* card) {
  if (fitted.columns.size() != 1 || fitted.codes() != 1 || fitted.features() != 0) {
    engine::Fail("tokens are learned from one column of codes, but the transforms make ",
                 fitted.features(), " numbers and ", fitted.codes(),
                 " codes: name one column in features and encode it by ordinal");
  }
  card->add_classes("");
  for (const std::string& category : fitted.columns[0].categories) card->add_classes(category);
}

// Transforms of card->data, or the vocabularies of its texts.
engine::data::FittedTransforms FitFeatures(const engine::data::Table& table,
                                           const SplitExamples& split, const v1::ModelCard* initial,
                                           v1::ModelCard* card) {
  auto fitted = Translates(card->data())
                    ? FitTexts(table, split, card->mutable_data())
                    : engine::data::FitTransforms(
                          table, split.training_rows,
                          ToTransformSpecs(card->data(), FeaturesOf(table, card->data())));
  if (initial == nullptr) return fitted;
  if (Translates(initial->data()) != Translates(card->data())) {
    engine::Fail("initial_model ", Translates(card->data()) ? "does not translate" : "translates",
                 ", and its codes are other ones: begin with a model of the same objective");
  }
  if (!Translates(card->data())) {
    TakeCodes(FromCard(*initial), &fitted);
    return fitted;
  }
  const auto tokens = card->data().translation().tokens();
  if (initial->data().translation().tokens() != tokens) {
    engine::Fail("initial_model reads ", TokensName(initial->data().translation().tokens()),
                 ", but this one ", TokensName(tokens), ": begin with a model of the same tokens");
  }
  TakeTextCodes(FromCard(*initial), &fitted);
  return fitted;
}

// What the facts are to a learner that is no network; `rows` of 0: not known.
LearnerFacts LearnerFactsOf(const v1::TrainingData& data, const NetworkFacts& facts, int64_t rows) {
  LearnerFacts out;
  out.task = TaskOf(data, !facts.classes.empty());
  out.classes = static_cast<int64_t>(facts.classes.size());
  if (out.task == LearnerTask::kNumbers) out.targets = 1;
  if (out.task == LearnerTask::kForecast) out.targets = facts.FeatureOutputs();
  out.features = facts.features * std::max<int64_t>(facts.steps, 1);
  out.code_sizes = facts.code_sizes;
  out.steps = facts.steps;
  out.has_lengths = facts.has_lengths;
  out.rows = rows;
  out.validates = HasValidationRows(data.split());
  return out;
}

// Each class has a label, also of two: a learner that is no network makes of them what it likes.
engine::BatchLayout LearnerLayout(const LearnerFacts& facts, const NetworkFacts& data,
                                  bool weighted) {
  engine::BatchLayout layout = ToLayout({}, data, weighted);
  layout.classes = facts.classes;
  layout.targets = facts.targets;
  return layout;
}

// What is trained, and what its rows look like; `at` is the field path of the data.
void SpecifyLearner(const v1::TrainStep& train, const NetworkFacts& facts, uint64_t seed,
                    const std::string& at, int64_t rows, Training* out) {
  const bool weighted = !train.data().weight().empty();
  if (FindLearnerKind(train) != nullptr) {
    const LearnerFacts of_learner = LearnerFactsOf(train.data(), facts, rows);
    out->other = ChooseLearner(train, of_learner, seed);
    *out->card.mutable_learner() = out->other.learner;
    out->layout = LearnerLayout(of_learner, facts, weighted);
  } else if (train.has_adversarial()) {
    if (!facts.code_sizes.empty()) {
      throw PlacedError("codes cannot be generated: use one_hot in place of ordinal",
                        absl::StrCat(at, ".transforms"));
    }
    *out->card.mutable_adversarial() = Complete(train.adversarial(), facts.features);
    out->adversarial = ToAdversarialSpec(out->card.adversarial(), facts.features);
    out->adversarial->seed = seed;
    out->layout = LayoutOf(facts.features, weighted);
  } else {
    *out->card.mutable_network() = Complete(train.network(), facts);
    out->spec = ToNetworkSpec(out->card.network(), facts);
    out->spec.seed = seed;
    out->layout = ToLayout(out->card.network(), facts, weighted);
  }
}

}  // namespace

void Specification::Use(int threads, const std::string& backend) {
  spec.threads = other.threads = threads;
  spec.backend = backend;
  if (!adversarial.has_value()) return;
  adversarial->threads = threads;
  adversarial->backend = backend;
}

Training PrepareTraining(const Dataset& dataset, const engine::data::Table* arcs,
                         const v1::TrainStep& train, uint64_t seed, const std::string& path,
                         const FeatureRoom& room, const Fold& fold, const v1::ModelCard* initial) {
  const v1::TrainingData& data = train.data();
  const engine::data::Table& table = dataset.table;
  const std::string at = absl::StrCat(path, ".data");
  Training out;
  v1::ModelCard& card = out.card;
  card.set_format(1);
  card.set_seed(seed);
  *card.mutable_data() = data;
  card.set_target(data.target());

  if (data.has_graph()) NameEnds(*arcs, card.mutable_data()->mutable_graph());
  Arcs seen;
  SplitExamples split = At(absl::StrCat(at, LearnsPairs(data) ? ".graph" : ".split"), [&] {
    if (!LearnsPairs(data)) return MakeExamples(table, data, seed, fold);
    SplitPairs pairs = MakePairs(table, *arcs, data, seed);
    seen = std::move(pairs.seen);
    return std::move(pairs.examples);
  });
  FittedTarget target;
  const bool has_target = HasTarget(data) && !train.has_adversarial();
  if (has_target) {
    target = At(absl::StrCat(at, ".target"),
                [&] { return FitTargetOf(dataset, JudgedRows(split.train, data), train); });
    for (const std::string& name : target.classes) card.add_classes(name);
    card.set_target_offset(target.mean);
    card.set_target_scale(target.scale);
  }
  const auto fitted = At(absl::StrCat(at, Translates(data) ? ".translation" : ".transforms"),
                         [&] { return FitFeatures(table, split, initial, &card); });
  ToCard(fitted, &card);
  AddColumns(table, fitted, &card);
  if (ReadsTokens(data)) {
    At(absl::StrCat(at, ".transforms"), [&] { AddTokens(fitted, &card); });
  }

  const std::string truth_at = absl::StrCat(at, has_target ? ".target" : ".weight");
  const auto read_truth = [&](const Examples& examples) {
    return At(truth_at, [&] { return TruthOf(table, target, data, examples); });
  };
  const Truth truth = read_truth(split.train);
  const NetworkFacts facts =
      FactsOf(card, target.classes.empty() ? std::vector<int64_t>{}
                                           : CountClasses(truth, target.classes.size()));
  SpecifyLearner(train, facts, seed, at, split.train.size(), &out);
  if (data.has_graph()) {
    out.layout.nodes = At(absl::StrCat(at, ".graph"), [&] {
      if (!LearnsPairs(data)) seen = ReadArcs(table, *arcs, data.graph());
      return BuildGraph(fitted, table, std::move(seen), data.graph());
    });
  }
  if (train.has_command()) out.training_truth = truth;
  if (!split.validation.empty()) out.validation_truth = read_truth(split.validation);
  out.validation_rows = JudgedRows(split.validation, data);
  At(absl::StrCat(at, Translates(data) ? ".translation" : ".transforms"), [&] {
    const v1::TrainingData& whole = card.data();
    out.training =
        MakeSource(fitted, table, std::move(split.train), whole, out.layout, truth, room);
    if (split.validation.empty()) return;
    out.validation = MakeSource(fitted, table, std::move(split.validation), whole, out.layout,
                                out.validation_truth, room);
  });
  return out;
}

Truth TruthOf(const engine::data::Table& table, const FittedTarget& target,
              const v1::TrainingData& data, const Examples& examples) {
  if (!LearnsPairs(data)) {
    return ReadTruth(table, target, data.weight(), JudgedRows(examples, data));
  }
  Truth truth;
  truth.labels = examples.labels;
  truth.targets.assign(examples.labels.begin(), examples.labels.end());
  return truth;
}

std::unique_ptr<engine::BatchSource> MakeSource(const engine::data::FittedTransforms& fitted,
                                                const engine::data::Table& table, Examples examples,
                                                const v1::TrainingData& data,
                                                const engine::BatchLayout& layout,
                                                const Truth& truth, const FeatureRoom& room) {
  if (data.has_graph()) return GraphRows(examples, layout, truth);
  if (Translates(data)) {
    return std::make_unique<TextSource>(fitted, table, std::move(examples.heads), data, layout,
                                        truth, room.memory_bytes);
  }
  const ExampleShape shape = ShapeOf(data);
  if (shape.steps > 0) {
    return std::make_unique<SequenceSource>(fitted, table, std::move(examples), shape, layout,
                                            truth, room.memory_bytes);
  }
  return std::make_unique<RowSource>(fitted, table, std::move(examples.heads), layout, truth, room);
}

Inference PrepareInference(const v1::ModelCard& card) {
  if (ReadsTokens(card.data()) &&
      std::any_of(card.code_sizes().begin(), card.code_sizes().end(),
                  [&](int64_t size) { return size != card.classes_size(); })) {
    engine::Fail("the model card names ", card.classes_size(), " tokens, but not as many codes");
  }
  Inference inference;
  const NetworkFacts facts = FactsOf(card, {});
  if (card.has_learner()) {
    const LearnerFacts of_learner = LearnerFactsOf(card.data(), facts, 0);
    inference.other = ChooseLearner(card, of_learner);
    inference.layout = LearnerLayout(of_learner, facts, !card.data().weight().empty());
    inference.transforms = FromCard(card);
    inference.target = TargetFromCard(card);
    RequireFeatures(inference, facts);
    return inference;
  }
  if (card.has_adversarial()) {
    inference.adversarial = ToAdversarialSpec(card.adversarial(), facts.features);
    inference.adversarial->seed = card.seed();
    inference.layout = LayoutOf(facts.features, false);
    inference.transforms = FromCard(card);
    RequireFeatures(inference, facts);
    return inference;
  }
  if (card.network().layers_size() == 0) engine::Fail("the model card has no network");
  inference.spec = ToNetworkSpec(card.network(), facts);
  inference.spec.seed = card.seed();
  // Weights of classes are training's matter, and balanced ones cannot be known here.
  inference.spec.loss.class_weights.clear();
  inference.spec.early_stopping = {};
  inference.transforms = FromCard(card);
  if (!Translates(card.data())) inference.target = TargetFromCard(card);
  inference.layout = ToLayout(card.network(), facts, !card.data().weight().empty());
  RequireFeatures(inference, facts);
  return inference;
}

std::unique_ptr<engine::Learner> MakeLearner(const Training& training) {
  engine::LearnerConfig config{.layout = training.layout,
                               .training = training.training.get(),
                               .validation = training.validation.get()};
  return MakeLearnerOf(training, std::move(config));
}

std::unique_ptr<engine::Learner> MakeLearner(const Inference& inference) {
  return MakeLearnerOf(inference, {.layout = inference.layout});
}

}  // namespace beamline::pipeline
