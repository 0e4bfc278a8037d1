// The formulas of element-wise ops, shared by all backends: activations, losses, update rules.
// T is float or double. Plain branch-free C++ (see core/math.h for why).
#pragma once

#include <cstdint>

#include "engine/core/math.h"
#include "engine/graph/op.h"

namespace beamline::engine::functors {

using math::Fma;

// Constants of SELU (Klambauer et al. 2017).
inline constexpr double kSeluAlpha = 1.6732632423543772;
inline constexpr double kSeluScale = 1.0507009873554805;

// y = f(x). One select at most each, so that loops over them vectorise; NaN stays NaN.
template <Activation kKind, typename T>
BEAMLINE_MATH T Activate(T x, T alpha) {
  if constexpr (kKind == Activation::kRelu) return x < T(0) ? T(0) : x;
  if constexpr (kKind == Activation::kLeakyRelu) return x < T(0) ? alpha * x : x;
  if constexpr (kKind == Activation::kElu) {
    const T e = math::Exp(math::Min(x, T(0))) - T(1);
    return x < T(0) ? e : x;
  }
  if constexpr (kKind == Activation::kSelu) {
    const T e = T(kSeluScale * kSeluAlpha) * (math::Exp(math::Min(x, T(0))) - T(1));
    return x < T(0) ? e : T(kSeluScale) * x;
  }
  if constexpr (kKind == Activation::kGelu) {
    return T(0.5) * x * (T(1) + math::Erf(x * T(0.70710678118654752)));
  }
  if constexpr (kKind == Activation::kSilu) return x * math::Sigmoid(x);
  if constexpr (kKind == Activation::kTanh) return math::Tanh(x);
  if constexpr (kKind == Activation::kSigmoid) return math::Sigmoid(x);
  if constexpr (kKind == Activation::kSoftplus) return math::Softplus(x);
  return x;
}

// f'(x), from `saved`: x where GradientNeedsInput(kKind), else y.
template <Activation kKind, typename T>
BEAMLINE_MATH T Slope(T saved, T alpha) {
  if constexpr (kKind == Activation::kRelu) return saved > T(0) ? T(1) : T(0);
  if constexpr (kKind == Activation::kLeakyRelu) return saved > T(0) ? T(1) : alpha;
  if constexpr (kKind == Activation::kElu) return saved > T(0) ? T(1) : saved + T(1);
  if constexpr (kKind == Activation::kSelu) {
    return saved > T(0) ? T(kSeluScale) : saved + T(kSeluScale * kSeluAlpha);
  }
  if constexpr (kKind == Activation::kGelu) {
    const T cumulative = T(0.5) * (T(1) + math::Erf(saved * T(0.70710678118654752)));
    const T density = T(0.39894228040143268) * math::Exp(T(-0.5) * saved * saved);
    return Fma(saved, density, cumulative);
  }
  if constexpr (kKind == Activation::kSilu) {
    const T s = math::Sigmoid(saved);
    return s * Fma(saved, T(1) - s, T(1));
  }
  if constexpr (kKind == Activation::kTanh) return Fma(-saved, saved, T(1));
  if constexpr (kKind == Activation::kSigmoid) return saved * (T(1) - saved);
  if constexpr (kKind == Activation::kSoftplus) return T(1) - math::Exp(-saved);
  return T(1);
}

// d Slope / d saved.
template <Activation kKind, typename T>
BEAMLINE_MATH T Curve(T saved) {
  if constexpr (kKind == Activation::kElu || kKind == Activation::kSelu) {
    return saved > T(0) ? T(0) : T(1);
  }
  if constexpr (kKind == Activation::kGelu) {
    return T(0.39894228040143268) * math::Exp(T(-0.5) * saved * saved) * Fma(-saved, saved, T(2));
  }
  if constexpr (kKind == Activation::kSilu) {
    const T s = math::Sigmoid(saved);
    return s * (T(1) - s) * Fma(saved, Fma(T(-2), s, T(1)), T(2));
  }
  if constexpr (kKind == Activation::kTanh) return T(-2) * saved;
  if constexpr (kKind == Activation::kSigmoid) return Fma(T(-2), saved, T(1));
  if constexpr (kKind == Activation::kSoftplus) return math::Exp(-saved);
  return T(0);
}

// f(z) = -(1 - q)^gamma log q with q = sigmoid(z), and f'(z) (Lin et al. 2017).
template <typename T>
BEAMLINE_MATH T Focal(T z, T gamma) {
  return math::Exp(-gamma * math::Softplus(z)) * math::Softplus(-z);
}
template <typename T>
BEAMLINE_MATH T FocalSlope(T z, T gamma) {
  const T fade = math::Exp(-gamma * math::Softplus(z));
  return -fade * Fma(gamma * math::Sigmoid(z), math::Softplus(-z), math::Sigmoid(-z));
}

// Loss of one output p against one target t, and its derivative by p, for losses that are means
// over outputs. `delta` is Huber's, or gamma of the focal loss.
template <LossKind kKind, typename T>
BEAMLINE_MATH T PointLoss(T p, T t, T delta) {
  const T d = p - t;
  if constexpr (kKind == LossKind::kMeanSquaredError) return d * d;
  if constexpr (kKind == LossKind::kMeanAbsoluteError) return math::Abs(d);
  if constexpr (kKind == LossKind::kHuber) {
    const T a = math::Abs(d);
    return a <= delta ? T(0.5) * d * d : delta * (a - T(0.5) * delta);
  }
  if constexpr (kKind == LossKind::kBinaryCrossEntropy) return Fma(-t, p, math::Softplus(p));
  if constexpr (kKind == LossKind::kHinge) {
    return math::Max(Fma(-Fma(T(2), t, T(-1)), p, T(1)), T(0));
  }
  if constexpr (kKind == LossKind::kFocal) {
    return Fma(t, Focal(p, delta), (T(1) - t) * Focal(-p, delta));
  }
  if constexpr (kKind == LossKind::kWasserstein) return Fma(T(-2), t, T(1)) * p;
  return T(0);
}
template <LossKind kKind, typename T>
BEAMLINE_MATH T PointLossSlope(T p, T t, T delta) {
  const T d = p - t;
  if constexpr (kKind == LossKind::kMeanSquaredError) return T(2) * d;
  if constexpr (kKind == LossKind::kMeanAbsoluteError) {
    return d > T(0) ? T(1) : (d < T(0) ? T(-1) : d);
  }
  if constexpr (kKind == LossKind::kHuber) {
    return d > delta ? delta : (d < -delta ? -delta : d);
  }
  if constexpr (kKind == LossKind::kBinaryCrossEntropy) return math::Sigmoid(p) - t;
  if constexpr (kKind == LossKind::kHinge) {
    const T sign = Fma(T(2), t, T(-1));
    return sign * p < T(1) ? -sign : T(0);
  }
  if constexpr (kKind == LossKind::kFocal) {
    return Fma(t, FocalSlope(p, delta), -(T(1) - t) * FocalSlope(-p, delta));
  }
  if constexpr (kKind == LossKind::kWasserstein) return Fma(T(-2), t, T(1));
  return T(0);
}

// Places of the numbers in an update's third input.
enum UpdateNumber {
  kRate = 0,            // learning rate
  kFirst = 1,           // momentum, or beta1
  kSecond = 2,          // beta2, or the decay of RMSProp
  kEpsilon = 3,         //
  kWeightDecay = 4,     // L2 in the gradient
  kStepSize = 5,        // Adam: rate / (1 - beta1^t)
  kRootCorrection = 6,  // Adam: 1 / sqrt(1 - beta2^t)
  kShrink = 7,          // AdamW: 1 - rate * decay
  // LAMB has its decay in kShrink, and in kStepSize 1 / (1 - beta1^t).
};

// New parameter w; `first` and `second` are the states of the rule, changed in place.
template <UpdateRule kRule, typename T>
BEAMLINE_MATH T Update(T w, T gradient, const T* numbers, T& first, T& second) {
  const T g = Fma(numbers[kWeightDecay], w, gradient);
  if constexpr (kRule == UpdateRule::kSgd) return Fma(-numbers[kRate], g, w);
  if constexpr (kRule == UpdateRule::kMomentum) {
    first = Fma(numbers[kFirst], first, g);
    return Fma(-numbers[kRate], first, w);
  }
  if constexpr (kRule == UpdateRule::kNesterov) {
    first = Fma(numbers[kFirst], first, g);
    return Fma(-numbers[kRate], Fma(numbers[kFirst], first, g), w);
  }
  if constexpr (kRule == UpdateRule::kAdam || kRule == UpdateRule::kAdamW) {
    first = Fma(numbers[kFirst], first, (T(1) - numbers[kFirst]) * g);
    second = Fma(numbers[kSecond], second, (T(1) - numbers[kSecond]) * g * g);
    const T root = Fma(math::Sqrt(second), numbers[kRootCorrection], numbers[kEpsilon]);
    const T from = kRule == UpdateRule::kAdamW ? w * numbers[kShrink] : w;
    return Fma(-numbers[kStepSize], first / root, from);
  }
  if constexpr (kRule == UpdateRule::kRmsProp) {
    first = Fma(numbers[kSecond], first, (T(1) - numbers[kSecond]) * g * g);
    return Fma(-numbers[kRate], g / (math::Sqrt(first) + numbers[kEpsilon]), w);
  }
  if constexpr (kRule == UpdateRule::kRmsPropMomentum) {
    first = Fma(numbers[kSecond], first, (T(1) - numbers[kSecond]) * g * g);
    second = Fma(numbers[kFirst], second, g / (math::Sqrt(first) + numbers[kEpsilon]));
    return Fma(-numbers[kRate], second, w);
  }
  if constexpr (kRule == UpdateRule::kLamb) {
    first = Fma(numbers[kFirst], first, (T(1) - numbers[kFirst]) * g);
    second = Fma(numbers[kSecond], second, (T(1) - numbers[kSecond]) * g * g);
    return w;  // moves in a second pass: LambDirection
  }
  if constexpr (kRule == UpdateRule::kAdaGrad) {
    first = Fma(g, g, first);
    return Fma(-numbers[kRate], g / (math::Sqrt(first) + numbers[kEpsilon]), w);
  }
  return w;
}

// What LAMB moves a parameter along, from its moments.
template <typename T>
BEAMLINE_MATH T LambDirection(T w, const T* numbers, T first, T second) {
  const T root = Fma(math::Sqrt(second), numbers[kRootCorrection], numbers[kEpsilon]);
  return Fma(numbers[kShrink], w, numbers[kStepSize] * first / root);
}
// How far: the length of the parameter over that of its direction; 1 where one has none.
BEAMLINE_MATH double LambRatio(double squared_weight, double squared_direction) {
  if (!(squared_weight > 0 && squared_direction > 0)) return 1;
  return math::Sqrt(squared_weight) / math::Sqrt(squared_direction);
}

// --- Choosing a formula once per call and not once per element.

template <Activation kKind>
struct ActivationTag {
  static constexpr Activation kActivation = kKind;
};
// Calls body(ActivationTag<kind>()); not for softmax.
template <typename Body>
BEAMLINE_MATH void ForActivation(Activation kind, const Body& body) {
  switch (kind) {
    case Activation::kLinear:
      return body(ActivationTag<Activation::kLinear>());
    case Activation::kRelu:
      return body(ActivationTag<Activation::kRelu>());
    case Activation::kLeakyRelu:
      return body(ActivationTag<Activation::kLeakyRelu>());
    case Activation::kElu:
      return body(ActivationTag<Activation::kElu>());
    case Activation::kSelu:
      return body(ActivationTag<Activation::kSelu>());
    case Activation::kGelu:
      return body(ActivationTag<Activation::kGelu>());
    case Activation::kSilu:
      return body(ActivationTag<Activation::kSilu>());
    case Activation::kTanh:
      return body(ActivationTag<Activation::kTanh>());
    case Activation::kSigmoid:
      return body(ActivationTag<Activation::kSigmoid>());
    case Activation::kSoftplus:
      return body(ActivationTag<Activation::kSoftplus>());
    case Activation::kSoftmax:
      return;
  }
}

template <LossKind kKind>
struct LossTag {
  static constexpr LossKind kLoss = kKind;
};
// Calls body(LossTag<kind>()) for the losses that are means over outputs.
template <typename Body>
BEAMLINE_MATH void ForPointLoss(LossKind kind, const Body& body) {
  switch (kind) {
    case LossKind::kMeanSquaredError:
      return body(LossTag<LossKind::kMeanSquaredError>());
    case LossKind::kMeanAbsoluteError:
      return body(LossTag<LossKind::kMeanAbsoluteError>());
    case LossKind::kHuber:
      return body(LossTag<LossKind::kHuber>());
    case LossKind::kBinaryCrossEntropy:
      return body(LossTag<LossKind::kBinaryCrossEntropy>());
    case LossKind::kHinge:
      return body(LossTag<LossKind::kHinge>());
    case LossKind::kFocal:
      return body(LossTag<LossKind::kFocal>());
    case LossKind::kWasserstein:
      return body(LossTag<LossKind::kWasserstein>());
    default:
      return;
  }
}

template <UpdateRule kKind>
struct RuleTag {
  static constexpr UpdateRule kRule = kKind;
};
template <typename Body>
BEAMLINE_MATH void ForRule(UpdateRule rule, const Body& body) {
  switch (rule) {
    case UpdateRule::kSgd:
      return body(RuleTag<UpdateRule::kSgd>());
    case UpdateRule::kMomentum:
      return body(RuleTag<UpdateRule::kMomentum>());
    case UpdateRule::kNesterov:
      return body(RuleTag<UpdateRule::kNesterov>());
    case UpdateRule::kAdam:
      return body(RuleTag<UpdateRule::kAdam>());
    case UpdateRule::kAdamW:
      return body(RuleTag<UpdateRule::kAdamW>());
    case UpdateRule::kRmsProp:
      return body(RuleTag<UpdateRule::kRmsProp>());
    case UpdateRule::kAdaGrad:
      return body(RuleTag<UpdateRule::kAdaGrad>());
    case UpdateRule::kRmsPropMomentum:
      return body(RuleTag<UpdateRule::kRmsPropMomentum>());
    case UpdateRule::kLamb:
      return body(RuleTag<UpdateRule::kLamb>());
  }
}

}  // namespace beamline::engine::functors
