// The tiled kernel behind Product (product.h). Device code only (nvcc).
//
// A block makes a tile of the result: it walks along k, keeps a piece of both operands in shared
// memory and fetches the next one meanwhile. Each thread holds a few sums; with TF32 each warp
// holds fragments of the tensor cores' instruction mma.m16n8k8 (PTX ISA, "Matrix fragments").
#pragma once

#include <cuda_runtime.h>

#include <type_traits>

#include "engine/backend/cuda/product_plan.h"
#include "engine/backend/cuda/stream.h"

namespace beamline::engine::cuda {

// Float32 numbers with 10 bits of mantissa, rounded to nearest.
__device__ __forceinline__ float RoundToTf32(float x) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return __uint_as_float(bits);
}

// Brings pieces [kExtent, kDepth] of an operand into shared memory, where k is the slow axis.
// kAhead pieces are on their way at a time.
template <typename Operand, int kExtent, int kDepth, int kThreads, int kPitch, int kAhead,
          bool kTf32>
class PieceLoader {
  static constexpr bool kInner = Operand::kInnerFast;
  static constexpr int kV = Operand::kVector;
  static constexpr int kVectors = kExtent * kDepth / kV;
  static constexpr int kLoads = (kVectors + kThreads - 1) / kThreads;
  static constexpr int kAcross = kInner ? kDepth / kV : kExtent / kV;  // vectors side by side
  static_assert(kThreads % kAcross == 0);
  // Along k every load has an outer place of its own; else one serves all.
  static constexpr int kPlaces = kInner ? kLoads : 1;

 public:
  __device__ PieceLoader(const Operand& operand, int first, int extent) : operand_(operand) {
#pragma unroll
    for (int l = 0; l < kPlaces; ++l) {
      places_[l] = operand.At(min(first + Outer(l), extent - (kInner ? 1 : kV)));
    }
  }

  __device__ void Fetch(int set, int from, int end) {
#pragma unroll
    for (int l = 0; l < kLoads; ++l) {
      const int k = from + Depth(l);
      if (Mine(l) && k < end) {
        operand_.Load(places_[kInner ? l : 0], k, next_[set][l]);
      } else {
#pragma unroll
        for (int v = 0; v < kV; ++v) next_[set][l][v] = 0.0f;
      }
    }
  }

  __device__ void Store(int set, float (*piece)[kPitch]) const {
#pragma unroll
    for (int l = 0; l < kLoads; ++l) {
      if (!Mine(l)) continue;
#pragma unroll
      for (int v = 0; v < kV; ++v) {
        const float x = kTf32 ? RoundToTf32(next_[set][l][v]) : next_[set][l][v];
        piece[Depth(l) + (kInner ? v : 0)][Outer(l) + (kInner ? 0 : v)] = x;
      }
    }
  }

 private:
  static __device__ int Vector(int l) { return static_cast<int>(threadIdx.x) + l * kThreads; }
  static __device__ bool Mine(int l) { return kVectors % kThreads == 0 || Vector(l) < kVectors; }
  static __device__ int Outer(int l) {
    return kInner ? Vector(l) / kAcross : Vector(l) % kAcross * kV;
  }
  static __device__ int Depth(int l) {
    return kInner ? Vector(l) % kAcross * kV : Vector(l) / kAcross;
  }

  const Operand& operand_;
  typename Operand::Place places_[kPlaces];
  float next_[kAhead][kLoads][kV];
};

// Sums of a thread: kTM x kTN neighbours, each one chain of fused multiply-adds.
template <int kBM, int kBN, int kBK, int kTM, int kTN, int kPitchA, int kPitchB>
struct ScalarSums {
  __device__ void Add(const float (*a)[kPitchA], const float (*b)[kPitchB]) {
    const int tx = threadIdx.x % (kBN / kTN);
    const int ty = threadIdx.x / (kBN / kTN);
#pragma unroll
    for (int k = 0; k < kBK; ++k) {
      float left[kTM];
      float right[kTN];
#pragma unroll
      for (int i = 0; i < kTM; ++i) left[i] = a[k][ty * kTM + i];
#pragma unroll
      for (int j = 0; j < kTN; ++j) right[j] = b[k][tx * kTN + j];
#pragma unroll
      for (int i = 0; i < kTM; ++i) {
#pragma unroll
        for (int j = 0; j < kTN; ++j) sum[i][j] = fmaf(left[i], right[j], sum[i][j]);
      }
    }
  }
  template <typename F>
  __device__ void Each(const F& f) const {
    const int tx = threadIdx.x % (kBN / kTN);
    const int ty = threadIdx.x / (kBN / kTN);
#pragma unroll
    for (int i = 0; i < kTM; ++i) {
#pragma unroll
      for (int j = 0; j < kTN; ++j) f(ty * kTM + i, tx * kTN + j, sum[i][j]);
    }
  }

