// What launches need of the device: its stream and its size. Device code only (nvcc).
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "engine/backend/backend.h"

namespace beamline::engine::cuda {

// One device of one process, as kernels see it: RunState::context. Immutable during a run.
struct Context {
  cudaStream_t stream = nullptr;
  int multiprocessors = 0;
  // Products of float32 numbers may be of numbers rounded to TF32 (10 bits of mantissa).
  bool tf32 = false;
  void* lt = nullptr;  // cublasLtHandle_t
  void* workspace = nullptr;
  int64_t workspace_bytes = 0;
  // [kCounters], all 0 between launches: blocks count themselves, to find out who is the last.
  int* counters = nullptr;
};

inline constexpr int64_t kCounters = 1 << 16;

inline const Context& ContextOf(const RunState& run) {
  return *static_cast<const Context*>(run.context);
}
inline cudaStream_t StreamOf(const RunState& run) { return ContextOf(run).stream; }

// Blocks of a loop over n elements: no more than the device holds at once, eight on each
// multiprocessor.
inline unsigned BlocksFor(const RunState& run, int64_t n, int block) {
  const int64_t most = int64_t{8} * ContextOf(run).multiprocessors;
  const int64_t blocks = (n + block - 1) / block;
  return static_cast<unsigned>(blocks < most ? blocks : most);
}

// Throws Error, with the call's name, if it failed.
void Check(cudaError_t status, const char* call);

// A block of `kernel` may have so many bytes of shared memory (above 48 KiB one must ask).
inline void AllowSharedMemory(const void* kernel, size_t bytes) {
  Check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(bytes)),
        "cudaFuncSetAttribute");
}

}  // namespace beamline::engine::cuda
