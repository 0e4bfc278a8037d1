#include "engine/data/column_histogram.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "engine/core/error.h"
#include "engine/data/histogram.h"

namespace beamline::engine::data {
namespace {

// Parts of the rows whose counts are summed by themselves, then in order.
constexpr int64_t kParts = 64;
// Of them, those that are counted before the caller is asked whether to go on.
constexpr int64_t kAtOnce = 8;

const Column& PlainColumn(const Table& table, const std::string& name) {
  const Column& column = table.Get(name);
  if (column.item_size() != 1) Fail("column \"", name, "\" holds arrays: name one of plain values");
  return column;
}

// Calls body(part, begin, end) for each part of the rows; several may run at once.
void ForParts(int64_t rows, Workspace& workspace,
              const std::function<void(int64_t part, int64_t begin, int64_t end)>& body) {
  const int64_t each = (rows + kParts - 1) / kParts;
  for (int64_t first = 0; first < kParts; first += kAtOnce) {
    workspace.Tell(std::min(rows, first * each), rows);
    workspace.ForEach(kAtOnce, [&](int64_t i, int) {
      const int64_t begin = std::min(rows, (first + i) * each);
      body(first + i, begin, std::min(rows, begin + each));
    });
  }
}

// Which bin a row belongs to.
class Binning {
 public:
  Binning(const Dataset& dataset, const HistogramSpec& spec, Workspace& workspace,
          ColumnHistogram* out)
      : column_(PlainColumn(dataset.table, spec.column)) {
    if (spec.bins < 1 || spec.bins > kMostHistogramBins) {
      Fail("a histogram has from 1 to ", kMostHistogramBins, " bins, not ", spec.bins);
    }
    if (column_.is_numeric()) {
      SetBins(dataset, spec);
      out->edges = bins_->edges();
    } else {
      ChooseCategories(spec.bins, workspace, &out->categories);
    }
  }

  int64_t size() const { return size_; }
  // -1: none.
  int64_t Find(int64_t row) const {
    const double value = column_.Number(row);
    if (bins_.has_value()) return bins_->Find(value);
    return std::isnan(value) ? -1 : PlaceOf(static_cast<int64_t>(value));
  }

 private:
  int64_t PlaceOf(int64_t code) const {
    return code < static_cast<int64_t>(places_.size()) ? places_[static_cast<size_t>(code)] : -1;
  }

  void SetBins(const Dataset& dataset, const HistogramSpec& spec) {
    for (size_t i = 0; i < dataset.table.columns().size(); ++i) {
      if (dataset.table.columns()[i].name() != spec.column) continue;
      const ColumnStatistics& statistics = dataset.statistics[i];
      if (statistics.count == statistics.infinite && !(spec.min && spec.max)) {
        Fail("column \"", spec.column, "\" has no finite value: give min and max");
      }
      bins_.emplace(spec.min.value_or(statistics.min), spec.max.value_or(statistics.max),
                    spec.bins);
    }
    size_ = bins_->size();
  }

  void ChooseCategories(int64_t most, Workspace& workspace, std::vector<std::string>* names) {
    const std::vector<std::string>& all = column_.categories();
    std::vector<int64_t> counts(all.size());
    // One pass by one thread: the order of whole numbers does not matter, but memory does.
    workspace.InOrder(column_.rows(), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const double code = column_.Number(row);
        if (code >= 0 && code < static_cast<double>(counts.size())) {
          ++counts[static_cast<size_t>(code)];
        }
      }
    });
    std::vector<size_t> order;
    for (size_t i = 0; i < all.size(); ++i) {
      if (counts[i] > 0) order.push_back(i);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return counts[a] > counts[b]; });
    order.resize(std::min(order.size(), static_cast<size_t>(most)));
    places_.assign(all.size(), -1);
    for (size_t place = 0; place < order.size(); ++place) {
      places_[order[place]] = static_cast<int32_t>(place);
      names->push_back(all[order[place]]);
    }
    size_ = static_cast<int64_t>(order.size());
  }

  const Column& column_;
  std::optional<Bins> bins_;
  std::vector<int32_t> places_;
  int64_t size_ = 0;
};

