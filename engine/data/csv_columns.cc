#include "engine/data/csv_columns.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <span>
#include <utility>

#include "engine/core/error.h"
#include "engine/data/columnar_format.h"
#include "engine/data/text.h"

namespace beamline::engine::data {
namespace {

// Columns are finished in groups of at least so many bytes: the cells of a group are given up
// before the next one is begun.
constexpr int64_t kGroupBytes = int64_t{64} << 20;

}  // namespace

CsvColumns::CsvColumns(CsvPlan& plan, std::vector<std::string> names, int64_t max_categories,
                       int64_t stripe_bytes, Workspace& workspace)
    : plan_(plan),
      names_(std::move(names)),
      max_categories_(max_categories),
      stripe_bytes_(stripe_bytes),
      workspace_(workspace),
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
    stripes_.clear();
    return;
  }
  part_rows_ += part.rows;
  parts_.push_back(std::move(part));
  const auto row_bytes = static_cast<int64_t>(names_.size() * sizeof(int64_t));
  if (part_rows_ >= (stripe_bytes_ + row_bytes - 1) / row_bytes) MakeStripe();
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

void CsvColumns::MakeStripe() {
  if (part_rows_ > 0) {
    Stripe stripe;
    stripe.rows = part_rows_;
    stripe.kinds.assign(names_.size(), CsvKind::kEmpty);
    stripe.cells = workspace_.New<int64_t>(part_rows_ * static_cast<int64_t>(names_.size()));
    workspace_.ForEach(static_cast<int64_t>(names_.size()),
                       [&](int64_t c, int) { FillColumn(static_cast<size_t>(c), stripe); });
    stripes_.push_back(std::move(stripe));
  }
  parts_.clear();
  part_rows_ = 0;
}

void CsvColumns::FillColumn(size_t c, Stripe& stripe) {
  CsvKind kind = CsvKind::kEmpty;
  for (const Part& part : parts_) kind = JoinKinds(kind, part.columns[c].kind);
  stripe.kinds[c] = kind;
  bool missing = false;
  int64_t* out = stripe.cells.data + static_cast<int64_t>(c) * stripe.rows;
  for (Part& part : parts_) {
    const CsvKind own = part.columns[c].kind;
    const std::unique_ptr<int64_t[]> cells = std::move(part.columns[c].cells);
    const std::span<const int64_t> from(cells.get(), static_cast<size_t>(part.rows));
    if (own == CsvKind::kEmpty) {
      std::fill_n(out, part.rows, MissingCell(kind));
      missing = missing || part.rows > 0;
    } else if (own == CsvKind::kFloat) {
      std::memcpy(out, cells.get(), from.size_bytes());
    } else if (own == CsvKind::kText) {
      const std::vector<int32_t>& codes = part.codes[c];
      std::transform(from.begin(), from.end(), out, [&](int64_t code) {
        return code < 0 ? code : int64_t{codes[static_cast<size_t>(code)]};
      });
    } else if (kind == CsvKind::kFloat) {
      std::transform(from.begin(), from.end(), out, [](int64_t cell) {
        return cell == kMissingInteger ? MissingCell(CsvKind::kFloat)
                                       : std::bit_cast<int64_t>(static_cast<double>(cell));
      });
    } else {
      std::memcpy(out, cells.get(), from.size_bytes());
      missing = missing || std::find(from.begin(), from.end(), kMissingInteger) != from.end();
    }
    out += part.rows;
  }
  collected_[c].missing = collected_[c].missing || missing;
}

ColumnType CsvColumns::TypeOf(size_t c, ColumnType float_type) const {
  if (plan_.columns[c].fixed) return plan_.columns[c].type;
  switch (collected_[c].kind) {
    case CsvKind::kBool:
      return ColumnType::kBool;
    case CsvKind::kInteger:
      return ColumnType::kInt64;
    case CsvKind::kText:
      return ColumnType::kCategorical;
    default:
      return float_type;
  }
}

CsvColumns::Place CsvColumns::PlaceColumn(size_t c, ColumnType type, int64_t at) const {
  const auto aligned = [](int64_t bytes) {
    return static_cast<int64_t>(AlignUp(static_cast<uint64_t>(bytes)));
  };
  Place place{.type = type, .values = at};
  place.end = at + aligned(rows_ * static_cast<int64_t>(ValueBytes(type)));
  if (IsInteger(type) && collected_[c].missing) {
    place.validity = place.end;
    place.end += aligned((rows_ + 7) / 8);
  }
  return place;
}

