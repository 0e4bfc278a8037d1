#include "pipeline/examples.h"

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <unordered_map>

#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "pipeline/fitted.h"
#include "pipeline/schema.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;

// Of the seed: which examples a limit keeps.
constexpr uint64_t kLimitStream = 0x6C696D6974;

// Removes rows that the filter leaves out. Throws engine::Error if a value that it names is in no
// row at all.
void Filter(const Table& table, const v1::RowFilter& filter, std::vector<int64_t>* rows) {
  const Column& column = table.Get(filter.column());
  const std::set<std::string> values(filter.values().begin(), filter.values().end());
  std::erase_if(*rows, [&](int64_t row) { return !values.contains(column.Text(row)); });
}

// Keeps `limit` of the places drawn at random, in their order.
void Limit(int64_t limit, uint64_t seed, std::vector<int64_t>* places) {
  if (limit == 0 || static_cast<int64_t>(places->size()) <= limit) return;
  std::vector<int64_t> order(places->size());
  engine::Philox(seed, kLimitStream).Permute(order);
  order.resize(static_cast<size_t>(limit));
  std::sort(order.begin(), order.end());
  for (int64_t& place : order) place = (*places)[static_cast<size_t>(place)];
  *places = std::move(order);
}

engine::data::Split SplitRows(const Table& table, const v1::TrainingData& data, uint64_t seed,
                              const Fold& fold) {
  const SplitChoice choice = ToSplitSpec(data, seed);
  engine::data::Split split;
  if (choice.has_split) {
    split = engine::data::MakeSplit(table, choice.spec);
  } else {
    split.train = engine::data::AllRows(table);
  }
  if (data.has_train_on()) {
    Filter(table, data.train_on(), &split.train);
    Filter(table, data.train_on(), &split.validation);
    if (split.train.empty()) {
      engine::Fail("train_on leaves no training rows: no row has one of its values in column \"",
                   data.train_on().column(), "\"");
    }
  }
  return MakeFold(table, split, fold, data.target(), seed);
}

// Windows whose predicted rows are in `rows`, which follow each other.
Examples WindowsIn(const std::vector<int64_t>& rows, const ExampleShape& shape, bool training,
                   const char* part) {
  Examples windows;
  if (rows.empty()) return windows;
  const int64_t end = rows.back() + 1;
  const int64_t first =
      training ? rows.front() : std::max<int64_t>(0, rows.front() - shape.context);
  const int64_t stride = training ? shape.stride : shape.measured_stride;
  for (int64_t begin = first; begin + shape.span <= end; begin += stride) {
    windows.begins.push_back(begin);
    windows.heads.push_back(begin + shape.steps - 1);
  }
  if (windows.empty()) {
    engine::Fail("the ", part, " part has ", end - first, " rows, too few for one window of ",
                 shape.span, ": use fewer steps, or make the part longer");
  }
  return windows;
}

SplitExamples SplitWindows(const Table& table, const v1::TrainingData& data,
                           const ExampleShape& shape, uint64_t seed, const Fold& fold) {
  const engine::data::Split split = SplitRows(table, data, seed, fold);
  SplitExamples out;
  out.train = WindowsIn(split.train, shape, true, "training");
  out.validation = WindowsIn(split.validation, shape, false, "validation");
  out.test = WindowsIn(split.test, shape, false, "test");
  out.training_rows = split.train;
  Limit(data.limit(), seed, &out.train.begins);
  out.train.heads.clear();
  for (const int64_t begin : out.train.begins) out.train.heads.push_back(begin + shape.steps - 1);
  return out;
}

// All sequences of a table, in the order in which they first appear.
Examples SequencesOf(const Table& table, const std::string& name, int64_t max_steps) {
  const Column& by = table.Get(name);
  if (by.item_size() != 1) {
    engine::Fail("column \"", by.name(), "\" holds several numbers a row: sequences are told ",
                 "apart by a single value");
  }
  std::unordered_map<std::string, size_t> number;
  std::vector<std::vector<int64_t>> rows;
  for (int64_t row = 0; row < table.rows(); ++row) {
    const std::string text = by.Text(row);
    if (text.empty()) {
      engine::Fail(engine::data::RowName(row), ", column \"", by.name(),
                   "\": the value is missing, so that nobody knows whose step the row is");
    }
    const auto [place, added] = number.emplace(text, rows.size());
    if (added) rows.emplace_back();
    rows[place->second].push_back(row);
  }
  Examples out;
  auto order = std::make_shared<std::vector<int64_t>>();
  order->reserve(static_cast<size_t>(table.rows()));
  for (const std::vector<int64_t>& steps : rows) {
    const auto length = std::min(static_cast<int64_t>(steps.size()), max_steps);
    order->insert(order->end(), steps.begin(), steps.end());
    out.heads.push_back(steps.back());
    out.begins.push_back(static_cast<int64_t>(order->size()) - length);
    out.lengths.push_back(static_cast<int32_t>(length));
  }
  out.order = std::move(order);
  return out;
}

Examples Choose(const Examples& all, const std::vector<int64_t>& places) {
  Examples out;
  out.order = all.order;
  for (const int64_t place : places) {
    const auto i = static_cast<size_t>(place);
    out.heads.push_back(all.heads[i]);
    out.begins.push_back(all.begins[i]);
    out.lengths.push_back(all.lengths[i]);
  }
  return out;
}

