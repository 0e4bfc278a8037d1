// Networks with an external memory (kMemoryNetwork): where the numbers of a step stand. T is float
// or double. Plain branch-free C++ (see core/math.h for why).
#pragma once

#include <cstdint>

#include "engine/core/math.h"
#include "engine/graph/op.h"

// Functions of a step: templates on the loops of a backend, so that each backend has its own.
#if defined(__CUDACC__)
#define BEAMLINE_STEP __device__ inline
#else
#define BEAMLINE_STEP inline
#endif

namespace beamline::engine::memory {

// Sizes of a layer, and first places of what is in a state, an interface and a record. "heads"
// counts the writing one, which stands behind those that read.
struct Places {
  bool dnc = false;
  int64_t units = 0, slots = 0, width = 0, reads = 0, heads = 0;
  int64_t gates = 0;  // of the controller: 4 * units
  int64_t state = 0;  // what a step gives: the controller's state, then a row of memory each head

  // The interface: what the controller tells the memory. Of each head its key [width], strength,
  // and for NTM gate, shift [3] and sharpness; then what the writing head does.
  int64_t per_head = 0;
  int64_t erase = 0, add = 0;                                  // [width]
  int64_t free = 0, allocation = 0, write_gate = 0, mode = 0;  // DNC: [reads], 1, 1, [reads, 3]
  int64_t interface_size = 0;

  // The record: what a step leaves to the one behind it, and to the gradient. Gates come first.
  int64_t cell = 0;
  int64_t interface = 0;  // after activation
  int64_t content = 0;    // [heads, slots]: weightings by content
  int64_t weight = 0;     // [heads, slots]: weightings
  int64_t memory = 0;     // [width, slots], after writing
  // DNC: usage, precedence, slots by usage, allocation, each [slots]; of each reading head what
  // links lead to and from [reads, 2, slots]; links [slots, slots].
  int64_t usage = 0, precedence = 0, order = 0, allocated = 0, linked = 0, link = 0;
  int64_t record = 0;  // size
};

BEAMLINE_MATH Places PlacesOf(const Attributes& attributes, int64_t units) {
  Places p;
  p.dnc = attributes.memory == MemoryKind::kDnc;
  p.units = units;
  p.slots = attributes.slots;
  p.width = attributes.width;
  p.reads = attributes.heads;
  p.heads = p.reads + 1;
  p.gates = 4 * units;
  p.state = units + p.reads * p.width;
  p.per_head = p.width + (p.dnc ? 1 : 6);
  p.erase = p.heads * p.per_head;
  p.add = p.erase + p.width;
  p.free = p.add + p.width;
  p.allocation = p.free + p.reads;
  p.write_gate = p.allocation + 1;
  p.mode = p.write_gate + 1;
  p.interface_size = p.dnc ? p.mode + 3 * p.reads : p.free;
  p.cell = p.gates;
  p.interface = p.cell + units;
  p.content = p.interface + p.interface_size;
  p.weight = p.content + p.heads * p.slots;
  p.memory = p.weight + p.heads * p.slots;
  p.usage = p.memory + p.width * p.slots;
  p.precedence = p.usage + p.slots;
  p.order = p.precedence + p.slots;
  p.allocated = p.order + p.slots;
  p.linked = p.allocated + p.slots;
  p.link = p.linked + 2 * p.reads * p.slots;
  p.record = p.dnc ? p.link + p.slots * p.slots : p.usage;
  return p;
}

// In memory that a row needs beside its operands. Unit: numbers.
BEAMLINE_MATH int64_t ForwardNumbers(const Places& p) { return 2 * p.record + p.gates + p.slots; }
BEAMLINE_MATH int64_t BackwardNumbers(const Places& p) {
  return p.record + p.width * p.slots + p.heads * p.slots + p.state + p.units + p.interface_size +
         4 * p.slots + (p.dnc ? 2 * p.slots + p.slots * p.slots : 0);
}

// Added to squared lengths of keys and rows, so that zeros have a direction.
inline constexpr double kLengthEpsilon = 1e-6;
// Added to a weighting before it is sharpened, so that zeros have a logarithm.
inline constexpr double kWeightEpsilon = 1e-12;

// What becomes of a number of the interface. A triple's first place stands for all three.
enum class Squash : uint8_t { kNone, kSigmoid, kSoftplus, kOneplus, kTriple, kOfTriple };
BEAMLINE_MATH Squash SquashOf(const Places& p, int64_t column) {
  if (column < p.erase) {
    const int64_t place = column % p.per_head - p.width;
    if (place < 0) return Squash::kNone;
    if (place == 0) return p.dnc ? Squash::kOneplus : Squash::kSoftplus;
    if (place == 1) return Squash::kSigmoid;
    return place == 2 ? Squash::kTriple : place == 5 ? Squash::kOneplus : Squash::kOfTriple;
  }
  if (column < p.add) return Squash::kSigmoid;
  if (column < p.free) return Squash::kNone;
  if (column < p.mode) return Squash::kSigmoid;
  return (column - p.mode) % 3 == 0 ? Squash::kTriple : Squash::kOfTriple;
}

template <typename T>
BEAMLINE_MATH void SoftmaxOfThree(T* x) {
  const T largest = math::Max(x[0], math::Max(x[1], x[2]));
  const T a = math::Exp(x[0] - largest);
  const T b = math::Exp(x[1] - largest);
  const T c = math::Exp(x[2] - largest);
  const T sum = a + b + c;
  x[0] = a / sum;
  x[1] = b / sum;
  x[2] = c / sum;
}

// Of a number after its activation, from the gradient dy (of a triple: all three).
template <typename T>
BEAMLINE_MATH void SquashGradient(Squash squash, const T* y, const T* dy, T* dx) {
  switch (squash) {
    case Squash::kNone:
      dx[0] = dy[0];
      return;
    case Squash::kSigmoid:
      dx[0] = dy[0] * (y[0] * (T(1) - y[0]));
      return;
    case Squash::kSoftplus:
      dx[0] = dy[0] * (T(1) - math::Exp(-y[0]));
      return;
    case Squash::kOneplus:
      dx[0] = dy[0] * (T(1) - math::Exp(T(1) - y[0]));
      return;
    case Squash::kTriple: {
      const T sum = math::Fma(y[0], dy[0], math::Fma(y[1], dy[1], y[2] * dy[2]));
      for (int i = 0; i < 3; ++i) dx[i] = y[i] * (dy[i] - sum);
      return;
    }
    case Squash::kOfTriple:
      return;
  }
}

}  // namespace beamline::engine::memory
