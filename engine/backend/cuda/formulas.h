// Formulas that are chosen by a number of the call: one switch per element, the same for all
// threads, so it costs a device next to nothing.
#pragma once

#include "engine/backend/functors.h"

namespace beamline::engine::cuda {

// Not for softmax.
template <typename T>
BEAMLINE_MATH T ActivationOf(Activation kind, T x, T alpha) {
  T y = x;
  functors::ForActivation(
      kind, [&](auto tag) { y = functors::Activate<decltype(tag)::kActivation>(x, alpha); });
  return y;
}

template <typename T>
BEAMLINE_MATH T SlopeOf(Activation kind, T saved, T alpha) {
  T slope = T(1);
  functors::ForActivation(
      kind, [&](auto tag) { slope = functors::Slope<decltype(tag)::kActivation>(saved, alpha); });
  return slope;
}

// The same where a kernel would hold many copies of them: as calls.
#if defined(__CUDACC__)
#define BEAMLINE_CALL static __device__ __noinline__ __attribute__((unused))
#else
#define BEAMLINE_CALL inline
#endif
BEAMLINE_CALL float ActivationCall(Activation kind, float x, float alpha) {
  return ActivationOf(kind, x, alpha);
}
BEAMLINE_CALL float SlopeCall(Activation kind, float saved, float alpha) {
  return SlopeOf(kind, saved, alpha);
}
#undef BEAMLINE_CALL

}  // namespace beamline::engine::cuda
