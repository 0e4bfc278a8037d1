// Which rows of a column are there, while it is made.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "engine/data/column.h"
#include "engine/data/workspace.h"

namespace beamline::engine::data {

// Whether a bitmap has the row. Floats and categories say it themselves.
inline bool IsPresent(const Column& column, int64_t row) {
  const uint8_t* const bits = column.validity();
  return bits == nullptr || (bits[row >> 3] >> (row & 7) & 1) != 0;
}

// A bitmap with all rows at first. Rows of different multiples of eight may be cleared at once.
class Validity {
 public:
  Validity() = default;
  Validity(int64_t rows, Workspace& workspace) : bits_(workspace.New<uint8_t>((rows + 7) / 8)) {
    std::memset(bits_.data, 0xFF, static_cast<size_t>(bits_.size));
    // Bits behind the last row are 0 in every bitmap.
    if (rows % 8 != 0) bits_[rows >> 3] = static_cast<uint8_t>((1u << rows % 8) - 1);
    rows_ = rows;
  }
  bool exists() const { return rows_ > 0; }
  void Clear(int64_t row) const {
    bits_[row >> 3] = static_cast<uint8_t>(bits_[row >> 3] & ~(1u << (row & 7)));
  }
  bool AnyMissing() const {
    const int64_t full = rows_ / 8;
    const auto whole = [](uint8_t byte) { return byte == 0xFF; };
    if (!std::all_of(bits_.data, bits_.data + full, whole)) return true;
    return rows_ % 8 != 0 && bits_[full] != (1u << rows_ % 8) - 1;
  }
  const Array<uint8_t>& bits() const { return bits_; }

 private:
  Array<uint8_t> bits_;
  int64_t rows_ = 0;
};

// A column like `model` of other values, which the array keeps. A bitmap of all rows is left out.
template <typename T>
Column MakeColumn(const Column& model, std::string name, int64_t rows, const Array<T>& values,
                  const Validity& validity) {
  struct Owner {
    std::shared_ptr<void> values;
    std::shared_ptr<void> bits;
  };
  const bool bitmap = validity.exists() && validity.AnyMissing();
  auto owner =
      std::make_shared<Owner>(Owner{values.owner, bitmap ? validity.bits().owner : nullptr});
  return Column({.name = std::move(name),
                 .type = model.type(),
                 .rows = rows,
                 .item_shape = model.item_shape(),
                 .values = values.owner.get(),
                 .validity = bitmap ? validity.bits().data : nullptr,
                 .categories = model.shared_categories(),
                 .owner = std::move(owner)});
}

}  // namespace beamline::engine::data
