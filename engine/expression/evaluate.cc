#include "engine/expression/evaluate.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/data/string_pool.h"
#include "engine/data/validity.h"
#include "engine/expression/evaluator.h"

namespace beamline::engine::expression {
namespace {

using data::Array;
using data::Column;
using data::ColumnType;
using data::Validity;
using data::Workspace;

// One scratch for each thread, made when it is first needed.
class Scratches {
 public:
  Scratches(const Evaluator& evaluator, int threads)
      : evaluator_(evaluator), scratches_(static_cast<size_t>(threads)) {}
  Evaluator::Scratch& operator[](int slot) {
    auto& scratch = scratches_[static_cast<size_t>(slot)];
    if (!scratch.has_value()) scratch.emplace(evaluator_.MakeScratch());
    return *scratch;
  }

 private:
  const Evaluator& evaluator_;
  std::vector<std::optional<Evaluator::Scratch>> scratches_;
};

// Calls use(values, begin, rows, chunk) for all blocks; those of one chunk in order, on one thread.
template <typename Use>
void ForBlocks(const Program& program, const data::Table& table, Workspace& workspace,
               const Use& use) {
  const Evaluator evaluator(program, table);
  Scratches scratches(evaluator, workspace.threads());
  workspace.ForChunks(table.rows(), [&](int64_t begin, int64_t end, int slot) {
    const int64_t chunk = begin / data::kChunkRows;
    for (; begin < end; begin += kBlockRows) {
      const int64_t rows = std::min(kBlockRows, end - begin);
      use(evaluator.Run(begin, rows, scratches[slot]), begin, rows, chunk);
    }
  });
}

// A column of plain values that were computed.
template <typename T>
Column Finish(std::string name, ColumnType type, const Array<T>& values, const Validity& validity) {
  const Column model({.name = name, .type = type});
  return data::MakeColumn(model, std::move(name), values.size, values, validity);
}

Column Reals(const Program& program, const data::Table& table, std::string name,
             Workspace& workspace) {
  const Array<double> out = workspace.New<double>(table.rows());
  ForBlocks(program, table, workspace,
            [&](const Vector& values, int64_t begin, int64_t rows, int64_t) {
              std::copy_n(values.reals, rows, out.data + begin);
            });
  return Finish(std::move(name), ColumnType::kFloat64, out, {});
}

Column Integers(const Program& program, const data::Table& table, std::string name,
                Workspace& workspace) {
  const Array<int64_t> out = workspace.New<int64_t>(table.rows());
  const Validity validity(table.rows(), workspace);
  ForBlocks(program, table, workspace,
            [&](const Vector& values, int64_t begin, int64_t rows, int64_t) {
              std::copy_n(values.integers, rows, out.data + begin);
              for (int64_t i = 0; values.present != nullptr && i < rows; ++i) {
                if (values.present[i] == 0) validity.Clear(begin + i);
              }
            });
  return Finish(std::move(name), ColumnType::kInt64, out, validity);
}

Column Booleans(const Program& program, const data::Table& table, std::string name,
                Workspace& workspace) {
  const Array<uint8_t> out = workspace.New<uint8_t>(table.rows());
  const Validity validity(table.rows(), workspace);
  ForBlocks(program, table, workspace,
            [&](const Vector& values, int64_t begin, int64_t rows, int64_t) {
              for (int64_t i = 0; i < rows; ++i) {
                out[begin + i] = values.truths[i] == kTrue ? 1 : 0;
                if (values.truths[i] == kUnknown) validity.Clear(begin + i);
              }
            });
  return Finish(std::move(name), ColumnType::kBool, out, validity);
}

// Each chunk numbers its own texts; then these numbers become places among all.
Column Texts(const Program& program, const data::Table& table, std::string name,
             Workspace& workspace) {
  const Array<int32_t> out = workspace.New<int32_t>(table.rows());
  std::vector<data::StringPool> pools(
      static_cast<size_t>((table.rows() + data::kChunkRows - 1) / data::kChunkRows));
  ForBlocks(program, table, workspace,
            [&](const Vector& values, int64_t begin, int64_t rows, int64_t chunk) {
              data::StringPool& pool = pools[static_cast<size_t>(chunk)];
              for (int64_t i = 0; i < rows; ++i) {
                out[begin + i] = values.texts[i].data() == nullptr ? -1 : pool.Add(values.texts[i]);
              }
            });
  auto categories = std::make_shared<std::vector<std::string>>();
  for (const data::StringPool& pool : pools) {
    const auto known = static_cast<ptrdiff_t>(categories->size());
    for (int32_t i = 0; i < pool.size(); ++i) categories->emplace_back(pool[i]);
    std::sort(categories->begin() + known, categories->end());
    std::inplace_merge(categories->begin(), categories->begin() + known, categories->end());
    categories->erase(std::unique(categories->begin(), categories->end()), categories->end());
  }
  workspace.ForChunks(table.rows(), [&](int64_t begin, int64_t end, int) {
    const data::StringPool& pool = pools[static_cast<size_t>(begin / data::kChunkRows)];
    std::vector<int32_t> places;
    for (int32_t i = 0; i < pool.size(); ++i) {
      const auto found = std::lower_bound(categories->begin(), categories->end(), pool[i]);
      places.push_back(static_cast<int32_t>(found - categories->begin()));
    }
    for (int64_t row = begin; row < end; ++row) {
      if (out[row] >= 0) out[row] = places[static_cast<size_t>(out[row])];
    }
  });
  return Column({.name = std::move(name),
                 .type = ColumnType::kCategorical,
                 .rows = table.rows(),
                 .values = out.data,
                 .categories = std::move(categories),
                 .owner = out.owner});
}

}  // namespace

std::vector<ColumnInfo> SchemaOf(const data::Table& table) {
  std::vector<ColumnInfo> schema;
  for (const Column& column : table.columns()) {
    schema.push_back({column.name(), column.type(), column.item_size() == 1});
  }
  return schema;
}

Column Evaluate(const Program& program, const data::Table& table, std::string name,
                Workspace& workspace) {
  const Instruction& last = program.code.back();
  if (last.op == Op::kColumn) {
    return table.Get(program.columns[static_cast<size_t>(last.column)]).Renamed(std::move(name));
  }
  switch (program.type()) {
    case Type::kReal:
      return Reals(program, table, std::move(name), workspace);
    case Type::kInteger:
      return Integers(program, table, std::move(name), workspace);
    case Type::kBoolean:
      return Booleans(program, table, std::move(name), workspace);
    case Type::kText:
      break;
  }
  return Texts(program, table, std::move(name), workspace);
}

Array<int64_t> RowsWhere(const Program& program, const data::Table& table, Workspace& workspace) {
  const Array<uint8_t> kept = workspace.New<uint8_t>(table.rows());
  std::vector<int64_t> counts(
      static_cast<size_t>((table.rows() + data::kChunkRows - 1) / data::kChunkRows));
  ForBlocks(program, table, workspace,
            [&](const Vector& values, int64_t begin, int64_t rows, int64_t chunk) {
              int64_t count = 0;
              for (int64_t i = 0; i < rows; ++i) {
                kept[begin + i] = values.truths[i] >> 1;
                count += values.truths[i] >> 1;
              }
              counts[static_cast<size_t>(chunk)] += count;
            });
  int64_t total = 0;
  for (int64_t& count : counts) total += std::exchange(count, total);
  const Array<int64_t> out = workspace.New<int64_t>(total);
  workspace.ForChunks(table.rows(), [&](int64_t begin, int64_t end, int) {
    int64_t to = counts[static_cast<size_t>(begin / data::kChunkRows)];
    for (int64_t row = begin; row < end; ++row) {
      if (kept[row] != 0) out[to++] = row;
    }
  });
  return out;
}

}  // namespace beamline::engine::expression
