#include "engine/learners/libsvm/train.h"

#include <libsvm/svm.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>

#include "engine/core/error.h"

namespace beamline::engine {
namespace {

struct FreeModel {
  void operator()(svm_model* model) const { svm_free_and_destroy_model(&model); }
};

svm_parameter ParametersOf(const SupportVectorSpec& spec, double gamma, bool classes) {
  svm_parameter parameters = {};
  parameters.svm_type = classes ? C_SVC : EPSILON_SVR;
  switch (spec.kernel) {
    case SupportVectorKernel::kRadial:
      parameters.kernel_type = RBF;
      break;
    case SupportVectorKernel::kLinear:
      parameters.kernel_type = LINEAR;
      break;
    case SupportVectorKernel::kPolynomial:
      parameters.kernel_type = POLY;
      break;
    case SupportVectorKernel::kSigmoid:
      parameters.kernel_type = SIGMOID;
      break;
  }
  parameters.degree = spec.degree;
  parameters.gamma = gamma;
  parameters.coef0 = spec.offset;
  parameters.cache_size = kKernelCacheMebibytes;
  parameters.eps = spec.tolerance;
  parameters.C = spec.cost;
  parameters.p = spec.epsilon;
  parameters.shrinking = 1;
  return parameters;
}

// Some rows as the library takes them: indices from 1, zeros left out.
class Problem {
 public:
  Problem(const RowMatrix& rows, const std::vector<int64_t>& chosen, std::vector<double> y)
      : y_(std::move(y)) {
    std::vector<size_t> begins;
    for (const int64_t row : chosen) {
      begins.push_back(nodes_.size());
      for (int64_t f = 0; f < rows.features; ++f) {
        const auto value =
            static_cast<double>(rows.x[static_cast<size_t>(row * rows.features + f)]);
        if (value != 0) nodes_.push_back({static_cast<int>(f + 1), value});
      }
      nodes_.push_back({-1, 0});
    }
    for (const size_t begin : begins) rows_.push_back(nodes_.data() + begin);
    problem_ = {static_cast<int>(chosen.size()), y_.data(), rows_.data()};
  }
  const svm_problem& get() const { return problem_; }

 private:
  std::vector<double> y_;
  std::vector<svm_node> nodes_;
  std::vector<svm_node*> rows_;
  svm_problem problem_ = {};
};

Decision Train(const svm_parameter& parameters, const RowMatrix& rows,
               const std::vector<int64_t>& chosen, std::vector<double> y) {
  svm_set_print_string_function([](const char*) {});
  const Problem problem(rows, chosen, std::move(y));
  if (const char* wrong = svm_check_parameter(&problem.get(), &parameters)) Fail(wrong);
  const std::unique_ptr<svm_model, FreeModel> model(svm_train(&problem.get(), &parameters));
  Decision decision;
  decision.constant = model->rho[0];
  std::vector<std::pair<int64_t, double>> found;
  for (int i = 0; i < model->l; ++i) {
    const int64_t row = chosen[static_cast<size_t>(model->sv_indices[i] - 1)];
    found.emplace_back(row, model->sv_coef[0][i]);
  }
  std::sort(found.begin(), found.end());
  for (const auto& [row, coefficient] : found) {
    decision.rows.push_back(row);
    decision.coefficients.push_back(coefficient);
  }
  return decision;
}

}  // namespace

Decision TrainPair(const SupportVectorSpec& spec, double gamma, const RowMatrix& rows,
                   int32_t first, int32_t second) {
  // The library takes the class of the first row for the positive one.
  std::vector<int64_t> chosen;
  std::vector<double> y;
  for (const int32_t label : {first, second}) {
    for (int64_t row = 0; row < rows.rows; ++row) {
      if (rows.labels[static_cast<size_t>(row)] == label) chosen.push_back(row);
    }
    if (chosen.size() == y.size()) return {};  // No row of that class: nothing to tell apart.
    y.resize(chosen.size(), label == first ? 1 : -1);
  }
  return Train(ParametersOf(spec, gamma, true), rows, chosen, std::move(y));
}

Decision TrainNumbers(const SupportVectorSpec& spec, double gamma, const RowMatrix& rows) {
  std::vector<int64_t> chosen(static_cast<size_t>(rows.rows));
  std::iota(chosen.begin(), chosen.end(), int64_t{0});
  return Train(ParametersOf(spec, gamma, false), rows, chosen, {rows.y.begin(), rows.y.end()});
}

}  // namespace beamline::engine
