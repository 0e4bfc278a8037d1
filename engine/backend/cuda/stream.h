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
  // [kCounters] (launch.h), all 0 between launches: blocks count themselves.
  int* counters = nullptr;
};

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

// True for all threads of the block that is the last of `blocks` to come here with this counter,
// and sees what the others wrote. The counter is 0 before and after.
__device__ __forceinline__ bool IsLastBlock(int* counter, int blocks) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    last = atomicAdd(counter, 1) == blocks - 1;
    if (last) *counter = 0;
  }
  __syncthreads();
  if (last) __threadfence();
  return last;
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