Table CsvColumns::Finish(ColumnType float_type) {
  MakeStripe();
  std::vector<std::unique_ptr<Column>> finished(names_.size());
  for (size_t first = 0; first < names_.size();) {
    std::vector<Place> places;
    int64_t bytes = 0;
    for (size_t c = first; c < names_.size() && bytes < kGroupBytes * workspace_.threads(); ++c) {
      places.push_back(PlaceColumn(c, TypeOf(c, float_type), bytes));
      bytes = places.back().end;
    }
    const auto storage = workspace_.New<std::byte>(bytes);
    workspace_.ForEach(static_cast<int64_t>(places.size()), [&](int64_t i, int) {
      const size_t c = first + static_cast<size_t>(i);
      finished[c] =
          std::make_unique<Column>(FinishColumn(c, places[static_cast<size_t>(i)], storage));
    });
    const auto begin = static_cast<int64_t>(first);
    first += places.size();
    for (const Stripe& stripe : stripes_) {
      Workspace::Discard(stripe.cells, begin * stripe.rows,
                         static_cast<int64_t>(first) * stripe.rows);
    }
  }
  stripes_.clear();
  std::vector<Column> columns;
  for (std::unique_ptr<Column>& column : finished) columns.push_back(std::move(*column));
  return Table(std::move(columns));
}

Column CsvColumns::FinishColumn(size_t c, const Place& place,
                                const Array<std::byte>& storage) const {
  std::byte* const out = storage.data + place.values;
  uint8_t* const validity =
      place.validity < 0 ? nullptr : reinterpret_cast<uint8_t*>(storage.data + place.validity);
  std::shared_ptr<const std::vector<std::string>> categories;
  switch (place.type) {
    case ColumnType::kCategorical:
      categories = FinishText(c, reinterpret_cast<int32_t*>(out));
      break;
    case ColumnType::kFloat32:
      FinishFloats(c, reinterpret_cast<float*>(out));
      break;
    case ColumnType::kFloat64:
      FinishFloats(c, reinterpret_cast<double*>(out));
      break;
    case ColumnType::kInt64:
      FinishIntegers(c, reinterpret_cast<int64_t*>(out), validity);
      break;
    case ColumnType::kInt32:
      FinishIntegers(c, reinterpret_cast<int32_t*>(out), validity);
      break;
    default:
      FinishIntegers(c, reinterpret_cast<uint8_t*>(out), validity);
  }
  return Column({.name = names_[c],
                 .type = place.type,
                 .rows = rows_,
                 .values = out,
                 .validity = validity,
                 .categories = std::move(categories),
                 .owner = storage.owner});
}

std::shared_ptr<const std::vector<std::string>> CsvColumns::FinishText(size_t c,
                                                                       int32_t* out) const {
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
  for (const Stripe& stripe : stripes_) {
    const int64_t* const cells = stripe.cells.data + static_cast<int64_t>(c) * stripe.rows;
    const bool empty = stripe.kinds[c] == CsvKind::kEmpty;
    for (int64_t row = 0; row < stripe.rows; ++row) {
      const int64_t code = empty ? StringPool::kAbsent : cells[row];
      *out++ = code < 0 ? -1 : rank[static_cast<size_t>(code)];
    }
  }
  return categories;
}

template <typename T>
void CsvColumns::FinishFloats(size_t c, T* out) const {
  const T* const first = out;
  for (const Stripe& stripe : stripes_) {
    const CsvKind kind = stripe.kinds[c];
    const int64_t* const cells = stripe.cells.data + static_cast<int64_t>(c) * stripe.rows;
    if (kind == CsvKind::kFloat && std::is_same_v<T, double>) {
      std::memcpy(out, cells, static_cast<size_t>(stripe.rows) * sizeof(double));
      out += stripe.rows;
      continue;
    }
    for (int64_t row = 0; row < stripe.rows; ++row) {
      double value = std::numeric_limits<double>::quiet_NaN();
      if (kind == CsvKind::kFloat) value = std::bit_cast<double>(cells[row]);
      if (kind == CsvKind::kInteger && cells[row] != kMissingInteger) {
        value = static_cast<double>(cells[row]);
      }
      *out = static_cast<T>(value);
      if (std::isinf(*out) && !std::isinf(value)) {
        Fail(RowName(out - first), ", column ", Quoted(names_[c]), ": ", ShortestDecimal(value),
             " is too large for float32: use float64");
      }
      ++out;
    }
  }
}

template <typename T>
void CsvColumns::FinishIntegers(size_t c, T* out, uint8_t* validity) const {
  if (validity != nullptr) {
    std::memset(validity, 0xFF, static_cast<size_t>((rows_ + 7) / 8));
    // Bits behind the last row are 0.
    if (rows_ % 8 != 0) validity[rows_ >> 3] = static_cast<uint8_t>((1 << (rows_ % 8)) - 1);
  }
  int64_t at = 0;
  for (const Stripe& stripe : stripes_) {
    const int64_t* const cells = stripe.cells.data + static_cast<int64_t>(c) * stripe.rows;
    const bool empty = stripe.kinds[c] == CsvKind::kEmpty;
    for (int64_t row = 0; row < stripe.rows; ++row, ++at) {
      const bool missing = empty || cells[row] == kMissingInteger;
      out[at] = missing ? T{0} : static_cast<T>(cells[row]);
      if (missing) validity[at >> 3] &= static_cast<uint8_t>(~(1 << (at & 7)));
    }
  }
}

}  // namespace beamline::engine::data
