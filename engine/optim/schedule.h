// Learning rates over time.
#pragma once

#include <cstdint>

#include "engine/nn/network_spec.h"

namespace beamline::engine {

// The learning rate of step `step` (from 0). `base` is the optimiser's rate. With s counted from
// the end of the warm-up, n steps from there to the end, and the epoch counted from the start:
//   warm-up      base * (step + 1) / warmup_steps
//   constant     base
//   step         base * factor^floor(epoch / every_epochs)
//   exponential  base * factor^epoch
//   cosine       base * (f + (1 - f) (1 + cos(pi s / n)) / 2), f = final_fraction
//   linear       base * (f + (1 - f) (1 - s / n))
//   polynomial   base * (f + (1 - f) (1 - s / n)^power)
//   one-cycle    along half a cosine from base * initial_fraction up to base at s = r n - 1, then
//                down to base * final_fraction at s = n - 1; r = rising_share (Smith, Topin 2018;
//                the rate only: momentum stays)
//   plateau      base, times what PlateauScale makes of it
// These are PyTorch's.
double LearningRate(const ScheduleSpec& schedule, double base, int64_t step,
                    int64_t steps_per_epoch, int64_t total_steps);

// The factor of a plateau schedule after one more reduction of it.
double PlateauScale(const ScheduleSpec& schedule, double scale);

// The optimiser's rate for batches of this size: BatchScaling.
double ScaledRate(const ScheduleSpec& schedule, double base, int64_t batch_size);

// Throws Error if a number of the schedule makes no sense; the message names it.
void CheckSchedule(const ScheduleSpec& schedule);

}  // namespace beamline::engine
