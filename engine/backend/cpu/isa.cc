#include "engine/backend/cpu/isa.h"

namespace beamline::engine::cpu {

#if defined(BEAMLINE_CPU_X86)
namespace avx512 {
const KernelTable& Table();
Scratch ScratchOf(OpKind op, const KernelCall& call);
}  // namespace avx512
namespace avx2 {
const KernelTable& Table();
Scratch ScratchOf(OpKind op, const KernelCall& call);
}  // namespace avx2
#endif
namespace generic {
const KernelTable& Table();
Scratch ScratchOf(OpKind op, const KernelCall& call);
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
     avx512::Table, avx512::ScratchOf},
    {"avx2", "cpu/avx2",
     [] { return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0; },
     avx2::Table, avx2::ScratchOf},
#endif
    {"generic", "cpu/generic", [] { return true; }, generic::Table, generic::ScratchOf},
  };
  return kIsas;
}

}  // namespace beamline::engine::cpu
