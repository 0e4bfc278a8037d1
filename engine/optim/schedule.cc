#include "engine/optim/schedule.h"

#include <algorithm>
#include <cmath>

#include "engine/core/error.h"

namespace beamline::engine {
namespace {

// factor^n by repeated squaring: the same bits everywhere, unlike libm's pow.
double Power(double factor, int64_t n) {
  double power = 1;
  for (; n > 0; n /= 2, factor *= factor) {
    if (n % 2 == 1) power *= factor;
  }
  return power;
}

// cos(pi x) for x in [0, 1] by its Taylor series, within 1e-15: the same bits everywhere.
double CosPi(double x) {
  const double z = (x - 0.5) * 3.14159265358979324;  // cos(pi x) = -sin(z)
  double term = z;
  double sum = z;
  for (int n = 1; n <= 12; ++n) {
    term *= -z * z / ((2.0 * n) * (2.0 * n + 1.0));
    sum += term;
  }
  return -sum;
}

}  // namespace

double LearningRate(const ScheduleSpec& schedule, double base, int64_t step,
                    int64_t steps_per_epoch, int64_t total_steps) {
  if (step < schedule.warmup_steps) {
    return base * static_cast<double>(step + 1) / static_cast<double>(schedule.warmup_steps);
  }
  const int64_t epoch = step / std::max<int64_t>(1, steps_per_epoch);
  switch (schedule.kind) {
    case ScheduleKind::kConstant:
      return base;
    case ScheduleKind::kStep:
      return base * Power(schedule.factor, epoch / schedule.every_epochs);
    case ScheduleKind::kExponential:
      return base * Power(schedule.factor, epoch);
    case ScheduleKind::kCosine: {
      const int64_t length = std::max<int64_t>(1, total_steps - schedule.warmup_steps);
      const double share = std::min(
          1.0, static_cast<double>(step - schedule.warmup_steps) / static_cast<double>(length));
      const double f = schedule.final_fraction;
      return base * (f + (1 - f) * (1 + CosPi(share)) / 2);
    }
  }
  return base;
}

void CheckSchedule(const ScheduleSpec& schedule) {
  if (schedule.warmup_steps < 0) Fail("schedule: warmup_steps must not be negative");
  if (schedule.every_epochs < 1) Fail("schedule: every_epochs must be at least 1");
  if (!(schedule.factor > 0) || !std::isfinite(schedule.factor)) {
    Fail("schedule: factor must be a positive number, got ", schedule.factor);
  }
  if (!(schedule.final_fraction >= 0 && schedule.final_fraction <= 1)) {
    Fail("schedule: final_fraction must be between 0 and 1, got ", schedule.final_fraction);
  }
}

}  // namespace beamline::engine
