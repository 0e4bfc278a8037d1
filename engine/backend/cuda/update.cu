// Gradient clipping and the optimisers' updates.
#include "engine/backend/cuda/kernels.h"
#include "engine/backend/cuda/totals.h"
#include "engine/backend/cuda/update_many.h"
#include "engine/backend/functors.h"

namespace beamline::engine::cuda {
namespace {

template <typename T>
BEAMLINE_DEVICE void UpdateElement(UpdateRule rule, const UpdateEntry& entry, T scale, int64_t i) {
  T unused = 0;
  T& first = entry.first != nullptr ? entry.first[i] : unused;
  T& second = entry.second != nullptr ? entry.second[i] : unused;
  const T w = entry.parameter[i];
  const T g = scale * entry.gradient[i];
  T updated = w;
  functors::ForRule(rule, [&](auto tag) {
    updated = functors::Update<decltype(tag)::kRule>(w, g, entry.numbers, first, second);
  });
  entry.parameter[i] = updated;
}

UpdateEntry EntryOf(const KernelCall& call) {
  const bool scaled = call.attributes->has_scale;
  const int states = scaled ? 4 : 3;
  UpdateEntry entry;
  entry.parameter = In(call, 0);
  entry.gradient = In(call, 1);
  entry.numbers = In(call, 2);
  entry.scale = scaled ? In(call, 3) : nullptr;
  entry.first = states < call.inputs_count ? In(call, states) : nullptr;
  entry.second = states + 1 < call.inputs_count ? In(call, states + 1) : nullptr;
  entry.elements = call.inputs[0].elements;
  return entry;
}

// The second pass of LAMB: how far each parameter moves depends on all of it.
void MoveByLamb(const RunState& run, const UpdateEntry& entry) {
  double* squares = SharedScratch<double>(run);  // of the parameter, of its direction
  Totals<2>(
      run, entry.elements, squares + 2,
      [=] BEAMLINE_LAMBDA(int64_t i, int which) {
        const float w = entry.parameter[i];
        const double x =
            which == 0 ? w
                       : functors::LambDirection(w, entry.numbers, entry.first[i], entry.second[i]);
        return x * x;
      },
      [=] BEAMLINE_LAMBDA(const double* sums) {
        squares[0] = sums[0];
        squares[1] = sums[1];
      });
  Each(run, entry.elements, [=] BEAMLINE_LAMBDA(int64_t i) {
    const double ratio = functors::LambRatio(squares[0], squares[1]);
    const auto step =
        static_cast<float>(static_cast<double>(entry.numbers[functors::kRate]) * ratio);
    entry.parameter[i] = math::Fma(
        -step,
        functors::LambDirection(entry.parameter[i], entry.numbers, entry.first[i], entry.second[i]),
        entry.parameter[i]);
  });
}

}  // namespace

Scratch SquaredNormScratch(const KernelCall& call) {
  return {TotalsBytes(call.inputs[0].elements, 1), 0};
}

void SquaredNorm(const KernelCall& call, const RunState& run) {
  const float* g = In(call, 0);
  float* y = Out(call, 0);
  Totals<1>(
      run, call.inputs[0].elements, SharedScratch<double>(run),
      [=] BEAMLINE_LAMBDA(int64_t i, int) { return static_cast<double>(g[i]) * g[i]; },
      [=] BEAMLINE_LAMBDA(const double* sum) { *y = static_cast<float>(*sum); });
}

// As many norms at a time as a launch takes.
constexpr int kNorms = 128;
struct Norms {
  const float* norm[kNorms];
};

void ClipScale(const KernelCall& call, const RunState& run) {
  float* y = Out(call, 0);
  const int count = call.inputs_count - 1;
  const float* limit = In(call, count);
  for (int from = 0; from < count; from += kNorms) {
    Norms norms = {};
    const int part = math::Min(kNorms, count - from);
    for (int i = 0; i < part; ++i) norms.norm[i] = In(call, from + i);
    const bool first = from == 0;
    const bool last = from + part == count;
    Each(run, 1, [=] BEAMLINE_LAMBDA(int64_t) {
      double sum = first ? 0.0 : static_cast<double>(*y);
      for (int i = 0; i < part; ++i) sum += static_cast<double>(*norms.norm[i]);
      const double norm = math::Sqrt(sum);
      const double most = *limit;
      *y = static_cast<float>(!last ? sum : norm > most ? most / norm : 1.0);
    });
  }
}

void Clamp(const KernelCall& call, const RunState& run) {
  const float* x = In(call, 0);
  const float* limit = In(call, 1);
  float* y = Out(call, 0);
  Each(run, call.outputs[0].elements, [=] BEAMLINE_LAMBDA(int64_t i) {
    y[i] = x[i] > *limit ? *limit : (x[i] < -*limit ? -*limit : x[i]);
  });
}

Scratch UpdateScratch(const KernelCall& call) {
  if (call.attributes->rule != UpdateRule::kLamb) return {};
  return {TotalsBytes(call.inputs[0].elements, 2) + 2 * static_cast<int64_t>(sizeof(double)), 0};
}

void Update(const KernelCall& call, const RunState& run) { UpdateMany(&call, 1, run); }

struct UpdateEntries {
  UpdateEntry entry[kUpdatesAtOnce];
};

void UpdateMany(const KernelCall* calls, int count, const RunState& run) {
  // A block's share of a parameter.
  constexpr int64_t kShare = kBlock;
  const UpdateRule rule = calls->attributes->rule;
  for (int from = 0; from < count; from += kUpdatesAtOnce) {
    const int part = math::Min(kUpdatesAtOnce, count - from);
    UpdateEntries entries = {};
    int64_t blocks = 0;
    for (int i = 0; i < part; ++i) {
      entries.entry[i] = EntryOf(calls[from + i]);
      entries.entry[i].first_block = blocks;
      blocks += (entries.entry[i].elements + kShare - 1) / kShare;
    }
    Teams<kBlock>(run, blocks, 0, [=] BEAMLINE_LAMBDA(Team<kBlock> & team) {
      int which = 0;
      while (which + 1 < part && entries.entry[which + 1].first_block <= team.index()) ++which;
      const UpdateEntry& entry = entries.entry[which];
      const float scale = entry.scale != nullptr ? *entry.scale : 1.0f;
      const int64_t first = (team.index() - entry.first_block) * kShare;
      team.For(math::Min(kShare, entry.elements - first),
               [&](int64_t i) { UpdateElement(rule, entry, scale, first + i); });
    });
  }
  if (rule != UpdateRule::kLamb) return;
  for (int i = 0; i < count; ++i) MoveByLamb(run, EntryOf(calls[i]));
}

}  // namespace beamline::engine::cuda
