// What a training takes, known from its definition and the number of its rows alone.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/learners/batch_source.h"
#include "engine/nn/adversarial_spec.h"
#include "engine/nn/network_spec.h"
#include "engine/passes/kernel_work.h"

namespace beamline::engine {

// Runs of one graph during a training.
struct PlannedRuns {
  // How often it runs in all; not a whole number where it does not run each step.
  double times = 0;
  // Copied from the rows into the graph's inputs before each run. Unit: bytes.
  double input_bytes = 0;
  std::vector<KernelWork> kernels;
};

struct TrainingPlan {
  int64_t parameters = 0;  // trained numbers
  // What the learner reserves when it is made: Learner::PeakBytes of the same definition and rows.
  int64_t peak_bytes = 0;
  // Of the products of one optimiser step on a full batch, a multiply-add counting 2.
  double flops_per_step = 0;
  int64_t batch_size = 0;
  int64_t steps_per_epoch = 0;
  int64_t steps = 0;
  // Training, and the loss of the validation rows after each epoch.
  std::vector<PlannedRuns> runs;
  // One pass over the validation rows; empty without them.
  std::vector<PlannedRuns> validation;
};

struct PlanOptions {
  // The backend runs all updates at the end of a step (Backend::update_many): that of GPUs.
  bool updates_at_end = false;
};

// `rows` and `validation_rows` (0: none) as the learner would get them. No memory for values is
// taken but that of the layout's own node graph. Throws Error as the learners do.
TrainingPlan PlanTraining(const NetworkSpec& spec, const BatchLayout& layout, int64_t rows,
                          int64_t validation_rows, PlanOptions options = {});
TrainingPlan PlanTraining(const AdversarialSpec& spec, const BatchLayout& layout, int64_t rows,
                          int64_t validation_rows, PlanOptions options = {});

// In how many parts activations are computed again (NetworkSpec::recomputed_parts; 1: they are
// not), and the peak_bytes of PlanTraining then.
struct Recomputation {
  int parts = 1;
  int64_t peak_bytes = 0;
};
// The fewest parts with which that is no more than `limit_bytes`; if no number of them suffices,
// the one with the least.
Recomputation ChooseParts(NetworkSpec spec, const BatchLayout& layout, int64_t rows,
                          int64_t validation_rows, int64_t limit_bytes, PlanOptions options = {});
// The parts that ChooseParts chooses; 0: none suffice.
int FittingParts(NetworkSpec spec, const BatchLayout& layout, int64_t rows, int64_t validation_rows,
                 int64_t limit_bytes, PlanOptions options = {});

// Predictions of so many rows, as NetworkLearner::Predict makes them: full batches, and of the rest
// one for each power of two in it.
std::vector<PlannedRuns> PlanPass(const NetworkSpec& spec, const BatchLayout& layout, int64_t rows);

// The largest power of two below spec.batch_size with which PlanTraining needs no more than
// `limit_bytes`; 0: none.
int64_t FittingBatch(NetworkSpec spec, const BatchLayout& layout, int64_t rows,
                     int64_t validation_rows, int64_t limit_bytes, PlanOptions options = {});
int64_t FittingBatch(AdversarialSpec spec, const BatchLayout& layout, int64_t rows,
                     int64_t validation_rows, int64_t limit_bytes, PlanOptions options = {});

}  // namespace beamline::engine
