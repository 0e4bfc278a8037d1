// Networks with an external memory, forward: one row through all its steps. The formulas are at
// MemoryKind.
//
// Loops is a backend's: For(n, f) calls f(i) for each i; Cells(rows, columns, f) calls f(i, j);
// Sum<T>(n, f), Max<T>(n, f); Chains<T>(n, inner, first, add, use) calls use(i, s), s being
// first(i) and then s = add(s, k, i) for each k in order; Dots<T>(n, inner, f, use) calls use(i,
// sum over k of f(i, k)), k being next to each other in memory; Once(f).
#pragma once

#include "engine/backend/recurrent.h"
#include "engine/graph/memory_places.h"

namespace beamline::engine::memory {

using math::Fma;

template <typename T>
struct Forward {
  Places p;
  int64_t steps = 0;
  const T* x = nullptr;  // the controller's projected gates
  const T* recurrent = nullptr;
  const T* interface_weight = nullptr;
  const T* interface_bias = nullptr;
  const int32_t* lengths = nullptr;
  T* y = nullptr;
  T* before = nullptr;  // null, as the records: not kept
  T* records = nullptr;
};

// out = exp(z - max) / sum; z is overwritten.
template <typename T, typename Loops>
BEAMLINE_STEP void Softmax(Loops& loops, int64_t n, T* z, T* out) {
  const T largest = loops.template Max<T>(n, [&](int64_t i) { return z[i]; });
  loops.For(n, [&](int64_t i) { z[i] = math::Exp(z[i] - largest); });
  const T sum = loops.template Sum<T>(n, [&](int64_t i) { return z[i]; });
  loops.For(n, [&](int64_t i) { out[i] = z[i] / sum; });
}

// The inverse of a key's length.
template <typename T, typename Loops>
BEAMLINE_STEP T KeyScale(Loops& loops, const Places& p, const T* key) {
  const T squares = loops.template Sum<T>(p.width, [&](int64_t c) { return key[c] * key[c]; });
  return T(1) / math::Sqrt(squares + T(kLengthEpsilon));
}

// Cosine of the key and each row, and the inverse of the row's length.
template <typename T, typename Loops>
BEAMLINE_STEP void Cosines(Loops& loops, const Places& p, const T* key, T key_scale,
                           const T* memory, T* cosines, T* scales) {
  const auto zero = [](int64_t) { return T(0); };
  loops.template Chains<T>(
      p.slots, p.width, zero,
      [&](T sum, int64_t c, int64_t i) {
        return Fma(memory[c * p.slots + i], memory[c * p.slots + i], sum);
      },
      [&](int64_t i, T sum) { scales[i] = T(1) / math::Sqrt(sum + T(kLengthEpsilon)); });
  loops.template Chains<T>(
      p.slots, p.width, zero,
      [&](T sum, int64_t c, int64_t i) { return Fma(key[c], memory[c * p.slots + i], sum); },
      [&](int64_t i, T sum) { cosines[i] = sum * key_scale * scales[i]; });
}

template <typename T, typename Loops>
BEAMLINE_STEP void ByContent(Loops& loops, const Places& p, int64_t head, const T* memory,
                             T* record, T* scratch) {
  const T* key = record + p.interface + head * p.per_head;
  const T strength = key[p.width];
  T* content = record + p.content + head * p.slots;
  Cosines(loops, p, key, KeyScale(loops, p, key), memory, scratch, content);
  loops.For(p.slots, [&](int64_t i) { scratch[i] = strength * scratch[i]; });
  Softmax(loops, p.slots, scratch, content);
}

// What becomes of an NTM head's weighting by content.
template <typename T>
struct Moved {
  int64_t slots;
  const T* own;  // behind the key: strength, gate, shift [3], sharpness
  const T* content;
  const T* before;
};

template <typename T>
BEAMLINE_MATH Moved<T> MovedOf(const Places& p, int64_t head, const T* record, const T* before) {
  return {p.slots, record + p.interface + head * p.per_head + p.width,
          record + p.content + head * p.slots, before + p.weight + head * p.slots};
}

// Slots are a ring.
BEAMLINE_MATH int64_t Left(int64_t slots, int64_t i) { return i == 0 ? slots - 1 : i - 1; }
BEAMLINE_MATH int64_t Right(int64_t slots, int64_t i) { return i + 1 == slots ? 0 : i + 1; }

// Of slot i: what the gate lets through of the weighting before; and that moved by -1, 0 or 1.
template <typename T>
BEAMLINE_MATH T Gated(const Moved<T>& m, int64_t i) {
  return Fma(m.own[1], m.content[i] - m.before[i], m.before[i]);
}
template <typename T>
BEAMLINE_MATH T Shifted(const Moved<T>& m, int64_t i) {
  return Fma(m.own[2], Gated(m, Right(m.slots, i)),
             Fma(m.own[3], Gated(m, i), m.own[4] * Gated(m, Left(m.slots, i)))) +
         T(kWeightEpsilon);
}

// NTM: from the weighting by content to the weighting.
template <typename T, typename Loops>
BEAMLINE_STEP void ByPlace(Loops& loops, const Places& p, int64_t head, const T* before, T* record,
                           T* scratch) {
  const Moved<T> moved = MovedOf<T>(p, head, record, before);
  loops.For(p.slots, [&](int64_t i) { scratch[i] = moved.own[5] * math::Log(Shifted(moved, i)); });
  Softmax(loops, p.slots, scratch, record + p.weight + head * p.slots);
}

// Of slot i: the share that no head frees, the head `but` left out (-1: none).
template <typename T>
BEAMLINE_MATH T Retained(const Places& p, const T* record, const T* before, int64_t i,
                         int64_t but) {
  T product = T(1);
  for (int64_t h = 0; h < p.reads; ++h) {
    if (h == but) continue;
    product *= Fma(-record[p.interface + p.free + h], before[p.weight + h * p.slots + i], T(1));
  }
  return product;
}

// DNC: usage, and what is free of it, from the least used slot on.
template <typename T, typename Loops>
BEAMLINE_STEP void Allocate(Loops& loops, const Places& p, const T* before, T* record) {
  const T* written = before + p.weight + p.reads * p.slots;
  T* usage = record + p.usage;
  loops.For(p.slots, [&](int64_t i) {
    const T used = before[p.usage + i];
    usage[i] = Fma(written[i], T(1) - used, used) * Retained(p, record, before, i, -1);
  });
  T* order = record + p.order;
  loops.For(p.slots, [&](int64_t i) {
    int64_t rank = 0;
    for (int64_t j = 0; j < p.slots; ++j) {
      rank += usage[j] < usage[i] || (usage[j] == usage[i] && j < i) ? 1 : 0;
    }
    order[rank] = static_cast<T>(i);
  });
  loops.Once([&] {
    T product = T(1);
    for (int64_t k = 0; k < p.slots; ++k) {
      const auto i = static_cast<int64_t>(order[k]);
      record[p.allocated + i] = (T(1) - usage[i]) * product;
      product *= usage[i];
    }
  });
}

template <typename T, typename Loops>
BEAMLINE_STEP void Write(Loops& loops, const Places& p, const T* before, T* record, T* scratch) {
  const T* interface = record + p.interface;
  T* weight = record + p.weight + p.reads * p.slots;
  ByContent(loops, p, p.reads, before + p.memory, record, scratch);
  if (p.dnc) {
    Allocate(loops, p, before, record);
    const T* content = record + p.content + p.reads * p.slots;
    const T* allocated = record + p.allocated;
    loops.For(p.slots, [&](int64_t i) {
      weight[i] = interface[p.write_gate] *
                  Fma(interface[p.allocation], allocated[i] - content[i], content[i]);
    });
  } else {
    ByPlace(loops, p, p.reads, before, record, scratch);
  }
  loops.Cells(p.width, p.slots, [&](int64_t c, int64_t i) {
    const int64_t at = p.memory + c * p.slots + i;
    record[at] =
        Fma(weight[i], Fma(-before[at], interface[p.erase + c], interface[p.add + c]), before[at]);
  });
}

// DNC: in which order slots were written.
template <typename T, typename Loops>
BEAMLINE_STEP void Link(Loops& loops, const Places& p, const T* before, T* record) {
  const T* weight = record + p.weight + p.reads * p.slots;
  const T* precedence = before + p.precedence;
  loops.Cells(p.slots, p.slots, [&](int64_t i, int64_t j) {
    const int64_t at = p.link + i * p.slots + j;
    const T kept = (T(1) - weight[i] - weight[j]) * before[at];
    record[at] = i == j ? T(0) : Fma(weight[i], precedence[j], kept);
  });
  const T sum = loops.template Sum<T>(p.slots, [&](int64_t i) { return weight[i]; });
  loops.For(p.slots, [&](int64_t i) {
    record[p.precedence + i] = Fma(T(1) - sum, precedence[i], weight[i]);
  });
}

template <typename T, typename Loops>
BEAMLINE_STEP void Read(Loops& loops, const Places& p, int64_t head, const T* before, T* record,
                        T* y, T* scratch) {
  T* weight = record + p.weight + head * p.slots;
  ByContent(loops, p, head, record + p.memory, record, scratch);
  if (p.dnc) {
    const T* last = before + p.weight + head * p.slots;
    const T* link = record + p.link;
    T* forward = record + p.linked + 2 * head * p.slots;
    T* backward = forward + p.slots;
    loops.template Dots<T>(
        p.slots, p.slots, [&](int64_t i, int64_t j) { return link[i * p.slots + j] * last[j]; },
        [&](int64_t i, T sum) { forward[i] = sum; });
    loops.template Chains<T>(
        p.slots, p.slots, [](int64_t) { return T(0); },
        [&](T sum, int64_t j, int64_t i) { return Fma(link[j * p.slots + i], last[j], sum); },
        [&](int64_t i, T sum) { backward[i] = sum; });
    const T* mode = record + p.interface + p.mode + 3 * head;
    const T* content = record + p.content + head * p.slots;
    loops.For(p.slots, [&](int64_t i) {
      weight[i] = Fma(mode[0], backward[i], Fma(mode[1], content[i], mode[2] * forward[i]));
    });
  } else {
    ByPlace(loops, p, head, before, record, scratch);
  }
  const T* memory = record + p.memory;
  loops.template Dots<T>(
      p.width, p.slots, [&](int64_t c, int64_t i) { return memory[c * p.slots + i] * weight[i]; },
      [&](int64_t c, T sum) { y[p.units + head * p.width + c] = sum; });
}

// `state`: what the step before gave; null: zeros. scratch: [gates + slots].
template <typename T, typename Loops>
BEAMLINE_STEP void Step(Loops& loops, const Forward<T>& f, const T* x, const T* state,
                        const T* before, T* record, T* y, T* scratch) {
  const Places& p = f.p;
  loops.template Chains<T>(
      p.gates, state == nullptr ? 0 : p.state, [&](int64_t j) { return x[j]; },
      [&](T sum, int64_t k, int64_t j) { return Fma(state[k], f.recurrent[k * p.gates + j], sum); },
      [&](int64_t j, T sum) { scratch[j] = sum; });
  const int64_t n = p.units;
  loops.For(n, [&](int64_t j) {
    const T i = math::Sigmoid(scratch[j]);
    const T forget = math::Sigmoid(scratch[n + j]);
    const T g = math::Tanh(scratch[2 * n + j]);
    const T o = math::Sigmoid(scratch[3 * n + j]);
    const T cell = recurrent::LstmCell::Cell(i, forget, g, before[p.cell + j]);
    record[j] = i;
    record[n + j] = forget;
    record[2 * n + j] = g;
    record[3 * n + j] = o;
    record[p.cell + j] = cell;
    y[j] = recurrent::LstmCell::State(o, cell);
  });
  T* interface = record + p.interface;
  loops.template Chains<T>(
      p.interface_size, n, [&](int64_t j) { return f.interface_bias[j]; },
      [&](T sum, int64_t k, int64_t j) {
        return Fma(y[k], f.interface_weight[k * p.interface_size + j], sum);
      },
      [&](int64_t j, T sum) { interface[j] = sum; });
  loops.For(p.interface_size, [&](int64_t j) {
    const Squash squash = SquashOf(p, j);
    if (squash == Squash::kSigmoid) interface[j] = math::Sigmoid(interface[j]);
    if (squash == Squash::kSoftplus) interface[j] = math::Softplus(interface[j]);
    if (squash == Squash::kOneplus) interface[j] = T(1) + math::Softplus(interface[j]);
    if (squash == Squash::kTriple) SoftmaxOfThree(interface + j);
  });
  Write(loops, p, before, record, scratch);
  if (p.dnc) Link(loops, p, before, record);
  for (int64_t head = 0; head < p.reads; ++head) {
    Read(loops, p, head, before, record, y, scratch);
  }
}

// Before the first step: an empty memory; NTM's heads are at slot 0.
template <typename T, typename Loops>
BEAMLINE_STEP void Begin(Loops& loops, const Places& p, T* record) {
  loops.For(p.record, [&](int64_t i) { record[i] = T(0); });
  if (p.dnc) return;
  loops.For(p.heads, [&](int64_t head) { record[p.weight + head * p.slots] = T(1); });
}

// scratch: [ForwardNumbers].
template <typename T, typename Loops>
BEAMLINE_STEP void ForwardRow(Loops& loops, const Forward<T>& f, int64_t row, T* scratch) {
  const Places& p = f.p;
  const int64_t length = f.lengths == nullptr ? f.steps : f.lengths[row];
  T* own[2] = {scratch, scratch + p.record};  // records by turns, where none are kept
  T* rest = scratch + 2 * p.record;
  Begin(loops, p, own[1]);
  const T* before = own[1];
  const T* state = nullptr;
  for (int64_t step = 0; step < f.steps; ++step) {
    const int64_t at = row * f.steps + step;
    T* y = f.y + at * p.state;
    if (f.before != nullptr) {
      T* kept = f.before + at * p.state;
      const bool some = state != nullptr && step < length;
      loops.For(p.state, [&](int64_t j) { kept[j] = some ? state[j] : T(0); });
    }
    if (step >= length) {
      loops.For(p.state, [&](int64_t j) { y[j] = T(0); });
      continue;
    }
    T* record = f.records == nullptr ? own[step % 2] : f.records + at * p.record;
    Step(loops, f, f.x + at * p.gates, state, before, record, y, rest);
    before = record;
    state = y;
  }
}

}  // namespace beamline::engine::memory
