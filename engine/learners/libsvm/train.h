// What LIBSVM finds: the one place that sees its header.
#pragma once

#include <cstdint>
#include <memory>
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

// Trains over rows, which must outlive it. Of at most kMostPrecomputed rows all kernels are
// computed once, by all threads: the library's own products of sparse rows are slow.
class VectorTrainer {
 public:
  // `gamma` as used.
  VectorTrainer(const SupportVectorSpec& spec, double gamma, const RowMatrix& rows,
                ThreadPool* pool);
  ~VectorTrainer();

  // Class `first` against class `second`.
  Decision TrainPair(int32_t first, int32_t second);
  // Of the numbers.
  Decision TrainNumbers();

 private:
  struct Nodes;

  Decision Train(const std::vector<int64_t>& chosen, std::vector<double> y);

  const SupportVectorSpec spec_;
  const double gamma_;
  const RowMatrix& rows_;
  std::unique_ptr<Nodes> nodes_;  // of all rows, as the library takes them
};

}  // namespace beamline::engine
