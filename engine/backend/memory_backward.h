// Networks with an external memory, backward: one row from its last step to its first. Names: d<x>
// is the derivative of the loss by x; all follow from memory_forward.h by the chain rule.
#pragma once

#include "engine/backend/memory_forward.h"

namespace beamline::engine::memory {

template <typename T>
struct Backward {
  Places p;
  int64_t steps = 0;
  const T* dy = nullptr;
  const T* recurrent = nullptr;
  const T* interface_weight = nullptr;
  const T* records = nullptr;
  const int32_t* lengths = nullptr;
  T* dgates = nullptr;
  T* dinterface = nullptr;  // before activation
};

// Of one row: what has reached the results of a step, and becomes what reaches those of the step
// before. And memory for the step itself.
template <typename T>
struct Carry {
  T* memory;  // [width, slots]
  T* weight;  // [heads, slots]
  T* state;   // [state]
  T* cell;    // [units]
  T* usage;   // DNC, all three
  T* precedence;
  T* link;
  T* own;  // [interface], after activation
  // [slots] each: of one head, and for whatever comes.
  T* dweight;
  T* dcontent;
  T* first;
  T* second;
};

template <typename T>
BEAMLINE_MATH Carry<T> CarryIn(const Places& p, T* numbers) {
  Carry<T> c;
  const auto take = [&](int64_t count) {
    T* first = numbers;
    numbers += count;
    return first;
  };
  c.memory = take(p.width * p.slots);
  c.weight = take(p.heads * p.slots);
  c.state = take(p.state);
  c.cell = take(p.units);
  c.own = take(p.interface_size);
  c.dweight = take(p.slots);
  c.dcontent = take(p.slots);
  c.first = take(p.slots);
  c.second = take(p.slots);
  c.usage = take(p.dnc ? p.slots : 0);
  c.precedence = take(p.dnc ? p.slots : 0);
  c.link = take(p.dnc ? p.slots * p.slots : 0);
  return c;
}

// From carry.dcontent to the key, its strength and what has reached `memory`.
template <typename T, typename Loops>
BEAMLINE_STEP void ByContentBack(Loops& loops, const Places& p, int64_t head, const T* memory,
                                 const T* record, const Carry<T>& carry) {
  const T* key = record + p.interface + head * p.per_head;
  const T* content = record + p.content + head * p.slots;
  T* dkey = carry.own + head * p.per_head;
  T* cosines = carry.first;
  T* scales = carry.second;
  T* dcosines = carry.dcontent;
  const T key_scale = KeyScale(loops, p, key);
  Cosines(loops, p, key, key_scale, memory, cosines, scales);
  const T mean =
      loops.template Sum<T>(p.slots, [&](int64_t i) { return content[i] * carry.dcontent[i]; });
  loops.For(p.slots, [&](int64_t i) { dcosines[i] = content[i] * (carry.dcontent[i] - mean); });
  const T dstrength =
      loops.template Sum<T>(p.slots, [&](int64_t i) { return dcosines[i] * cosines[i]; });
  loops.Once([&] { dkey[p.width] = dstrength; });
  loops.For(p.slots, [&](int64_t i) { dcosines[i] *= key[p.width]; });
  const T along =
      loops.template Sum<T>(p.slots, [&](int64_t i) { return dcosines[i] * cosines[i]; });
  loops.template Dots<T>(
      p.width, p.slots,
      [&](int64_t c, int64_t i) { return dcosines[i] * scales[i] * memory[c * p.slots + i]; },
      [&](int64_t c, T sum) {
        dkey[c] = Fma(sum, key_scale, -(along * key_scale * key_scale * key[c]));
      });
  loops.Cells(p.width, p.slots, [&](int64_t c, int64_t i) {
    const int64_t at = c * p.slots + i;
    const T direction = Fma(key_scale, key[c], -(cosines[i] * scales[i] * memory[at]));
    carry.memory[at] = Fma(dcosines[i] * scales[i], direction, carry.memory[at]);
  });
}

// NTM: from carry.dweight to carry.dcontent, the head's numbers and the weighting before.
template <typename T, typename Loops>
BEAMLINE_STEP void ByPlaceBack(Loops& loops, const Places& p, int64_t head, const T* before,
                               const T* record, const Carry<T>& carry) {
  const Moved<T> m = MovedOf<T>(p, head, record, before);
  const T* weight = record + p.weight + head * p.slots;
  T* down = carry.own + head * p.per_head + p.width;
  T* dz = carry.dweight;
  T* dshifted = carry.first;
  const T mean =
      loops.template Sum<T>(p.slots, [&](int64_t i) { return weight[i] * carry.dweight[i]; });
  loops.For(p.slots, [&](int64_t i) {
    dz[i] = weight[i] * (carry.dweight[i] - mean);
    dshifted[i] = dz[i] * m.own[5] / Shifted(m, i);
  });
  const auto sum = [&](const auto& f) { return loops.template Sum<T>(p.slots, f); };
  const T dsharpness = sum([&](int64_t i) { return dz[i] * math::Log(Shifted(m, i)); });
  const T dleft = sum([&](int64_t i) { return dshifted[i] * Gated(m, Right(m.slots, i)); });
  const T dstay = sum([&](int64_t i) { return dshifted[i] * Gated(m, i); });
  const T dright = sum([&](int64_t i) { return dshifted[i] * Gated(m, Left(m.slots, i)); });
  T* dgated = carry.second;
  loops.For(p.slots, [&](int64_t i) {
    dgated[i] = Fma(m.own[2], dshifted[Left(m.slots, i)],
                    Fma(m.own[3], dshifted[i], m.own[4] * dshifted[Right(m.slots, i)]));
  });
  const T dgate = sum([&](int64_t i) { return dgated[i] * (m.content[i] - m.before[i]); });
  loops.Once([&] {
    down[1] = dgate;
    down[2] = dleft;
    down[3] = dstay;
    down[4] = dright;
    down[5] = dsharpness;
  });
  T* dbefore = carry.weight + head * p.slots;
  loops.For(p.slots, [&](int64_t i) {
    carry.dcontent[i] = m.own[1] * dgated[i];
    dbefore[i] = (T(1) - m.own[1]) * dgated[i];
  });
}

// DNC: the same of a reading head, with what reaches the links.
template <typename T, typename Loops>
BEAMLINE_STEP void ByLinkBack(Loops& loops, const Places& p, int64_t head, const T* before,
                              const T* record, const Carry<T>& carry) {
  const T* last = before + p.weight + head * p.slots;
  const T* link = record + p.link;
  const T* content = record + p.content + head * p.slots;
  const T* forward = record + p.linked + 2 * head * p.slots;
  const T* backward = forward + p.slots;
  const T* mode = record + p.interface + p.mode + 3 * head;
  const T* dweight = carry.dweight;
  const auto dot = [&](const T* with) {
    return loops.template Sum<T>(p.slots, [&](int64_t i) { return dweight[i] * with[i]; });
  };
  const T dback = dot(backward);
  const T dlook = dot(content);
  const T dforth = dot(forward);
  T* dmode = carry.own + p.mode + 3 * head;
  loops.Once([&] {
    dmode[0] = dback;
    dmode[1] = dlook;
    dmode[2] = dforth;
  });
  loops.Cells(p.slots, p.slots, [&](int64_t i, int64_t j) {
    T& d = carry.link[i * p.slots + j];
    d = Fma(mode[2] * dweight[i], last[j], Fma(mode[0] * dweight[j], last[i], d));
  });
  loops.template Chains<T>(
      p.slots, p.slots, [](int64_t) { return T(0); },
      [&](T sum, int64_t i, int64_t j) { return Fma(link[i * p.slots + j], dweight[i], sum); },
      [&](int64_t j, T sum) { carry.first[j] = mode[2] * sum; });
  T* dbefore = carry.weight + head * p.slots;
  loops.template Dots<T>(
      p.slots, p.slots, [&](int64_t j, int64_t i) { return link[j * p.slots + i] * dweight[i]; },
      [&](int64_t j, T sum) { dbefore[j] = Fma(mode[0], sum, carry.first[j]); });
  loops.For(p.slots, [&](int64_t i) { carry.dcontent[i] = mode[1] * dweight[i]; });
}

template <typename T, typename Loops>
BEAMLINE_STEP void ReadBack(Loops& loops, const Places& p, int64_t head, const T* dread,
                            const T* before, const T* record, const Carry<T>& carry) {
  const T* memory = record + p.memory;
  const T* weight = record + p.weight + head * p.slots;
  loops.template Chains<T>(
      p.slots, p.width, [&](int64_t i) { return carry.weight[head * p.slots + i]; },
      [&](T sum, int64_t c, int64_t i) { return Fma(dread[c], memory[c * p.slots + i], sum); },
      [&](int64_t i, T sum) { carry.dweight[i] = sum; });
  loops.Cells(p.width, p.slots, [&](int64_t c, int64_t i) {
    T& d = carry.memory[c * p.slots + i];
    d = Fma(weight[i], dread[c], d);
  });
  if (p.dnc) {
    ByLinkBack(loops, p, head, before, record, carry);
  } else {
    ByPlaceBack(loops, p, head, before, record, carry);
  }
  ByContentBack(loops, p, head, memory, record, carry);
}

// DNC: adds to carry.dweight, of the writing head, what it does to links and precedence; those of
// the step before.
template <typename T, typename Loops>
BEAMLINE_STEP void LinkBack(Loops& loops, const Places& p, const T* before, const T* record,
                            const Carry<T>& carry) {
  const T* weight = record + p.weight + p.reads * p.slots;
  const T* link = before + p.link;
  const T* precedence = before + p.precedence;
  const int64_t n = p.slots;
  loops.template Dots<T>(
      n, n,
      [&](int64_t i, int64_t j) {
        const T d = carry.link[i * n + j] * (precedence[j] - link[i * n + j]);
        return i == j ? T(0) : d;
      },
      [&](int64_t i, T sum) { carry.dweight[i] += sum; });
  loops.template Chains<T>(
      n, n, [](int64_t) { return T(0); },
      [&](T sum, int64_t i, int64_t j) {
        const T d = Fma(carry.link[i * n + j], link[i * n + j], sum);
        return i == j ? sum : d;
      },
      [&](int64_t j, T sum) { carry.dweight[j] -= sum; });
  const T total = loops.template Sum<T>(n, [&](int64_t i) { return weight[i]; });
  const T along =
      loops.template Sum<T>(n, [&](int64_t i) { return carry.precedence[i] * precedence[i]; });
  loops.For(n, [&](int64_t i) { carry.dweight[i] += carry.precedence[i] - along; });
  loops.template Chains<T>(
      n, n, [&](int64_t j) { return (T(1) - total) * carry.precedence[j]; },
      [&](T sum, int64_t i, int64_t j) {
        const T d = Fma(carry.link[i * n + j], weight[i], sum);
        return i == j ? sum : d;
      },
      [&](int64_t j, T sum) { carry.precedence[j] = sum; });
  loops.Cells(n, n, [&](int64_t i, int64_t j) {
    T& d = carry.link[i * n + j];
    d = i == j ? T(0) : d * (T(1) - weight[i] - weight[j]);
  });
}

// DNC: from carry.dweight of the writing head to carry.dcontent, the gates, usage and the
// weightings before.
template <typename T, typename Loops>
BEAMLINE_STEP void AllocateBack(Loops& loops, const Places& p, const T* record,
                                const Carry<T>& carry) {
  const T* interface = record + p.interface;
  const T* allocated = record + p.allocated;
  const T* content = record + p.content + p.reads * p.slots;
  const T gate = interface[p.write_gate];
  const T share = interface[p.allocation];
  const T* dweight = carry.dweight;
  const T dgate = loops.template Sum<T>(p.slots, [&](int64_t i) {
    return dweight[i] * Fma(share, allocated[i] - content[i], content[i]);
  });
  const T dshare = loops.template Sum<T>(
      p.slots, [&](int64_t i) { return dweight[i] * (allocated[i] - content[i]); });
  loops.Once([&] {
    carry.own[p.write_gate] = dgate;
    carry.own[p.allocation] = gate * dshare;
  });
  // Products of the usages of less used slots, then the sum from the most used slot on.
  loops.Once([&] {
    T product = T(1);
    for (int64_t k = 0; k < p.slots; ++k) {
      carry.first[k] = product;
      product *= record[p.usage + static_cast<int64_t>(record[p.order + k])];
    }
    T behind = T(0);
    for (int64_t k = p.slots; k-- > 0;) {
      const auto i = static_cast<int64_t>(record[p.order + k]);
      const T d = gate * share * dweight[i];
      const T usage = record[p.usage + i];
      carry.usage[i] += (behind - d) * carry.first[k];
      behind = Fma(d, T(1) - usage, behind * usage);
    }
  });
  loops.For(p.slots, [&](int64_t i) { carry.dcontent[i] = gate * (T(1) - share) * dweight[i]; });
}

template <typename T, typename Loops>
BEAMLINE_STEP void UsageBack(Loops& loops, const Places& p, const T* before, const T* record,
                             const Carry<T>& carry) {
  const T* free = record + p.interface + p.free;
  const T* written = before + p.weight + p.reads * p.slots;
  const T* used = before + p.usage;
  for (int64_t h = 0; h < p.reads; ++h) {
    const T* last = before + p.weight + h * p.slots;
    T* dlast = carry.weight + h * p.slots;
    const auto dkept = [&](int64_t i) {
      return carry.usage[i] * Fma(written[i], T(1) - used[i], used[i]) *
             Retained(p, record, before, i, h);
    };
    loops.For(p.slots, [&](int64_t i) { dlast[i] = Fma(-free[h], dkept(i), dlast[i]); });
    const T dfree =
        loops.template Sum<T>(p.slots, [&](int64_t i) { return -(dkept(i) * last[i]); });
    loops.Once([&] { carry.own[p.free + h] = dfree; });
  }
  T* dwritten = carry.weight + p.reads * p.slots;
  loops.For(p.slots, [&](int64_t i) {
    const T d = carry.usage[i] * Retained(p, record, before, i, -1);
    dwritten[i] = d * (T(1) - used[i]);
    carry.usage[i] = d * (T(1) - written[i]);
  });
}

template <typename T, typename Loops>
BEAMLINE_STEP void WriteBack(Loops& loops, const Places& p, const T* before, const T* record,
                             const Carry<T>& carry) {
  const T* interface = record + p.interface;
  const T* weight = record + p.weight + p.reads * p.slots;
  const T* memory = before + p.memory;
  const T* d = carry.memory;
  loops.template Chains<T>(
      p.slots, p.width, [&](int64_t i) { return carry.weight[p.reads * p.slots + i]; },
      [&](T sum, int64_t c, int64_t i) {
        const int64_t at = c * p.slots + i;
        return Fma(d[at], Fma(-memory[at], interface[p.erase + c], interface[p.add + c]), sum);
      },
      [&](int64_t i, T sum) { carry.dweight[i] = sum; });
  loops.template Dots<T>(
      p.width, p.slots,
      [&](int64_t c, int64_t i) {
        return d[c * p.slots + i] * memory[c * p.slots + i] * weight[i];
      },
      [&](int64_t c, T sum) { carry.own[p.erase + c] = -sum; });
  loops.template Dots<T>(
      p.width, p.slots, [&](int64_t c, int64_t i) { return d[c * p.slots + i] * weight[i]; },
      [&](int64_t c, T sum) { carry.own[p.add + c] = sum; });
  loops.Cells(p.width, p.slots, [&](int64_t c, int64_t i) {
    carry.memory[c * p.slots + i] *= Fma(-weight[i], interface[p.erase + c], T(1));
  });
  if (p.dnc) {
    LinkBack(loops, p, before, record, carry);
    AllocateBack(loops, p, record, carry);
    UsageBack(loops, p, before, record, carry);
  } else {
    ByPlaceBack(loops, p, p.reads, before, record, carry);
  }
  ByContentBack(loops, p, p.reads, memory, record, carry);
}

// From carry.state and carry.own through the controller.
template <typename T, typename Loops>
BEAMLINE_STEP void ControllerBack(Loops& loops, const Backward<T>& b, const T* before,
                                  const T* record, const Carry<T>& carry, T* dgates,
                                  T* dinterface) {
  const Places& p = b.p;
  const int64_t n = p.units;
  loops.For(p.interface_size, [&](int64_t j) {
    SquashGradient(SquashOf(p, j), record + p.interface + j, carry.own + j, dinterface + j);
  });
  loops.template Dots<T>(
      n, p.interface_size,
      [&](int64_t k, int64_t j) {
        return dinterface[j] * b.interface_weight[k * p.interface_size + j];
      },
      [&](int64_t k, T sum) { carry.state[k] += sum; });
  loops.For(n, [&](int64_t j) {
    const auto d = recurrent::LstmCell::Backward(
        carry.state[j], carry.cell[j], record[j], record[n + j], record[2 * n + j],
        record[3 * n + j], record[p.cell + j], before[p.cell + j]);
    dgates[j] = d.i;
    dgates[n + j] = d.f;
    dgates[2 * n + j] = d.g;
    dgates[3 * n + j] = d.o;
    carry.cell[j] = d.before;
  });
  loops.template Dots<T>(
      p.state, p.gates,
      [&](int64_t k, int64_t j) { return dgates[j] * b.recurrent[k * p.gates + j]; },
      [&](int64_t k, T sum) { carry.state[k] = sum; });
}

// scratch: [BackwardNumbers].
template <typename T, typename Loops>
BEAMLINE_STEP void BackwardRow(Loops& loops, const Backward<T>& b, int64_t row, T* scratch) {
  const Places& p = b.p;
  const int64_t length = b.lengths == nullptr ? b.steps : b.lengths[row];
  loops.For(BackwardNumbers(p), [&](int64_t i) { scratch[i] = T(0); });
  Begin(loops, p, scratch);
  const Carry<T> carry = CarryIn(p, scratch + p.record);
  for (int64_t step = b.steps; step-- > 0;) {
    const int64_t at = row * b.steps + step;
    T* dgates = b.dgates + at * p.gates;
    T* dinterface = b.dinterface + at * p.interface_size;
    if (step >= length) {
      loops.For(p.gates, [&](int64_t j) { dgates[j] = T(0); });
      loops.For(p.interface_size, [&](int64_t j) { dinterface[j] = T(0); });
      continue;
    }
    const T* record = b.records + at * p.record;
    const T* before = step == 0 ? scratch : record - p.record;
    const T* dy = b.dy + at * p.state;
    loops.For(p.state, [&](int64_t j) { carry.state[j] += dy[j]; });
    for (int64_t head = 0; head < p.reads; ++head) {
      ReadBack(loops, p, head, carry.state + p.units + head * p.width, before, record, carry);
    }
    WriteBack(loops, p, before, record, carry);
    ControllerBack(loops, b, before, record, carry, dgates, dinterface);
  }
}

}  // namespace beamline::engine::memory
