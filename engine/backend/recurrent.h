// What all backends share of recurrent layers: where the operands stand, which step comes before
// which, and the formulas of one unit at one step. T is float or double. Plain branch-free C++
// (see core/math.h for why).
#pragma once

#include <cstdint>

#include "engine/backend/backend.h"
#include "engine/core/math.h"
#include "engine/graph/op.h"

namespace beamline::engine::recurrent {

using math::Fma;

// Numbers of a call's operands; -1: absent.
struct Places {
  int bias = -1;   // the candidate's (GRU)
  int gates = -1;  // kept by the forward pass, after their activation
  int kept = -1;   // kept: cell states (LSTM), the candidate's recurrent product (GRU)
  int h0 = -1;
  int c0 = -1;
  int lengths = -1;
};

// Behind the `next` inputs that are always there.
BEAMLINE_MATH Places OptionalInputs(const Attributes& attributes, Places places, int next) {
  if (attributes.has_initial) places.h0 = next++;
  if (attributes.has_initial && attributes.cell == RecurrentCell::kLstm) places.c0 = next++;
  if (attributes.has_lengths) places.lengths = next;
  return places;
}
BEAMLINE_MATH Places ForwardInputs(const Attributes& attributes) {
  Places places;
  const bool gru = attributes.cell == RecurrentCell::kGru;
  if (gru) places.bias = 2;
  return OptionalInputs(attributes, places, gru ? 3 : 2);
}
BEAMLINE_MATH Places GradientInputs(const Attributes& attributes) {
  Places places;
  const bool keeps =
      attributes.cell == RecurrentCell::kGru || attributes.cell == RecurrentCell::kLstm;
  if (keeps) places.gates = 3;
  if (keeps) places.kept = 4;
  return OptionalInputs(attributes, places, keeps ? 5 : 3);
}
// `kept`: the gradient of the candidate's recurrent product. No c0.
BEAMLINE_MATH Places WeightGradientInputs(const Attributes& attributes) {
  Places places;
  int next = 2;
  if (attributes.cell == RecurrentCell::kGru) places.kept = next++;
  if (attributes.has_initial) places.h0 = next++;
  if (attributes.has_lengths) places.lengths = next;
  return places;
}

// Blocks of columns: Gates() of op.h, here so that no call leaves a kernel.
BEAMLINE_MATH constexpr int64_t GatesOf(RecurrentCell cell) {
  return cell == RecurrentCell::kLstm ? 4 : cell == RecurrentCell::kGru ? 3 : 1;
}

// Position in a row of `length` steps of the step that is done as number `step` < length, and of
// the one before it (step > 0).
BEAMLINE_MATH int64_t Position(bool reverse, int64_t length, int64_t step) {
  return reverse ? length - 1 - step : step;
}

// --- Formulas: RecurrentCell. The derivatives follow from them by the chain rule; names: d<x> is
// the derivative of the loss by x, of a gate by its argument (before the activation).

struct LstmCell {
  template <typename T>
  BEAMLINE_MATH T Cell(T i, T f, T g, T before) {
    return Fma(f, before, i * g);
  }
  template <typename T>
  BEAMLINE_MATH T State(T o, T cell) {
    return o * math::Tanh(cell);
  }
  template <typename T>
  struct Gradient {
    T i, f, g, o;
    T before;  // of the cell state before
  };
  // dc: what has reached the cell state from the step after.
  template <typename T>
  BEAMLINE_MATH Gradient<T> Backward(T dh, T dc, T i, T f, T g, T o, T cell, T before) {
    const T squashed = math::Tanh(cell);
    const T total = Fma(dh * o, Fma(-squashed, squashed, T(1)), dc);
    Gradient<T> d;
    d.i = total * g * (i * (T(1) - i));
    d.f = total * before * (f * (T(1) - f));
    d.g = total * i * Fma(-g, g, T(1));
    d.o = dh * squashed * (o * (T(1) - o));
    d.before = total * f;
    return d;
  }
};

struct GruCell {
  // `product`: the candidate's recurrent product with its bias.
  template <typename T>
  BEAMLINE_MATH T Candidate(T r, T product, T argument) {
    return math::Tanh(Fma(r, product, argument));
  }
  template <typename T>
  BEAMLINE_MATH T State(T z, T g, T before) {
    return Fma(z, before - g, g);
  }
  template <typename T>
  struct Gradient {
    T r, z, g;
    T product;
    T before;  // of the state before, but for what passes through the products
  };
  template <typename T>
  BEAMLINE_MATH Gradient<T> Backward(T dh, T r, T z, T g, T product, T before) {
    Gradient<T> d;
    d.g = dh * (T(1) - z) * Fma(-g, g, T(1));
    d.z = dh * (before - g) * (z * (T(1) - z));
    d.product = d.g * r;
    d.r = d.g * product * (r * (T(1) - r));
    d.before = dh * z;
    return d;
  }
};

template <RecurrentCell kCell, typename T>
BEAMLINE_MATH T ElmanState(T x) {
  if constexpr (kCell == RecurrentCell::kRelu) return x < T(0) ? T(0) : x;
  return math::Tanh(x);
}
template <RecurrentCell kCell, typename T>
BEAMLINE_MATH T ElmanSlope(T y) {
  if constexpr (kCell == RecurrentCell::kRelu) return y > T(0) ? T(1) : T(0);
  return Fma(-y, y, T(1));
}

template <RecurrentCell kKind>
struct CellTag {
  static constexpr RecurrentCell kCell = kKind;
};
// Calls body(CellTag<cell>()).
template <typename Body>
BEAMLINE_MATH void ForCell(RecurrentCell cell, const Body& body) {
  switch (cell) {
    case RecurrentCell::kTanh:
      return body(CellTag<RecurrentCell::kTanh>());
    case RecurrentCell::kRelu:
      return body(CellTag<RecurrentCell::kRelu>());
    case RecurrentCell::kLstm:
      return body(CellTag<RecurrentCell::kLstm>());
    case RecurrentCell::kGru:
      return body(CellTag<RecurrentCell::kGru>());
  }
}

}  // namespace beamline::engine::recurrent
