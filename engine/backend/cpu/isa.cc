#include "engine/backend/cpu/isa.h"

namespace beamline::engine::cpu {

#if defined(BEAMLINE_CPU_X86)
namespace avx512 {
const KernelTable& Table();
Scratch ScratchOf(OpKind op, const KernelCall& call);
void SquaredDistances(const float* x, int64_t count, int64_t features, const float* block,
                      double* squares);
}  // namespace avx512
namespace avx2 {
const KernelTable& Table();
Scratch ScratchOf(OpKind op, const KernelCall& call);
void SquaredDistances(const float* x, int64_t count, int64_t features, const float* block,
                      double* squares);
}  // namespace avx2
#endif
namespace generic {
const KernelTable& Table();
Scratch ScratchOf(OpKind op, const KernelCall& call);
void SquaredDistances(const float* x, int64_t count, int64_t features, const float* block,
                      double* squares);
}  // namespace generic

const std::vector<Isa>& Isas() {
  static const std::vector<Isa> kIsas = {
#if defined(BEAMLINE_CPU_X86)
    {"avx512", "cpu/avx512",
     [] {
       return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
              __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
              __builtin_cpu_supports("fma") != 0;
     },
     avx512::Table, avx512::ScratchOf, avx512::SquaredDistances},
    {"avx2", "cpu/avx2",
     [] { return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0; },
     avx2::Table, avx2::ScratchOf, avx2::SquaredDistances},
#endif
    {"generic", "cpu/generic", [] { return true; }, generic::Table, generic::ScratchOf,
     generic::SquaredDistances},
  };
  return kIsas;
}

SquaredDistancesFn FindSquaredDistances() {
  for (const Isa& isa : Isas()) {
    if (isa.Runs()) return isa.SquaredDistances;
  }
  return generic::SquaredDistances;
}

}  // namespace beamline::engine::cpu
