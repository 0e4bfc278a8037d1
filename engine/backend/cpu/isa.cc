#include "engine/backend/cpu/isa.h"

namespace beamline::engine::cpu {

#define BEAMLINE_DECLARE(isa)                                                                 \
  namespace isa {                                                                             \
  const KernelTable& Table();                                                                 \
  Scratch ScratchOf(OpKind op, const KernelCall& call);                                       \
  void SquaredDistances(const float* x, int64_t count, int64_t features, const float* block,  \
                        double* squares);                                                     \
  void SquaredDistancesOfDoubles(const double* x, int64_t count, int64_t features,            \
                                 const float* block, double* squares);                        \
  void Least(const double* squares, int64_t count, double* least, double* which);             \
  void AddProducts(const double* a, const double* b, int64_t rows, double* c, int64_t stride, \
                   int64_t height, int64_t width);                                            \
  double UpdateAndDot(const RankTwo& update, const double* u, int64_t size, double* row);     \
  void Rotate(const Rotation* rotations, int64_t count, double* rows, int64_t stride);        \
  constexpr LearnerKernels kLearnerKernels = {                                                \
      SquaredDistances, SquaredDistancesOfDoubles, Least, AddProducts, UpdateAndDot, Rotate}; \
  }  // namespace isa

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
     avx512::Table, avx512::ScratchOf, avx512::kLearnerKernels},
    {"avx2", "cpu/avx2",
     [] { return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0; },
     avx2::Table, avx2::ScratchOf, avx2::kLearnerKernels},
#endif
    {"generic", "cpu/generic", [] { return true; }, generic::Table, generic::ScratchOf,
     generic::kLearnerKernels},
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
