// How kernels of the CUDA backend are written: as loops over elements, cells and rows.
//
// The same sources are compiled twice: by nvcc for the device, and by the host compiler, where the
// loops below run one after the other, with sums of the same shape. So the tests of a machine
// without a GPU cover everything but the launches themselves. Sums have a shape that depends on the
// operands alone; atomic operations count, and never add what is summed.
//
// Kernel bodies are lambdas marked BEAMLINE_LAMBDA that capture by value. Their formulas come from
// engine/backend/functors.h and engine/core/math.h; products and sums are fused only where the
// source says so (-fmad=false).
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/backend/backend.h"
#include "engine/core/math.h"

#if defined(__CUDACC__)
#include "engine/backend/cuda/stream.h"
#define BEAMLINE_LAMBDA __device__
#define BEAMLINE_DEVICE __device__ __forceinline__
// Several loads of a loop are on their way at a time.
#define BEAMLINE_UNROLL4 _Pragma("unroll 4")
#define BEAMLINE_UNROLL8 _Pragma("unroll 8")
#else
#define BEAMLINE_LAMBDA
#define BEAMLINE_DEVICE inline
#define BEAMLINE_UNROLL4
#define BEAMLINE_UNROLL8
#endif

namespace beamline::engine::cuda {

inline constexpr int kBlock = 256;  // threads

// --- Operands.

template <typename T = float>
T* In(const KernelCall& call, int i) {
  return static_cast<T*>(call.inputs[i].data);
}
template <typename T = float>
T* Out(const KernelCall& call, int i) {
  return static_cast<T*>(call.outputs[i].data);
}
// What ScratchOf asked for.
template <typename T = float>
T* SharedScratch(const RunState& run) {
  return reinterpret_cast<T*>(run.shared_scratch);
}

// For Team::IsLast, all 0 between launches. More than any launch of several blocks a result has
// results: those that have many results do not share them among blocks (ProductPlan, ColumnPlan).
inline constexpr int64_t kCounters = 1 << 16;
inline int* Counters(const RunState& run) {
#if defined(__CUDACC__)
  return ContextOf(run).counters;
#else
  static int counters[kCounters] = {};
  static_cast<void>(run);
  return counters;
#endif
}

// --- Sums in a fixed order.

// Lane l of a warp's sum by halves: what __shfl_xor_sync makes of it.
inline constexpr int kWarp = 32;

template <typename T>
struct Plus {
  BEAMLINE_MATH T Of(T a, T b) { return a + b; }
};
template <typename T>
struct Larger {
  BEAMLINE_MATH T Of(T a, T b) { return math::Max(a, b); }
};

// Threads that work on one thing together, say a row. All of them run the code between the calls
// below, which must therefore write nothing; `f` is called for each i in [0, n) by one of them.
// What they write is seen by all after the call.
template <int kLanes>
class Team {
  static_assert(kLanes % kWarp == 0 && kLanes <= 1024);

 public:
  BEAMLINE_DEVICE Team(int64_t index, void* shared) : index_(index), shared_(shared) {}

  // Which one of the teams.
  BEAMLINE_DEVICE int64_t index() const { return index_; }
  // The bytes that Teams was asked for, of this team alone; arbitrary content.
  template <typename T>
  BEAMLINE_DEVICE T* shared() const {
    return static_cast<T*>(shared_);
  }

  template <typename F>
  BEAMLINE_DEVICE void For(int64_t n, const F& f) {
#if defined(__CUDACC__)
    for (int64_t i = threadIdx.x % kLanes; i < n; i += kLanes) f(i);
    Sync();
#else
    for (int64_t i = 0; i < n; ++i) f(i);
#endif
  }

  // f() by one thread.
  template <typename F>
  BEAMLINE_DEVICE void Once(const F& f) {
    For(1, [&](int64_t) { f(); });
  }

  // Sum of f(i), in lanes by i % kLanes, each from 0; then by halves within a warp; then the warps
  // in order. T: float or double.
  template <typename T, typename F>
  BEAMLINE_DEVICE T Sum(int64_t n, const F& f) {
    return Reduce<Plus<T>, T>(n, T(0), f);
  }
  // The largest f(i), `least` where n is 0. Where one is NaN the result is any of them.
  template <typename T, typename F>
  BEAMLINE_DEVICE T Max(int64_t n, T least, const F& f) {
    return Reduce<Larger<T>, T>(n, least, f);
  }

  // True for the last of `teams` teams that come here with this counter: it sees what the others
  // wrote. The counter is 0 before and after.
  BEAMLINE_DEVICE bool IsLast(int* counter, int64_t teams) {
#if defined(__CUDACC__)
    static_assert(kLanes > kWarp, "a team of its own block");
    return IsLastBlock(counter, static_cast<int>(teams));
#else
    if (++*counter < static_cast<int>(teams)) return false;
    *counter = 0;
    return true;
#endif
  }

