// The values of a column one after the other, as numbers, without a look at the type per value.
#pragma once

#include <cstdint>
#include <limits>

#include "engine/data/column.h"

namespace beamline::engine::data {

// Calls `use(x)` for values `begin` to `end` (of rows * item_size) in order; NaN for a missing
// one. Categorical columns give their codes, NaN for -1.
template <typename Use>
void ForEachValue(const Column& column, int64_t begin, int64_t end, const Use& use) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const auto integers = [&](const auto* values) {
    if (column.validity() == nullptr) {
      for (int64_t i = begin; i < end; ++i) use(static_cast<double>(values[i]));
      return;
    }
    const uint8_t* const valid = column.validity();
    const int64_t item = column.item_size();
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = i / item;
      use((valid[row >> 3] >> (row & 7) & 1) != 0 ? static_cast<double>(values[i]) : kNan);
    }
  };
  const void* const values = column.bytes().data();
  switch (column.type()) {
    case ColumnType::kFloat64:
      for (int64_t i = begin; i < end; ++i) use(static_cast<const double*>(values)[i]);
      break;
    case ColumnType::kFloat32:
      for (int64_t i = begin; i < end; ++i) {
        use(static_cast<double>(static_cast<const float*>(values)[i]));
      }
      break;
    case ColumnType::kCategorical:
      for (int64_t i = begin; i < end; ++i) {
        const int32_t code = static_cast<const int32_t*>(values)[i];
        use(code < 0 ? kNan : static_cast<double>(code));
      }
      break;
    case ColumnType::kInt64:
      integers(static_cast<const int64_t*>(values));
      break;
    case ColumnType::kInt32:
      integers(static_cast<const int32_t*>(values));
      break;
    default:
      integers(static_cast<const uint8_t*>(values));
  }
}

// Number of values, mean and sum of squared deviations: mergeable, and the same bits for the same
// sequence of merges.
struct Moments {
  int64_t count = 0;
  double mean = 0;
  double squares = 0;

  // Chan, Golub and LeVeque 1983.
  void Merge(const Moments& other) {
    if (other.count == 0) return;
    const auto total = static_cast<double>(count + other.count);
    const double delta = other.mean - mean;
    mean += delta * (static_cast<double>(other.count) / total);
    squares += other.squares + delta * delta * (static_cast<double>(count) / total) *
                                   static_cast<double>(other.count);
    count += other.count;
  }
  double Variance() const { return count == 0 ? 0 : squares / static_cast<double>(count); }
};

}  // namespace beamline::engine::data
