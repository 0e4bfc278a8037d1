#include "engine/backend/cpu/learner_kernels.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

const LearnerKernels& TableOfLearners() {
  static constexpr LearnerKernels kTable = {SquaredDistances,
                                            SquaredDistancesOfDoubles,
                                            WeightedSquares,
                                            ProductsOfRows,
                                            ProductsOfRow,
                                            MoveScores,
                                            FindPartner,
                                            Least,
                                            AddProducts,
                                            UpdateAndDot,
                                            UpdateAndMultiply,
                                            AddHistogramOfBytes,
                                            AddHistogramOfShorts,
                                            FindSplit,
                                            Rotate,
                                            AddHeard,
                                            AddScaledLanes,
                                            CountDifferent,
                                            AddLanes,
                                            AddScaledPanel,
                                            Sigmoids,
                                            Exps,
                                            Leak,
                                            Fire,
                                            TellPlace,
                                            AddChanges};
  return kTable;
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
