// Steps that make tables: these are inputs for the steps behind them.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "pipeline/dependencies.h"
#include "pipeline/prepare/schema.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {
namespace {

// A table that a step names must be there, whether or not its columns are known.
bool CheckTable(Context& context, const std::string& path, const std::string& name) {
  if (context.inputs.contains(name)) return true;
  if (name.empty()) {
    context.errors.Add(path, absl::StrCat("is missing: name one of the tables (",
                                          absl::StrJoin(context.InputNames(), ", "), ")"));
  } else if (context.steps.contains(name)) {
    context.errors.Add(
        path, absl::StrCat("step \"", name, "\" makes no table: name an input or a prepare step",
                           context.steps.at(name)->has_command() ? ", or give it a table" : ""));
  } else {
    context.errors.Add(path, absl::StrCat("there is no input or prepare step \"", name, "\"",
                                          Hint(name, context.InputNames())));
  }
  return false;
}

bool CheckTables(Context& context, const std::string& path, const v1::PrepareStep& prepare) {
  bool good = CheckTable(context, path + ".input", prepare.input());
  for (int i = 0; i < prepare.operations_size(); ++i) {
    const v1::TableOperation& operation = prepare.operations(i);
    const std::string at = absl::StrCat(path, ".operations.", i);
    if (operation.has_join()) {
      good = CheckTable(context, at + ".join.with", operation.join().with()) && good;
    }
    for (int k = 0; k < operation.append().tables_size(); ++k) {
      good = CheckTable(context, absl::StrCat(at, ".append.tables.", k),
                        operation.append().tables(k)) &&
             good;
    }
  }
  return good;
}

}  // namespace

void CheckTableSteps(Context& context, const ValidateOptions& options) {
  std::map<std::string, Schema> schemas;
  for (const auto& [name, dataset] : context.inputs) {
    if (dataset == nullptr) continue;
    schemas[name] = {dataset->columns().begin(), dataset->columns().end()};
  }
  for (const auto& [name, step] : context.steps) {
    if (!MakesTable(*step)) continue;
    const auto made = options.tables.find(name);
    const v1::Dataset* dataset = made == options.tables.end() ? nullptr : &made->second;
    if (dataset != nullptr) schemas[name] = {dataset->columns().begin(), dataset->columns().end()};
    if (!context.inputs.try_emplace(name, dataset).second) {
      context.errors.Add(absl::StrCat("steps.", name, ".name"),
                         absl::StrCat("there is an input \"", name,
                                      "\" too, and tables are found by these names: rename one"));
    }
  }
  const SchemaLookup lookup = [&](const std::string& name) -> const Schema* {
    const auto found = schemas.find(name);
    return found == schemas.end() ? nullptr : &found->second;
  };
  std::map<std::string, bool> good;
  for (const v1::Step& step : context.definition.steps()) {
    if (!step.has_prepare() || good.contains(step.name())) continue;
    good[step.name()] =
        CheckTables(context, absl::StrCat("steps.", step.name(), ".prepare"), step.prepare());
  }
  for (const int i : TopologicalOrder(context.definition)) {
    const v1::Step& step = context.definition.steps(i);
    const auto known = context.steps.find(step.name());
    if (!step.has_prepare() || known == context.steps.end() || known->second != &step) continue;
    const std::string path = absl::StrCat("steps.", step.name(), ".prepare");
    std::optional<Schema> schema = PreparedSchema(step.prepare(), path, lookup, &context.errors);
    if (!good[step.name()] || !schema.has_value() || options.tables.contains(step.name())) continue;
    v1::Dataset& dataset = context.prepared[step.name()];
    dataset.mutable_columns()->Assign(schema->begin(), schema->end());
    // What rows alone tell is not known before the step ran.
    for (v1::Column& column : *dataset.mutable_columns()) column.clear_statistics();
    context.inputs[step.name()] = &dataset;
    schemas[step.name()] = *std::move(schema);
  }
}

}  // namespace beamline::pipeline::validation
