// The phases of a convolution with base dilation: conv.cc.
#pragma once

#include "engine/backend/cpu/image.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

static inline int64_t Gcd(int64_t a, int64_t b) {
  while (b != 0) {
    const int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

// One phase on one axis. Output first + i * period, i < count, looks with tap t < taps of the
// phase, which is tap first_tap + t * tap_step of the kernel, at element
// offset + i * step + t * offset_step.
struct Phase {
  int64_t first, count;
  int64_t first_tap, tap_step, taps;
  int64_t offset, offset_step;
};

struct Axis {
  int64_t period;     // phases
  int64_t step;       // elements that the window moves between outputs of a phase
  int64_t low, high;  // all elements that are looked at, padding included: [low, high]
  int64_t reach;      // those that outputs i of all phases look at, for one i
};

static inline Phase PhaseOf(const Window& window, int axis, int64_t period, int64_t outputs,
                            int64_t phase) {
  const int64_t base = window.base[axis];
  const int64_t dilation = window.dilation[axis];
  Phase p;
  p.first = phase;
  p.count = phase < outputs ? (outputs - phase + period - 1) / period : 0;
  p.tap_step = base / Gcd(base, dilation);
  p.taps = 0;
  p.first_tap = 0;
  p.offset = 0;
  p.offset_step = dilation * p.tap_step / base;
  for (int64_t tap = 0; tap < p.tap_step && tap < window.kernel[axis]; ++tap) {
    const int64_t place = phase * window.stride[axis] - window.low[axis] + tap * dilation;
    if (place % base != 0) continue;
    p.first_tap = tap;
    p.taps = (window.kernel[axis] - tap + p.tap_step - 1) / p.tap_step;
    p.offset = place / base;
    break;
  }
  return p;
}

static inline Axis AxisOf(const Window& window, int axis, int64_t outputs) {
  const int64_t base = window.base[axis];
  const int64_t common = Gcd(base, window.stride[axis]);
  Axis a = {base / common, window.stride[axis] / common, 0, -1, 0};
  bool any = false;
  int64_t last = 0;
  for (int64_t r = 0; r < a.period; ++r) {
    const Phase p = PhaseOf(window, axis, a.period, outputs, r);
    if (p.taps == 0 || p.count == 0) continue;
    const int64_t tap = p.offset + (p.taps - 1) * p.offset_step;
    const int64_t high = tap + (p.count - 1) * a.step;
    a.low = any ? Smaller(a.low, p.offset) : p.offset;
    a.high = any ? Larger(a.high, high) : high;
    last = any ? Larger(last, tap) : tap;
    any = true;
  }
  if (any) a.reach = last - a.low + 1;
  return a;
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
