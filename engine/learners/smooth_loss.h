// What logistic regression descends.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/learners/row_learner.h"

namespace beamline::engine {

// A loss of parameters over rows, divided by the sum of their weights. Not thread-safe.
class SmoothLoss {
 public:
  virtual ~SmoothLoss() = default;
  virtual int64_t size() const = 0;
  // The loss, and its gradient: [size()].
  virtual double At(const std::vector<double>& parameters, std::vector<double>* gradient) = 0;
  // The same without the penalty, at the place where the loss was asked for last.
  virtual double main_loss() const = 0;
};

// Of two classes the descent of softmax would never leave the plane on which their columns are
// opposite: so there is one column v of weights, [features], and its bias, and what is said of the
// second class is the logistic function of sqrt(2) (x v + b). Lengths, penalties and steps are then
// those of both columns, -v / sqrt(2) and v / sqrt(2). The same bits for any number of threads; its
// logarithms are the C library's. Copies the rows. Throws Error if the weights of the rows add up
// to nothing or less. `pool` must outlive it.
std::unique_ptr<SmoothLoss> MakeTwoClassLoss(const RowMatrix& rows, double penalty,
                                             ThreadPool* pool);

}  // namespace beamline::engine
