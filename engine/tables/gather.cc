#include "engine/tables/gather.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "engine/core/error.h"
#include "engine/data/text.h"
#include "engine/data/validity.h"

namespace beamline::engine::tables {
namespace {

using data::Array;
using data::Column;
using data::ColumnType;
using data::IsPresent;
using data::MakeColumn;
using data::Quoted;
using data::Validity;
using data::Workspace;

// The bytes of a missing value of the type; zeros where a bitmap says it.
template <typename Use>
void WithMissing(ColumnType type, const Use& use) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto narrow = static_cast<float>(nan);
  const int32_t none = -1;
  const int64_t zero = 0;
  const void* bytes = &zero;
  if (type == ColumnType::kFloat64) bytes = &nan;
  if (type == ColumnType::kFloat32) bytes = &narrow;
  if (type == ColumnType::kCategorical) bytes = &none;
  use(static_cast<const std::byte*>(bytes));
}

// Copies items of `size` bytes; a fixed size is much faster.
template <size_t kSize>
void CopyItems(const std::byte* from, std::span<const int64_t> rows, const std::byte* missing,
               std::byte* to, size_t size) {
  const size_t bytes = kSize == 0 ? size : kSize;
  if (std::find(rows.begin(), rows.end(), kNoRow) == rows.end()) {
    for (const int64_t row : rows) {
      std::memcpy(to, from + static_cast<size_t>(row) * bytes, bytes);
      to += bytes;
    }
    return;
  }
  for (const int64_t row : rows) {
    if (row != kNoRow) {
      std::memcpy(to, from + static_cast<size_t>(row) * bytes, bytes);
    } else {
      std::memcpy(to, missing, bytes);
    }
    to += bytes;
  }
}

void CopyItems(const std::byte* from, std::span<const int64_t> rows, const std::byte* missing,
               std::byte* to, size_t size) {
  if (size == 1) return CopyItems<1>(from, rows, missing, to, size);
  if (size == 4) return CopyItems<4>(from, rows, missing, to, size);
  if (size == 8) return CopyItems<8>(from, rows, missing, to, size);
  CopyItems<0>(from, rows, missing, to, size);
}

// What a value of one column is as one of another type.
template <typename To>
void Convert(const Column& column, int64_t begin, int64_t end, To* to) {
  const void* const values = column.bytes().data();
  for (int64_t i = begin; i < end; ++i) {
    switch (column.type()) {
      case ColumnType::kFloat64:
        to[i] = static_cast<To>(static_cast<const double*>(values)[i]);
        break;
      case ColumnType::kFloat32:
        to[i] = static_cast<To>(static_cast<const float*>(values)[i]);
        break;
      case ColumnType::kInt64:
        to[i] = static_cast<To>(static_cast<const int64_t*>(values)[i]);
        break;
      case ColumnType::kInt32:
        to[i] = static_cast<To>(static_cast<const int32_t*>(values)[i]);
        break;
      default:
        to[i] = static_cast<To>(static_cast<const uint8_t*>(values)[i]);
    }
  }
}

// All categories of the parts, and for each part where its own are among them.
std::shared_ptr<std::vector<std::string>> Unite(const std::vector<Column>& parts,
                                                std::vector<std::vector<int32_t>>* places) {
  auto all = std::make_shared<std::vector<std::string>>();
  for (const Column& part : parts) {
    all->insert(all->end(), part.categories().begin(), part.categories().end());
  }
  std::sort(all->begin(), all->end());
  all->erase(std::unique(all->begin(), all->end()), all->end());
  for (const Column& part : parts) {
    std::vector<int32_t>& of_part = places->emplace_back();
    for (const std::string& category : part.categories()) {
      const auto found = std::lower_bound(all->begin(), all->end(), category);
      of_part.push_back(static_cast<int32_t>(found - all->begin()));
    }
  }
  return all;
}

// Writes the part's values from `to` on.
void Place(const Column& part, ColumnType type, const std::vector<int32_t>& places, std::byte* to,
           Workspace& workspace) {
  workspace.ForChunks(part.rows(), [&](int64_t begin, int64_t end, int) {
    begin *= part.item_size();
    end *= part.item_size();
    if (type == ColumnType::kCategorical) {
      const auto codes = part.values<int32_t>();
      auto* const out = reinterpret_cast<int32_t*>(to);
      for (int64_t i = begin; i < end; ++i) {
        const int32_t code = codes[static_cast<size_t>(i)];
        out[i] = code < 0 ? -1 : places[static_cast<size_t>(code)];
      }
    } else if (part.type() == type) {
      const size_t bytes = data::ValueBytes(type);
      std::memcpy(to + static_cast<size_t>(begin) * bytes,
                  part.bytes().data() + static_cast<size_t>(begin) * bytes,
                  static_cast<size_t>(end - begin) * bytes);
    } else if (type == ColumnType::kFloat64) {
      Convert(part, begin, end, reinterpret_cast<double*>(to));
      auto* const out = reinterpret_cast<double*>(to);
      for (int64_t i = begin; part.validity() != nullptr && i < end; ++i) {
        if (!IsPresent(part, i)) out[i] = std::nan("");
      }
    } else {
      Convert(part, begin, end, reinterpret_cast<int64_t*>(to));
    }
  });
}

}  // namespace

