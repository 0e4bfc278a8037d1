#include "engine/data/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/core/thread_pool.h"
#include "engine/data/values.h"

namespace beamline::engine::data {
namespace {

struct Chunk {
  Moments moments;  // of finite values
  int64_t missing = 0;
  int64_t infinite = 0;
  double min = std::numeric_limits<double>::infinity();
  double max = -std::numeric_limits<double>::infinity();
};

Chunk ReadChunk(const Column& column, int64_t begin, int64_t end) {
  Chunk chunk;
  double sum = 0;
  int64_t count = 0;
  ForEachValue(column, begin, end, [&](double x) {
    if (!std::isfinite(x)) {
      ++(std::isnan(x) ? chunk.missing : chunk.infinite);
      return;
    }
    chunk.min = std::min(chunk.min, x);
    chunk.max = std::max(chunk.max, x);
    sum += x;
    ++count;
  });
  if (count == 0) return chunk;
  // Halves, so that values near the largest double do not overflow.
  const double mean =
      std::isfinite(sum) ? sum / static_cast<double>(count) : chunk.min / 2 + chunk.max / 2;
  double squares = 0, rest = 0;
  ForEachValue(column, begin, end, [&](double x) {
    if (!std::isfinite(x)) return;
    squares += (x - mean) * (x - mean);
    rest += x - mean;
  });
  const double correction = rest / static_cast<double>(count);
  chunk.moments = {count, mean + correction,
                   std::max(0.0, squares - correction * correction * static_cast<double>(count))};
  return chunk;
}

void DescribeCategories(const Column& column, ColumnStatistics& out) {
  std::vector<int64_t> counts(column.categories().size());
  for (const int32_t code : column.values<int32_t>()) {
    if (code >= 0 && static_cast<size_t>(code) < counts.size()) {
      ++counts[static_cast<size_t>(code)];
    } else {
      ++out.missing;
    }
  }
  std::vector<size_t> order(counts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const size_t most = std::min(order.size(), static_cast<size_t>(kTopCategories));
  std::partial_sort(
      order.begin(), order.begin() + static_cast<ptrdiff_t>(most), order.end(),
      [&](size_t a, size_t b) { return counts[a] != counts[b] ? counts[a] > counts[b] : a < b; });
  out.distinct = std::count_if(counts.begin(), counts.end(), [](int64_t n) { return n > 0; });
  for (size_t i = 0; i < most && counts[order[i]] > 0; ++i) {
    out.top.push_back({column.categories()[order[i]], counts[order[i]]});
  }
  out.count = column.rows() - out.missing;
}

void DescribeOrder(const Column& column, int64_t finite, ColumnStatistics& out) {
  const int64_t step = (finite + kExactValues - 1) / kExactValues;
  out.sampled = step > 1;
  std::vector<double> sorted;
  sorted.reserve(static_cast<size_t>(finite / step + 1));
  int64_t seen = 0, next = 0;
  const double width = (out.max - out.min) / kHistogramBins;
  ForEachValue(column, 0, column.rows() * column.item_size(), [&](double x) {
    if (!std::isfinite(x)) return;
    if (seen++ == next) {
      sorted.push_back(x);
      next += step;
    }
    const double bin = width > 0 && std::isfinite(width) ? (x - out.min) / width : 0;
    ++out.histogram[static_cast<size_t>(std::clamp(bin, 0.0, kHistogramBins - 1.0))];
  });
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < kQuantileLevels.size(); ++i) {
    const double at = kQuantileLevels[i] * static_cast<double>(sorted.size() - 1);
    const auto low = static_cast<size_t>(at);
    const size_t high = std::min(low + 1, sorted.size() - 1);
    const double part = at - static_cast<double>(low);
    out.quantiles[i] = sorted[low] * (1 - part) + sorted[high] * part;
  }
  out.distinct = std::unique(sorted.begin(), sorted.end()) - sorted.begin();
}

}  // namespace

ColumnStatistics Describe(const Column& column, std::vector<ChunkStatistics>* chunks) {
  ColumnStatistics out;
  Moments all;
  double min = std::numeric_limits<double>::infinity(), max = -min;
  for (int64_t row = 0; row < column.rows(); row += kChunkRows) {
    const int64_t end = std::min(column.rows(), row + kChunkRows);
    const Chunk chunk = ReadChunk(column, row * column.item_size(), end * column.item_size());
    all.Merge(chunk.moments);
    min = std::min(min, chunk.min);
    max = std::max(max, chunk.max);
    if (chunks != nullptr) {
      const bool any = chunk.moments.count > 0;
      chunks->push_back({chunk.missing, any ? chunk.min : 0, any ? chunk.max : 0});
    }
    if (!column.is_numeric()) continue;
    out.missing += chunk.missing;
    out.infinite += chunk.infinite;
  }
  if (!column.is_numeric()) {
    DescribeCategories(column, out);
    return out;
  }
  out.count = all.count + out.infinite;
  if (all.count == 0) return out;
  out.min = min;
  out.max = max;
  out.mean = all.mean;
  out.standard_deviation = std::sqrt(all.Variance());
  DescribeOrder(column, all.count, out);
  return out;
}

std::vector<ColumnStatistics> Describe(const Table& table, int threads) {
  std::vector<ColumnStatistics> out(table.columns().size());
  ThreadPool pool(threads);
  pool.ParallelFor(static_cast<int64_t>(out.size()), [&](int64_t c) {
    out[static_cast<size_t>(c)] = Describe(table.columns()[static_cast<size_t>(c)]);
  });
  return out;
}

}  // namespace beamline::engine::data
