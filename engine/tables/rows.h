// Rows by what stands in their columns: which agree, in which order they are, which are drawn.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/data/table.h"
#include "engine/data/workspace.h"

namespace beamline::engine::tables {

// Rows that agree have the same number; numbers are given in the order in which they are first
// needed, from 0. Missing values agree with each other; of zeros the sign does not matter.
struct Numbered {
  data::Array<int64_t> numbers;  // one for each row
  data::Array<int64_t> first;    // the first row of each number
  int64_t count() const { return first.size; }
};
Numbered NumberRows(const std::vector<const data::Column*>& columns, data::Workspace& workspace);

// The rows of each number, ascending: rows[begins[k]] to rows[begins[k + 1]]. Rows with a number
// below 0 are left out.
struct Buckets {
  data::Array<int64_t> begins;  // one more than there are numbers
  data::Array<int64_t> rows;
  int64_t size(int64_t k) const { return begins[k + 1] - begins[k]; }
};
Buckets BucketRows(const data::Array<int64_t>& numbers, int64_t count, data::Workspace& workspace);

// A column to sort by.
struct SortKey {
  const data::Column* column = nullptr;
  bool falling = false;
};
// All rows, sorted; the first key is the most important. Equal rows stay in order, and missing
// values come last, whether the column falls or not.
data::Array<int64_t> SortRows(const std::vector<SortKey>& keys, data::Workspace& workspace);

// Of the rows of each number so many are drawn at random, without putting any back, by (seed,
// stream, row) alone. Gives 1 for each row that is drawn. Precondition: no bucket has fewer.
data::Array<uint8_t> DrawRows(const Buckets& buckets, const std::vector<int64_t>& wanted,
                              int64_t rows, uint64_t seed, uint64_t stream,
                              data::Workspace& workspace);

// Parts of `total` in proportion to the sizes, as near as whole numbers can be: the largest
// remainders are rounded up, of equal ones the first.
std::vector<int64_t> ShareOut(int64_t total, const std::vector<int64_t>& sizes);

}  // namespace beamline::engine::tables
