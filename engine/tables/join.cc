#include "engine/tables/join.h"

#include <algorithm>
#include <utility>

#include "engine/core/error.h"
#include "engine/tables/gather.h"
#include "engine/tables/key_table.h"
#include "engine/tables/rows.h"

namespace beamline::engine::tables {
namespace {

using data::Array;
using data::Column;
using data::kChunkRows;
using data::Workspace;

constexpr int64_t kNone = -1;

// Codes of the left table's categories as the right table has them; kNone where it has none.
std::vector<int64_t> Translate(const Column& left, const Column& right) {
  std::vector<int64_t> codes;
  const std::vector<std::string>& known = right.categories();
  for (const std::string& category : left.categories()) {
    const auto found = std::lower_bound(known.begin(), known.end(), category);
    const bool same = found != known.end() && *found == category;
    codes.push_back(same ? found - known.begin() : kNone);
  }
  return codes;
}

// Replaces what is known of each row, numbers[row], by step(known, bits); rows with a missing value
// and those that have no number have none.
template <typename Step>
void Refine(const Column& column, const Array<int64_t>& numbers, Workspace& workspace,
            const Step& step) {
  std::vector<uint64_t> bits(kChunkRows);
  std::vector<uint8_t> missing(kChunkRows);
  for (int64_t begin = 0; begin < column.rows(); begin += kChunkRows) {
    workspace.Tell(begin, column.rows());
    const int64_t end = std::min(column.rows(), begin + kChunkRows);
    ReadBits(column, 0, begin, end, bits.data(), missing.data());
    for (int64_t row = begin; row < end; ++row) {
      const auto i = static_cast<size_t>(row - begin);
      const int64_t known = numbers[row];
      numbers[row] = known == kNone || missing[i] != 0 ? kNone : step(known, bits[i]);
    }
  }
}

}  // namespace

Pairs JoinRows(const data::Table& left, const data::Table& right,
               const std::vector<std::string>& on, bool keep, Workspace& workspace) {
  const Array<int64_t> left_numbers = workspace.New<int64_t>(left.rows());
  const Array<int64_t> right_numbers = workspace.New<int64_t>(right.rows());
  std::fill(left_numbers.begin(), left_numbers.end(), 0);
  std::fill(right_numbers.begin(), right_numbers.end(), 0);
  int64_t count = 1;
  for (const std::string& name : on) {
    const Column& here = left.Get(name);
    const Column& there = right.Get(name);
    PairTable pairs(workspace);
    Refine(there, right_numbers, workspace, [&](int64_t known, uint64_t bits) {
      return pairs.Add(static_cast<uint64_t>(known), bits);
    });
    const bool texts = !here.is_numeric();
    const std::vector<int64_t> codes = texts ? Translate(here, there) : std::vector<int64_t>();
    Refine(here, left_numbers, workspace, [&](int64_t known, uint64_t bits) {
      const int64_t code = texts ? codes[bits] : 0;
      if (code == kNone) return kNone;
      return pairs.Find(static_cast<uint64_t>(known), texts ? static_cast<uint64_t>(code) : bits);
    });
    count = pairs.size();
  }
  const Buckets partners = BucketRows(right_numbers, count, workspace);
  const auto partners_of = [&](int64_t row) {
    return left_numbers[row] == kNone ? 0 : partners.size(left_numbers[row]);
  };
  int64_t total = 0;
  for (int64_t row = 0; row < left.rows(); ++row) {
    total += std::max<int64_t>(partners_of(row), keep ? 1 : 0);
  }
  Pairs out{workspace.New<int64_t>(total), workspace.New<int64_t>(total)};
  int64_t at = 0;
  workspace.InOrder(left.rows(), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t size = partners_of(row);
      const int64_t first = size == 0 ? 0 : partners.begins[left_numbers[row]];
      for (int64_t i = 0; i < size; ++i) {
        out.left[at] = row;
        out.right[at++] = partners.rows[first + i];
      }
      if (size > 0 || !keep) continue;
      out.left[at] = row;
      out.right[at++] = kNoRow;
    }
  });
  return out;
}

}  // namespace beamline::engine::tables
