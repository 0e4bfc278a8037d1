// The instruction sets for which the CPU backend was compiled.
#pragma once

#include <string_view>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/cpu/learner_kernels.h"

namespace beamline::engine::cpu {

struct Isa {
  std::string_view name;
  std::string_view backend_name;
  // This machine, and its operating system, can run it.
  bool (*Runs)();
  const KernelTable& (*Table)();
  Scratch (*ScratchOf)(OpKind op, const KernelCall& call);
  LearnerKernels learner_kernels;
};

// Widest first; the last runs everywhere.
const std::vector<Isa>& Isas();

}  // namespace beamline::engine::cpu
