// A definition and datasets that the tests of the validation change and break.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/parameters.h"
#include "pipeline/text_value.h"
#include "pipeline/validate.h"
#include "pipeline/yaml.h"

namespace beamline::pipeline::testing {

inline constexpr char kBase[] = R"(
name: base
inputs: {table: {dataset: flowers}, other: {dataset: flowers2}}
steps:
  - name: train
    train:
      data:
        input: table
        target: species
        features: [length, width, color]
        split: {stratified: {validation: 0.2, test: 0.2}}
      network:
        layers:
          - {name: hidden, dense: {units: 8, activation: relu}}
          - {name: out, dense: {}}
        loss: {cross_entropy: {}}
        optimizer: {adam: {}}
        early_stopping: {metric: accuracy}
  - name: evaluate
    evaluate: {model: train}
  - name: publish
    publish:
      model: train
      name: flower
      requirements: [{evaluation: evaluate, metric: accuracy, at_least: 0.9}]
)";

inline void AddNumber(v1::Dataset& dataset, const std::string& name, double min, double max) {
  v1::Column& column = *dataset.add_columns();
  column.set_name(name);
  column.set_type(v1::COLUMN_TYPE_FLOAT64);
  v1::ColumnStatistics& statistics = *column.mutable_statistics();
  statistics.set_count(150);
  statistics.set_min(min);
  statistics.set_max(max);
  statistics.set_mean((min + max) / 2);
  statistics.set_distinct(100);
}

inline void AddText(v1::Dataset& dataset, const std::string& name,
                    const std::vector<std::string>& categories) {
  v1::Column& column = *dataset.add_columns();
  column.set_name(name);
  column.set_type(v1::COLUMN_TYPE_CATEGORICAL);
  column.mutable_statistics()->set_count(150);
  column.mutable_statistics()->set_distinct(static_cast<int64_t>(categories.size()));
  for (const std::string& category : categories) {
    column.mutable_statistics()->add_top_categories()->set_value(category);
  }
}

inline v1::Dataset Flowers() {
  v1::Dataset dataset;
  dataset.set_row_count(150);
  AddNumber(dataset, "length", 1, 7);
  AddNumber(dataset, "width", -2, 3);
  AddText(dataset, "color", {"blue", "red"});
  AddText(dataset, "species", {"setosa", "versicolor", "virginica"});
  AddText(dataset, "kind", {"only"});
  AddNumber(dataset, "price", 0, 10);
  AddNumber(dataset, "constant", 4, 4);
  AddNumber(dataset, "weight", -1, 3);
  AddNumber(dataset, "negative", -3, 1);
  AddNumber(dataset, "holes", 0, 1);
  dataset.mutable_columns(9)->mutable_statistics()->set_missing(7);
  return dataset;
}

class ValidateTest : public ::testing::Test {
 protected:
  ValidateTest() {
    datasets_["flowers"] = Flowers();
    datasets_["flowers2"] = Flowers();
    datasets_["small"].set_row_count(10);
    AddNumber(datasets_["small"], "length", 0, 1);
    AddNumber(datasets_["small"], "color", 0, 1);
    options_.datasets = [this](std::string_view name) -> const v1::Dataset* {
      const auto found = datasets_.find(std::string(name));
      return found == datasets_.end() ? nullptr : &found->second;
    };
    options_.for_run = true;
  }

  // What is wrong with the base definition after changes {path: value} in YAML.
  std::string Check(const std::string& changes, std::string_view base = kBase) {
    v1::PipelineDefinition definition = ParseDefinition(base).definition;
    TextValue value;
    Violations violations;
    EXPECT_TRUE(ReadYaml(changes, &value, &violations)) << changes;
    EXPECT_EQ(
        FormatViolations(ApplyParameters(ToProto(value).struct_value().fields(), &definition), ""),
        "");
    const Verdict verdict = Validate(definition, options_);
    unimplemented_ = FormatViolations(verdict.unimplemented, "");
    return FormatViolations(verdict.violations, "");
  }

  std::map<std::string, v1::Dataset> datasets_;
  ValidateOptions options_;
  std::string unimplemented_;
};

// Changes to the base definition, and what is then wrong with it.
struct Case {
  const char* changes;
  const char* errors;
};

}  // namespace beamline::pipeline::testing
