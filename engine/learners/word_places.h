// What is drawn of texts for word vectors: which codes stay, how far each place sees, and what
// stands against what is there.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/philox.h"
#include "engine/core/thread_pool.h"
#include "engine/learners/row_reader.h"

namespace beamline::engine {

// Codes by how often they occur. Immutable.
class WordNoise {
 public:
  WordNoise() = default;
  // Counts are at least 0. With a share f of all, a code stays with the chance sqrt(subsample / f);
  // with `subsample` 0 always. Without counts no code is known.
  WordNoise(std::span<const int64_t> counts, double subsample);

  // It was counted.
  bool Knows(int32_t code) const { return code >= 0 && stays_[static_cast<size_t>(code)] > 0; }
  // Whether a code that it knows stays, from 32 random bits.
  bool Stays(int32_t code, uint32_t bits) const { return bits < stays_[static_cast<size_t>(code)]; }
  // A code by its count to the power of 3/4, from 32 random bits (Walker's alias method).
  int32_t Draw(uint32_t bits) const {
    const uint64_t product = bits * static_cast<uint64_t>(own_.size());
    const uint64_t cell = product >> 32;
    return (product & 0xffffffff) < own_[cell] ? static_cast<int32_t>(cell) : other_[cell];
  }

 private:
  std::vector<uint64_t> stays_;  // chance times 2^32; 0: not known
  std::vector<uint64_t> own_;    // chance of the cell's own code times 2^32
  std::vector<int32_t> other_;   // else this one
};

// The places of some rows of codes at which something is told. A place is a code that is known and
// stays; between two of a row those that do not are left out. What is drawn depends on (random,
// row, column) alone. Keeps its memory from one use to the next.
class WordPlaces {
 public:
  // What a place sees on each side at most, and what is drawn against it.
  WordPlaces(int64_t reach, int64_t negatives) : reach_(reach), negatives_(negatives) {}

  // Takes the rows of a block. `noise` must stay until the next call.
  void Take(const RowBlock& block, int64_t columns, const WordNoise& noise, const Philox& random,
            ThreadPool* pool);

  int64_t size() const { return static_cast<int64_t>(codes_.size()); }
  int64_t reach() const { return reach_; }
  int64_t outputs() const { return 1 + negatives_; }

  // The codes around a place within a drawn reach; at most 2 reach.
  int64_t InputsOf(int64_t place, int32_t* codes) const;
  // Its own code, and those drawn against it, [outputs]; their signs: 1, then -1, or 0 where the
  // own code was drawn. Returns how many are not 0.
  int64_t OutputsOf(int64_t place, int32_t* codes, float* signs) const;
  // Bytes that it holds of so many rows.
  static int64_t BytesOf(int64_t rows, int64_t columns) { return rows * (28 * columns + 8); }

 private:
  PhiloxBlock Drawn(int64_t place, int64_t number) const {
    return random_.Block(keys_[static_cast<size_t>(place)] * Blocks() +
                         static_cast<uint64_t>(number));
  }
  // Of random numbers for each place: two words, and one for each negative.
  uint64_t Blocks() const { return static_cast<uint64_t>(negatives_ + 5) / 4; }

  const int64_t reach_;
  const int64_t negatives_;
  Philox random_{0, 0};
  const WordNoise* noise_ = nullptr;
  std::vector<int32_t> kept_codes_;  // [rows, columns], those of a row behind each other
  std::vector<int32_t> kept_columns_;
  std::vector<int64_t> ends_;  // of the kept ones of each row, among all
  // Of each place: its code, which numbers are drawn for it, and the row that it sees.
  std::vector<int32_t> codes_;
  std::vector<uint64_t> keys_;
  std::vector<int32_t> rows_;
};

}  // namespace beamline::engine
