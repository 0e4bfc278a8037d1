#include "engine/learners/libsvm/train.h"

#include <libsvm/svm.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>

#include "engine/core/error.h"
#include "engine/learners/libsvm/kernels.h"

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

// Some rows as the library takes them.
class Problem {
 public:
  Problem(int64_t rows, std::vector<double> y) : y_(std::move(y)) {
    problem_.l = static_cast<int>(rows);
    problem_.y = y_.data();
  }
  // Indices from 1, zeros left out.
  void TakeFeatures(const RowMatrix& rows, const std::vector<int64_t>& chosen) {
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
    problem_.x = rows_.data();
  }
  // A row's number, from 1, and its kernels with all rows.
  void TakeKernels(const SupportVectorSpec& spec, double gamma, const RowMatrix& rows,
                   const std::vector<int64_t>& chosen, ThreadPool* pool) {
    const auto count = static_cast<int64_t>(chosen.size());
    std::vector<float> x;
    for (const int64_t row : chosen) {
      const auto from = rows.x.begin() + row * rows.features;
      x.insert(x.end(), from, from + rows.features);
    }
    kernels_ = std::make_unique_for_overwrite<svm_node[]>(static_cast<size_t>(count * (count + 2)));
    rows_.resize(chosen.size());
    constexpr int64_t kTile = 16;
    pool->ParallelFor((count + kTile - 1) / kTile, [&](int64_t tile) {
      const int64_t first = tile * kTile;
      const int64_t size = std::min(kTile, count - first);
      const Matrix kernels = KernelsOf(spec, gamma, x.data() + first * rows.features, size,
                                       x.data(), count, rows.features);
      for (int64_t i = 0; i < size; ++i) {
        svm_node* to = kernels_.get() + (first + i) * (count + 2);
        rows_[static_cast<size_t>(first + i)] = to;
        *to++ = {0, static_cast<double>(first + i + 1)};
        for (int64_t j = 0; j < count; ++j) *to++ = {static_cast<int>(j + 1), kernels.At(i, j)};
        *to = {-1, 0};
      }
    });
    problem_.x = rows_.data();
  }
  const svm_problem& get() const { return problem_; }

 private:
  std::vector<double> y_;
  std::vector<svm_node> nodes_;
  std::unique_ptr<svm_node[]> kernels_;
  std::vector<svm_node*> rows_;
  svm_problem problem_ = {};
};

// The library's own products of rows are slow: where there is room it gets all of them.
Decision Train(const SupportVectorSpec& spec, double gamma, const RowMatrix& rows,
               const std::vector<int64_t>& chosen, std::vector<double> y, ThreadPool* pool) {
  svm_set_print_string_function([](const char*) {});
  svm_parameter parameters = ParametersOf(spec, gamma, rows.labels.size() > 0);
  Problem problem(static_cast<int64_t>(chosen.size()), std::move(y));
  if (static_cast<int64_t>(chosen.size()) <= kMostPrecomputed) {
    parameters.kernel_type = PRECOMPUTED;
    problem.TakeKernels(spec, gamma, rows, chosen, pool);
  } else {
    problem.TakeFeatures(rows, chosen);
  }
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
                   int32_t first, int32_t second, ThreadPool* pool) {
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
  return Train(spec, gamma, rows, chosen, std::move(y), pool);
}

Decision TrainNumbers(const SupportVectorSpec& spec, double gamma, const RowMatrix& rows,
                      ThreadPool* pool) {
  std::vector<int64_t> chosen(static_cast<size_t>(rows.rows));
  std::iota(chosen.begin(), chosen.end(), int64_t{0});
  return Train(spec, gamma, rows, chosen, {rows.y.begin(), rows.y.end()}, pool);
}

}  // namespace beamline::engine
