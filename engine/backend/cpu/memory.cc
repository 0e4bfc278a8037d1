// Networks with an external memory: the threads share the rows.
#include "engine/backend/cpu/kernels.h"
#include "engine/backend/memory_calls.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {
namespace {

#define BEAMLINE_LOOP inline __attribute__((always_inline))

struct Loops {
  template <typename F>
  BEAMLINE_LOOP void For(int64_t n, const F& f) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) f(i);
  }
  template <typename F>
  BEAMLINE_LOOP void Cells(int64_t rows, int64_t columns, const F& f) {
    for (int64_t i = 0; i < rows; ++i) {
#pragma GCC ivdep
      for (int64_t j = 0; j < columns; ++j) f(i, j);
    }
  }
  template <typename T, typename F>
  BEAMLINE_LOOP T Sum(int64_t n, const F& f) {
    return LaneSum(n, f);
  }
  template <typename T, typename F>
  BEAMLINE_LOOP T Max(int64_t n, const F& f) {
    return LaneMax(n, f);
  }
  // Many at a time, so that the elements behind each other in memory are read together.
  template <typename T, typename First, typename Add, typename Use>
  BEAMLINE_LOOP void Chains(int64_t n, int64_t inner, const First& first, const Add& add,
                            const Use& use) {
    constexpr int64_t kAtOnce = 64;
    T sum[kAtOnce];
    int64_t begin = 0;
    for (; begin + kAtOnce <= n; begin += kAtOnce) {
      for (int64_t l = 0; l < kAtOnce; ++l) sum[l] = first(begin + l);
      for (int64_t k = 0; k < inner; ++k) {
#pragma GCC ivdep
        for (int64_t l = 0; l < kAtOnce; ++l) sum[l] = add(sum[l], k, begin + l);
      }
      for (int64_t l = 0; l < kAtOnce; ++l) use(begin + l, sum[l]);
    }
    const int64_t left = n - begin;
    for (int64_t l = 0; l < left; ++l) sum[l] = first(begin + l);
    for (int64_t k = 0; k < inner; ++k) {
#pragma GCC ivdep
      for (int64_t l = 0; l < left; ++l) sum[l] = add(sum[l], k, begin + l);
    }
    for (int64_t l = 0; l < left; ++l) use(begin + l, sum[l]);
  }
  template <typename T, typename F, typename Use>
  BEAMLINE_LOOP void Dots(int64_t n, int64_t inner, const F& f, const Use& use) {
    for (int64_t i = 0; i < n; ++i) {
      use(i, LaneSum(inner, [&](int64_t k) { return f(i, k); }));
    }
  }
  template <typename F>
  BEAMLINE_LOOP void Once(const F& f) {
    f();
  }
};

// Multiply-adds of all steps of all rows, about.
int64_t Operations(const KernelCall& call, const memory::Places& p) {
  const int64_t memory = 8 * p.heads * p.slots * (p.width + (p.dnc ? p.slots : 0));
  const int64_t controller = p.state * p.gates + p.units * p.interface_size;
  return call.outputs[0].extents[0] * call.outputs[0].extents[1] * (memory + controller);
}

int64_t Bytes(int64_t numbers) { return numbers * static_cast<int64_t>(sizeof(float)); }

}  // namespace

Scratch MemoryNetworkScratch(const KernelCall& call) {
  return {0, Bytes(memory::ForwardNumbers(memory::PlacesOf(call)))};
}

void MemoryNetwork(const KernelCall& call, const RunState& run) {
  const memory::Forward<float> forward = memory::ForwardOf<float>(call);
  ForTilesInSlots(run, call.outputs[0].extents[0], Operations(call, forward.p),
                  [&](int64_t row, int slot) {
                    Loops loops;
                    memory::ForwardRow(loops, forward, row, ThreadScratch(run, slot));
                  });
}

Scratch MemoryNetworkGradScratch(const KernelCall& call) {
  return {0, Bytes(memory::BackwardNumbers(memory::PlacesOf(call)))};
}

void MemoryNetworkGrad(const KernelCall& call, const RunState& run) {
  const memory::Backward<float> backward = memory::BackwardOf<float>(call);
  ForTilesInSlots(run, call.outputs[0].extents[0], 2 * Operations(call, backward.p),
                  [&](int64_t row, int slot) {
                    Loops loops;
                    memory::BackwardRow(loops, backward, row, ThreadScratch(run, slot));
                  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
