// Gradient clipping and the optimisers' updates.
#include "engine/backend/functors.h"
#include "engine/backend/reference/kernels.h"

namespace beamline::engine::reference {

template <typename T>
void SquaredNorm(const KernelCall& call, const RunState&) {
  double sum = 0;
  for (int64_t i = 0; i < call.inputs[0].elements; ++i) {
    const double g = In<T>(call, 0)[i];
    sum += g * g;
  }
  Out<T>(call, 0)[0] = static_cast<T>(sum);
}
BEAMLINE_INSTANTIATE(SquaredNorm)

template <typename T>
void ClipScale(const KernelCall& call, const RunState&) {
  double sum = 0;
  for (int i = 0; i + 1 < call.inputs_count; ++i) sum += static_cast<double>(In<T>(call, i)[0]);
  const double norm = math::Sqrt(sum);
  const double limit = In<T>(call, call.inputs_count - 1)[0];
  Out<T>(call, 0)[0] = static_cast<T>(norm > limit ? limit / norm : 1);
}
BEAMLINE_INSTANTIATE(ClipScale)

template <typename T>
void Clamp(const KernelCall& call, const RunState&) {
  const T limit = In<T>(call, 1)[0];
  for (int64_t i = 0; i < call.outputs[0].elements; ++i) {
    const T x = In<T>(call, 0)[i];
    Out<T>(call, 0)[i] = x > limit ? limit : (x < -limit ? -limit : x);
  }
}
BEAMLINE_INSTANTIATE(Clamp)

template <typename T>
static void MoveByLamb(const KernelCall& call, const T* numbers, const T* first, const T* second) {
  T* w = In<T>(call, 0);
  double sums[2] = {};
  for (int64_t i = 0; i < call.inputs[0].elements; ++i) {
    const double x = w[i];
    const double u = functors::LambDirection(w[i], numbers, first[i], second[i]);
    sums[0] += x * x;
    sums[1] += u * u;
  }
  const double ratio = functors::LambRatio(sums[0], sums[1]);
  const T step = static_cast<T>(static_cast<double>(numbers[functors::kRate]) * ratio);
  for (int64_t i = 0; i < call.inputs[0].elements; ++i) {
    w[i] = math::Fma(-step, functors::LambDirection(w[i], numbers, first[i], second[i]), w[i]);
  }
}

template <typename T>
void Update(const KernelCall& call, const RunState&) {
  const Attributes& attributes = *call.attributes;
  T* parameter = In<T>(call, 0);
  const T* gradient = In<T>(call, 1);
  const T* numbers = In<T>(call, 2);
  const T scale = attributes.has_scale ? In<T>(call, 3)[0] : T(1);
  const int states = 3 + (attributes.has_scale ? 1 : 0);
  T* first = states < call.inputs_count ? In<T>(call, states) : nullptr;
  T* second = states + 1 < call.inputs_count ? In<T>(call, states + 1) : nullptr;
  functors::ForRule(attributes.rule, [&](auto tag) {
    for (int64_t i = 0; i < call.inputs[0].elements; ++i) {
      T unused = 0;
      parameter[i] = functors::Update<decltype(tag)::kRule>(
          parameter[i], scale * gradient[i], numbers, first != nullptr ? first[i] : unused,
          second != nullptr ? second[i] : unused);
    }
  });
  if (attributes.rule == UpdateRule::kLamb) MoveByLamb(call, numbers, first, second);
}
BEAMLINE_INSTANTIATE(Update)

}  // namespace beamline::engine::reference
