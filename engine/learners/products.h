// Products of matrices in float, for learners that build no graph.
#pragma once

#include <cstdint>

#include "engine/core/thread_pool.h"
#include "engine/graph/op.h"

namespace beamline::engine {

// Row-major; not owned.
struct MatrixView {
  const float* data = nullptr;
  int64_t rows = 0;
  int64_t columns = 0;
  bool transposed = false;  // it stands for its transpose

  MatrixView Transposed() const { return {data, rows, columns, !transposed}; }
};

// y = activation(a b + bias), y: [m, n] for a: [m, k] and b: [k, n] as they are read; bias: [n] or
// null. An element is one chain of fused multiply-adds over k in order: its bits depend on neither
// threads nor instruction set. The caller has checked the sizes.
void Multiply(const MatrixView& a, const MatrixView& b, const float* bias, Activation activation,
              float* y, ThreadPool* pool);

}  // namespace beamline::engine
