#include "pipeline/training.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "pipeline/fitted.h"
#include "pipeline/network.h"
#include "pipeline/schema.h"

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
  const Column& column = dataset.table.Get(data.target());
  engine::data::TargetSpec spec;
  spec.column = data.target();
  if (!TargetIsClass(data, train.network().loss(), ToProto(column.type()),
                     DistinctOf(dataset, data.target()))) {
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
    if (!used.contains(column.name())) continue;
    v1::Column& out = *card->add_columns();
    out.set_name(column.name());
    out.set_type(ToProto(column.type()));
    for (const int64_t extent : column.item_shape()) out.add_item_shape(extent);
  }
}

NetworkFacts FactsOf(const v1::ModelCard& card, std::vector<int64_t> class_rows) {
  NetworkFacts facts;
  facts.classes.assign(card.classes().begin(), card.classes().end());
  facts.class_rows = std::move(class_rows);
  facts.code_sizes.assign(card.code_sizes().begin(), card.code_sizes().end());
  return facts;
}

}  // namespace

engine::data::Split SplitRows(const engine::data::Table& table, const v1::TrainingData& data,
                              uint64_t seed) {
  const SplitChoice choice = ToSplitSpec(data, seed);
  if (choice.has_split) return engine::data::MakeSplit(table, choice.spec);
  engine::data::Split split;
  split.train = engine::data::AllRows(table);
  return split;
}

Training PrepareTraining(const Dataset& dataset, const v1::TrainStep& train, uint64_t seed,
                         const std::string& path, int64_t memory_bytes) {
  const v1::TrainingData& data = train.data();
  const engine::data::Table& table = dataset.table;
  const std::string at = absl::StrCat(path, ".data");
  Training out;
  v1::ModelCard& card = out.card;
  card.set_format(1);
  card.set_seed(seed);
  *card.mutable_data() = data;
  card.set_target(data.target());

  const engine::data::Split split =
      At(absl::StrCat(at, ".split"), [&] { return SplitRows(table, data, seed); });
  const FittedTarget target =
      At(absl::StrCat(at, ".target"), [&] { return FitTargetOf(dataset, split.train, train); });
  for (const std::string& name : target.classes) card.add_classes(name);
  card.set_target_offset(target.mean);
  card.set_target_scale(target.scale);

  std::vector<std::string> names;
  for (const Column& column : table.columns()) names.push_back(column.name());
  const auto fitted = At(absl::StrCat(at, ".transforms"), [&] {
    return engine::data::FitTransforms(table, split.train,
                                       ToTransformSpecs(data, FeatureColumns(data, names)));
  });
  ToCard(fitted, &card);
  AddColumns(table, fitted, &card);

  const Truth truth = At(absl::StrCat(at, ".target"),
                         [&] { return ReadTruth(table, target, data.weight(), split.train); });
  const NetworkFacts facts =
      FactsOf(card, target.classes.empty() ? std::vector<int64_t>{}
                                           : CountClasses(truth, target.classes.size()));
  *card.mutable_network() = Complete(train.network(), facts);
  out.spec = ToNetworkSpec(card.network(), facts);
  out.spec.seed = seed;
  out.layout = ToLayout(card.network(), fitted.features(), fitted.codes(),
                        static_cast<int64_t>(facts.classes.size()), !data.weight().empty());
  At(absl::StrCat(at, ".transforms"), [&] {
    out.training =
        std::make_unique<RowSource>(fitted, table, split.train, out.layout, truth, memory_bytes);
    if (split.validation.empty()) return;
    out.validation_truth = ReadTruth(table, target, data.weight(), split.validation);
    out.validation = std::make_unique<RowSource>(fitted, table, split.validation, out.layout,
                                                 out.validation_truth, memory_bytes);
  });
  return out;
}

Inference PrepareInference(const v1::ModelCard& card) {
  Inference inference;
  if (card.network().layers_size() == 0) engine::Fail("the model card has no network");
  const NetworkFacts facts = FactsOf(card, {});
  inference.spec = ToNetworkSpec(card.network(), facts);
  inference.spec.seed = card.seed();
  // Weights of classes are training's matter, and balanced ones cannot be known here.
  inference.spec.loss.class_weights.clear();
  inference.spec.early_stopping = {};
  inference.transforms = FromCard(card);
  inference.target = TargetFromCard(card);
  inference.layout =
      ToLayout(card.network(), inference.transforms.features(), inference.transforms.codes(),
               card.classes_size(), !card.data().weight().empty());
  return inference;
}

}  // namespace beamline::pipeline