  float sum[kTM][kTN] = {};
};

// Fragments of a warp, kWarpsM x kWarpsN warps in a block.
template <int kBM, int kBN, int kBK, int kWarpsM, int kWarpsN, int kPitchA, int kPitchB>
struct TensorSums {
  static constexpr int kM = kBM / kWarpsM / 16;
  static constexpr int kN = kBN / kWarpsN / 8;
  static_assert(kM >= 1 && kN >= 1);

  __device__ void Add(const float (*a)[kPitchA], const float (*b)[kPitchB]) {
    const int lane = threadIdx.x % 32;
    const int g = lane / 4;
    const int t = lane % 4;
#pragma unroll
    for (int k = 0; k < kBK; k += 8) {
      uint32_t left[kM][4];
      uint32_t right[kN][2];
#pragma unroll
      for (int i = 0; i < kM; ++i) {
        const int row = Row0() + i * 16 + g;
        left[i][0] = __float_as_uint(a[k + t][row]);
        left[i][1] = __float_as_uint(a[k + t][row + 8]);
        left[i][2] = __float_as_uint(a[k + t + 4][row]);
        left[i][3] = __float_as_uint(a[k + t + 4][row + 8]);
      }
#pragma unroll
      for (int j = 0; j < kN; ++j) {
        const int column = Column0() + j * 8 + g;
        right[j][0] = __float_as_uint(b[k + t][column]);
        right[j][1] = __float_as_uint(b[k + t + 4][column]);
      }
#pragma unroll
      for (int i = 0; i < kM; ++i) {
#pragma unroll
        for (int j = 0; j < kN; ++j) Multiply(left[i], right[j], sum[i][j]);
      }
    }
  }
  template <typename F>
  __device__ void Each(const F& f) const {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < kM; ++i) {
#pragma unroll
      for (int j = 0; j < kN; ++j) {
        const int row = Row0() + i * 16 + lane / 4;
        const int column = Column0() + j * 8 + lane % 4 * 2;
        f(row, column, sum[i][j][0]);
        f(row, column + 1, sum[i][j][1]);
        f(row + 8, column, sum[i][j][2]);
        f(row + 8, column + 1, sum[i][j][3]);
      }
    }
  }

 private:
  static __device__ int Row0() {
    return static_cast<int>(threadIdx.x) / 32 / kWarpsN * (kBM / kWarpsM);
  }
  static __device__ int Column0() {
    return static_cast<int>(threadIdx.x) / 32 % kWarpsN * (kBN / kWarpsN);
  }
  static __device__ void Multiply(const uint32_t (&a)[4], const uint32_t (&b)[2], float (&c)[4]) {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }

  float sum[kM][kN][4] = {};
};

// A tile's shape, what each thread of the block sums, how its warps share it, and how many pieces
// are fetched ahead.
template <int kRows, int kColumns, int kDepth, int kTM, int kTN, int kWarpsAcross, int kPieces>
struct TileShape {
  static constexpr int kBM = kRows;
  static constexpr int kBN = kColumns;
  static constexpr int kBK = kDepth;
  static constexpr int kThreads = kRows / kTM * kColumns / kTN;
  static constexpr int kAhead = kPieces;
  // Rows of shared memory are padded so that reads of fragments, or writes across rows, do not
  // collide in a bank.
  template <bool kTf32>
  static constexpr int kPitchA = kRows + (kTf32 ? 8 : 4);
  template <bool kTf32>
  static constexpr int kPitchB = kColumns + (kTf32 ? 8 : 4);
  template <bool kTf32>
  using Sums = std::conditional_t<
      kTf32,
      TensorSums<kRows, kColumns, kDepth, kThreads / 32 / kWarpsAcross, kWarpsAcross, kPitchA<true>,
                 kPitchB<true>>,
      ScalarSums<kRows, kColumns, kDepth, kTM, kTN, kPitchA<false>, kPitchB<false>>>;
};

// Where sums go. partial: of splits [splits, m, n], null where there is one; counters: the last
// block of a tile adds its splits, in order; null: someone else does.
template <typename Done>
struct Results {
  int m, n;
  float* partial;
  int* counters;
  Done done;

  template <typename Sums>
  __device__ void Put(const Sums& sums, int row0, int column0) const {
    const auto each = [&](const auto& f) {
      sums.Each([&](int i, int j, float sum) {
        if (row0 + i < m && column0 + j < n) f(row0 + i, column0 + j, sum);
      });
    };
    if (partial == nullptr) return each(done);
    const auto at = [&](int split, int row, int column) {
      return (static_cast<int64_t>(split) * m + row) * n + column;
    };
    each([&](int row, int column, float sum) { partial[at(blockIdx.z, row, column)] = sum; });
    if (counters == nullptr) return;
    const int splits = static_cast<int>(gridDim.z);
    if (!IsLastBlock(counters + blockIdx.y * gridDim.x + blockIdx.x, splits)) return;
    each([&](int row, int column, float) {
      float sum = partial[at(0, row, column)];
      for (int split = 1; split < splits; ++split) sum += partial[at(split, row, column)];
      done(row, column, sum);
    });
  }
};

