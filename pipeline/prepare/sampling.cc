#include "pipeline/prepare/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "engine/core/error.h"
#include "engine/data/text.h"
#include "engine/tables/gather.h"
#include "engine/tables/rows.h"

namespace beamline::pipeline {
namespace {

namespace tables = engine::tables;
using engine::data::Array;
using engine::data::Column;
using engine::data::Table;
using engine::data::Workspace;

std::vector<int64_t> SizesOf(const tables::Buckets& buckets) {
  std::vector<int64_t> sizes;
  for (int64_t k = 0; k + 1 < buckets.begins.size; ++k) sizes.push_back(buckets.size(k));
  return sizes;
}

// Each row as often as counts says, copies behind the original.
Table Repeat(const Table& table, const Array<int64_t>& counts, Workspace& workspace) {
  const int64_t total = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  const Array<int64_t> rows = workspace.New<int64_t>(total);
  int64_t at = 0;
  for (int64_t row = 0; row < counts.size; ++row) {
    for (int64_t i = 0; i < counts[row]; ++i) rows[at++] = row;
  }
  return tables::Gather(table, rows.span(), workspace);
}

// `base` times each row, by its value's number, and once more those that are drawn.
Table Draw(const Table& table, const Array<int64_t>& numbers, const tables::Buckets& buckets,
           const std::vector<int64_t>& base, const std::vector<int64_t>& drawn,
           const OperationContext& context) {
  const Array<uint8_t> chosen = tables::DrawRows(buckets, drawn, table.rows(), context.seed,
                                                 context.stream, context.workspace);
  const Array<int64_t> counts = context.workspace.New<int64_t>(table.rows());
  for (int64_t row = 0; row < table.rows(); ++row) {
    counts[row] = base[static_cast<size_t>(numbers[row])] + chosen[row];
  }
  return Repeat(table, counts, context.workspace);
}

Column Weights(const v1::BalanceRows& balance, const tables::Numbered& values,
               const std::vector<int64_t>& sizes, Workspace& workspace) {
  const int64_t rows = values.numbers.size;
  const Array<double> weights = workspace.New<double>(rows);
  for (int64_t row = 0; row < rows; ++row) {
    const auto size = static_cast<double>(sizes[static_cast<size_t>(values.numbers[row])]);
    weights[row] = static_cast<double>(rows) / (static_cast<double>(sizes.size()) * size);
  }
  return Column({.name = WeightName(balance),
                 .type = engine::data::ColumnType::kFloat64,
                 .rows = rows,
                 .values = weights.data,
                 .owner = weights.owner});
}

}  // namespace

Table Sample(const v1::SampleRows& sample, const Table& table, const OperationContext& context) {
  const int64_t rows = table.rows();
  tables::Numbered values;
  if (sample.by().empty()) {
    values.numbers = context.workspace.New<int64_t>(rows);
    values.first = context.workspace.New<int64_t>(1);
    std::fill(values.numbers.begin(), values.numbers.end(), 0);
  } else {
    values = tables::NumberRows({&table.Get(sample.by())}, context.workspace);
  }
  const int64_t wanted =
      sample.rows() > 0 ? sample.rows() : std::llround(sample.share() * static_cast<double>(rows));
  if (wanted > rows) {
    engine::Fail("there are ", rows, " rows, but ", wanted, " are to be drawn: ask for fewer");
  }
  const tables::Buckets buckets =
      tables::BucketRows(values.numbers, values.count(), context.workspace);
  const std::vector<int64_t> sizes = SizesOf(buckets);
  const std::vector<int64_t> parts = tables::ShareOut(wanted, sizes);
  return Draw(table, values.numbers, buckets, std::vector<int64_t>(sizes.size(), 0), parts,
              context);
}

Table Balance(const v1::BalanceRows& balance, const Table& table, const OperationContext& context) {
  const Column& column = table.Get(balance.column());
  for (int64_t row = 0; row < column.rows(); ++row) {
    if (!column.IsMissing(row)) continue;
    engine::Fail(engine::data::RowName(row), ": column ", engine::data::Quoted(column.name()),
                 " has no value to balance by: filter or fill it first");
  }
  const tables::Numbered values = tables::NumberRows({&column}, context.workspace);
  const tables::Buckets buckets =
      tables::BucketRows(values.numbers, values.count(), context.workspace);
  const std::vector<int64_t> sizes = SizesOf(buckets);
  if (balance.method() == v1::BalanceRows::METHOD_WEIGHT) {
    std::vector<Column> columns = table.columns();
    columns.push_back(Weights(balance, values, sizes, context.workspace));
    return Table(std::move(columns));
  }
  const bool repeat = balance.method() == v1::BalanceRows::METHOD_OVERSAMPLE;
  const int64_t target =
      repeat ? *std::ranges::max_element(sizes) : *std::ranges::min_element(sizes);
  std::vector<int64_t> base;
  std::vector<int64_t> drawn;
  for (const int64_t size : sizes) {
    base.push_back(target / size);
    drawn.push_back(target % size);
  }
  return Draw(table, values.numbers, buckets, base, drawn, context);
}

}  // namespace beamline::pipeline