// Which series a row belongs to.
class Grouping {
 public:
  Grouping(const Table& table, const std::string& by, Workspace& workspace) {
    if (by.empty()) {
      names_ = {""};
      return;
    }
    column_ = &PlainColumn(table, by);
    // The first row of each value.
    std::vector<std::map<double, int64_t>> found(kParts);
    ForParts(table.rows(), workspace, [&](int64_t part, int64_t begin, int64_t end) {
      auto& mine = found[static_cast<size_t>(part)];
      for (int64_t row = begin; row < end && mine.size() <= kMostHistogramSeries; ++row) {
        const double value = column_->Number(row);
        if (!std::isnan(value)) mine.emplace(value, row);
      }
    });
    std::map<double, int64_t> all;
    for (const auto& one : found) all.insert(one.begin(), one.end());
    if (all.size() > kMostHistogramSeries) {
      Fail("column \"", by, "\" has more than ", kMostHistogramSeries,
           " different values: group by another one");
    }
    if (all.empty()) Fail("column \"", by, "\" has no values: group by another one");
    for (const auto& [value, row] : all) {
      values_.push_back(value);
      names_.push_back(column_->Text(row));
    }
  }

  const std::vector<std::string>& names() const { return names_; }
  // -1: none.
  int64_t Find(int64_t row) const {
    if (column_ == nullptr) return 0;
    const double value = column_->Number(row);
    if (std::isnan(value)) return -1;
    return std::lower_bound(values_.begin(), values_.end(), value) - values_.begin();
  }

 private:
  const Column* column_ = nullptr;
  std::vector<double> values_;
  std::vector<std::string> names_;
};

double WeightOf(const Column* weights, int64_t row) {
  if (weights == nullptr) return 1;
  const double weight = weights->Number(row);
  if (!std::isfinite(weight)) {
    Fail(RowName(row), ", column \"", weights->name(), "\": a weight must be a finite number");
  }
  return weight;
}

}  // namespace

ColumnHistogram CountColumn(const Dataset& dataset, const HistogramSpec& spec,
                            Workspace& workspace) {
  const Table& table = dataset.table;
  ColumnHistogram out;
  const Binning binning(dataset, spec, workspace, &out);
  const Grouping grouping(table, spec.by, workspace);
  const Column* weights = spec.weight.empty() ? nullptr : &PlainColumn(table, spec.weight);
  if (weights != nullptr && !weights->is_numeric()) {
    Fail("column \"", spec.weight, "\" is text: weights are numbers");
  }
  const auto series = static_cast<int64_t>(grouping.names().size());
  const int64_t width = binning.size() + 1;  // the last is for rows that no bin counts
  std::vector<std::vector<double>> parts(kParts);
  ForParts(table.rows(), workspace, [&](int64_t part, int64_t begin, int64_t end) {
    std::vector<double>& counts = parts[static_cast<size_t>(part)];
    counts.assign(static_cast<size_t>(series * width), 0);
    for (int64_t row = begin; row < end; ++row) {
      const int64_t group = grouping.Find(row);
      if (group < 0) continue;
      const int64_t bin = binning.Find(row);
      counts[static_cast<size_t>(group * width + (bin < 0 ? width - 1 : bin))] +=
          WeightOf(weights, row);
    }
  });
  for (int64_t k = 0; k < series; ++k) {
    ColumnHistogram::Series& one = out.series.emplace_back();
    one.category = grouping.names()[static_cast<size_t>(k)];
    one.counts.assign(static_cast<size_t>(width), 0);
    for (const std::vector<double>& counts : parts) {
      for (int64_t bin = 0; bin < width; ++bin) {
        one.counts[static_cast<size_t>(bin)] += counts[static_cast<size_t>(k * width + bin)];
      }
    }
    one.other = one.counts.back();
    one.counts.pop_back();
  }
  return out;
}

}  // namespace beamline::engine::data
