// The learner "support_vectors".
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/learners/learner.h"

namespace beamline::engine {

// Of kernels that a training remembers.
inline constexpr int kKernelCacheMebibytes = 100;

enum class SupportVectorKernel { kRadial, kLinear, kPolynomial, kSigmoid };

// exp(-gamma |x - y|^2), x y, (gamma x y + offset)^degree, tanh(gamma x y + offset).
struct SupportVectorSpec {
  SupportVectorKernel kernel = SupportVectorKernel::kRadial;
  double cost = 1;
  // 0: 1 / (features times the variance of all their values).
  double gamma = 0;
  int degree = 3;
  double offset = 0;
  // Of numbers: errors up to this cost nothing.
  double epsilon = 0.1;
  double tolerance = 1e-3;
  uint64_t seed = 0;  // Nothing is drawn.
  int threads = 1;
};

// C-SVC, one against one: a step trains one pair of classes; or epsilon-SVR of one number in one
// step; by sequential minimal optimisation as LIBSVM has it (smo.h), which draws nothing. The same
// bits for any number of threads. Event weights are not taken. A step throws Error if it does not
// come within `tolerance`. A class without rows wins no pair against one that has some.
// "Probabilities" are scores: of two classes the logistic function of the decision value; of more
// each class's share of the pairs that it wins, and less than half a pair more or less by how
// clearly. They are no probabilities, but the largest is the class chosen.
// Weights: "vectors" [v, features], "coefficients" [decisions, v], "constants" [decisions],
// "gamma" [1]. Throws Error if the data has weights or several targets.
std::unique_ptr<Learner> MakeSupportVectors(const SupportVectorSpec& spec, const LearnerData& data);

// The decision values of one row: one number, or one for each pair of classes (0 1, 0 2, ... 1 2,
// ...), above 0 for the first of the two. `weights`: of a learner with that specification.
std::vector<double> DecisionValues(const SupportVectorSpec& spec,
                                   const std::vector<NamedTensor>& weights,
                                   std::span<const float> row);

}  // namespace beamline::engine
