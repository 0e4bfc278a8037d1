// From rows to the decisions of support vector machines.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/learners/row_learner.h"
#include "engine/learners/vectors/kernel_cache.h"
#include "engine/learners/vectors/smo.h"
#include "engine/learners/vectors/support_vectors.h"

namespace beamline::engine {

// sum of coefficients K(row, x) - constant.
struct Decision {
  std::vector<int64_t> rows;  // of the training, ascending
  std::vector<double> coefficients;
  double constant = 0;
};

// Kernels with the rows of a class serve all of its pairs. Not thread-safe.
class VectorTrainer {
 public:
  // Copies the rows; `pool` must outlive it. `gamma` as used.
  VectorTrainer(const SupportVectorSpec& spec, double gamma, const RowMatrix& rows,
                ThreadPool* pool);

  // Both throw Error if the conditions do not hold in time (smo.h).
  // Class `first` against class `second`.
  Decision TrainPair(int32_t first, int32_t second);
  // Of the numbers.
  Decision TrainNumbers();

 private:
  // Places of a class.
  int64_t SizeOf(int32_t label) const;
  // Of two classes of which one has no rows: the other, if it has any, wins everywhere.
  Decision Constant(int32_t first, int32_t second) const;
  // The segments' rows, and what the variables say of them.
  Decision Solve(std::vector<SmoPiece> pieces);

  const SupportVectorSpec spec_;
  std::vector<float> y_;
  KernelCache kernels_;
};

}  // namespace beamline::engine
