// The kernels of the CPU backend, compiled once per instruction set.
//
// BEAMLINE_ISA names the set (generic, avx2, avx512) and is a namespace here. The bits of every
// kernel are the same for all of them and for any number of threads: each output element is one
// chain of operations in a fixed order, and sums have a shape that depends on the operands alone.
// Files that include this must not instantiate templates of the standard library: the linker could
// merge a copy that uses instructions which this machine lacks into other code.
#pragma once

#include "engine/backend/backend.h"

#ifndef BEAMLINE_ISA
#error "compile with -DBEAMLINE_ISA=generic, avx2 or avx512"
#endif

namespace beamline::engine::cpu::BEAMLINE_ISA {

#define BEAMLINE_OP(Name, text) void Name(const KernelCall& call, const RunState& run);
#include "engine/graph/ops.def"
#undef BEAMLINE_OP

// What the ops that need memory ask for.
Scratch AttentionScratch(const KernelCall& call);
Scratch AttentionGradScratch(const KernelCall& call);
Scratch LayerNormGradScratch(const KernelCall& call);
// What ops ask for.
Scratch RecurrentScratch(const KernelCall& call);
Scratch RecurrentGradScratch(const KernelCall& call);
Scratch MemoryNetworkScratch(const KernelCall& call);
Scratch MemoryNetworkGradScratch(const KernelCall& call);

const KernelTable& Table();
Scratch ScratchOf(OpKind op, const KernelCall& call);
// Of single ops, beside their kernels.
Scratch ConvScratch(const KernelCall& call);
Scratch ConvWeightGradScratch(const KernelCall& call);
Scratch GroupNormGradScratch(const KernelCall& call);
Scratch ColumnSumScratch(const KernelCall& call);
Scratch BatchNormScratch(const KernelCall& call);
Scratch BatchNormInferenceScratch(const KernelCall& call);
Scratch BatchNormGradScratch(const KernelCall& call);
Scratch RoutingScratch(const KernelCall& call);
Scratch RoutingGradScratch(const KernelCall& call);

inline __attribute__((always_inline)) float* In(const KernelCall& call, int i) {
  return static_cast<float*>(call.inputs[i].data);
}
inline __attribute__((always_inline)) float* Out(const KernelCall& call, int i) {
  return static_cast<float*>(call.outputs[i].data);
}

// Below this many elementary operations (multiply-adds, or about four per simple element) a loop
// stays on the calling thread: it takes less than about 10 us.
inline constexpr int64_t kWorthSharing = 400'000;

// body(tile, slot) for each tile; on the pool's threads if `operations` in all are worth it. `slot`
// is the thread's number: what ThreadScratch takes.
template <typename Body>
static void ForTilesInSlots(const RunState& run, int64_t tiles, int64_t operations,
                            const Body& body) {
  if (tiles <= 1 || operations < kWorthSharing || run.pool == nullptr) {
    for (int64_t tile = 0; tile < tiles; ++tile) body(tile, 0);
    return;
  }
  RunTiles(
      run.pool, tiles,
      [](const void* context, int64_t tile, int slot) {
        (*static_cast<const Body*>(context))(tile, slot);
      },
      &body);
}

// body(tile) for each tile, as above.
template <typename Body>
static void ForTiles(const RunState& run, int64_t tiles, int64_t operations, const Body& body) {
  ForTilesInSlots(run, tiles, operations, [&](int64_t tile, int) { body(tile); });
}

// The memory that ScratchOf asked for: of the whole call, and of one thread.
inline __attribute__((always_inline)) float* SharedScratch(const RunState& run) {
  return reinterpret_cast<float*>(run.shared_scratch);
}
inline __attribute__((always_inline)) float* ThreadScratch(const RunState& run, int slot) {
  return reinterpret_cast<float*>(run.thread_scratch + slot * run.thread_scratch_bytes);
}

// body(begin, end) over [0, elements) in pieces; `cost` is in operations per element.
template <typename Body>
static void ForRange(const RunState& run, int64_t elements, int64_t cost, const Body& body) {
  constexpr int64_t kPiece = 8192;
  const int64_t pieces = (elements + kPiece - 1) / kPiece;
  ForTiles(run, pieces, elements * cost, [&](int64_t piece) {
    const int64_t begin = piece * kPiece;
    body(begin, begin + kPiece < elements ? begin + kPiece : elements);
  });
}

// y[i] = f(i) for i in [begin, end): what the compiler vectorises.
template <typename F>
inline __attribute__((always_inline)) void Fill(float* __restrict y, int64_t begin, int64_t end,
                                                const F& f) {
#pragma GCC ivdep
  for (int64_t i = begin; i < end; ++i) y[i] = f(i);
}

// Sum of f(i) for i in [0, n): in order for n < 16, else in 16 lanes by i % 16, then by halves.
template <typename F>
inline __attribute__((always_inline)) float LaneSum(int64_t n, const F& f) {
  if (n < 16) {
    float sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += f(i);
    return sum;
  }
  float lane[16] = {};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    for (int l = 0; l < 16; ++l) lane[l] += f(i + l);
  }
  for (; i < n; ++i) lane[i % 16] += f(i);
  for (int half = 8; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lane[l] += lane[l + half];
  }
  return lane[0];
}

// The largest f(i) for i in [0, n), n at least 1. Where one is NaN the result is any of them.
template <typename F>
inline __attribute__((always_inline)) float LaneMax(int64_t n, const F& f) {
  float largest = f(0);
  if (n < 16) {
    for (int64_t i = 1; i < n; ++i) largest = f(i) > largest ? f(i) : largest;
    return largest;
  }
  float lane[16];
  for (int l = 0; l < 16; ++l) lane[l] = f(l);
  int64_t i = 16;
  for (; i + 16 <= n; i += 16) {
    for (int l = 0; l < 16; ++l) lane[l] = f(i + l) > lane[l] ? f(i + l) : lane[l];
  }
  for (; i < n; ++i) lane[i % 16] = f(i) > lane[i % 16] ? f(i) : lane[i % 16];
  for (int half = 8; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lane[l] = lane[l + half] > lane[l] ? lane[l + half] : lane[l];
  }
  return lane[0];
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
