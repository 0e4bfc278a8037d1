// Features as small numbers, for trees that are grown over histograms.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/backend/cpu/learner_kernels.h"
#include "engine/learners/row_learner.h"

namespace beamline::engine {

// A feature's values are cut where they are as many, into `bins` at most; where fewer differ,
// between all of them. A value is in bin b if it is below cut b and not below cut b - 1.
class BinnedRows {
 public:
  // Features of a block, whose histograms a core's cache holds.
  static constexpr int64_t kBlock = cpu::kHistogramFeatures;

  BinnedRows(const RowMatrix& rows, int bins, ThreadPool* pool);

  int64_t rows() const { return rows_; }
  int64_t features() const { return static_cast<int64_t>(cuts_.size()); }
  int64_t blocks() const { return (features() + kBlock - 1) / kBlock; }
  // Ascending, one less than bins.
  const std::vector<float>& Cuts(int64_t feature) const {
    return cuts_[static_cast<size_t>(feature)];
  }
  // The most bins of any feature.
  int64_t bins() const { return bins_; }

  // Of the features of a block, [rows, kBlock]: the one or the other, as bins() allows.
  bool AreBytes() const { return bins_ <= 256; }
  const uint8_t* Bytes(int64_t block) const { return bytes_.data() + block * rows_ * kBlock; }
  const uint16_t* Shorts(int64_t block) const { return shorts_.data() + block * rows_ * kBlock; }
  int64_t BinOf(int64_t row, int64_t feature) const {
    const int64_t at = (feature / kBlock * rows_ + row) * kBlock + feature % kBlock;
    return AreBytes() ? bytes_[static_cast<size_t>(at)] : shorts_[static_cast<size_t>(at)];
  }

 private:
  template <typename T>
  void Fill(const RowMatrix& rows, ThreadPool* pool, std::vector<T>* bins) const;

  int64_t rows_;
  int64_t bins_ = 1;
  std::vector<std::vector<float>> cuts_;
  std::vector<uint8_t> bytes_;
  std::vector<uint16_t> shorts_;
};

}  // namespace beamline::engine
