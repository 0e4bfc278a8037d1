#include "pipeline/plan/example_counts.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "pipeline/examples.h"
#include "pipeline/fitted.h"
#include "pipeline/node_pairs.h"
#include "pipeline/schema.h"
#include "pipeline/trial.h"

namespace beamline::pipeline {
namespace {

using engine::data::SplitSpec;

int64_t Share(double fraction, int64_t rows) {
  return std::llround(fraction * static_cast<double>(rows));
}

// Rows of each value of a column, as far as its statistics tell; `all` if they are all there.
struct Values {
  std::map<std::string, int64_t> rows;
  bool all = false;
};
Values ValuesOf(const v1::Dataset& table, const std::string& name) {
  Values values;
  const v1::Column* column = FindColumn(table, name);
  if (column == nullptr) return values;
  int64_t counted = 0;
  for (const auto& category : column->statistics().top_categories()) {
    values.rows[category.value()] = category.count();
    counted += category.count();
  }
  values.all = counted > 0 && counted == table.row_count();
  return values;
}

int64_t Distinct(const v1::Dataset& table, const std::string& name) {
  const v1::Column* column = FindColumn(table, name);
  return column == nullptr ? 0 : column->statistics().distinct();
}

class Counting {
 public:
  Counting(const v1::Dataset& table, const v1::TrainingData& data, ExampleCounts* counts)
      : table_(table), data_(data), counts_(*counts) {}

  // Divides `units` rows, sequences or graphs.
  void Split(int64_t units) {
    const SplitChoice choice = ToSplitSpec(data_, 0);
    counts_.train = units;
    if (choice.has_split) Divide(choice.spec, units);
    if (data_.has_train_on()) Keep(data_.train_on());
  }

 private:
  // Whether statistics of rows speak of units.
  bool OfRows(int64_t units) const { return units == table_.row_count(); }

  void Take(int64_t validation, int64_t test) {
    counts_.validation += validation;
    counts_.test += test;
    counts_.train -= validation + test;
  }

  void Divide(const SplitSpec& spec, int64_t units) {
    switch (spec.kind) {
      case SplitSpec::Kind::kRandom:
        return Take(Share(spec.validation, units), Share(spec.test, units));
      case SplitSpec::Kind::kStratified:
        return Stratify(spec, units);
      case SplitSpec::Kind::kOrdered: {
        const auto amount = [&](double of) {
          return of < 1 ? Share(of, units) : static_cast<int64_t>(of);
        };
        Take(amount(spec.validation), amount(spec.test));
        if (spec.train > 0) counts_.train = amount(spec.train);
        return;
      }
      case SplitSpec::Kind::kModulo: {
        const int64_t remainder = spec.test_residues.front();
        Take(0, units / spec.modulus + (units % spec.modulus > remainder ? 1 : 0));
        return Take(Share(spec.validation, counts_.train), 0);
      }
      case SplitSpec::Kind::kColumn:
        return ByColumn(spec, units);
      case SplitSpec::Kind::kNone:
        return Take(Share(spec.validation, units), 0);
    }
  }

  void Stratify(const SplitSpec& spec, int64_t units) {
    const Values values = ValuesOf(table_, spec.column);
    if (!values.all || !OfRows(units)) {
      counts_.exact = false;
      return Take(Share(spec.validation, units), Share(spec.test, units));
    }
    for (const auto& [value, rows] : values.rows) {
      const auto part = [&](double of) {
        return of > 0 ? std::max<int64_t>(1, Share(of, rows)) : 0;
      };
      const int64_t validation = part(spec.validation);
      const int64_t test =
          std::max<int64_t>(0, std::min(part(spec.test), rows - 1 - (validation > 0 ? 1 : 0)));
      Take(std::max<int64_t>(0, std::min(validation, rows - test - 1)), test);
    }
  }

  // Units that have one of the values.
  int64_t With(const std::string& column, const std::vector<std::string>& chosen, int64_t units) {
    const Values values = ValuesOf(table_, column);
    const auto distinct = static_cast<double>(std::max<int64_t>(1, Distinct(table_, column)));
    double share = 0;
    for (const std::string& value : chosen) {
      const auto found = values.rows.find(value);
      const bool known = found != values.rows.end() && table_.row_count() > 0;
      share += known ? static_cast<double>(found->second) / static_cast<double>(table_.row_count())
                     : 1 / distinct;
      if (!known || !OfRows(units)) counts_.exact = false;
    }
    return std::llround(std::min(share, 1.0) * static_cast<double>(units));
  }

