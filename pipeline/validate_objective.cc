// Learning without a target: reconstruction, rows to learn from, anomalies.
#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "pipeline/schema.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {
namespace {

// As definitions write it: "reconstruct".
std::string NameOf(v1::Objective objective) {
  const std::string name = v1::Objective_Name(objective);
  return absl::AsciiStrToLower(name.substr(std::string("OBJECTIVE_").size()));
}

// Values of a column that tells rows apart: each must be in some row, as far as that is known.
void CheckValues(Context& context, const std::string& path, const v1::Column& column,
                 const google::protobuf::RepeatedPtrField<std::string>& values) {
  const std::vector<std::string> known = AllCategories(column.statistics());
  if (known.empty()) return;
  for (int i = 0; i < values.size(); ++i) {
    if (std::find(known.begin(), known.end(), values[i]) != known.end()) continue;
    context.errors.Add(absl::StrCat(path, ".values.", i),
                       absl::StrCat("no row has \"", values[i], "\" in column \"", column.name(),
                                    "\"", Hint(values[i], known)));
  }
}

// The column if it has one value a row, else null.
const v1::Column* CheckPlainColumn(Context& context, const std::string& path,
                                   const v1::Dataset* dataset, const std::string& name) {
  if (name.empty()) {
    context.errors.Add(path, "is missing: name the column that tells the rows apart");
    return nullptr;
  }
  if (dataset == nullptr) return nullptr;
  const v1::Column* column = CheckColumn(context, path, *dataset, name);
  if (column == nullptr || column->item_shape_size() == 0) return column;
  context.errors.Add(path, absl::StrCat("column \"", name,
                                        "\" holds several numbers a row: rows are told apart by a "
                                        "single value"));
  return nullptr;
}

bool IsZeroOrOne(const v1::Column& column) {
  return column.type() == v1::COLUMN_TYPE_BOOL ||
         (!IsText(column.type()) && column.statistics().min() >= 0 &&
          column.statistics().max() <= 1 && column.statistics().distinct() <= 2);
}

}  // namespace

void CheckNoTarget(Context& context, const std::string& path, const v1::TrainingData& data) {
  const std::string objective = NameOf(data.objective());
  if (!data.target().empty()) {
    context.errors.Add(path + ".target",
                       absl::StrCat("must not be given with objective: ", objective,
                                    ": remove it, and list \"", data.target(),
                                    "\" in exclude if the network shall not see it; or remove "
                                    "objective"));
  }
  if (data.target_kind() != v1::TARGET_KIND_UNSPECIFIED) {
    context.errors.Add(
        path + ".target_kind",
        absl::StrCat("is for targets, but objective: ", objective, " has none: remove it"));
  }
}

void CheckRows(Context& context, const std::string& path, const v1::TrainingData& data,
               const v1::Dataset* dataset) {
  CheckRange(context, path + ".limit", static_cast<double>(data.limit()), 1, 1e15);
  if (!data.has_train_on()) return;
  const std::string at = path + ".train_on";
  if (data.train_on().values().empty()) {
    context.errors.Add(at + ".values", "are missing: give the values of the rows to learn from");
  }
  const v1::Column* column =
      CheckPlainColumn(context, at + ".column", dataset, data.train_on().column());
  if (column != nullptr) CheckValues(context, at, *column, data.train_on().values());
}

void CheckAnomaly(Context& context, const std::string& path, const v1::EvaluateStep& evaluate,
                  const v1::TrainStep* train, const v1::Dataset* dataset) {
  if (!evaluate.has_anomaly()) return;
  const v1::AnomalyLabels& anomaly = evaluate.anomaly();
  if (train != nullptr && !Reconstructs(train->data())) {
    context.errors.Add(
        path, absl::StrCat("is for models that reconstruct, but step \"", evaluate.model(),
                           HasTarget(train->data())
                               ? absl::StrCat("\" predicts \"", train->data().target())
                               : "\" has the objective \"" + NameOf(train->data().objective()),
                           "\": remove it, or give that step's data objective: "
                           "reconstruct in place of target"));
    return;
  }
  const v1::Column* column = CheckPlainColumn(context, path + ".column", dataset, anomaly.column());
  if (train != nullptr && dataset != nullptr) {
    const std::vector<std::string> features = FeatureColumns(train->data(), ColumnNames(*dataset));
    if (std::count(features.begin(), features.end(), anomaly.column()) > 0) {
      context.errors.Add(
          path + ".column",
          absl::StrCat("\"", anomaly.column(), "\" is a feature of step \"", evaluate.model(),
                       "\", which would see the answer: add it to that step's "
                       "data.exclude"));
    }
  }
  if (column == nullptr) return;
  CheckValues(context, path, *column, anomaly.values());
  if (anomaly.values().empty() && column->statistics().count() > 0 && !IsZeroOrOne(*column)) {
    context.errors.Add(path + ".values",
                       absl::StrCat("are missing: column \"", column->name(),
                                    "\" is neither true or false nor 0 and 1; give the values of "
                                    "anomalies"));
  }
}

}  // namespace beamline::pipeline::validation
