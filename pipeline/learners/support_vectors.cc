#include "engine/learners/vectors/support_vectors.h"

#include "pipeline/learners/kinds.h"

namespace beamline::pipeline {

using Fields = v1::SupportVectorLearner;

void CheckFields(const Fields& fields, LearnerCheck& check) {
  check.Range("cost", fields.cost(), 1e-9, 1e12);
  check.Range("gamma", fields.gamma(), 1e-12, 1e12);
  check.Range("degree", fields.degree(), 1, 10);
  check.Range("offset", fields.offset(), -1e9, 1e9);
  check.Range("epsilon", fields.epsilon(), 0, 1e9);
  check.Range("tolerance", fields.tolerance(), 1e-12, 1);
}

void CompleteFields(const LearnerFacts& facts, Fields* fields) {
  if (fields->kernel() == Fields::KERNEL_UNSPECIFIED) fields->set_kernel(Fields::KERNEL_RADIAL);
  if (fields->cost() == 0) fields->set_cost(1);
  if (fields->degree() == 0) fields->set_degree(3);
  if (fields->tolerance() == 0) fields->set_tolerance(1e-3);
  if (facts.task == LearnerTask::kNumbers && !fields->has_epsilon()) fields->set_epsilon(0.1);
}

// Where every row is a support vector: rows, as they are and in the model, and coefficients of all
// decisions; both in double and as kernels take them; what stands beside each row, and what is
// remembered.
double BytesOf(const Fields& /*fields*/, const LearnerFacts& facts) {
  const auto classes = static_cast<double>(facts.classes);
  const double decisions = facts.classes > 2 ? classes * (classes - 1) / 2 : 1;
  return (24 * static_cast<double>(facts.features) + 20 * decisions + 256) *
             static_cast<double>(facts.rows) +
         engine::kKernelCacheMebibytes * 1048576.0;
}

std::unique_ptr<engine::Learner> Make(const Fields& fields, const LearnerSetting& setting) {
  engine::SupportVectorSpec spec;
  switch (fields.kernel()) {
    case Fields::KERNEL_LINEAR:
      spec.kernel = engine::SupportVectorKernel::kLinear;
      break;
    case Fields::KERNEL_POLYNOMIAL:
      spec.kernel = engine::SupportVectorKernel::kPolynomial;
      break;
    case Fields::KERNEL_SIGMOID:
      spec.kernel = engine::SupportVectorKernel::kSigmoid;
      break;
    default:
      spec.kernel = engine::SupportVectorKernel::kRadial;
  }
  spec.cost = fields.cost();
  spec.gamma = fields.gamma();
  spec.degree = fields.degree();
  spec.offset = fields.offset();
  spec.epsilon = fields.epsilon();
  spec.tolerance = fields.tolerance();
  spec.seed = setting.seed;
  spec.threads = setting.threads;
  return engine::MakeSupportVectors(spec, setting.data);
}

}  // namespace beamline::pipeline
