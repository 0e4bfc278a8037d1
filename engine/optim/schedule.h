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
double LearningRate(const ScheduleSpec& schedule, double base, int64_t step,
                    int64_t steps_per_epoch, int64_t total_steps);

// Throws Error if a number of the schedule makes no sense; the message names it.
void CheckSchedule(const ScheduleSpec& schedule);

}  // namespace beamline::engine
