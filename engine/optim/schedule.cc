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

// x^power for x in [0, 1] and power > 0, within 1e-13: sums and products only, so the same bits
// everywhere. log x = 2 artanh((m - 1) / (m + 1)) + e log 2 for x = m 2^e.
double RealPower(double x, double power) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  constexpr double kLog2 = 0.693147180559945309;
  int exponent = 0;
  const double m = std::frexp(x, &exponent);  // exact
  const double q = (m - 1) / (m + 1);
  double term = q;
  double log = 0;
  for (int n = 1; n < 60; n += 2, term *= q * q) log += term / n;
  const double y = power * (2 * log + exponent * kLog2);
  if (y < -700) return 0;
  const double whole = std::floor(y / kLog2);
  const double r = y - whole * kLog2;
  double sum = 1;
  double part = 1;
  for (int n = 1; n <= 22; ++n) sum += part *= r / n;
  return std::ldexp(sum, static_cast<int>(whole));
}

// From `from` at share 0 to `to` at share 1 along half a cosine.
double HalfCosine(double from, double to, double share) {
  return to + (from - to) * (1 + CosPi(std::clamp(share, 0.0, 1.0))) / 2;
}

double OneCycle(const ScheduleSpec& schedule, double base, double step, double steps) {
  const double top = std::max(schedule.rising_share * steps - 1, 0.0);
  const double end = steps - 1;
  const double initial = base * schedule.initial_fraction;
  if (step <= top) return top == 0 ? base : HalfCosine(initial, base, step / top);
  return HalfCosine(base, base * schedule.final_fraction, (step - top) / (end - top));
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
    default:
      break;
  }
  const auto steps = static_cast<double>(std::max<int64_t>(1, total_steps - schedule.warmup_steps));
  const auto done = static_cast<double>(step - schedule.warmup_steps);
  const double share = std::min(1.0, done / steps);
  const double f = schedule.final_fraction;
  switch (schedule.kind) {
    case ScheduleKind::kCosine:
      return base * (f + (1 - f) * (1 + CosPi(share)) / 2);
    case ScheduleKind::kLinear:
      return base * (f + (1 - f) * (1 - share));
    case ScheduleKind::kPolynomial:
      return base * (f + (1 - f) * RealPower(1 - share, schedule.power));
    case ScheduleKind::kOneCycle:
      return OneCycle(schedule, base, std::min(done, steps - 1), steps);
    default:
      return base;
  }
}

double PlateauScale(const ScheduleSpec& schedule, double scale) {
  return std::max(scale * schedule.factor, schedule.final_fraction);
}

double ScaledRate(const ScheduleSpec& schedule, double base, int64_t batch_size) {
  if (schedule.batch_scaling == BatchScaling::kNone) return base;
  const double ratio =
      static_cast<double>(batch_size) / static_cast<double>(schedule.base_batch_size);
  return base * (schedule.batch_scaling == BatchScaling::kLinear ? ratio : std::sqrt(ratio));
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
  if (!(schedule.power > 0) || !(schedule.power <= 100)) {
    Fail("schedule: power must be above 0 and at most 100, got ", schedule.power);
  }
  if (!(schedule.initial_fraction > 0 && schedule.initial_fraction <= 1)) {
    Fail("schedule: initial_fraction must be above 0 and at most 1, got ",
         schedule.initial_fraction);
  }
  if (!(schedule.rising_share > 0 && schedule.rising_share < 1)) {
    Fail("schedule: rising_share must be between 0 and 1, got ", schedule.rising_share);
  }
  if (schedule.plateau_patience < 1) Fail("schedule: patience must be at least 1");
  if (schedule.kind == ScheduleKind::kPlateau && !(schedule.factor < 1)) {
    Fail("schedule: the factor of a plateau must be below 1, got ", schedule.factor);
  }
  if (schedule.base_batch_size < 1) Fail("schedule: base_batch_size must be at least 1");
}

}  // namespace beamline::engine
