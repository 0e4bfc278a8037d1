// Values of rows as bits, and numbers for pairs of them. Internal to engine/tables.
#pragma once

#include <cstdint>
#include <span>

#include "engine/data/column.h"
#include "engine/data/workspace.h"

namespace beamline::engine::tables {

// Value `k` of the items of rows [begin, end), as bits that are equal where values are: fractions
// as double, zeros without a sign. A missing value is 0, and `missing` is 1 there.
void ReadBits(const data::Column& column, int64_t k, int64_t begin, int64_t end, uint64_t* bits,
              uint8_t* missing);

// Numbers pairs in the order in which they are added, from 0. Not thread-safe; must not outlive the
// workspace.
class PairTable {
 public:
  static constexpr int64_t kAbsent = -1;

  explicit PairTable(data::Workspace& workspace) : workspace_(&workspace) { Grow(1 << 10); }

  int64_t size() const { return size_; }
  // Adds the pair if it is new.
  int64_t Add(uint64_t a, uint64_t b);
  int64_t Find(uint64_t a, uint64_t b) const { return slots_[SlotOf(a, b)].number; }

 private:
  struct Slot {
    uint64_t a;
    uint64_t b;
    int64_t number;  // kAbsent: free
  };
  // Where the pair is, or the free place where it would be.
  int64_t SlotOf(uint64_t a, uint64_t b) const;
  void Grow(int64_t slots);

  data::Workspace* workspace_;
  data::Array<Slot> slots_;  // a power of two of them, at most half full
  int64_t size_ = 0;
};

}  // namespace beamline::engine::tables
