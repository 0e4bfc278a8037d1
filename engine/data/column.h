// A named, typed, immutable column of a table.
//
// Seven storage types. How a missing value is marked depends on the type, so that the values of
// every type can be used in place:
//   float32, float64           NaN
//   categorical                code -1 (int32 codes index the sorted list of categories)
//   bool, uint8, int32, int64  a bit of the validity bitmap is 0, and the value is 0
// Categories are in ascending byte order, so that codes depend neither on the order of rows nor
// on how many threads read them.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace beamline::engine::data {

// The numbers are part of the columnar file format (docs/formats.md): never change one.
enum class ColumnType : uint8_t {
  kBool = 1,  // one byte, 0 or 1
  kUint8 = 2,
  kInt32 = 3,
  kInt64 = 4,
  kFloat32 = 5,
  kFloat64 = 6,
  kCategorical = 7,  // int32 codes
};

// "bool", "uint8", ...; "unknown" for a number that is no type.
std::string_view TypeName(ColumnType type);
// The inverse of TypeName. Throws Error, naming the types there are.
ColumnType ParseTypeName(std::string_view name);
// Bytes of one value.
size_t ValueBytes(ColumnType type);
inline bool IsFloat(ColumnType type) {
  return type == ColumnType::kFloat32 || type == ColumnType::kFloat64;
}
// bool, uint8, int32, int64: the types whose missing values are in a bitmap.
inline bool IsInteger(ColumnType type) {
  return type >= ColumnType::kBool && type <= ColumnType::kInt64;
}

template <typename T>
struct StorageOf;  // The C++ type of the values of T's column type.

// Cheap to copy: copies share the values, which live until the last of them goes.
// Immutable, hence safe to read from any number of threads.
class Column {
 public:
  // What a column is made of. `values` and `validity` point into what `owner` keeps alive, and
  // are trusted: whoever makes a column has checked their sizes.
  struct Parts {
    std::string name;
    ColumnType type = ColumnType::kFloat64;
    int64_t rows = 0;
    // Shape of one row's item; empty for a plain column of numbers.
    std::vector<int64_t> item_shape = {};
    const void* values = nullptr;
    // One bit a row, least significant first, 1 = present. Null: nothing is missing.
    const uint8_t* validity = nullptr;
    // Only for categorical columns. Sorted, without duplicates.
    std::shared_ptr<const std::vector<std::string>> categories = nullptr;
    std::shared_ptr<const void> owner = nullptr;
  };
  explicit Column(Parts parts);

  // A column of the vector's own values: std::vector<T> with T one of double, float, int64_t,
  // int32_t, uint8_t. Throws Error if the length is not a multiple of the item's size.
  template <typename T>
  static Column Of(std::string name, std::vector<T> values, std::vector<int64_t> item_shape = {});
  // A categorical column; an empty string is a missing value.
  static Column OfStrings(std::string name, const std::vector<std::string>& values);

  const std::string& name() const { return parts_.name; }
  ColumnType type() const { return parts_.type; }
  int64_t rows() const { return parts_.rows; }
  const std::vector<int64_t>& item_shape() const { return parts_.item_shape; }
  // Values in one row: the product of item_shape, 1 for a plain column.
  int64_t item_size() const { return item_size_; }
  bool is_numeric() const { return parts_.type != ColumnType::kCategorical; }

  // All rows * item_size values, row by row. T is bool's uint8_t, categorical's int32_t, else the
  // type itself. Throws Error if the column's values are not of type T.
  template <typename T>
  std::span<const T> values() const;
  // The same values as bytes.
  std::span<const std::byte> bytes() const;
  const uint8_t* validity() const { return parts_.validity; }

  // The categories, in ascending byte order; empty for other types.
  const std::vector<std::string>& categories() const;
  // The same for a column that shares them; null for other types.
  const std::shared_ptr<const std::vector<std::string>>& shared_categories() const {
    return parts_.categories;
  }

  // Value `k` of row `row` as a number, NaN if it is missing; a categorical column gives its
  // code. Unchecked: row < rows(), k < item_size(). Integers beyond 2^53 are rounded.
  double Number(int64_t row, int64_t k = 0) const {
    const int64_t at = row * item_size_ + k;
    switch (parts_.type) {
      case ColumnType::kFloat64:
        return static_cast<const double*>(parts_.values)[at];
      case ColumnType::kFloat32:
        return static_cast<const float*>(parts_.values)[at];
      case ColumnType::kCategorical: {
        const int32_t code = static_cast<const int32_t*>(parts_.values)[at];
        return code < 0 ? std::nan("") : code;
      }
      default:
        return IntegerNumber(row, at);
    }
  }
  // For a plain column (item_size 1).
  bool IsMissing(int64_t row) const { return std::isnan(Number(row)); }
  // The integer in a plain bool, uint8, int32 or int64 column; 0 if missing. Unchecked.
  int64_t Integer(int64_t row) const;
  // The value of a plain column as text: the category, "true" or "false", the integer, or the
  // shortest decimal that reads back as the same number; "" if missing.
  std::string Text(int64_t row) const;

  // Those rows, in that order, as a column of their own. Unchecked: row < rows().
  Column Take(std::span<const int64_t> rows) const;
  // The same values under another name.
  Column Renamed(std::string name) const;

 private:
  double IntegerNumber(int64_t row, int64_t at) const;
  bool Present(int64_t row) const {
    return parts_.validity == nullptr || (parts_.validity[row >> 3] >> (row & 7) & 1) != 0;
  }

  Parts parts_;
  int64_t item_size_ = 1;
};

template <>
struct StorageOf<double> {
  static constexpr ColumnType kType = ColumnType::kFloat64;
};
template <>
struct StorageOf<float> {
  static constexpr ColumnType kType = ColumnType::kFloat32;
};
template <>
struct StorageOf<int64_t> {
  static constexpr ColumnType kType = ColumnType::kInt64;
};
template <>
struct StorageOf<int32_t> {
  static constexpr ColumnType kType = ColumnType::kInt32;
};
template <>
struct StorageOf<uint8_t> {
  static constexpr ColumnType kType = ColumnType::kUint8;
};

}  // namespace beamline::engine::data
