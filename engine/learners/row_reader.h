// Rows of a source, some at a time, for learners that go through them all.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "engine/core/thread_pool.h"
#include "engine/learners/batch_source.h"

namespace beamline::engine {

// Some rows. Pointers are null where the layout has no such part.
struct RowBlock {
  std::span<const int64_t> index;    // which rows of the source these are
  int64_t rows = 0;                  // index.size()
  const float* features = nullptr;   // [rows, features]
  const int32_t* codes = nullptr;    // [rows, code_columns]
  const float* targets = nullptr;    // [rows, judged, targets]
  const int32_t* labels = nullptr;   // [rows, judged]
  const float* weights = nullptr;    // [rows, judged]
  const int32_t* lengths = nullptr;  // [rows]

  double Weight(int64_t row) const {
    return weights != nullptr ? static_cast<double>(weights[row]) : 1.0;
  }
};

// Gathers by all threads of a pool into memory of its own. Not thread-safe.
class RowReader {
 public:
  // Rows of one block of ForEach. Loops over rows are cut here alone, so no sum depends on threads.
  static constexpr int64_t kBlock = 2048;

  // `source` and `pool` must outlive this object.
  RowReader(const BatchSource& source, ThreadPool* pool) : source_(source), pool_(*pool) {}

  // The rows named, valid until the next call.
  RowBlock Read(std::span<const int64_t> rows);

  // Calls body(block) for all rows in order.
  template <typename Body>
  void ForEach(const Body& body) {
    for (int64_t first = 0; first < source_.rows(); first += kBlock) {
      order_.resize(static_cast<size_t>(std::min(kBlock, source_.rows() - first)));
      std::iota(order_.begin(), order_.end(), first);
      body(Read(order_));
    }
  }

  // What a block of such rows takes. Unit: bytes.
  static int64_t BytesOf(const BatchLayout& layout, int64_t rows);

 private:
  const BatchSource& source_;
  ThreadPool& pool_;
  std::vector<int64_t> order_;
  std::vector<float> features_;
  std::vector<int32_t> codes_;
  std::vector<float> targets_;
  std::vector<int32_t> labels_;
  std::vector<float> weights_;
  std::vector<int32_t> lengths_;
};

}  // namespace beamline::engine
