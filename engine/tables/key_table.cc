#include "engine/tables/key_table.h"

#include <bit>
#include <cmath>

#include "engine/data/validity.h"

namespace beamline::engine::tables {
namespace {

using data::Column;
using data::ColumnType;

uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 32)) * 0xD6E8FEB86659FD93u;
  x = (x ^ (x >> 32)) * 0xD6E8FEB86659FD93u;
  return x ^ (x >> 32);
}

template <typename T>
void ReadFloats(const T* values, int64_t item, int64_t k, int64_t begin, int64_t end,
                uint64_t* bits, uint8_t* missing) {
  for (int64_t row = begin; row < end; ++row) {
    const auto value = static_cast<double>(values[row * item + k]);
    const bool none = std::isnan(value);
    bits[row - begin] = none || value == 0 ? 0 : std::bit_cast<uint64_t>(value);
    missing[row - begin] = none ? 1 : 0;
  }
}

template <typename T>
void ReadIntegers(const Column& column, const T* values, int64_t k, int64_t begin, int64_t end,
                  uint64_t* bits, uint8_t* missing) {
  const bool codes = column.type() == ColumnType::kCategorical;
  for (int64_t row = begin; row < end; ++row) {
    const auto value = static_cast<int64_t>(values[row * column.item_size() + k]);
    const bool none = codes ? value < 0 : !data::IsPresent(column, row);
    bits[row - begin] = none ? 0 : static_cast<uint64_t>(value);
    missing[row - begin] = none ? 1 : 0;
  }
}

}  // namespace

void ReadBits(const Column& column, int64_t k, int64_t begin, int64_t end, uint64_t* bits,
              uint8_t* missing) {
  const void* const values = column.bytes().data();
  const int64_t item = column.item_size();
  switch (column.type()) {
    case ColumnType::kFloat64:
      return ReadFloats(static_cast<const double*>(values), item, k, begin, end, bits, missing);
    case ColumnType::kFloat32:
      return ReadFloats(static_cast<const float*>(values), item, k, begin, end, bits, missing);
    case ColumnType::kInt64:
      return ReadIntegers(column, static_cast<const int64_t*>(values), k, begin, end, bits,
                          missing);
    case ColumnType::kInt32:
    case ColumnType::kCategorical:
      return ReadIntegers(column, static_cast<const int32_t*>(values), k, begin, end, bits,
                          missing);
    default:
      return ReadIntegers(column, static_cast<const uint8_t*>(values), k, begin, end, bits,
                          missing);
  }
}

int64_t PairTable::SlotOf(uint64_t a, uint64_t b) const {
  const auto mask = static_cast<uint64_t>(slots_.size - 1);
  uint64_t at = Mix(a * 0x9E3779B97F4A7C15u + b) & mask;
  while (true) {
    const Slot& slot = slots_[static_cast<int64_t>(at)];
    if (slot.number == kAbsent || (slot.a == a && slot.b == b)) return static_cast<int64_t>(at);
    at = (at + 1) & mask;
  }
}

int64_t PairTable::Add(uint64_t a, uint64_t b) {
  if (size_ * 2 >= slots_.size) Grow(slots_.size * 2);
  Slot& slot = slots_[SlotOf(a, b)];
  if (slot.number == kAbsent) slot = {a, b, size_++};
  return slot.number;
}

void PairTable::Grow(int64_t slots) {
  const data::Array<Slot> old = slots_;
  slots_ = workspace_->New<Slot>(slots);
  for (Slot& slot : slots_.span()) slot.number = kAbsent;
  for (const Slot& slot : old.span()) {
    if (slot.number != kAbsent) slots_[SlotOf(slot.a, slot.b)] = slot;
  }
}

}  // namespace beamline::engine::tables
