#include "engine/data/correlation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/core/error.h"

namespace beamline::engine::data {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
// Rows whose numbers are side by side in a cache while all pairs are multiplied.
constexpr int64_t kBlockRows = 512;
// Parts of the rows whose sums are computed by themselves, then added in order; so many at once.
constexpr int64_t kParts = 64;
constexpr int64_t kAtOnce = 8;
constexpr int64_t kMostRows = int64_t{1} << 30;
// Pairs of columns times rows between two questions whether to go on.
constexpr int64_t kPairRowsBetweenQuestions = int64_t{32} << 20;
// What a pair whose ranks are counted anew takes beside one that is only multiplied.
constexpr double kRankedAgain = 20;

// Over the rows where both have a value.
struct PairSums {
  double n = 0, x = 0, y = 0, xx = 0, yy = 0, xy = 0;

  void Add(const PairSums& other) {
    n += other.n;
    x += other.x;
    y += other.y;
    xx += other.xx;
    yy += other.yy;
    xy += other.xy;
  }
  // `scale`: of the numbers that were summed; what is far below it is rounding.
  double Coefficient(double scale_x, double scale_y) const {
    if (n < 2) return kNone;
    const double of_x = xx - x * x / n, of_y = yy - y * y / n;
    constexpr double kRounding = 1e-26;
    if (!(of_x > kRounding * n * scale_x * scale_x) ||
        !(of_y > kRounding * n * scale_y * scale_y)) {
      return kNone;
    }
    return std::clamp((xy - x * y / n) / (std::sqrt(of_x) * std::sqrt(of_y)), -1.0, 1.0);
  }
};

// In eight sums side by side: the same bits everywhere, and vectors for the compiler.
double Dot(const double* a, const double* b, int64_t count) {
  double sums[8] = {};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int64_t lane = 0; lane < 8; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  }
  for (int64_t lane = 0; i < count; ++i, ++lane) sums[lane] += a[i] * b[i];
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}
double Sum(const double* a, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += a[i];
  return sum;
}

// Numbers of some columns about a centre of each.
struct Numbers {
  // NaN or infinite: there is none. Of column `k`.
  std::function<double(size_t k, int64_t row)> at;
  std::vector<double> centres;
  // The largest of them, roughly.
  std::vector<double> scales;
  // Whether each row has one.
  std::vector<bool> complete;
  int64_t rows = 0;

  size_t columns() const { return centres.size(); }
};

size_t PairOf(size_t i, size_t j) { return j * (j + 1) / 2 + i; }  // i <= j

class Products {
 public:
  explicit Products(const Numbers& numbers)
      : numbers_(numbers), sums_(PairOf(0, numbers.columns())) {}

  // Pairs of columns [first, behind) with those up to them. Of a block, the columns may come part
  // by part, from column 0 on; then `begin` and `end` are no farther apart than a block.
  void AddRows(int64_t begin, int64_t end, size_t first, size_t behind) {
    for (int64_t row = begin; row < end; row += kBlockRows) {
      const int64_t count = std::min(kBlockRows, end - row);
      if (first == 0) Load(row, count);
      for (size_t j = first; j < behind; ++j) {
        for (size_t i = 0; i <= j; ++i) AddBlock(i, j, count);
      }
    }
  }
  void Add(const Products& other) {
    for (size_t p = 0; p < sums_.size(); ++p) sums_[p].Add(other.sums_[p]);
  }
  // What is known of each column alone is put where pairs of complete columns need it.
  PairSums Of(size_t i, size_t j) const {
    PairSums sums = sums_[PairOf(i, j)];
    if (!numbers_.complete[i] || !numbers_.complete[j]) return sums;
    const PairSums& of_i = sums_[PairOf(i, i)];
    const PairSums& of_j = sums_[PairOf(j, j)];
    sums.n = static_cast<double>(numbers_.rows);
    sums.x = of_i.x;
    sums.xx = of_i.xy;
    sums.y = of_j.x;
    sums.yy = of_j.xy;
    return sums;
  }

 private:
  void Load(int64_t first, int64_t count) {
    values_.resize(numbers_.columns() * kBlockRows);
    present_.resize(values_.size());
    for (size_t k = 0; k < numbers_.columns(); ++k) {
      for (int64_t i = 0; i < count; ++i) {
        const double value = numbers_.at(k, first + i);
        const bool finite = std::isfinite(value);
        values_[k * kBlockRows + static_cast<size_t>(i)] = finite ? value - numbers_.centres[k] : 0;
        present_[k * kBlockRows + static_cast<size_t>(i)] = finite ? 1 : 0;
      }
    }
  }

  void AddBlock(size_t i, size_t j, int64_t count) {
    const double* const x = &values_[i * kBlockRows];
    const double* const y = &values_[j * kBlockRows];
    const double* const has_x = &present_[i * kBlockRows];
    const double* const has_y = &present_[j * kBlockRows];
    PairSums& sums = sums_[PairOf(i, j)];
    sums.xy += Dot(x, y, count);
    if (i == j) sums.x += Sum(x, count);
    if (numbers_.complete[i] && numbers_.complete[j]) return;
    sums.n += Dot(has_x, has_y, count);
    if (i != j) sums.x += Dot(x, has_y, count);
    sums.y += Dot(y, has_x, count);
    // A value that is missing is 0 there.
    for (int64_t r = 0; r < count; ++r) {
      sums.xx += x[r] * x[r] * has_y[r];
      sums.yy += y[r] * y[r] * has_x[r];
    }
  }

