// Instructions on numbers.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/expression/vectors.h"

namespace beamline::engine::expression {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

template <typename Function>
bool Map(Step& step, Vector* out, const Function& function) {
  const double* const a = step.inputs[0]->reals;
  double* const to = step.own.reals.data();
  for (int64_t i = 0; i < step.rows; ++i) to[i] = function(a[i]);
  out->reals = to;
  return true;
}

template <typename Function>
bool Map2(Step& step, Vector* out, const Function& function) {
  const double* const a = step.inputs[0]->reals;
  const double* const b = step.inputs[1]->reals;
  double* const to = step.own.reals.data();
  for (int64_t i = 0; i < step.rows; ++i) to[i] = function(a[i], b[i]);
  out->reals = to;
  return true;
}

// Of several arguments: the first with the second, that with the third, ...
template <typename Function>
bool Fold(Step& step, Vector* out, const Function& function) {
  double* const to = step.own.reals.data();
  std::copy_n(step.inputs[0]->reals, step.rows, to);
  for (size_t k = 1; k < step.inputs.size(); ++k) {
    const double* const b = step.inputs[k]->reals;
    for (int64_t i = 0; i < step.rows; ++i) to[i] = function(to[i], b[i]);
  }
  out->reals = to;
  return true;
}

// As Python has it: the result has the sign of the divisor.
double Modulo(double a, double b) {
  const double rest = std::fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

double SmallPower(double x, int64_t exponent) {
  switch (exponent) {
    case 0:
      return std::isnan(x) ? x : 1;
    case 1:
      return x;
    case 2:
      return x * x;
    case 3:
      return x * x * x;
    default:
      return (x * x) * (x * x);
  }
}

bool RunReals(Step& step, Vector* out) {
  switch (step.code.op) {
    case Op::kAdd:
      return Map2(step, out, [](double a, double b) { return a + b; });
    case Op::kSubtract:
      return Map2(step, out, [](double a, double b) { return a - b; });
    case Op::kMultiply:
      return Map2(step, out, [](double a, double b) { return a * b; });
    case Op::kDivide:
      return Map2(step, out, [](double a, double b) { return a / b; });
    case Op::kModulo:
      return Map2(step, out, [](double a, double b) { return Modulo(a, b); });
    case Op::kPower:
      // The library knows 1 and x ^ 0 even where the other is missing; here missing stays.
      return Map2(step, out, [](double a, double b) {
        return std::isnan(a) || std::isnan(b) ? kNan : std::pow(a, b);
      });
    case Op::kSmallPower: {
      const int64_t exponent = step.code.integer;
      if (exponent == 2) return Map(step, out, [](double a) { return a * a; });
      return Map(step, out, [&](double a) { return SmallPower(a, exponent); });
    }
    case Op::kNegate:
      return Map(step, out, [](double a) { return -a; });
    case Op::kAbs:
      return Map(step, out, [](double a) { return std::fabs(a); });
    case Op::kSign:
      return Map(step, out, [](double a) { return a > 0 ? 1.0 : a < 0 ? -1.0 : a; });
    case Op::kMin:
      return Fold(step, out, [](double a, double b) { return b < a || b != b ? b : a; });
    case Op::kMax:
      return Fold(step, out, [](double a, double b) { return b > a || b != b ? b : a; });
    default:
      return false;
  }
}

bool RunFunctions(Step& step, Vector* out) {
  switch (step.code.op) {
    case Op::kFloor:
      return Map(step, out, [](double a) { return std::floor(a); });
    case Op::kCeil:
      return Map(step, out, [](double a) { return std::ceil(a); });
    case Op::kRound:
      return Map(step, out, [](double a) { return std::nearbyint(a); });
    case Op::kSqrt:
      return Map(step, out, [](double a) { return std::sqrt(a); });
    case Op::kExp:
      return Map(step, out, [](double a) { return std::exp(a); });
    case Op::kLog:
      return Map(step, out, [](double a) { return std::log(a); });
    case Op::kLog10:
      return Map(step, out, [](double a) { return std::log10(a); });
    case Op::kSin:
      return Map(step, out, [](double a) { return std::sin(a); });
    case Op::kCos:
      return Map(step, out, [](double a) { return std::cos(a); });
    case Op::kTan:
      return Map(step, out, [](double a) { return std::tan(a); });
    case Op::kAsin:
      return Map(step, out, [](double a) { return std::asin(a); });
    case Op::kAcos:
      return Map(step, out, [](double a) { return std::acos(a); });
    case Op::kAtan:
      return Map(step, out, [](double a) { return std::atan(a); });
    case Op::kSinh:
      return Map(step, out, [](double a) { return std::sinh(a); });
    case Op::kCosh:
      return Map(step, out, [](double a) { return std::cosh(a); });
    case Op::kTanh:
      return Map(step, out, [](double a) { return std::tanh(a); });
    case Op::kAtan2:
      return Map2(step, out, [](double a, double b) { return std::atan2(a, b); });
    case Op::kHypot:
      // Infinite, says the library, whatever a missing one may be.
      return Map2(step, out, [](double a, double b) {
        return std::isnan(a) || std::isnan(b) ? kNan : std::hypot(a, b);
      });
    default:
      return false;
  }
}

bool Present(const Vector& vector, int64_t i) {
  return vector.present == nullptr || vector.present[i] != 0;
}

// function(a, &result) is false where the result is none of int64.
template <typename Function>
bool MapIntegers(Step& step, Vector* out, const Function& function) {
  const Vector& a = *step.inputs[0];
  for (int64_t i = 0; i < step.rows; ++i) {
    const auto at = static_cast<size_t>(i);
    int64_t result = 0;
    const bool present = Present(a, i) && function(a.integers[i], &result);
    step.own.integers[at] = present ? result : 0;
    step.own.present[at] = present ? 1 : 0;
  }
  FinishIntegers(step, out);
  return true;
}

template <typename Function>
bool FoldIntegers(Step& step, Vector* out, const Function& function) {
  for (int64_t i = 0; i < step.rows; ++i) {
    const auto at = static_cast<size_t>(i);
    int64_t result = step.inputs[0]->integers[i];
    bool present = Present(*step.inputs[0], i);
    for (size_t k = 1; present && k < step.inputs.size(); ++k) {
      present =
          Present(*step.inputs[k], i) && function(result, step.inputs[k]->integers[i], &result);
    }
    step.own.integers[at] = present ? result : 0;
    step.own.present[at] = present ? 1 : 0;
  }
  FinishIntegers(step, out);
  return true;
}

bool RunIntegers(Step& step, Vector* out) {
  switch (step.code.op) {
    case Op::kAdd:
      return FoldIntegers(step, out, [](int64_t a, int64_t b, int64_t* to) {
        return !__builtin_add_overflow(a, b, to);
      });
    case Op::kSubtract:
      return FoldIntegers(step, out, [](int64_t a, int64_t b, int64_t* to) {
        return !__builtin_sub_overflow(a, b, to);
      });
    case Op::kMultiply:
      return FoldIntegers(step, out, [](int64_t a, int64_t b, int64_t* to) {
        return !__builtin_mul_overflow(a, b, to);
      });
    case Op::kModulo:
      return FoldIntegers(step, out, [](int64_t a, int64_t b, int64_t* to) {
        if (b == 0) return false;
        const int64_t rest = b == -1 ? 0 : a % b;
        *to = rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
        return true;
      });
    case Op::kMin:
      return FoldIntegers(step, out, [](int64_t a, int64_t b, int64_t* to) {
        *to = std::min(a, b);
        return true;
      });
    case Op::kMax:
      return FoldIntegers(step, out, [](int64_t a, int64_t b, int64_t* to) {
        *to = std::max(a, b);
        return true;
      });
    case Op::kNegate:
      return MapIntegers(step, out,
                         [](int64_t a, int64_t* to) { return !__builtin_sub_overflow(0, a, to); });
    case Op::kAbs:
      return MapIntegers(step, out, [](int64_t a, int64_t* to) {
        return a < 0 ? !__builtin_sub_overflow(0, a, to) : (*to = a, true);
      });
    case Op::kSign:
      return MapIntegers(step, out, [](int64_t a, int64_t* to) {
        *to = a > 0 ? 1 : a < 0 ? -1 : 0;
        return true;
      });
    default:
      return false;
  }
}

bool RunConversions(Step& step, Vector* out) {
  const Vector& a = *step.inputs[0];
  if (step.code.op == Op::kToReal) {
    for (int64_t i = 0; i < step.rows; ++i) {
      step.own.reals[static_cast<size_t>(i)] =
          Present(a, i) ? static_cast<double>(a.integers[i]) : kNan;
    }
    out->reals = step.own.reals.data();
    return true;
  }
  if (step.code.op != Op::kTruncate && step.code.op != Op::kCount) return false;
  for (int64_t i = 0; i < step.rows; ++i) {
    const auto at = static_cast<size_t>(i);
    // Below 2^63; every double beyond is not.
    const bool present = step.code.op == Op::kCount ? a.truths[i] != kUnknown
                                                    : std::fabs(a.reals[i]) < 9223372036854775808.0;
    const int64_t value = !present                        ? 0
                          : step.code.op == Op::kTruncate ? static_cast<int64_t>(a.reals[i])
                                                          : a.truths[i] / kTrue;
    step.own.integers[at] = value;
    step.own.present[at] = present ? 1 : 0;
  }
  FinishIntegers(step, out);
  return true;
}

}  // namespace

void FinishIntegers(Step& step, Vector* out) {
  const uint8_t* const present = step.own.present.data();
  uint8_t all = 1;
  for (int64_t i = 0; i < step.rows; ++i) all &= present[i];
  out->integers = step.own.integers.data();
  out->present = all != 0 ? nullptr : present;
}

bool RunNumbers(Step& step, Vector* out) {
  if (step.inputs.empty()) return false;
  if (RunConversions(step, out)) return true;
  if (step.code.type == Type::kInteger) return RunIntegers(step, out);
  return step.code.type == Type::kReal && (RunReals(step, out) || RunFunctions(step, out));
}

}  // namespace beamline::engine::expression
