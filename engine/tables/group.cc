#include "engine/tables/group.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "engine/data/validity.h"
#include "engine/tables/gather.h"

namespace beamline::engine::tables {
namespace {

using data::Array;
using data::Column;
using data::ColumnType;
using data::MakeColumn;
using data::Validity;
using data::Workspace;

struct Named {
  Aggregate aggregate;
  std::string_view name;
};
constexpr Named kNames[] = {
    {Aggregate::kCount, "count"}, {Aggregate::kSum, "sum"},   {Aggregate::kMean, "mean"},
    {Aggregate::kMin, "min"},     {Aggregate::kMax, "max"},   {Aggregate::kStd, "std"},
    {Aggregate::kFirst, "first"}, {Aggregate::kLast, "last"}, {Aggregate::kMedian, "median"},
};

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

bool IsWhole(ColumnType type) { return data::IsInteger(type); }

Column Finish(std::string name, ColumnType type, const Array<double>& values) {
  return MakeColumn(Column({.name = name, .type = type}), std::move(name), values.size, values, {});
}

template <typename Use>
void ForRows(const Numbered& groups, Workspace& workspace, const Use& use) {
  workspace.InOrder(groups.numbers.size, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) use(row, groups.numbers[row]);
  });
}

Column Count(const Column& column, const Numbered& groups, std::string name, Workspace& workspace) {
  const Array<int64_t> counts = workspace.New<int64_t>(groups.count());
  std::fill(counts.begin(), counts.end(), 0);
  ForRows(groups, workspace,
          [&](int64_t row, int64_t group) { counts[group] += column.IsMissing(row) ? 0 : 1; });
  return MakeColumn(Column({.name = name, .type = ColumnType::kInt64}), std::move(name),
                    groups.count(), counts, {});
}

Column SumWhole(const Column& column, const Numbered& groups, std::string name,
                Workspace& workspace) {
  const Array<int64_t> sums = workspace.New<int64_t>(groups.count());
  std::fill(sums.begin(), sums.end(), 0);
  const Validity validity(groups.count(), workspace);
  ForRows(groups, workspace, [&](int64_t row, int64_t group) {
    if (!data::IsPresent(column, row)) return;
    if (__builtin_add_overflow(sums[group], column.Integer(row), &sums[group])) {
      validity.Clear(group);
    }
  });
  for (int64_t group = 0; group < groups.count(); ++group) {
    if ((validity.bits()[group >> 3] >> (group & 7) & 1) == 0) sums[group] = 0;
  }
  return MakeColumn(Column({.name = name, .type = ColumnType::kInt64}), std::move(name),
                    groups.count(), sums, validity);
}

// Count, mean and squared deviations of each group (Welford 1962), and a compensated sum (Neumaier
// 1974): both of the rows in order.
struct Moment {
  int64_t count = 0;
  double mean = 0;
  double squares = 0;
  double sum = 0;
  double rest = 0;

  void Add(double x) {
    ++count;
    const double delta = x - mean;
    mean += delta / static_cast<double>(count);
    squares += delta * (x - mean);
    const double total = sum + x;
    if (std::isfinite(total)) {
      rest += std::fabs(sum) >= std::fabs(x) ? (sum - total) + x : (x - total) + sum;
    }
    sum = total;
  }
  double Sum() const { return std::isfinite(sum) ? sum + rest : sum; }
};

Column Moments(Aggregate aggregate, const Column& column, const Numbered& groups, std::string name,
               Workspace& workspace) {
  const Array<Moment> moments = workspace.New<Moment>(groups.count());
  std::fill(moments.begin(), moments.end(), Moment());
  ForRows(groups, workspace, [&](int64_t row, int64_t group) {
    const double x = column.Number(row);
    if (!std::isnan(x)) moments[group].Add(x);
  });
  const Array<double> out = workspace.New<double>(groups.count());
  for (int64_t group = 0; group < groups.count(); ++group) {
    const Moment& moment = moments[group];
    const auto count = static_cast<double>(moment.count);
    if (aggregate == Aggregate::kSum) {
      out[group] = moment.Sum();
    } else if (aggregate == Aggregate::kMean) {
      out[group] = moment.count == 0 ? kNan : moment.Sum() / count;
    } else {
      out[group] = moment.count < 2 ? kNan : std::sqrt(moment.squares / (count - 1));
    }
  }
  return Finish(std::move(name), ColumnType::kFloat64, out);
}

