#include "engine/data/column.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "engine/core/error.h"
#include "engine/data/text.h"

namespace beamline::engine::data {
namespace {

struct TypeRow {
  ColumnType type;
  std::string_view name;
  size_t value_bytes;
};
constexpr TypeRow kTypes[] = {
    {ColumnType::kBool, "bool", 1},
    {ColumnType::kUint8, "uint8", 1},
    {ColumnType::kInt32, "int32", 4},
    {ColumnType::kInt64, "int64", 8},
    {ColumnType::kFloat32, "float32", 4},
    {ColumnType::kFloat64, "float64", 8},
    {ColumnType::kCategorical, "categorical", 4},
};

const std::vector<std::string>& NoCategories() {
  static const std::vector<std::string> none;
  return none;
}

// True if values of type `type` are stored as T.
template <typename T>
bool Stores(ColumnType type) {
  return type == StorageOf<T>::kType || (std::is_same_v<T, uint8_t> && type == ColumnType::kBool) ||
         (std::is_same_v<T, int32_t> && type == ColumnType::kCategorical);
}

}  // namespace

std::string_view TypeName(ColumnType type) {
  for (const TypeRow& row : kTypes) {
    if (row.type == type) return row.name;
  }
  return "unknown";
}

ColumnType ParseTypeName(std::string_view name) {
  for (const TypeRow& row : kTypes) {
    if (row.name == name) return row.type;
  }
  std::string all;
  for (const TypeRow& row : kTypes) all += Cat(all.empty() ? "" : ", ", row.name);
  Fail("there is no column type ", Quoted(name), ": use one of ", all);
}

size_t ValueBytes(ColumnType type) {
  for (const TypeRow& row : kTypes) {
    if (row.type == type) return row.value_bytes;
  }
  return 0;
}

Column::Column(Parts parts) : parts_(std::move(parts)) {
  for (const int64_t size : parts_.item_shape) item_size_ *= size;
}

template <typename T>
Column Column::Of(std::string name, std::vector<T> values, std::vector<int64_t> item_shape) {
  Parts parts;
  parts.name = std::move(name);
  parts.type = StorageOf<T>::kType;
  int64_t item_size = 1;
  for (const int64_t size : item_shape) item_size *= size;
  parts.item_shape = std::move(item_shape);
  const auto count = static_cast<int64_t>(values.size());
  if (item_size <= 0 || count % item_size != 0) {
    Fail("column ", Quoted(parts.name), ": ", count, " values are no multiple of ", item_size,
         ", the size of an item");
  }
  parts.rows = count / item_size;
  const auto owner = std::make_shared<const std::vector<T>>(std::move(values));
  parts.values = owner->data();
  parts.owner = owner;
  return Column(std::move(parts));
}
template Column Column::Of(std::string, std::vector<double>, std::vector<int64_t>);
template Column Column::Of(std::string, std::vector<float>, std::vector<int64_t>);
template Column Column::Of(std::string, std::vector<int64_t>, std::vector<int64_t>);
template Column Column::Of(std::string, std::vector<int32_t>, std::vector<int64_t>);
template Column Column::Of(std::string, std::vector<uint8_t>, std::vector<int64_t>);

Column Column::OfStrings(std::string name, const std::vector<std::string>& values) {
  std::map<std::string, int32_t> codes;
  for (const std::string& value : values) {
    if (!value.empty()) codes.emplace(value, 0);
  }
  auto categories = std::make_shared<std::vector<std::string>>();
  for (auto& [category, code] : codes) {
    code = static_cast<int32_t>(categories->size());
    categories->push_back(category);
  }
  auto owner = std::make_shared<std::vector<int32_t>>();
  for (const std::string& value : values) owner->push_back(value.empty() ? -1 : codes[value]);
  return Column({.name = std::move(name),
                 .type = ColumnType::kCategorical,
                 .rows = static_cast<int64_t>(values.size()),
                 .values = owner->data(),
                 .categories = std::move(categories),
                 .owner = owner});
}

template <typename T>
std::span<const T> Column::values() const {
  if (!Stores<T>(parts_.type)) {
    Fail("column ", Quoted(parts_.name), " holds ", TypeName(parts_.type), ", not ",
         TypeName(StorageOf<T>::kType));
  }
  return {static_cast<const T*>(parts_.values), static_cast<size_t>(parts_.rows * item_size_)};
}
template std::span<const double> Column::values() const;
template std::span<const float> Column::values() const;
template std::span<const int64_t> Column::values() const;
template std::span<const int32_t> Column::values() const;
template std::span<const uint8_t> Column::values() const;

std::span<const std::byte> Column::bytes() const {
  return {static_cast<const std::byte*>(parts_.values),
          static_cast<size_t>(parts_.rows * item_size_) * ValueBytes(parts_.type)};
}

const std::vector<std::string>& Column::categories() const {
  return parts_.categories == nullptr ? NoCategories() : *parts_.categories;
}

double Column::IntegerNumber(int64_t row, int64_t at) const {
  if (!Present(row)) return std::numeric_limits<double>::quiet_NaN();
  if (parts_.type == ColumnType::kInt64) {
    return static_cast<double>(static_cast<const int64_t*>(parts_.values)[at]);
  }
  if (parts_.type == ColumnType::kInt32) return static_cast<const int32_t*>(parts_.values)[at];
  return static_cast<const uint8_t*>(parts_.values)[at];
}

int64_t Column::Integer(int64_t row) const {
  if (parts_.type == ColumnType::kInt64) return static_cast<const int64_t*>(parts_.values)[row];
  if (parts_.type == ColumnType::kInt32) return static_cast<const int32_t*>(parts_.values)[row];
  return static_cast<const uint8_t*>(parts_.values)[row];
}

std::string Column::Text(int64_t row) const {
  if (IsMissing(row)) return "";
  switch (parts_.type) {
    case ColumnType::kCategorical: {
      const auto code = static_cast<size_t>(static_cast<const int32_t*>(parts_.values)[row]);
      return code < categories().size() ? categories()[code] : "";
    }
    case ColumnType::kBool:
      return Integer(row) != 0 ? "true" : "false";
    case ColumnType::kFloat32:
      return ShortestDecimal(static_cast<const float*>(parts_.values)[row]);
    case ColumnType::kFloat64:
      return ShortestDecimal(static_cast<const double*>(parts_.values)[row]);
    default:
      return std::to_string(Integer(row));
  }
}

Column Column::Take(std::span<const int64_t> rows) const {
  struct Storage {
    std::vector<std::byte> values;
    std::vector<uint8_t> validity;
  };
  auto storage = std::make_shared<Storage>();
  const size_t size = ValueBytes(parts_.type) * static_cast<size_t>(item_size_);
  storage->values.resize(rows.size() * size);
  storage->validity.resize((rows.size() + 7) / 8);
  const auto* const from = static_cast<const std::byte*>(parts_.values);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto row = static_cast<size_t>(rows[i]);
    std::copy_n(from + row * size, size, storage->values.data() + i * size);
    const int present = Present(rows[i]) ? 1 : 0;
    storage->validity[i / 8] = static_cast<uint8_t>(storage->validity[i / 8] | present << (i % 8));
  }
  Parts parts = parts_;
  parts.rows = static_cast<int64_t>(rows.size());
  parts.values = storage->values.data();
  if (parts.validity != nullptr) parts.validity = storage->validity.data();
  parts.owner = storage;
  return Column(std::move(parts));
}

Column Column::Renamed(std::string name) const {
  Column copy = *this;
  copy.parts_.name = std::move(name);
  return copy;
}

}  // namespace beamline::engine::data