  const Numbers& numbers_;
  std::vector<PairSums> sums_;
  // Of the block under way: [columns, kBlockRows].
  std::vector<double> values_, present_;
};

// Adds rows [first, first + each), [first + each, ...) to one of `parts` each, and asks in between
// whether to go on.
void AddParts(const Numbers& numbers, int64_t first, int64_t each, std::vector<Products>& parts,
              Workspace& workspace) {
  const size_t columns = numbers.columns();
  constexpr int64_t kRowsAtOnce = kAtOnce * kBlockRows;
  const int64_t pairs = kPairRowsBetweenQuestions / kRowsAtOnce;
  const int64_t blocks = std::max<int64_t>(1, pairs / static_cast<int64_t>(PairOf(0, columns)));
  for (int64_t done = 0; done < each; done += blocks * kBlockRows) {
    for (size_t behind = 0, column = 0; column < columns; column = behind) {
      for (int64_t of_them = 0; behind < columns && of_them < pairs; ++behind) {
        of_them += static_cast<int64_t>(behind) + 1;
      }
      workspace.Tell(std::min(numbers.rows, first + done * kAtOnce), numbers.rows);
      workspace.ForEach(kAtOnce, [&](int64_t part, int) {
        const int64_t begin = first + part * each + done;
        const int64_t end = std::min(first + (part + 1) * each, begin + blocks * kBlockRows);
        parts[static_cast<size_t>(part)].AddRows(begin, std::min(numbers.rows, end), column,
                                                 behind);
      });
    }
  }
}

std::vector<double> PearsonOf(const Numbers& numbers, Workspace& workspace) {
  const int64_t each = (numbers.rows + kParts - 1) / kParts;
  Products all(numbers);
  for (int64_t first = 0; first < kParts; first += kAtOnce) {
    std::vector<Products> parts(kAtOnce, Products(numbers));
    AddParts(numbers, first * each, each, parts, workspace);
    for (const Products& part : parts) all.Add(part);
  }
  const size_t columns = numbers.columns();
  std::vector<double> out(columns * columns);
  for (size_t i = 0; i < columns; ++i) {
    for (size_t j = 0; j < columns; ++j) {
      const double value =
          all.Of(std::min(i, j), std::max(i, j))
              .Coefficient(numbers.scales[std::min(i, j)], numbers.scales[std::max(i, j)]);
      out[i * columns + j] = i == j && !std::isnan(value) ? 1 : value;
    }
  }
  return out;
}

// Twice the mean rank of each row, from 2; 0: it has no value.
using Ranks = Array<uint32_t>;

struct RankedValue {
  double value;
  uint32_t row;
};

void Rank(const Column& column, RankedValue* room, const Ranks& ranks) {
  size_t present = 0;
  for (int64_t row = 0; row < column.rows(); ++row) {
    const double value = column.Number(row);
    ranks[row] = 0;
    if (std::isfinite(value)) room[present++] = {value, static_cast<uint32_t>(row)};
  }
  std::sort(room, room + present,
            [](const RankedValue& a, const RankedValue& b) { return a.value < b.value; });
  for (size_t first = 0; first < present;) {
    size_t behind = first + 1;
    while (behind < present && room[behind].value == room[first].value) ++behind;
    for (size_t k = first; k < behind; ++k) {
      ranks[room[k].row] = static_cast<uint32_t>(first + behind + 1);
    }
    first = behind;
  }
}

// Ranks among the rows where both have one, by counting: ranks are whole numbers.
void RankAgain(const Ranks& ranks, const Ranks& other, const Array<uint32_t>& places) {
  std::fill(places.begin(), places.end(), 0U);
  for (int64_t row = 0; row < ranks.size; ++row) {
    if (other[row] != 0) ++places[ranks[row]];
  }
  uint32_t before = 0;
  for (int64_t rank = 1; rank < places.size; ++rank) {
    const uint32_t count = places[rank];
    places[rank] = 2 * before + count + 1;
    before += count;
  }
}

double SpearmanOfPair(const Ranks& a, const Ranks& b, const Array<uint32_t>& places_a,
                      const Array<uint32_t>& places_b) {
  RankAgain(a, b, places_a);
  RankAgain(b, a, places_b);
  PairSums sums;
  for (int64_t row = 0; row < a.size; ++row) {
    if (a[row] != 0 && b[row] != 0) sums.n += 1;
  }
  const double centre = sums.n + 1;
  for (int64_t row = 0; row < a.size; ++row) {
    if (a[row] == 0 || b[row] == 0) continue;
    const double x = places_a[a[row]] - centre, y = places_b[b[row]] - centre;
    sums.x += x;
    sums.y += y;
    sums.xx += x * x;
    sums.yy += y * y;
    sums.xy += x * y;
  }
  return sums.Coefficient(centre, centre);
}

