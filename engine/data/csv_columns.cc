#include "engine/data/csv_columns.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>

#include "engine/core/error.h"
#include "engine/data/text.h"

namespace beamline::engine::data {
namespace {

template <typename T>
struct Storage {
  explicit Storage(int64_t size)
      : values(std::make_unique_for_overwrite<T[]>(static_cast<size_t>(size))) {}
  std::unique_ptr<T[]> values;
  std::vector<uint8_t> validity;
};

}  // namespace

CsvColumns::CsvColumns(CsvPlan& plan, std::vector<std::string> names, int64_t max_categories)
    : plan_(plan),
      names_(std::move(names)),
      max_categories_(max_categories),
      collected_(names_.size()) {}

void CsvColumns::Add(CsvPiece piece) {
  Part part;
  part.rows = piece.rows;
  part.columns = std::move(piece.columns);
  part.codes.resize(part.columns.size());
  rows_ += part.rows;
  for (size_t c = 0; c < part.columns.size(); ++c) {
    Collected& collected = collected_[c];
    CsvPieceColumn& column = part.columns[c];
    collected.kind = JoinKinds(collected.kind, column.kind);
    if (column.kind == CsvKind::kText && !column.broken) {
      AddText(c, column, part.codes[c]);
    } else if (column.kind != CsvKind::kEmpty) {
      collected.stored_other = true;
    }
    if (collected.kind == CsvKind::kText) {
      plan_.columns[c].start = CsvKind::kText;
      again_ = again_ || collected.stored_other;
    }
  }
  if (again_) {
    parts_.clear();
  } else {
    parts_.push_back(std::move(part));
  }
}

void CsvColumns::AddText(size_t c, CsvPieceColumn& column, std::vector<int32_t>& codes) {
  StringPool& all = collected_[c].categories;
  codes.resize(static_cast<size_t>(column.categories.size()));
  for (int32_t code = 0; code < column.categories.size(); ++code) {
    codes[static_cast<size_t>(code)] = all.Add(column.categories[code]);
  }
  column.categories = {};
  if (all.size() > max_categories_) {
    Fail("column ", Quoted(names_[c]), " has more than ", max_categories_,
         " different texts: drop the column, or raise max_categories");
  }
}

Table CsvColumns::Finish(ColumnType float_type, ThreadPool& pool) {
  std::vector<std::unique_ptr<Column>> finished(names_.size());
  pool.ParallelFor(static_cast<int64_t>(names_.size()), [&](int64_t tile) {
    const auto c = static_cast<size_t>(tile);
    ColumnType type = plan_.columns[c].type;
    if (!plan_.columns[c].fixed) {
      switch (collected_[c].kind) {
        case CsvKind::kBool:
          type = ColumnType::kBool;
          break;
        case CsvKind::kInteger:
          type = ColumnType::kInt64;
          break;
        case CsvKind::kText:
          type = ColumnType::kCategorical;
          break;
        default:
          type = float_type;
      }
    }
    finished[c] = std::make_unique<Column>(FinishColumn(c, type));
  });
  std::vector<Column> columns;
  for (std::unique_ptr<Column>& column : finished) columns.push_back(std::move(*column));
  parts_.clear();
  return Table(std::move(columns));
}

Column CsvColumns::FinishColumn(size_t c, ColumnType type) {
  switch (type) {
    case ColumnType::kCategorical:
      return FinishText(c);
    case ColumnType::kFloat32:
      return FinishFloats<float>(c);
    case ColumnType::kFloat64:
      return FinishFloats<double>(c);
    case ColumnType::kInt64:
      return FinishIntegers<int64_t>(c, type);
    case ColumnType::kInt32:
      return FinishIntegers<int32_t>(c, type);
    default:
      return FinishIntegers<uint8_t>(c, type);
  }
}

Column CsvColumns::FinishText(size_t c) {
  const StringPool& pool = collected_[c].categories;
  std::vector<int32_t> order(static_cast<size_t>(pool.size()));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return pool[a] < pool[b]; });
  auto categories = std::make_shared<std::vector<std::string>>();
  std::vector<int32_t> rank(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    categories->emplace_back(pool[order[i]]);
    rank[static_cast<size_t>(order[i])] = static_cast<int32_t>(i);
  }
  auto storage = std::make_shared<Storage<int32_t>>(rows_);
  int32_t* out = storage->values.get();
  for (Part& part : parts_) {
    const std::unique_ptr<int64_t[]> cells = std::move(part.columns[c].cells);
    for (int64_t row = 0; row < part.rows; ++row) {
      const int64_t code = cells == nullptr ? StringPool::kAbsent : cells[row];
      *out++ = code < 0 ? -1 : rank[static_cast<size_t>(part.codes[c][static_cast<size_t>(code)])];
    }
  }
  return Column({.name = names_[c],
                 .type = ColumnType::kCategorical,
                 .rows = rows_,
                 .values = storage->values.get(),
                 .categories = std::move(categories),
                 .owner = storage});
}

template <typename T>
Column CsvColumns::FinishFloats(size_t c) {
  auto storage = std::make_shared<Storage<T>>(rows_);
  T* out = storage->values.get();
  for (Part& part : parts_) {
    const CsvKind kind = part.columns[c].kind;
    const std::unique_ptr<int64_t[]> cells = std::move(part.columns[c].cells);
    if (kind == CsvKind::kFloat && std::is_same_v<T, double>) {
      std::memcpy(out, cells.get(), static_cast<size_t>(part.rows) * sizeof(double));
      out += part.rows;
      continue;
    }
    for (int64_t row = 0; row < part.rows; ++row) {
      double value = std::numeric_limits<double>::quiet_NaN();
      if (kind == CsvKind::kFloat) value = std::bit_cast<double>(cells[row]);
      if (kind == CsvKind::kInteger && cells[row] != kMissingInteger) {
        value = static_cast<double>(cells[row]);
      }
      *out = static_cast<T>(value);
      if (std::isinf(*out) && !std::isinf(value)) {
        Fail(RowName(out - storage->values.get()), ", column ", Quoted(names_[c]), ": ",
             ShortestDecimal(value), " is too large for float32: use float64");
      }
      ++out;
    }
  }
  return Column({.name = names_[c],
                 .type = StorageOf<T>::kType,
                 .rows = rows_,
                 .values = storage->values.get(),
                 .owner = storage});
}

template <typename T>
Column CsvColumns::FinishIntegers(size_t c, ColumnType type) {
  auto storage = std::make_shared<Storage<T>>(rows_);
  T* const out = storage->values.get();
  int64_t at = 0;
  for (Part& part : parts_) {
    const std::unique_ptr<int64_t[]> cells = std::move(part.columns[c].cells);
    for (int64_t row = 0; row < part.rows; ++row, ++at) {
      const bool missing = cells == nullptr || cells[row] == kMissingInteger;
      out[at] = missing ? T{0} : static_cast<T>(cells[row]);
      if (!missing) continue;
      if (storage->validity.empty()) {
        storage->validity.assign(static_cast<size_t>((rows_ + 7) / 8), 0xFF);
        if (rows_ % 8 != 0) storage->validity.back() = static_cast<uint8_t>((1 << (rows_ % 8)) - 1);
      }
      storage->validity[static_cast<size_t>(at >> 3)] &= static_cast<uint8_t>(~(1 << (at & 7)));
    }
  }
  return Column({.name = names_[c],
                 .type = type,
                 .rows = rows_,
                 .values = out,
                 .validity = storage->validity.empty() ? nullptr : storage->validity.data(),
                 .owner = storage});
}

}  // namespace beamline::engine::data
