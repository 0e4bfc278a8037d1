#include "pipeline/execute_rows.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "pipeline/dependencies.h"
#include "pipeline/node_pairs.h"
#include "pipeline/schema.h"

namespace beamline::pipeline::execution {
namespace {

std::string PartName(v1::DataPart part) {
  return part == v1::DATA_PART_TRAIN        ? "train"
         : part == v1::DATA_PART_VALIDATION ? "validation"
                                            : "test";
}

// All parts of the data that a model was trained on; the arcs that layers see go to `chosen`.
SplitExamples SplitOf(const Task& task, const v1::ModelCard& card, ChosenRows* chosen) {
  const v1::TrainingData& data = card.data();
  const engine::data::Table& table = chosen->dataset.table;
  if (!data.has_graph()) return MakeExamples(table, data, card.seed());
  const engine::data::Dataset arcs = task.OpenTable(data.graph().arcs());
  if (!LearnsPairs(data)) {
    chosen->arcs = ReadArcs(table, arcs.table, data.graph());
    return MakeExamples(table, data, card.seed());
  }
  SplitPairs pairs = MakePairs(table, arcs.table, data, card.seed());
  chosen->arcs = std::move(pairs.seen);
  return std::move(pairs.examples);
}

template <typename T>
std::vector<T> Slice(const std::vector<T>& values, int64_t first, int64_t count) {
  if (values.empty()) return {};
  return {values.begin() + first, values.begin() + first + count};
}

}  // namespace

const char* ExamplesName(const v1::TrainingData& data) {
  return data.has_windows()     ? "windows"
         : data.has_sequences() ? "sequences"
         : LearnsPairs(data)    ? "pairs of nodes"
         : data.has_graph()     ? (data.graph().member().empty() ? "nodes" : "graphs")
                                : "rows";
}

ChosenRows ChooseRows(const Task& task, const v1::ModelCard& card) {
  const ModelUse use = ModelUseOf(task.step());
  ChosenRows chosen;
  if (!use.input.empty()) {
    chosen.dataset = task.OpenTable(use.input);
    chosen.examples = task.step().has_predict() ? SeenExamples(chosen.dataset.table, card.data())
                                                : AllExamples(chosen.dataset.table, card.data());
    chosen.description = use.input;
    return chosen;
  }
  const v1::Split& split = card.data().split();
  v1::DataPart part = use.part;
  if (part == v1::DATA_PART_UNSPECIFIED) {
    part = HasTestRows(split) ? v1::DATA_PART_TEST : v1::DATA_PART_VALIDATION;
  }
  if (part == v1::DATA_PART_TEST && split.has_input()) {
    chosen.dataset = task.OpenTable(split.input().test());
    chosen.examples = AllExamples(chosen.dataset.table, card.data());
    chosen.description = split.input().test();
    return chosen;
  }
  chosen.dataset = task.OpenTable(card.data().input());
  SplitExamples parts = SplitOf(task, card, &chosen);
  chosen.examples = part == v1::DATA_PART_TRAIN        ? std::move(parts.train)
                    : part == v1::DATA_PART_VALIDATION ? std::move(parts.validation)
                                                       : std::move(parts.test);
  chosen.description = absl::StrCat(card.data().input(), ", ", PartName(part));
  return chosen;
}

Examples Some(const Examples& examples, int64_t first, int64_t count) {
  Examples some;
  some.heads = Slice(examples.heads, first, count);
  some.order = examples.order;
  some.begins = Slice(examples.begins, first, count);
  some.lengths = Slice(examples.lengths, first, count);
  some.labels = Slice(examples.labels, first, count);
  return some;
}

}  // namespace beamline::pipeline::execution