std::vector<double> SpearmanOf(const std::vector<const Column*>& columns,
                               std::vector<bool> complete, Workspace& workspace) {
  const auto count = static_cast<int64_t>(columns.size());
  const int64_t rows = columns[0]->rows();
  std::vector<Ranks> ranks;
  for (int64_t k = 0; k < count; ++k) ranks.push_back(workspace.New<uint32_t>(rows));
  const int threads = workspace.threads();
  {
    std::vector<Array<RankedValue>> room;
    for (int i = 0; i < threads; ++i) room.push_back(workspace.New<RankedValue>(rows));
    for (int64_t first = 0; first < count; first += threads) {
      workspace.Tell(0, rows);
      workspace.ForEach(std::min<int64_t>(threads, count - first), [&](int64_t i, int slot) {
        const auto k = static_cast<size_t>(first + i);
        Rank(*columns[k], room[static_cast<size_t>(slot)].data, ranks[k]);
      });
    }
  }
  Numbers numbers;
  numbers.at = [&](size_t k, int64_t row) {
    const uint32_t rank = ranks[k][row];
    return rank == 0 ? kNone : static_cast<double>(rank);
  };
  numbers.centres.assign(columns.size(), static_cast<double>(rows + 1));
  numbers.scales = numbers.centres;
  numbers.complete = std::move(complete);
  numbers.rows = rows;
  std::vector<double> out = PearsonOf(numbers, workspace);
  // Where values are missing, ranks are those among the rows that are left.
  std::vector<Array<uint32_t>> places;
  for (int i = 0; i < 2 * threads; ++i) places.push_back(workspace.New<uint32_t>(2 * rows + 2));
  std::vector<std::pair<size_t, size_t>> pairs;
  for (size_t j = 0; j < columns.size(); ++j) {
    for (size_t i = 0; i < j; ++i) {
      if (!numbers.complete[i] || !numbers.complete[j]) pairs.emplace_back(i, j);
    }
  }
  for (size_t first = 0; first < pairs.size(); first += static_cast<size_t>(threads)) {
    workspace.Tell(0, rows);
    const auto left = static_cast<int64_t>(pairs.size() - first);
    workspace.ForEach(std::min<int64_t>(threads, left), [&](int64_t at, int slot) {
      const auto [i, j] = pairs[first + static_cast<size_t>(at)];
      const double value = SpearmanOfPair(ranks[i], ranks[j], places[static_cast<size_t>(2 * slot)],
                                          places[static_cast<size_t>(2 * slot + 1)]);
      out[i * columns.size() + j] = out[j * columns.size() + i] = value;
    });
  }
  return out;
}

double WorkOf(int64_t rows, const std::vector<bool>& complete, Correlation method) {
  const size_t columns = complete.size();
  const auto whole = static_cast<size_t>(std::count(complete.begin(), complete.end(), true));
  auto pairs = static_cast<double>(PairOf(0, columns));
  if (method == Correlation::kSpearman) {
    const size_t with_others =
        columns * (columns - 1) / 2 - (whole > 0 ? whole * (whole - 1) / 2 : 0);
    pairs += (kRankedAgain - 1) * static_cast<double>(with_others);
  }
  return static_cast<double>(rows) * pairs;
}

}  // namespace

std::vector<double> Correlate(const Dataset& dataset, const std::vector<std::string>& names,
                              Correlation method, Workspace& workspace) {
  if (names.empty() || names.size() > kMostCorrelated) {
    Fail("correlations are of 1 to ", kMostCorrelated, " columns, not ", names.size(),
         ": name those that matter");
  }
  const int64_t rows = dataset.table.rows();
  std::vector<const Column*> columns;
  Numbers numbers;
  numbers.rows = rows;
  for (const std::string& name : names) {
    const Column& column = dataset.table.Get(name);
    if (!column.is_numeric() || column.item_size() != 1) {
      Fail("column \"", name, "\" holds ", column.is_numeric() ? "arrays" : "text",
           ": correlations are of plain numbers");
    }
    const auto at = static_cast<size_t>(&column - dataset.table.columns().data());
    const ColumnStatistics& statistics = dataset.statistics[at];
    columns.push_back(&column);
    numbers.centres.push_back(statistics.mean);
    numbers.scales.push_back(std::max(std::abs(statistics.min), std::abs(statistics.max)));
    numbers.complete.push_back(statistics.missing == 0 && statistics.infinite == 0);
  }
  if (WorkOf(rows, numbers.complete, method) > kMostCorrelationWork || rows > kMostRows) {
    Fail(rows, " rows of ", names.size(), " columns are too much work: name fewer columns",
         method == Correlation::kSpearman ? ", above all of those that lack values" : "");
  }
  if (method == Correlation::kSpearman) {
    return SpearmanOf(columns, std::move(numbers.complete), workspace);
  }
  numbers.at = [&](size_t k, int64_t row) { return columns[k]->Number(row); };
  return PearsonOf(numbers, workspace);
}

}  // namespace beamline::engine::data
