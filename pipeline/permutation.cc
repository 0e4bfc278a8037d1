#include "pipeline/permutation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/core/philox.h"
#include "pipeline/schema.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;

// Of the seed: the order of one column in one repeat.
constexpr uint64_t kPermutationStream = uint64_t{0x7065726D} << 32;

// Mean and population standard deviation.
void Describe(const std::vector<double>& losses, v1::ColumnImportance* out) {
  const auto count = static_cast<double>(losses.size());
  const double mean = std::accumulate(losses.begin(), losses.end(), 0.0) / count;
  double squares = 0;
  for (const double loss : losses) squares += (loss - mean) * (loss - mean);
  out->set_mean(mean);
  out->set_standard_deviation(std::sqrt(squares / count));
}

}  // namespace

std::string_view NotPermutable(const v1::TrainingData& data) {
  if (data.has_graph()) {
    return "the model sees nodes together with their neighbours, so that no column can be permuted "
           "for a node alone: remove importance";
  }
  if (data.has_windows() || data.has_sequences()) {
    return "the model sees many rows at once, and permuted rows are no sequences: remove "
           "importance";
  }
  if (Translates(data)) {
    return "the model reads one column, so that there is nothing to compare: remove importance";
  }
  return "";
}

std::vector<std::string> ColumnsOf(const engine::data::FittedTransforms& transforms) {
  std::vector<std::string> names;
  for (const auto& column : transforms.columns) {
    if (std::find(names.begin(), names.end(), column.column) == names.end()) {
      names.push_back(column.column);
    }
  }
  return names;
}

Table Permuted(const Table& table, const std::string& column, int64_t number, int repeat,
               const PermutationPlan& plan) {
  const engine::Philox random(plan.seed, kPermutationStream | static_cast<uint64_t>(number) << 7 |
                                             static_cast<uint64_t>(repeat));
  const std::vector<int64_t> order = random.Permutation(static_cast<int64_t>(plan.rows.size()));
  std::vector<int64_t> from(static_cast<size_t>(table.rows()));
  std::iota(from.begin(), from.end(), 0);
  for (size_t i = 0; i < order.size(); ++i) {
    from[static_cast<size_t>(plan.rows[i])] = plan.rows[static_cast<size_t>(order[i])];
  }
  std::vector<Column> columns = table.columns();
  for (Column& one : columns) {
    if (one.name() == column) one = one.Take(from);
  }
  return Table(std::move(columns));
}

std::optional<std::vector<v1::ColumnImportance>> ImportanceOf(
    const Table& table, const std::vector<std::string>& columns, const PermutationPlan& plan,
    const std::function<std::optional<double>(const Table&)>& metric_of) {
  std::vector<v1::ColumnImportance> importance;
  for (size_t number = 0; number < columns.size(); ++number) {
    std::vector<double> losses;
    for (int repeat = 0; repeat < plan.repeats; ++repeat) {
      const std::optional<double> value =
          metric_of(Permuted(table, columns[number], static_cast<int64_t>(number), repeat, plan));
      if (!value.has_value()) return std::nullopt;
      if (!std::isfinite(*value)) continue;
      losses.push_back(plan.larger_is_better ? plan.baseline - *value : *value - plan.baseline);
    }
    if (losses.empty()) continue;
    v1::ColumnImportance& one = importance.emplace_back();
    one.set_column(columns[number]);
    Describe(losses, &one);
  }
  std::stable_sort(importance.begin(), importance.end(),
                   [](const auto& a, const auto& b) { return a.mean() > b.mean(); });
  return importance;
}

}  // namespace beamline::pipeline