  void ByColumn(const SplitSpec& spec, int64_t units) {
    Take(With(spec.column, spec.validation_values, units),
         With(spec.column, spec.test_values, units));
    if (!spec.train_values.empty()) counts_.train = With(spec.column, spec.train_values, units);
  }

  // What a filter leaves of the parts, each as much as of the table.
  void Keep(const v1::RowFilter& filter) {
    const int64_t units = counts_.train + counts_.validation + counts_.test;
    const std::vector<std::string> values(filter.values().begin(), filter.values().end());
    const auto share = static_cast<double>(With(filter.column(), values, units)) /
                       static_cast<double>(std::max<int64_t>(1, units));
    if (counts_.validation + counts_.test > 0) counts_.exact = false;
    counts_.train = Share(share, counts_.train);
    counts_.validation = Share(share, counts_.validation);
  }

  const v1::Dataset& table_;
  const v1::TrainingData& data_;
  ExampleCounts& counts_;
};

// Of rows that follow each other.
int64_t Windows(int64_t rows, const ExampleShape& shape, bool training, bool first_part) {
  if (rows == 0) return 0;
  const int64_t seen = training || first_part ? rows : rows + shape.context;
  if (seen < shape.span) return 0;
  return (seen - shape.span) / (training ? shape.stride : shape.measured_stride) + 1;
}

// The mean of the folds of what is left beside the test part.
void TakeFold(const v1::CrossValidation& kind, ExampleCounts* counts) {
  const int64_t units = counts->train + counts->validation;
  if (kind.has_time_series()) {
    const int64_t blocks = kind.time_series().folds() + 1;
    counts->validation = units / blocks;
    counts->train = units / 2;  // of 1, 2, ... all but one of the blocks
    counts->exact = false;
    return;
  }
  const int64_t folds = kind.has_grouped()      ? kind.grouped().folds()
                        : kind.has_stratified() ? kind.stratified().folds()
                                                : kind.k_fold().folds();
  counts->validation = (units + folds - 1) / folds;
  counts->train = units - counts->validation;
  counts->exact = counts->exact && units % folds == 0 && !kind.has_grouped();
}

}  // namespace

ExampleCounts CountExamples(const v1::Step& step, const TableLookup& tables, bool fold) {
  ExampleCounts counts;
  const v1::TrainingData& data = step.train().data();
  const v1::Dataset* found = tables(data.input());
  if (found == nullptr || !IsMeasured(*found)) return counts;
  const v1::Dataset& table = *found;
  counts.rows = table.row_count();
  if (data.has_graph()) {
    const v1::Dataset* arcs = tables(data.graph().arcs());
    if (arcs == nullptr || !IsMeasured(*arcs)) return counts;
    counts.arcs = arcs->row_count();
  }
  int64_t units = counts.rows;
  if (data.has_sequences()) units = Distinct(table, data.sequences().by());
  if (!data.graph().member().empty()) units = Distinct(table, data.graph().member());
  if (data.has_graph()) counts.graphs = data.graph().member().empty() ? 1 : units;
  // Arcs that are there twice count once: so many at most.
  if (LearnsPairs(data)) {
    units = counts.arcs;
    counts.exact = false;
  }
  Counting(table, data, &counts).Split(units);
  if (fold) TakeFold(step.cross_validation(), &counts);
  if (LearnsPairs(data)) {
    counts.train *= 2;
    counts.validation *= 2;
    counts.test *= 2;
  }
  if (data.has_windows()) {
    const ExampleShape shape = ShapeOf(data);
    counts.train = Windows(counts.train, shape, true, true);
    counts.validation = Windows(counts.validation, shape, false, false);
    counts.test = Windows(counts.test, shape, false, false);
  }
  if (data.limit() > 0) counts.train = std::min(counts.train, data.limit());
  return counts;
}

}  // namespace beamline::pipeline
