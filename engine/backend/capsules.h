// The formulas of capsules, shared by all backends (Sabour et al. 2017). T is float or double.
#pragma once

#include "engine/core/math.h"

namespace beamline::engine::capsules {

// squash(x) = factor x, from |x|^2.
template <typename T>
BEAMLINE_MATH T SquashFactor(T squares) {
  return math::Sqrt(squares) / (T(1) + squares);
}

// The gradient of squash by x is factor dy + slope (x . dy) x. At 0 the factor is 0, and so is it.
template <typename T>
BEAMLINE_MATH T SquashSlope(T squares) {
  const T length = math::Sqrt(squares);
  const T slope = (T(1) - squares) / ((T(1) + squares) * (T(1) + squares) * length);
  return length > T(0) ? slope : T(0);
}

// The gradient of |x| by x is slope x.
template <typename T>
BEAMLINE_MATH T LengthSlope(T length) {
  const T slope = T(1) / length;
  return length > T(0) ? slope : T(0);
}

// What a class adds to the margin loss, p being its length; and the slope of that.
inline constexpr double kPresent = 0.9;
inline constexpr double kAbsent = 0.1;
template <typename T>
BEAMLINE_MATH T Margin(T p, bool present, T absent_weight) {
  const T miss = present ? math::Max(T(kPresent) - p, T(0)) : math::Max(p - T(kAbsent), T(0));
  return (present ? T(1) : absent_weight) * miss * miss;
}
template <typename T>
BEAMLINE_MATH T MarginSlope(T p, bool present, T absent_weight) {
  return present ? T(-2) * math::Max(T(kPresent) - p, T(0))
                 : T(2) * absent_weight * math::Max(p - T(kAbsent), T(0));
}

}  // namespace beamline::engine::capsules
