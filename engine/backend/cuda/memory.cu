// Networks with an external memory: a team per row does all steps.
#include "engine/backend/cuda/kernels.h"
#include "engine/backend/cuda/recurrent_step.h"
#include "engine/backend/memory_calls.h"

namespace beamline::engine::cuda {
namespace {

struct Loops {
  Team<kRowLanes>& team;

  template <typename F>
  BEAMLINE_DEVICE void For(int64_t n, const F& f) {
    team.For(n, f);
  }
  template <typename F>
  BEAMLINE_DEVICE void Cells(int64_t rows, int64_t columns, const F& f) {
    team.For(rows * columns, [&](int64_t i) { f(i / columns, i % columns); });
  }
  template <typename T, typename F>
  BEAMLINE_DEVICE T Sum(int64_t n, const F& f) {
    return team.template Sum<T>(n, f);
  }
  template <typename T, typename F>
  BEAMLINE_DEVICE T Max(int64_t n, const F& f) {
    return team.template Max<T>(n, T(-3.0e38f), f);
  }
  template <typename T, typename First, typename Add, typename Use>
  BEAMLINE_DEVICE void Chains(int64_t n, int64_t inner, const First& first, const Add& add,
                              const Use& use) {
    team.For(n, [&](int64_t i) {
      T sum = first(i);
      for (int64_t k = 0; k < inner; ++k) sum = add(sum, k, i);
      use(i, sum);
    });
  }
  template <typename T, typename F, typename Use>
  BEAMLINE_DEVICE void Dots(int64_t n, int64_t inner, const F& f, const Use& use) {
    team.For(n, [&](int64_t i) {
      T sum = T(0);
      for (int64_t k = 0; k < inner; ++k) sum += f(i, k);
      use(i, sum);
    });
  }
  template <typename F>
  BEAMLINE_DEVICE void Once(const F& f) {
    team.Once(f);
  }
};

struct ForwardRows {
  memory::Forward<float> forward;
  float* scratch;
  int64_t each;

  BEAMLINE_DEVICE void operator()(Team<kRowLanes>& team) const {
    Loops loops{team};
    memory::ForwardRow(loops, forward, team.index(), scratch + team.index() * each);
  }
};

struct BackwardRows {
  memory::Backward<float> backward;
  float* scratch;
  int64_t each;

  BEAMLINE_DEVICE void operator()(Team<kRowLanes>& team) const {
    Loops loops{team};
    memory::BackwardRow(loops, backward, team.index(), scratch + team.index() * each);
  }
};

Scratch ForRows(const KernelCall& call, int64_t numbers) {
  return {call.outputs[0].extents[0] * numbers * static_cast<int64_t>(sizeof(float)), 0};
}

}  // namespace

Scratch MemoryNetworkScratch(const KernelCall& call) {
  return ForRows(call, memory::ForwardNumbers(memory::PlacesOf(call)));
}

void MemoryNetwork(const KernelCall& call, const RunState& run) {
  const memory::Forward<float> forward = memory::ForwardOf<float>(call);
  Teams<kRowLanes>(run, call.outputs[0].extents[0], 0,
                   ForwardRows{forward, SharedScratch(run), memory::ForwardNumbers(forward.p)});
}

Scratch MemoryNetworkGradScratch(const KernelCall& call) {
  return ForRows(call, memory::BackwardNumbers(memory::PlacesOf(call)));
}

void MemoryNetworkGrad(const KernelCall& call, const RunState& run) {
  const memory::Backward<float> backward = memory::BackwardOf<float>(call);
  Teams<kRowLanes>(run, call.outputs[0].extents[0], 0,
                   BackwardRows{backward, SharedScratch(run), memory::BackwardNumbers(backward.p)});
}

}  // namespace beamline::engine::cuda
