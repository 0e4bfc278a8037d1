// Networks with an external memory: row by row, sums in order.
#include "engine/backend/memory_calls.h"
#include "engine/backend/reference/kernels.h"

namespace beamline::engine::reference {
namespace {

struct Loops {
  template <typename F>
  void For(int64_t n, const F& f) {
    for (int64_t i = 0; i < n; ++i) f(i);
  }
  template <typename F>
  void Cells(int64_t rows, int64_t columns, const F& f) {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) f(i, j);
    }
  }
  template <typename T, typename F>
  T Sum(int64_t n, const F& f) {
    T sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += f(i);
    return sum;
  }
  template <typename T, typename F>
  T Max(int64_t n, const F& f) {
    T largest = f(0);
    for (int64_t i = 1; i < n; ++i) largest = math::Max(largest, f(i));
    return largest;
  }
  template <typename T, typename First, typename Add, typename Use>
  void Chains(int64_t n, int64_t inner, const First& first, const Add& add, const Use& use) {
    for (int64_t i = 0; i < n; ++i) {
      T sum = first(i);
      for (int64_t k = 0; k < inner; ++k) sum = add(sum, k, i);
      use(i, sum);
    }
  }
  template <typename T, typename F, typename Use>
  void Dots(int64_t n, int64_t inner, const F& f, const Use& use) {
    for (int64_t i = 0; i < n; ++i) use(i, Sum<T>(inner, [&](int64_t k) { return f(i, k); }));
  }
  template <typename F>
  void Once(const F& f) {
    f();
  }
};

}  // namespace

template <typename T>
void MemoryNetwork(const KernelCall& call, const RunState& run) {
  Loops loops;
  const memory::Forward<T> forward = memory::ForwardOf<T>(call);
  for (int64_t row = 0; row < call.outputs[0].extents[0]; ++row) {
    memory::ForwardRow(loops, forward, row, reinterpret_cast<T*>(run.shared_scratch));
  }
}
BEAMLINE_INSTANTIATE(MemoryNetwork)

template <typename T>
void MemoryNetworkGrad(const KernelCall& call, const RunState& run) {
  Loops loops;
  const memory::Backward<T> backward = memory::BackwardOf<T>(call);
  for (int64_t row = 0; row < call.outputs[0].extents[0]; ++row) {
    memory::BackwardRow(loops, backward, row, reinterpret_cast<T*>(run.shared_scratch));
  }
}
BEAMLINE_INSTANTIATE(MemoryNetworkGrad)

}  // namespace beamline::engine::reference
