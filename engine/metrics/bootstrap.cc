#include "engine/metrics/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/core/thread_pool.h"

namespace beamline::engine::metrics {
namespace {

// Of the seed: the draws of a resample.
constexpr uint64_t kDrawStream = uint64_t{0x626F6F74} << 32;
// Between two questions whether to go on, on each thread.
constexpr int64_t kDrawsBetweenQuestions = int64_t{1} << 22;

// As numpy.percentile. `values` are ascending, at least one.
double Percentile(std::span<const double> values, double share) {
  const double at = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, values.size() - 1);
  const double part = at - static_cast<double>(below);
  return values[below] + part * (values[above] - values[below]);
}

// A mean of distances from 0, or the best of many: what chance adds is never taken away, and a
// resample has it twice. Its percentiles lie too high.
bool ChanceAdds(std::string_view name) { return name == "calibration_error" || name == "ams"; }

// The basic interval: as far from the figure as those of the resamples are, on the other side. No
// such figure is below 0.
Interval Reflected(const Interval& percentiles, double figure) {
  if (!std::isfinite(figure)) return percentiles;
  return {std::max(0.0, std::min(figure, 2 * figure - percentiles.high)),
          std::max(figure, 2 * figure - percentiles.low)};
}

Interval IntervalOf(std::vector<double> values, double confidence) {
  std::erase_if(values, [](double value) { return !std::isfinite(value); });
  if (values.empty()) {
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    return {kNone, kNone};
  }
  std::sort(values.begin(), values.end());
  return {Percentile(values, (1 - confidence) / 2), Percentile(values, (1 + confidence) / 2)};
}

int64_t UnitsOf(std::span<const int64_t> units, size_t rows) {
  if (units.empty()) return static_cast<int64_t>(rows);
  if (units.size() != rows) Fail("there are ", rows, " rows, but units of ", units.size());
  const auto [least, most] = std::minmax_element(units.begin(), units.end());
  if (*least < 0 || *most >= static_cast<int64_t>(rows)) Fail("a unit is not in 0 to ", rows - 1);
  return *most + 1;
}

}  // namespace

void DrawCounts(uint64_t seed, int64_t resample, std::span<uint8_t> counts) {
  std::fill(counts.begin(), counts.end(), uint8_t{0});
  const uint64_t stream = kDrawStream | static_cast<uint64_t>(resample);
  const auto k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  const auto s0 = static_cast<uint32_t>(stream), s1 = static_cast<uint32_t>(stream >> 32);
  const uint64_t units = counts.size();
  // Two draws a block, many blocks at a time: the compiler makes vectors of them.
  constexpr uint64_t kBlocks = 64;
  uint64_t bits[2 * kBlocks];
  for (uint64_t first = 0; first < units; first += 2 * kBlocks) {
    for (uint64_t i = 0; i < kBlocks; ++i) {
      const uint64_t counter = first / 2 + i;
      const PhiloxBlock block = Philox4x32(k0, k1, static_cast<uint32_t>(counter),
                                           static_cast<uint32_t>(counter >> 32), s0, s1);
      bits[2 * i] = static_cast<uint64_t>(block.word[1]) << 32 | block.word[0];
      bits[2 * i + 1] = static_cast<uint64_t>(block.word[3]) << 32 | block.word[2];
    }
    const uint64_t left = std::min(2 * kBlocks, units - first);
    for (uint64_t i = 0; i < left; ++i) {
      __extension__ using Wide = unsigned __int128;
      ++counts[static_cast<size_t>(static_cast<Wide>(bits[i]) * units >> 64)];
    }
  }
}

std::vector<Interval> Bootstrap(const CountedFigures& figures, std::span<const int64_t> units,
                                const BootstrapOptions& options) {
  if (options.resamples < 1 || !(options.confidence > 0 && options.confidence < 1)) {
    Fail("a bootstrap needs at least one resample and a confidence above 0 and below 1, not ",
         options.resamples, " and ", options.confidence);
  }
  const int64_t drawn = UnitsOf(units, figures.rows());
  const size_t width = figures.names().size();
  const auto resamples = static_cast<size_t>(options.resamples);
  std::vector<double> values(width * resamples);
  ThreadPool pool(options.threads);
  const auto threads = static_cast<size_t>(pool.threads());
  std::vector<std::vector<uint8_t>> counts(threads), of_rows(threads);
  const auto compute = [&](int64_t resample, int slot) {
    std::vector<uint8_t>& mine = counts[static_cast<size_t>(slot)];
    mine.resize(static_cast<size_t>(drawn));
    DrawCounts(options.seed, resample, mine);
    const std::span<double> into(&values[static_cast<size_t>(resample) * width], width);
    if (units.empty()) return figures.Compute(mine, into);
    std::vector<uint8_t>& rows = of_rows[static_cast<size_t>(slot)];
    rows.resize(units.size());
    for (size_t i = 0; i < units.size(); ++i) rows[i] = mine[static_cast<size_t>(units[i])];
    figures.Compute(rows, into);
  };
  const int64_t at_once = pool.threads() * std::max<int64_t>(1, kDrawsBetweenQuestions / drawn);
  for (int64_t first = 0; first < options.resamples; first += at_once) {
    if (options.go_on && !options.go_on()) return {};
    pool.ParallelFor(std::min(at_once, options.resamples - first),
                     [&](int64_t tile, int slot) { compute(first + tile, slot); });
  }
  std::vector<double> of_all(width);
  figures.Compute(std::vector<uint8_t>(figures.rows(), 1), of_all);
  std::vector<Interval> intervals;
  for (size_t k = 0; k < width; ++k) {
    std::vector<double> of_figure;
    for (size_t r = 0; r < resamples; ++r) of_figure.push_back(values[r * width + k]);
    const Interval interval = IntervalOf(std::move(of_figure), options.confidence);
    intervals.push_back(ChanceAdds(figures.names()[k]) ? Reflected(interval, of_all[k]) : interval);
  }
  return intervals;
}

}  // namespace beamline::engine::metrics
