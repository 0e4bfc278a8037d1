#include "pipeline/out_of_fold.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "pipeline/row_predictions.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;

constexpr char kRow[] = "row";

// The same column of several tables, one behind the other, in the order that `order` says. Tables
// that lack it have zeros.
Column JoinNumbers(const std::string& name, const std::vector<Table>& tables,
                   const std::vector<int64_t>& order) {
  std::vector<float> values;
  for (const Table& table : tables) {
    const Column* column = table.Find(name);
    const size_t end = values.size() + static_cast<size_t>(table.rows());
    if (column != nullptr) {
      const auto some = column->values<float>();
      values.insert(values.end(), some.begin(), some.end());
    }
    values.resize(end);
  }
  return Column::Of(name, std::move(values)).Take(order);
}

Column JoinTexts(const std::string& name, const std::vector<Table>& tables,
                 const std::vector<int64_t>& order) {
  std::vector<std::string> values;
  for (const Table& table : tables) {
    const Column& column = table.Get(name);
    for (int64_t row = 0; row < column.rows(); ++row) values.push_back(column.Text(row));
  }
  return Column::OfStrings(name, values).Take(order);
}

// What the folds add, in the order of the first table that has it.
std::vector<Column> Join(const std::vector<Table>& folds, const std::vector<int64_t>& order) {
  std::vector<Column> columns;
  std::set<std::string> seen = {kRow};
  for (const Table& fold : folds) {
    for (const Column& column : fold.columns()) {
      if (!seen.insert(column.name()).second) continue;
      columns.push_back(column.is_numeric() ? JoinNumbers(column.name(), folds, order)
                                            : JoinTexts(column.name(), folds, order));
    }
  }
  return columns;
}

}  // namespace

Table HeldOut(const Said& said, const std::vector<int64_t>& rows, const v1::ModelCard& card) {
  PredictionColumns predictions(card);
  predictions.Add(said);
  std::vector<Column> columns = predictions.Take();
  columns.insert(columns.begin(), Column::Of(kRow, rows));
  return Table(std::move(columns));
}

Table OutOfFold(const Table& table, const std::vector<Table>& folds) {
  std::vector<int64_t> rows;
  std::vector<int64_t> numbers;
  for (size_t fold = 0; fold < folds.size(); ++fold) {
    for (const int64_t row : folds[fold].Get(kRow).values<int64_t>()) {
      rows.push_back(row);
      numbers.push_back(static_cast<int64_t>(fold) + 1);
    }
  }
  std::vector<int64_t> order(rows.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return rows[static_cast<size_t>(a)] < rows[static_cast<size_t>(b)];
  });
  std::vector<int64_t> sorted;
  for (const int64_t place : order) sorted.push_back(rows[static_cast<size_t>(place)]);
  std::vector<Column> added = {Column::Of("fold", std::move(numbers)).Take(order)};
  for (Column& column : Join(folds, order)) added.push_back(std::move(column));
  return Beside(table, sorted, added);
}

}  // namespace beamline::pipeline