SplitExamples SplitSequences(const Table& table, const v1::TrainingData& data, const Examples& all,
                             const std::string& by, uint64_t seed, const Fold& fold) {
  // One row a sequence, with what the split may look at.
  std::set<std::string> names = {by};
  if (HasTarget(data)) names.insert(data.target());
  if (data.split().has_column()) names.insert(data.split().column().column());
  if (data.has_train_on()) names.insert(data.train_on().column());
  if (fold.number > 0 && fold.cross_validation->has_grouped()) {
    names.insert(fold.cross_validation->grouped().column());
  }
  std::vector<Column> columns;
  for (const std::string& name : names) columns.push_back(table.Get(name).Take(all.heads));
  engine::data::Split split = SplitRows(Table(std::move(columns)), data, seed, fold);
  Limit(data.limit(), seed, &split.train);
  SplitExamples out;
  out.train = Choose(all, split.train);
  out.validation = Choose(all, split.validation);
  out.test = Choose(all, split.test);
  for (size_t i = 0; i < out.train.begins.size(); ++i) {
    const auto begin = all.order->begin() + out.train.begins[i];
    out.training_rows.insert(out.training_rows.end(), begin, begin + out.train.lengths[i]);
  }
  std::sort(out.training_rows.begin(), out.training_rows.end());
  return out;
}

// Small graphs are the rows of one value too; an example is named by the graph's number.
SplitExamples SplitGraphs(const Table& table, const v1::TrainingData& data, uint64_t seed,
                          const Fold& fold) {
  const std::string& by = data.graph().member();
  const Examples all = SequencesOf(table, by, std::numeric_limits<int64_t>::max());
  SplitExamples out = SplitSequences(table, data, all, by, seed, fold);
  std::unordered_map<int64_t, int64_t> number;  // by the last row
  for (size_t i = 0; i < all.heads.size(); ++i) {
    number.emplace(all.heads[i], static_cast<int64_t>(i));
  }
  for (Examples* part : {&out.train, &out.validation, &out.test}) {
    part->order = nullptr;
    part->lengths.clear();
    for (size_t i = 0; i < part->heads.size(); ++i) part->begins[i] = number.at(part->heads[i]);
  }
  return out;
}

}  // namespace

ExampleShape ShapeOf(const v1::TrainingData& data) {
  ExampleShape shape;
  if (data.has_sequences()) {
    shape.steps = shape.span = data.sequences().max_steps();
  } else if (data.has_windows()) {
    const v1::Windows& windows = data.windows();
    const bool tokens = GivesNextToken(data);
    const bool each_step = JudgesEachStep(data) || GuessesHidden(data) || EmbedsTokens(data);
    shape.steps = windows.steps();
    shape.horizon = Forecasts(data) ? std::max<int64_t>(windows.horizon(), 1) : tokens ? 1 : 0;
    shape.span = shape.steps + shape.horizon;
    shape.context = tokens ? 1 : each_step ? 0 : shape.horizon > 0 ? shape.steps : shape.steps - 1;
    shape.measured_stride = tokens || each_step ? shape.steps : 1;
    shape.stride = windows.stride() > 0 ? windows.stride() : shape.measured_stride;
  }
  return shape;
}

std::vector<int64_t> JudgedRows(const Examples& examples, const v1::TrainingData& data) {
  if (!JudgesEachStep(data)) return examples.heads;
  const ExampleShape shape = ShapeOf(data);
  std::vector<int64_t> rows;
  for (size_t i = 0; i < examples.begins.size(); ++i) {
    const int64_t steps = examples.lengths.empty() ? shape.steps : examples.lengths[i];
    for (int64_t place = examples.begins[i]; place < examples.begins[i] + steps; ++place) {
      rows.push_back(examples.order == nullptr ? place
                                               : (*examples.order)[static_cast<size_t>(place)]);
    }
  }
  return rows;
}

SplitExamples MakeExamples(const Table& table, const v1::TrainingData& data, uint64_t seed,
                           const Fold& fold) {
  if (data.has_windows()) return SplitWindows(table, data, ShapeOf(data), seed, fold);
  if (data.has_sequences()) {
    const v1::Sequences& sequences = data.sequences();
    const Examples all = SequencesOf(table, sequences.by(), sequences.max_steps());
    return SplitSequences(table, data, all, sequences.by(), seed, fold);
  }
  if (!data.graph().member().empty()) return SplitGraphs(table, data, seed, fold);
  engine::data::Split split = SplitRows(table, data, seed, fold);
  Limit(data.limit(), seed, &split.train);
  SplitExamples out;
  out.training_rows = split.train;
  out.train.heads = std::move(split.train);
  out.validation.heads = std::move(split.validation);
  out.test.heads = std::move(split.test);
  if (data.has_graph()) {
    for (Examples* part : {&out.train, &out.validation, &out.test}) part->begins = part->heads;
  }
  return out;
}

Examples AllExamples(const Table& table, const v1::TrainingData& data) {
  if (data.has_sequences()) {
    return SequencesOf(table, data.sequences().by(), data.sequences().max_steps());
  }
  std::vector<int64_t> rows = engine::data::AllRows(table);
  if (data.has_windows()) return WindowsIn(rows, ShapeOf(data), false, "measured");
  Examples out;
  out.heads = std::move(rows);
  return out;
}

Examples SeenExamples(const Table& table, const v1::TrainingData& data) {
  if (!data.has_windows()) return AllExamples(table, data);
  ExampleShape shape = ShapeOf(data);
  shape.span = shape.steps;
  Examples windows = WindowsIn(engine::data::AllRows(table), shape, false, "predicted");
  // So that nobody reads on.
  windows.lengths.assign(windows.begins.size(), static_cast<int32_t>(shape.steps));
  return windows;
}

}  // namespace beamline::pipeline