 private:
#if defined(__CUDACC__)
  __device__ void Sync() const {
    if constexpr (kLanes == kWarp) {
      __syncwarp();
    } else {
      __syncthreads();
    }
  }
  template <typename Op, typename T, typename F>
  __device__ T Reduce(int64_t n, T from, const F& f) {
    T value = from;
    for (int64_t i = threadIdx.x % kLanes; i < n; i += kLanes) value = Op::Of(value, f(i));
    for (int half = kWarp / 2; half > 0; half /= 2) {
      value = Op::Of(value, __shfl_xor_sync(0xffffffffu, value, half));
    }
    if constexpr (kLanes > kWarp) {
      __shared__ T warps[kLanes / kWarp];
      if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = value;
      __syncthreads();
      value = warps[0];
      for (int warp = 1; warp < kLanes / kWarp; ++warp) value = Op::Of(value, warps[warp]);
      __syncthreads();
    }
    return value;
  }
#else
  template <typename Op, typename T, typename F>
  T Reduce(int64_t n, T from, const F& f) {
    T lane[kLanes];
    for (T& value : lane) value = from;
    for (int64_t i = 0; i < n; ++i) lane[i % kLanes] = Op::Of(lane[i % kLanes], f(i));
    T sum = from;
    for (int warp = 0; warp < kLanes / kWarp; ++warp) {
      T* first = lane + warp * kWarp;
      for (int half = kWarp / 2; half > 0; half /= 2) {
        for (int l = 0; l < half; ++l) first[l] = Op::Of(first[l], first[l + half]);
      }
      sum = warp == 0 ? first[0] : Op::Of(sum, first[0]);
    }
    return sum;
  }
#endif

  int64_t index_;
  void* shared_;
};

// --- Loops. Where n, rows x columns or teams is 0 nothing happens.

#if defined(__CUDACC__)

template <typename F>
__global__ void __launch_bounds__(kBlock) EachKernel(int64_t n, F f) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kBlock;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x; i < n; i += stride) {
    f(i);
  }
}

template <typename F>
__global__ void __launch_bounds__(kBlock) CellsKernel(uint32_t n, uint32_t columns, F f) {
  const uint32_t stride = gridDim.x * kBlock;
  for (uint32_t i = blockIdx.x * kBlock + threadIdx.x; i < n; i += stride) {
    const uint32_t row = i / columns;
    f(static_cast<int64_t>(row), static_cast<int64_t>(i - row * columns));
    if (n - i <= stride) break;  // i + stride may not fit
  }
}

template <int kLanes, typename F>
__global__ void __launch_bounds__(kLanes > kBlock ? kLanes : kBlock)
    TeamsKernel(int64_t teams, int shared_bytes, F f) {
  extern __shared__ __align__(16) unsigned char shared[];
  const int per_block = blockDim.x / kLanes;
  const int place = threadIdx.x / kLanes;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * per_block + place;
  if (index >= teams) return;  // a whole warp; larger teams have a block of their own
  Team<kLanes> team(index, shared + place * shared_bytes);
  f(team);
}

// f(i) for each i in [0, n).
template <typename F>
void Each(const RunState& run, int64_t n, const F& f) {
  if (n <= 0) return;
  EachKernel<<<BlocksFor(run, n, kBlock), kBlock, 0, StreamOf(run)>>>(n, f);
}

// f(row, column) for each cell; neighbours in a row go to neighbouring threads.
template <typename F>
void Cells(const RunState& run, int64_t rows, int64_t columns, const F& f) {
  const int64_t n = rows * columns;
  if (n <= 0) return;
  if (n < int64_t{1} << 32) {
    CellsKernel<<<BlocksFor(run, n, kBlock), kBlock, 0, StreamOf(run)>>>(
        static_cast<uint32_t>(n), static_cast<uint32_t>(columns), f);
  } else {
    EachKernel<<<BlocksFor(run, n, kBlock), kBlock, 0, StreamOf(run)>>>(
        n, [=] __device__(int64_t i) { f(i / columns, i % columns); });
  }
}

// f(team) for each team of kLanes threads; `shared_bytes` for each, a multiple of 16.
template <int kLanes, typename F>
void Teams(const RunState& run, int64_t teams, int64_t shared_bytes, const F& f) {
  if (teams <= 0) return;
  const int per_block = kLanes == kWarp ? kBlock / kWarp : 1;
  const auto bytes = static_cast<size_t>(shared_bytes) * per_block;
  const auto kernel = TeamsKernel<kLanes, F>;
  if (bytes > 48 * 1024) AllowSharedMemory(reinterpret_cast<const void*>(kernel), bytes);
  kernel<<<static_cast<unsigned>((teams + per_block - 1) / per_block), kLanes * per_block, bytes,
           StreamOf(run)>>>(teams, static_cast<int>(shared_bytes), f);
}

#else

template <typename F>
void Each(const RunState&, int64_t n, const F& f) {
  for (int64_t i = 0; i < n; ++i) f(i);
}

template <typename F>
void Cells(const RunState&, int64_t rows, int64_t columns, const F& f) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) f(row, column);
  }
}

template <int kLanes, typename F>
void Teams(const RunState&, int64_t teams, int64_t shared_bytes, const F& f) {
  auto* shared = ::operator new(static_cast<size_t>(shared_bytes) + 16);
  for (int64_t index = 0; index < teams; ++index) {
    Team<kLanes> team(index, shared);
    f(team);
  }
  ::operator delete(shared);
}

#endif

// f(team) for each row of `columns` elements: a warp for short rows, a block for long ones. `f` is
// called with either kind of team, so it must be a functor with a template operator().
template <typename F>
void Rows(const RunState& run, int64_t rows, int64_t columns, const F& f) {
  if (columns <= 512) {
    Teams<kWarp>(run, rows, 0, f);
  } else {
    Teams<kBlock>(run, rows, 0, f);
  }
}

}  // namespace beamline::engine::cuda