Column Gather(const Column& column, std::span<const int64_t> rows, Workspace& workspace) {
  const auto count = static_cast<int64_t>(rows.size());
  const size_t size = data::ValueBytes(column.type()) *
                      static_cast<size_t>(std::max<int64_t>(column.item_size(), 1));
  const Array<std::byte> out = workspace.New<std::byte>(count * static_cast<int64_t>(size));
  Validity validity;
  if (data::IsInteger(column.type())) validity = Validity(count, workspace);
  std::vector<std::byte> missing(size);
  WithMissing(column.type(), [&](const std::byte* bytes) {
    const size_t step = data::ValueBytes(column.type());
    for (size_t at = 0; at < size; at += step) std::copy_n(bytes, step, missing.data() + at);
  });
  workspace.ForChunks(count, [&](int64_t begin, int64_t end, int) {
    const auto some = rows.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
    CopyItems(column.bytes().data(), some, missing.data(),
              out.data + static_cast<size_t>(begin) * size, size);
    if (!validity.exists()) return;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = rows[static_cast<size_t>(i)];
      if (row == kNoRow || !IsPresent(column, row)) validity.Clear(i);
    }
  });
  if (column.item_size() > 1 && validity.exists() && validity.AnyMissing()) {
    Fail("column ", Quoted(column.name()), " holds arrays of ", TypeName(column.type()),
         ", which cannot be missing: keep only rows with a partner");
  }
  return MakeColumn(column, column.name(), count, out, validity);
}

data::Table Gather(const data::Table& table, std::span<const int64_t> rows, Workspace& workspace) {
  std::vector<Column> columns;
  for (const Column& column : table.columns()) columns.push_back(Gather(column, rows, workspace));
  return data::Table(std::move(columns));
}

Column Concatenate(const std::vector<Column>& parts, std::string name, ColumnType type,
                   Workspace& workspace) {
  int64_t rows = 0;
  for (const Column& part : parts) rows += part.rows();
  const int64_t item = parts[0].item_size();
  const auto bytes = static_cast<int64_t>(data::ValueBytes(type));
  const Array<std::byte> out = workspace.New<std::byte>(rows * item * bytes);
  std::vector<std::vector<int32_t>> places;
  const auto categories = Unite(parts, &places);
  Validity validity;
  if (data::IsInteger(type)) validity = Validity(rows, workspace);
  int64_t before = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    Place(parts[i], type, places[i], out.data + before * item * bytes, workspace);
    for (int64_t row = 0;
         validity.exists() && parts[i].validity() != nullptr && row < parts[i].rows(); ++row) {
      if (!IsPresent(parts[i], row)) validity.Clear(before + row);
    }
    before += parts[i].rows();
  }
  const Column model(
      {.name = name, .type = type, .item_shape = parts[0].item_shape(), .categories = categories});
  return MakeColumn(model, std::move(name), rows, out, validity);
}

