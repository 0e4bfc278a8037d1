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

}  // namespace

struct VectorTrainer::Nodes {
  std::unique_ptr<svm_node[]> values;
  std::vector<svm_node*> rows;
  bool precomputed = false;

  // A row's number, from 1, and its kernels with all rows.
  void TakeKernels(const SupportVectorSpec& spec, double gamma, const RowMatrix& all,
                   ThreadPool* pool) {
    constexpr int64_t kTile = 16;
    precomputed = true;
    values =
        std::make_unique_for_overwrite<svm_node[]>(static_cast<size_t>(all.rows * (all.rows + 1)));
    rows.resize(static_cast<size_t>(all.rows));
    const KernelRows compared(all.x.data(), all.rows, all.features);
    pool->ParallelFor((all.rows + kTile - 1) / kTile, [&](int64_t tile) {
      const int64_t first = tile * kTile;
      const int64_t size = std::min(kTile, all.rows - first);
      const Matrix kernels =
          compared.KernelsOf(spec, gamma, all.x.data() + first * all.features, size);
      for (int64_t i = 0; i < size; ++i) {
        svm_node* to = values.get() + (first + i) * (all.rows + 1);
        rows[static_cast<size_t>(first + i)] = to;
        *to++ = {0, static_cast<double>(first + i + 1)};
        for (int64_t j = 0; j < all.rows; ++j) *to++ = {static_cast<int>(j + 1), kernels.At(i, j)};
      }
    });
  }

  // Indices from 1, zeros left out.
  void TakeFeatures(const RowMatrix& all) {
    values = std::make_unique_for_overwrite<svm_node[]>(
        static_cast<size_t>(all.rows * (all.features + 1)));
    svm_node* to = values.get();
    for (int64_t row = 0; row < all.rows; ++row) {
      rows.push_back(to);
      for (int64_t f = 0; f < all.features; ++f) {
        const auto value = static_cast<double>(all.x[static_cast<size_t>(row * all.features + f)]);
        if (value != 0) *to++ = {static_cast<int>(f + 1), value};
      }
      *to++ = {-1, 0};
    }
  }
};

VectorTrainer::VectorTrainer(const SupportVectorSpec& spec, double gamma, const RowMatrix& rows,
                             ThreadPool* pool)
    : spec_(spec), gamma_(gamma), rows_(rows), nodes_(std::make_unique<Nodes>()) {
  if (PrecomputedBytes(rows.rows, rows.features) > 0) {
    nodes_->TakeKernels(spec, gamma, rows, pool);
  } else {
    nodes_->TakeFeatures(rows);
  }
}

VectorTrainer::~VectorTrainer() = default;

Decision VectorTrainer::Train(const std::vector<int64_t>& chosen, std::vector<double> y) {
  svm_set_print_string_function([](const char*) {});
  svm_parameter parameters = ParametersOf(spec_, gamma_, !rows_.labels.empty());
  std::vector<svm_node*> x;
  for (const int64_t row : chosen) x.push_back(nodes_->rows[static_cast<size_t>(row)]);
  const svm_problem problem = {static_cast<int>(chosen.size()), y.data(), x.data()};
  if (const char* wrong = svm_check_parameter(&problem, &parameters)) Fail(wrong);
  if (nodes_->precomputed) parameters.kernel_type = PRECOMPUTED;
  const std::unique_ptr<svm_model, FreeModel> model(svm_train(&problem, &parameters));
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

Decision VectorTrainer::TrainPair(int32_t first, int32_t second) {
  // The library takes the class of the first row for the positive one.
  std::vector<int64_t> chosen;
  std::vector<double> y;
  for (const int32_t label : {first, second}) {
    for (int64_t row = 0; row < rows_.rows; ++row) {
      if (rows_.labels[static_cast<size_t>(row)] == label) chosen.push_back(row);
    }
    if (chosen.size() == y.size()) return {};  // No row of that class: nothing to tell apart.
    y.resize(chosen.size(), label == first ? 1 : -1);
  }
  return Train(chosen, std::move(y));
}

Decision VectorTrainer::TrainNumbers() {
  std::vector<int64_t> chosen(static_cast<size_t>(rows_.rows));
  std::iota(chosen.begin(), chosen.end(), int64_t{0});
  return Train(chosen, {rows_.y.begin(), rows_.y.end()});
}

}  // namespace beamline::engine