// The row of each group whose value is taken; kNoRow without any.
template <typename Better>
Column Choose(const Column& column, const Numbered& groups, std::string name, Workspace& workspace,
              const Better& better) {
  const Array<int64_t> rows = workspace.New<int64_t>(groups.count());
  std::fill(rows.begin(), rows.end(), kNoRow);
  ForRows(groups, workspace, [&](int64_t row, int64_t group) {
    if (column.IsMissing(row)) return;
    if (rows[group] == kNoRow || better(row, rows[group])) rows[group] = row;
  });
  return Gather(column, rows.span(), workspace).Renamed(std::move(name));
}

// Whether a value is below another; whole numbers beyond 2^53 too.
bool Below(const Column& column, int64_t a, int64_t b) {
  if (IsWhole(column.type())) return column.Integer(a) < column.Integer(b);
  return column.Number(a) < column.Number(b);
}

Column Median(const Column& column, const Numbered& groups, std::string name,
              Workspace& workspace) {
  const Buckets buckets = BucketRows(groups.numbers, groups.count(), workspace);
  const Array<double> out = workspace.New<double>(groups.count());
  std::vector<double> values;
  for (int64_t group = 0; group < groups.count(); ++group) {
    if (group % 4096 == 0) workspace.Tell(buckets.begins[group], buckets.rows.size);
    values.clear();
    for (int64_t i = buckets.begins[group]; i < buckets.begins[group + 1]; ++i) {
      const double x = column.Number(buckets.rows[i]);
      if (!std::isnan(x)) values.push_back(x);
    }
    out[group] = kNan;
    if (values.empty()) continue;
    const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    out[group] = *middle;
    if (values.size() % 2 == 0) {
      const double lower = *std::max_element(values.begin(), middle);
      out[group] = lower + (*middle - lower) / 2;
    }
  }
  return Finish(std::move(name), ColumnType::kFloat64, out);
}

}  // namespace

std::string_view NameOf(Aggregate aggregate) {
  for (const Named& each : kNames) {
    if (each.aggregate == aggregate) return each.name;
  }
  return "";
}

bool FindAggregate(std::string_view name, Aggregate* aggregate) {
  for (const Named& each : kNames) {
    if (each.name != name) continue;
    *aggregate = each.aggregate;
    return true;
  }
  return false;
}

std::vector<std::string> AggregateNames() {
  std::vector<std::string> names;
  for (const Named& each : kNames) names.emplace_back(each.name);
  return names;
}

bool Takes(Aggregate aggregate, ColumnType type) {
  if (type != ColumnType::kCategorical) return true;
  return aggregate != Aggregate::kSum && aggregate != Aggregate::kMean &&
         aggregate != Aggregate::kStd && aggregate != Aggregate::kMedian;
}

ColumnType ResultOf(Aggregate aggregate, ColumnType type) {
  switch (aggregate) {
    case Aggregate::kCount:
      return ColumnType::kInt64;
    case Aggregate::kSum:
      return IsWhole(type) ? ColumnType::kInt64 : ColumnType::kFloat64;
    case Aggregate::kMean:
    case Aggregate::kStd:
    case Aggregate::kMedian:
      return ColumnType::kFloat64;
    default:
      return type;
  }
}

Column AggregateRows(Aggregate aggregate, const Column& column, const Numbered& groups,
                     std::string name, Workspace& workspace) {
  switch (aggregate) {
    case Aggregate::kCount:
      return Count(column, groups, std::move(name), workspace);
    case Aggregate::kMin:
      return Choose(column, groups, std::move(name), workspace,
                    [&](int64_t row, int64_t best) { return Below(column, row, best); });
    case Aggregate::kMax:
      return Choose(column, groups, std::move(name), workspace,
                    [&](int64_t row, int64_t best) { return Below(column, best, row); });
    case Aggregate::kFirst:
      return Choose(column, groups, std::move(name), workspace,
                    [](int64_t, int64_t) { return false; });
    case Aggregate::kLast:
      return Choose(column, groups, std::move(name), workspace,
                    [](int64_t, int64_t) { return true; });
    case Aggregate::kMedian:
      return Median(column, groups, std::move(name), workspace);
    case Aggregate::kSum:
      if (IsWhole(column.type())) return SumWhole(column, groups, std::move(name), workspace);
      break;
    default:
      break;
  }
  return Moments(aggregate, column, groups, std::move(name), workspace);
}

Column CountRows(const Numbered& groups, std::string name, Workspace& workspace) {
  const Array<int64_t> counts = workspace.New<int64_t>(groups.count());
  std::fill(counts.begin(), counts.end(), 0);
  for (const int64_t group : groups.numbers.span()) ++counts[group];
  return MakeColumn(Column({.name = name, .type = ColumnType::kInt64}), std::move(name),
                    groups.count(), counts, {});
}

}  // namespace beamline::engine::tables