Column Stack(const std::vector<Column>& columns, std::string name, std::vector<int64_t> shape,
             Workspace& workspace) {
  const Column& first = columns[0];
  const int64_t rows = first.rows();
  const size_t bytes = data::ValueBytes(first.type());
  const size_t item = columns.size() * bytes;
  const Array<std::byte> out = workspace.New<std::byte>(rows * static_cast<int64_t>(item));
  for (const Column& column : columns) {
    if (column.validity() == nullptr) continue;
    for (int64_t row = 0; row < rows; ++row) {
      if (IsPresent(column, row)) continue;
      Fail(data::RowName(row), ": column ", Quoted(column.name()),
           " has no value, which arrays of integers must have: fill it first");
    }
  }
  workspace.ForChunks(rows, [&](int64_t begin, int64_t end, int) {
    for (size_t c = 0; c < columns.size(); ++c) {
      const std::byte* const from = columns[c].bytes().data();
      for (int64_t row = begin; row < end; ++row) {
        const auto at = static_cast<size_t>(row);
        std::memcpy(out.data + at * item + c * bytes, from + at * bytes, bytes);
      }
    }
  });
  const Column model({.name = name, .type = first.type(), .item_shape = std::move(shape)});
  return MakeColumn(model, std::move(name), rows, out, {});
}

bool Holds(ColumnType type, double value) {
  const auto whole = [&](double low, double high) {
    return value == std::floor(value) && value >= low && value <= high;
  };
  switch (type) {
    case ColumnType::kBool:
      return value == 0 || value == 1;
    case ColumnType::kUint8:
      return whole(0, 255);
    case ColumnType::kInt32:
      return whole(std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max());
    case ColumnType::kInt64:
      return whole(-9007199254740992.0, 9007199254740992.0);
    case ColumnType::kFloat32:
    case ColumnType::kFloat64:
      return !std::isnan(value);
    case ColumnType::kCategorical:
      return false;
  }
  return false;
}

namespace {

template <typename T>
Column FillNumbers(const Column& column, T value, Workspace& workspace) {
  const int64_t item = column.item_size();
  const Array<T> out = workspace.New<T>(column.rows() * item);
  const T* const from = static_cast<const T*>(static_cast<const void*>(column.bytes().data()));
  workspace.ForChunks(column.rows(), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin * item; i < end * item; ++i) {
      const bool missing =
          column.validity() != nullptr ? !IsPresent(column, i) : from[i] != from[i];
      out[i] = missing ? value : from[i];
    }
  });
  return MakeColumn(column, column.name(), column.rows(), out, {});
}

Column FillTexts(const Column& column, const std::string& text, Workspace& workspace) {
  // As a column of one text behind it, whose code then stands for what is missing.
  const std::vector<Column> parts = {column, Column::OfStrings(column.name(), {text})};
  std::vector<std::vector<int32_t>> places;
  const auto categories = Unite(parts, &places);
  const Array<int32_t> out = workspace.New<int32_t>(column.rows());
  const auto codes = column.values<int32_t>();
  workspace.ForChunks(column.rows(), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      const int32_t code = codes[static_cast<size_t>(row)];
      out[row] = code < 0 ? places[1][0] : places[0][static_cast<size_t>(code)];
    }
  });
  return Column({.name = column.name(),
                 .type = ColumnType::kCategorical,
                 .rows = column.rows(),
                 .values = out.data,
                 .categories = categories,
                 .owner = out.owner});
}

}  // namespace

Column Fill(const Column& column, double value, const std::string& text, Workspace& workspace) {
  if (column.type() == ColumnType::kCategorical) return FillTexts(column, text, workspace);
  if (!Holds(column.type(), value)) {
    Fail("column ", Quoted(column.name()), " holds ", TypeName(column.type()), ", which ", value,
         " is not");
  }
  switch (column.type()) {
    case ColumnType::kFloat64:
      return FillNumbers<double>(column, value, workspace);
    case ColumnType::kFloat32:
      return FillNumbers<float>(column, static_cast<float>(value), workspace);
    case ColumnType::kInt64:
      return FillNumbers<int64_t>(column, static_cast<int64_t>(value), workspace);
    case ColumnType::kInt32:
      return FillNumbers<int32_t>(column, static_cast<int32_t>(value), workspace);
    default:
      return FillNumbers<uint8_t>(column, static_cast<uint8_t>(value), workspace);
  }
}

}  // namespace beamline::engine::tables
