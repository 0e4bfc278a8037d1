#include "engine/backend/cpu/isa.h"

namespace beamline::engine::cpu {

#define BEAMLINE_DECLARE(isa)                           \
  namespace isa {                                       \
  const KernelTable& Table();                           \
  Scratch ScratchOf(OpKind op, const KernelCall& call); \
  const LearnerKernels& TableOfLearners();              \
  }

#if defined(BEAMLINE_CPU_X86)
BEAMLINE_DECLARE(avx512)
BEAMLINE_DECLARE(avx2)
#endif
BEAMLINE_DECLARE(generic)
#undef BEAMLINE_DECLARE

const std::vector<Isa>& Isas() {
  static const std::vector<Isa> kIsas = {
#if defined(BEAMLINE_CPU_X86)
    {"avx512", "cpu/avx512",
     [] {
       return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
              __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
              __builtin_cpu_supports("fma") != 0;
     },
     avx512::Table, avx512::ScratchOf, avx512::TableOfLearners()},
    {"avx2", "cpu/avx2",
     [] { return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0; },
     avx2::Table, avx2::ScratchOf, avx2::TableOfLearners()},
#endif
    {"generic", "cpu/generic", [] { return true; }, generic::Table, generic::ScratchOf,
     generic::TableOfLearners()},
  };
  return kIsas;
}

const LearnerKernels& FindLearnerKernels() {
  for (const Isa& isa : Isas()) {
    if (isa.Runs()) return isa.learner_kernels;
  }
  return Isas().back().learner_kernels;
}

}  // namespace beamline::engine::cpu
