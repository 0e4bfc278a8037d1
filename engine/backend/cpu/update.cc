// Gradient clipping and the optimisers' updates.
#include "engine/backend/cpu/kernels.h"
#include "engine/backend/functors.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

// In 64 pieces, each in 8 double lanes, joined in order.
void SquaredNorm(const KernelCall& call, const RunState& run) {
  constexpr int64_t kPieces = 64;
  double sums[kPieces] = {};
  const int64_t elements = call.inputs[0].elements;
  const int64_t size = (elements + kPieces - 1) / kPieces;
  const float* g = In(call, 0);
  ForTiles(run, kPieces, elements * 2, [&](int64_t piece) {
    const int64_t end = (piece + 1) * size < elements ? (piece + 1) * size : elements;
    double lane[8] = {};
    int64_t i = piece * size;
    for (; i + 8 <= end; i += 8) {
      for (int l = 0; l < 8; ++l) {
        const double x = g[i + l];
        lane[l] += x * x;
      }
    }
    for (int l = 0; i < end; ++i, ++l) lane[l] += static_cast<double>(g[i]) * g[i];
    for (int l = 0; l < 8; ++l) sums[piece] += lane[l];
  });
  double sum = 0;
  for (const double piece : sums) sum += piece;
  Out(call, 0)[0] = static_cast<float>(sum);
}

void ClipScale(const KernelCall& call, const RunState&) {
  double sum = 0;
  for (int i = 0; i + 1 < call.inputs_count; ++i) sum += static_cast<double>(In(call, i)[0]);
  const double norm = math::Sqrt(sum);
  const double limit = In(call, call.inputs_count - 1)[0];
  Out(call, 0)[0] = static_cast<float>(norm > limit ? limit / norm : 1);
}

void Clamp(const KernelCall& call, const RunState& run) {
  const float* x = In(call, 0);
  const float limit = In(call, 1)[0];
  ForRange(run, call.outputs[0].elements, 2, [&](int64_t begin, int64_t end) {
    Fill(Out(call, 0), begin, end, [&](int64_t i) {
      const float below = x[i] > limit ? limit : x[i];
      return below < -limit ? -limit : below;
    });
  });
}

// The second pass of LAMB: norms in 64 pieces of 8 double lanes each, joined in order, then the
// step.
static void MoveByLamb(const RunState& run, int64_t elements, float* __restrict w,
                       const float* numbers, const float* __restrict first,
                       const float* __restrict second) {
  constexpr int64_t kPieces = 64;
  double of_weights[kPieces] = {};
  double of_directions[kPieces] = {};
  const int64_t size = (elements + kPieces - 1) / kPieces;
  ForTiles(run, kPieces, elements * 8, [&](int64_t piece) {
    const int64_t end = (piece + 1) * size < elements ? (piece + 1) * size : elements;
    double lane[2][8] = {};
    for (int64_t i = piece * size; i < end; i += 8) {
      const int64_t width = i + 8 <= end ? 8 : end - i;
      for (int64_t l = 0; l < width; ++l) {
        const double x = w[i + l];
        const double u = functors::LambDirection(w[i + l], numbers, first[i + l], second[i + l]);
        lane[0][l] += x * x;
        lane[1][l] += u * u;
      }
    }
    for (int l = 0; l < 8; ++l) {
      of_weights[piece] += lane[0][l];
      of_directions[piece] += lane[1][l];
    }
  });
  double sums[2] = {};
  for (int64_t piece = 0; piece < kPieces; ++piece) {
    sums[0] += of_weights[piece];
    sums[1] += of_directions[piece];
  }
  const double ratio = functors::LambRatio(sums[0], sums[1]);
  const auto step = static_cast<float>(static_cast<double>(numbers[functors::kRate]) * ratio);
  ForRange(run, elements, 4, [&](int64_t begin, int64_t end) {
#pragma GCC ivdep
    for (int64_t i = begin; i < end; ++i) {
      w[i] = math::Fma(-step, functors::LambDirection(w[i], numbers, first[i], second[i]), w[i]);
    }
  });
}

void Update(const KernelCall& call, const RunState& run) {
  const Attributes& attributes = *call.attributes;
  float* __restrict w = In(call, 0);
  const float* __restrict gradient = In(call, 1);
  float numbers[kUpdateNumbers];
  for (int i = 0; i < kUpdateNumbers; ++i) numbers[i] = In(call, 2)[i];
  const float scale = attributes.has_scale ? In(call, 3)[0] : 1.0f;
  const int states = 3 + (attributes.has_scale ? 1 : 0);
  float* __restrict first = states < call.inputs_count ? In(call, states) : nullptr;
  float* __restrict second = states + 1 < call.inputs_count ? In(call, states + 1) : nullptr;
  functors::ForRule(attributes.rule, [&](auto tag) {
    constexpr UpdateRule kRule = decltype(tag)::kRule;
    constexpr bool kTwo = kRule == UpdateRule::kAdam || kRule == UpdateRule::kAdamW ||
                          kRule == UpdateRule::kRmsPropMomentum || kRule == UpdateRule::kLamb;
    constexpr bool kOne = !kTwo && kRule != UpdateRule::kSgd;
    ForRange(run, call.inputs[0].elements, 4, [&](int64_t begin, int64_t end) {
#pragma GCC ivdep
      for (int64_t i = begin; i < end; ++i) {
        float s0 = kOne || kTwo ? first[i] : 0.0f;
        float s1 = kTwo ? second[i] : 0.0f;
        w[i] = functors::Update<kRule>(w[i], scale * gradient[i], numbers, s0, s1);
        if (kOne || kTwo) first[i] = s0;
        if (kTwo) second[i] = s1;
      }
    });
  });
  if (attributes.rule == UpdateRule::kLamb) {
    MoveByLamb(run, call.inputs[0].elements, w, numbers, first, second);
  }
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
