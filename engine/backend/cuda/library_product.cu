#include "engine/backend/cuda/library_product.h"

#include <cublasLt.h>

#include "engine/core/error.h"
#include "engine/core/tensor.h"

namespace beamline::engine::cuda {
namespace {

void CheckLt(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  Fail("the GPU failed: ", call, ": ", cublasLtGetStatusString(status));
}

// Frees a description when it goes.
template <typename T, cublasStatus_t (*kDestroy)(T)>
struct Owned {
  Owned() = default;
  ~Owned() {
    if (value != nullptr) kDestroy(value);
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  T value = nullptr;
};
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Operation = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

// A row-major matrix is the library's column-major one, transposed.
void Describe(Layout* layout, int64_t rows, int64_t columns) {
  CheckLt(cublasLtMatrixLayoutCreate(&layout->value, CUDA_R_32F, static_cast<uint64_t>(columns),
                                     static_cast<uint64_t>(rows), columns),
          "cublasLtMatrixLayoutCreate");
}

void Transpose(Operation* operation, cublasLtMatmulDescAttributes_t which) {
  const cublasOperation_t transposed = CUBLAS_OP_T;
  CheckLt(cublasLtMatmulDescSetAttribute(operation->value, which, &transposed, sizeof transposed),
          "cublasLtMatmulDescSetAttribute");
}

void AddBias(Operation* operation, const float* bias) {
  const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
  CheckLt(cublasLtMatmulDescSetAttribute(operation->value, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                         sizeof epilogue),
          "cublasLtMatmulDescSetAttribute");
  CheckLt(cublasLtMatmulDescSetAttribute(operation->value, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias,
                                         sizeof bias),
          "cublasLtMatmulDescSetAttribute");
}

}  // namespace

bool LibraryIsFaster(const RunState& run, int64_t m, int64_t n, int64_t k) {
  const int64_t least = ContextOf(run).tf32 ? int64_t{1} << 25 : int64_t{1} << 26;
  return m * n * k >= least && m >= 64 && n >= 64 && k >= 64;
}

// With c^T = b^T a^T, so that all three are column-major.
void LibraryProduct(const RunState& run, const DenseProduct& product) {
  const Context& context = ContextOf(run);
  const auto lt = static_cast<cublasLtHandle_t>(context.lt);
  Operation operation;
  CheckLt(cublasLtMatmulDescCreate(&operation.value,
                                   context.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F,
                                   CUDA_R_32F),
          "cublasLtMatmulDescCreate");
  if (product.bias != nullptr) AddBias(&operation, product.bias);
  if (product.transpose_b) Transpose(&operation, CUBLASLT_MATMUL_DESC_TRANSA);
  if (product.transpose_a) Transpose(&operation, CUBLASLT_MATMUL_DESC_TRANSB);
  Layout left;
  Layout right;
  Layout result;
  Describe(&left, product.transpose_b ? product.n : product.k,
           product.transpose_b ? product.k : product.n);
  Describe(&right, product.transpose_a ? product.k : product.m,
           product.transpose_a ? product.m : product.k);
  Describe(&result, product.m, product.n);
  Preference preference;
  CheckLt(cublasLtMatmulPreferenceCreate(&preference.value), "cublasLtMatmulPreferenceCreate");
  const auto bytes = static_cast<size_t>(context.workspace_bytes);
  CheckLt(cublasLtMatmulPreferenceSetAttribute(
              preference.value, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes, sizeof bytes),
          "cublasLtMatmulPreferenceSetAttribute");
  // Values start at multiples of this in an arena.
  const uint32_t alignment = kAlignmentBytes;
  for (const auto which :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    CheckLt(
        cublasLtMatmulPreferenceSetAttribute(preference.value, which, &alignment, sizeof alignment),
        "cublasLtMatmulPreferenceSetAttribute");
  }
  cublasLtMatmulHeuristicResult_t chosen = {};
  int found = 0;
  CheckLt(cublasLtMatmulAlgoGetHeuristic(lt, operation.value, left.value, right.value, result.value,
                                         result.value, preference.value, 1, &chosen, &found),
          "cublasLtMatmulAlgoGetHeuristic");
  if (found == 0) Fail("cuBLASLt has no kernel for a product of ", product.m, " by ", product.n);
  const float one = 1.0f;
  const float zero = 0.0f;
  CheckLt(cublasLtMatmul(lt, operation.value, &one, product.b, left.value, product.a, right.value,
                         &zero, product.c, result.value, product.c, result.value, &chosen.algo,
                         context.workspace, bytes, context.stream),
          "cublasLtMatmul");
}

}  // namespace beamline::engine::cuda
