// The kernels that a training asks for, each made once while there is room.
#pragma once

#include <cstdint>
#include <list>
#include <unordered_map>
#include <vector>

#include "engine/learners/row_learner.h"
#include "engine/learners/vectors/support_vectors.h"

namespace beamline::engine {

// Rows lie in segments (of a class, say), each from a multiple of cpu::kLanes places on: a row's
// kernels with a segment are made when they are asked for, by all threads, and serve every problem
// that the segment is a part of. The least recently asked are forgotten. The bits depend on neither
// threads nor what is remembered. Not thread-safe.
class KernelCache {
 public:
  // Of the rows of each segment. Remembers up to `bytes`, and four pieces in any case. `pool` must
  // outlive this object.
  KernelCache(const SupportVectorSpec& spec, double gamma, const RowMatrix& rows,
              const std::vector<std::vector<int64_t>>& segments, int64_t bytes, ThreadPool* pool);

  int64_t segments() const { return static_cast<int64_t>(begins_.size()) - 1; }
  int64_t Begin(int64_t segment) const { return begins_[static_cast<size_t>(segment)]; }
  // A multiple of cpu::kLanes; behind its rows there are zeros.
  int64_t Size(int64_t segment) const { return Begin(segment + 1) - Begin(segment); }
  // The row at that place; -1 behind a segment's rows.
  int64_t RowAt(int64_t place) const { return rows_[static_cast<size_t>(place)]; }
  // k(x, x) of all places.
  const double* Diagonal() const { return diagonal_.data(); }
  // Of the row at `place` with those of a segment, [Size(segment)]; valid for three more calls.
  const float* Kernels(int64_t place, int64_t segment);

 private:
  struct Piece {
    int64_t key;
    std::vector<float> kernels;
  };

  void Make(int64_t place, int64_t segment, std::vector<float>* kernels);

  const SupportVectorSpec spec_;
  const double gamma_;
  const int64_t features_;
  ThreadPool& pool_;
  size_t room_;                  // floats
  std::vector<int64_t> begins_;  // of segments, and the end
  std::vector<int64_t> rows_;
  std::vector<float> panels_;  // [places / kLanes, features, kLanes]
  std::vector<double> squares_, diagonal_;
  std::list<Piece> pieces_;  // the latest first
  std::unordered_map<int64_t, std::list<Piece>::iterator> known_;
  size_t held_ = 0;  // floats
};

}  // namespace beamline::engine
