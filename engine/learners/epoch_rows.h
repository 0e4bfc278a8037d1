// Rows of a training in another order each epoch, for learners that take some at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/philox.h"
#include "engine/learners/row_reader.h"

namespace beamline::engine {

// The order of an epoch depends on (seed, stream | epoch) alone. Not thread-safe.
class EpochRows {
 public:
  // `batch`: rows of a step; the last one of an epoch may have fewer. `source` and `pool` must
  // outlive this object.
  EpochRows(const BatchSource& source, uint64_t seed, uint64_t stream, int64_t batch,
            ThreadPool* pool)
      : source_(source),
        reader_(source, pool),
        seed_(seed),
        stream_(stream),
        batch_(batch),
        steps_(StepsOf(source.rows(), batch)),
        order_(static_cast<size_t>(source.rows())) {}

  static int64_t StepsOf(int64_t rows, int64_t batch) { return (rows + batch - 1) / batch; }
  // Of an epoch.
  int64_t steps() const { return steps_; }

  // The rows of a step, counted from the first epoch on; valid until the next call.
  RowBlock Read(int64_t step) {
    const int64_t epoch = step / steps_;
    const auto first = static_cast<size_t>(step % steps_ * batch_);
    if (ordered_epoch_ != epoch) {
      Philox(seed_, stream_ | static_cast<uint64_t>(epoch)).Permute(order_);
      ordered_epoch_ = epoch;
      source_.Expect(order_, static_cast<int64_t>(first));
    }
    const size_t count = std::min(static_cast<size_t>(batch_), order_.size() - first);
    return reader_.Read(std::span<const int64_t>(order_).subspan(first, count));
  }

 private:
  const BatchSource& source_;
  RowReader reader_;
  uint64_t seed_;
  uint64_t stream_;
  int64_t batch_;
  int64_t steps_;
  std::vector<int64_t> order_;
  int64_t ordered_epoch_ = -1;
};

}  // namespace beamline::engine
