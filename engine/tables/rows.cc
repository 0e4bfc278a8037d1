#include "engine/tables/rows.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "engine/core/philox.h"
#include "engine/tables/key_table.h"

namespace beamline::engine::tables {
namespace {

using data::Array;
using data::Column;
using data::ColumnType;
using data::kChunkRows;
using data::Workspace;

// Calls use(row, bits, missing) for value `k` of all rows in order.
template <typename Use>
void ForBits(const Column& column, int64_t k, Workspace& workspace, const Use& use) {
  std::vector<uint64_t> bits(kChunkRows);
  std::vector<uint8_t> missing(kChunkRows);
  for (int64_t begin = 0; begin < column.rows(); begin += kChunkRows) {
    workspace.Tell(begin, column.rows());
    const int64_t end = std::min(column.rows(), begin + kChunkRows);
    ReadBits(column, k, begin, end, bits.data(), missing.data());
    for (int64_t row = begin; row < end; ++row) {
      const auto i = static_cast<size_t>(row - begin);
      use(row, bits[i], missing[i]);
    }
  }
}

struct Keyed {
  uint64_t key;
  int64_t row;
};

// Bits whose order as unsigned numbers is that of the values.
uint64_t Ordered(ColumnType type, uint64_t bits) {
  constexpr uint64_t kSign = uint64_t{1} << 63;
  if (!data::IsFloat(type)) return bits ^ kSign;
  return (bits & kSign) != 0 ? ~bits : bits | kSign;
}

// Sorts by 11 bits of the key from `shift` on, stably; false if they are the same in all rows.
bool SortByDigit(const Array<Keyed>& from, const Array<Keyed>& to, int shift) {
  constexpr uint64_t kMask = (1 << 11) - 1;
  std::vector<int64_t> places(kMask + 1);
  for (const Keyed& each : from.span()) ++places[(each.key >> shift) & kMask];
  if (std::find(places.begin(), places.end(), from.size) != places.end()) return false;
  int64_t before = 0;
  for (int64_t& place : places) before += std::exchange(place, before);
  for (const Keyed& each : from.span()) to[places[(each.key >> shift) & kMask]++] = each;
  return true;
}

}  // namespace

Numbered NumberRows(const std::vector<const Column*>& columns, Workspace& workspace) {
  const int64_t rows = columns[0]->rows();
  Numbered out;
  out.numbers = workspace.New<int64_t>(rows);
  std::fill(out.numbers.begin(), out.numbers.end(), 0);
  int64_t count = 1;
  for (const Column* column : columns) {
    for (int64_t k = 0; k < column->item_size(); ++k) {
      // What was known of a row so far, and its next value.
      PairTable pairs(workspace);
      ForBits(*column, k, workspace, [&](int64_t row, uint64_t bits, uint8_t missing) {
        const auto known = static_cast<uint64_t>(out.numbers[row]);
        out.numbers[row] = pairs.Add(2 * known + missing, bits);
      });
      count = pairs.size();
    }
  }
  out.first = workspace.New<int64_t>(count);
  int64_t seen = 0;
  for (int64_t row = 0; row < rows && seen < count; ++row) {
    if (out.numbers[row] == seen) out.first[seen++] = row;
  }
  return out;
}

Buckets BucketRows(const Array<int64_t>& numbers, int64_t count, Workspace& workspace) {
  Buckets out;
  out.begins = workspace.New<int64_t>(count + 1);
  std::fill(out.begins.begin(), out.begins.end(), 0);
  for (const int64_t number : numbers.span()) {
    if (number >= 0) ++out.begins[number + 1];
  }
  std::partial_sum(out.begins.begin(), out.begins.end(), out.begins.begin());
  out.rows = workspace.New<int64_t>(out.begins[count]);
  const Array<int64_t> next = workspace.New<int64_t>(count);
  std::copy_n(out.begins.data, count, next.data);
  workspace.InOrder(numbers.size, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      if (numbers[row] >= 0) out.rows[next[numbers[row]]++] = row;
    }
  });
  return out;
}

Array<int64_t> SortRows(const std::vector<SortKey>& keys, Workspace& workspace) {
  const int64_t rows = keys[0].column->rows();
  Array<Keyed> order = workspace.New<Keyed>(rows);
  Array<Keyed> other = workspace.New<Keyed>(rows);
  const Array<uint64_t> values = workspace.New<uint64_t>(rows);
  const Array<uint8_t> missing = workspace.New<uint8_t>(rows);
  for (int64_t row = 0; row < rows; ++row) order[row].row = row;
  const auto sort = [&](int bits) {
    for (int shift = 0; shift < bits; shift += 11) {
      workspace.Tell(0, rows);
      if (SortByDigit(order, other, shift)) std::swap(order, other);
    }
  };
  // From the least important key to the most important: each sort keeps the order before it.
  for (auto key = keys.rbegin(); key != keys.rend(); ++key) {
    ForBits(*key->column, 0, workspace, [&](int64_t row, uint64_t bits, uint8_t none) {
      const uint64_t ordered = Ordered(key->column->type(), bits);
      values[row] = none != 0 ? 0 : key->falling ? ~ordered : ordered;
      missing[row] = none;
    });
    for (Keyed& each : order.span()) each.key = values[each.row];
    sort(64);
    for (Keyed& each : order.span()) each.key = missing[each.row];
    sort(1);
  }
  const Array<int64_t> out = workspace.New<int64_t>(rows);
  for (int64_t i = 0; i < rows; ++i) out[i] = order[i].row;
  return out;
}

Array<uint8_t> DrawRows(const Buckets& buckets, const std::vector<int64_t>& wanted, int64_t rows,
                        uint64_t seed, uint64_t stream, Workspace& workspace) {
  const Philox random(seed, stream);
  const Array<uint8_t> drawn = workspace.New<uint8_t>(rows);
  std::fill(drawn.begin(), drawn.end(), 0);
  const Array<Keyed> keyed = workspace.New<Keyed>(buckets.rows.size);
  workspace.ForChunks(buckets.rows.size, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = buckets.rows[i];
      keyed[i] = {random.Bits(static_cast<uint64_t>(row)), row};
    }
  });
  const auto less = [](const Keyed& a, const Keyed& b) {
    return a.key != b.key ? a.key < b.key : a.row < b.row;
  };
  for (size_t k = 0; k < wanted.size(); ++k) {
    if (k % 1024 == 0) workspace.Tell(buckets.begins[static_cast<int64_t>(k)], rows);
    Keyed* const begin = keyed.data + buckets.begins[static_cast<int64_t>(k)];
    Keyed* const end = keyed.data + buckets.begins[static_cast<int64_t>(k) + 1];
    if (wanted[k] < end - begin) std::nth_element(begin, begin + wanted[k], end, less);
    for (int64_t i = 0; i < wanted[k]; ++i) drawn[begin[i].row] = 1;
  }
  return drawn;
}

std::vector<int64_t> ShareOut(int64_t total, const std::vector<int64_t>& sizes) {
  const int64_t all = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  std::vector<int64_t> parts;
  std::vector<std::pair<int64_t, size_t>> rests;
  int64_t left = total;
  for (size_t k = 0; k < sizes.size(); ++k) {
    const auto product = static_cast<__int128>(total) * sizes[k];
    parts.push_back(static_cast<int64_t>(product / all));
    rests.emplace_back(-static_cast<int64_t>(product % all), k);
    left -= parts.back();
  }
  std::sort(rests.begin(), rests.end());
  for (size_t i = 0; left > 0; ++i, --left) ++parts[rests[i].second];
  return parts;
}

}  // namespace beamline::engine::tables