template <typename Shape, bool kTf32, typename A, typename B, typename Done>
__global__ void __launch_bounds__(Shape::kThreads)
    ProductKernel(int k, int per_split, A a, B b, Results<Done> results) {
  constexpr int kPitchA = Shape::template kPitchA<kTf32>;
  constexpr int kPitchB = Shape::template kPitchB<kTf32>;
  constexpr int kStride = Shape::kBK * Shape::kAhead;
  __shared__ __align__(16) float a_piece[2][Shape::kBK][kPitchA];
  __shared__ __align__(16) float b_piece[2][Shape::kBK][kPitchB];
  const int row0 = blockIdx.x * Shape::kBM;
  const int column0 = blockIdx.y * Shape::kBN;
  const int begin = blockIdx.z * per_split;
  const int end = min(k, begin + per_split);
  PieceLoader<A, Shape::kBM, Shape::kBK, Shape::kThreads, kPitchA, Shape::kAhead, kTf32> left(
      a, row0, results.m);
  PieceLoader<B, Shape::kBN, Shape::kBK, Shape::kThreads, kPitchB, Shape::kAhead, kTf32> right(
      b, column0, results.n);
  typename Shape::template Sums<kTf32> sums;
#pragma unroll
  for (int set = 0; set < Shape::kAhead; ++set) {
    left.Fetch(set, begin + set * Shape::kBK, end);
    right.Fetch(set, begin + set * Shape::kBK, end);
  }
  int now = 0;
  for (int from = begin; from < end; from += kStride) {
#pragma unroll
    for (int set = 0; set < Shape::kAhead; ++set) {
      const int here = from + set * Shape::kBK;
      if (here >= end) break;
      // Whoever still reads the piece before this one reads the other half.
      left.Store(set, a_piece[now]);
      right.Store(set, b_piece[now]);
      __syncthreads();
      if (here + kStride < end) {
        left.Fetch(set, here + kStride, end);
        right.Fetch(set, here + kStride, end);
      }
      sums.Add(a_piece[now], b_piece[now]);
      now ^= 1;
    }
  }
  results.Put(sums, row0, column0);
}

template <typename Shape, typename A, typename B, typename Done>
void LaunchProduct(const RunState& run, int64_t k, const ProductPlan& plan, const A& a, const B& b,
                   Results<Done> results) {
  const dim3 blocks(static_cast<unsigned>((results.m + Shape::kBM - 1) / Shape::kBM),
                    static_cast<unsigned>((results.n + Shape::kBN - 1) / Shape::kBN),
                    static_cast<unsigned>(plan.splits));
  if (plan.splits_are_few()) results.counters = ContextOf(run).counters;
  const auto kernel = ContextOf(run).tf32 ? ProductKernel<Shape, true, A, B, Done>
                                          : ProductKernel<Shape, false, A, B, Done>;
  kernel<<<blocks, Shape::kThreads, 0, StreamOf(run)>>>(
      static_cast<int>(k), static_cast<int>(plan.per_split), a, b, results);
}

// Makes the sums, and adds the splits if they are few.
template <typename A, typename B, typename Done>
void Tiles(const RunState& run, int64_t m, int64_t n, int64_t k, const ProductPlan& plan,
           const A& a, const B& b, float* partial, const Done& done) {
  const Results<Done> results{static_cast<int>(m), static_cast<int>(n), partial, nullptr, done};
  switch (plan.tile) {
    case ProductPlan::Tile::k256x16:
      if constexpr (A::kNarrow) {
        LaunchProduct<TileShape<256, 16, 16, 4, 4, 1, 1>>(run, k, plan, a, b, results);
      }
      return;
    case ProductPlan::Tile::k128x32:
      if constexpr (A::kNarrow) {
        LaunchProduct<TileShape<128, 32, 16, 4, 4, 2, 1>>(run, k, plan, a, b, results);
      }
      return;
    case ProductPlan::Tile::k32x32:
      return LaunchProduct<TileShape<32, 32, 32, 2, 2, 4, 3>>(run, k, plan, a, b, results);
    case ProductPlan::Tile::k64x64:
      return LaunchProduct<TileShape<64, 64, 16, 4, 4, 4, 2>>(run, k, plan, a, b, results);
    case ProductPlan::Tile::k128x64:
      return LaunchProduct<TileShape<128, 64, 16, 8, 4, 2, 1>>(run, k, plan, a, b, results);
  }
}

}  // namespace beamline::engine::cuda
