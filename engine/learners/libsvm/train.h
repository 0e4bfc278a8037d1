// What LIBSVM finds: the one place that sees its header.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/learners/libsvm/support_vectors.h"
#include "engine/learners/row_learner.h"

namespace beamline::engine {

// sum of coefficients K(row, x) - constant.
struct Decision {
  std::vector<int64_t> rows;  // of the training, ascending
  std::vector<double> coefficients;
  double constant = 0;
};

// Class `first` against class `second`. `gamma` as used.
Decision TrainPair(const SupportVectorSpec& spec, double gamma, const RowMatrix& rows,
                   int32_t first, int32_t second, ThreadPool* pool);
// Of the numbers.
Decision TrainNumbers(const SupportVectorSpec& spec, double gamma, const RowMatrix& rows,
                      ThreadPool* pool);

}  // namespace beamline::engine
