#include "pipeline/expand.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "pipeline/resolve.h"
#include "pipeline/yaml.h"

namespace beamline::pipeline {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr char kDefinition[] = R"(
name: p
inputs: {a: {dataset: da}, b: {dataset: db}}
steps:
  - name: publish
    publish: {model: train, name: m, requirements: [{evaluation: own, metric: auc, at_least: 0.5}]}
  - name: other
    evaluate: {model: projects/p/models/m/versions/3, input: b}
  - name: own
    after: [other]
    resources: {cpus: 2, memory_bytes: 64 MiB}
    retry: {max_attempts: 2}
    timeout_seconds: 1 h
    evaluate: {model: train}
  - name: train
    train:
      data: {input: a, target: y, split: {input: {test: b}}}
      network: {layers: [{dense: {}}]}
)";

TEST(Expand, OrdersTasksAndSaysWhatEachNeeds) {
  const ParsedDefinition parsed = ParseDefinition(kDefinition);
  ASSERT_TRUE(parsed.violations.empty()) << FormatViolations(parsed.violations, "");
  const std::vector<PlannedTask> tasks = Expand(parsed.definition);
  ASSERT_EQ(tasks.size(), 4);
  EXPECT_EQ(tasks[0].step, "other");
  EXPECT_THAT(tasks[0].dependencies, IsEmpty());
  EXPECT_THAT(tasks[0].models, ElementsAre("projects/p/models/m/versions/3"));
  EXPECT_THAT(tasks[0].tables, ElementsAre("b"));
  EXPECT_EQ(tasks[1].step, "train");
  EXPECT_THAT(tasks[1].tables, ElementsAre("a"));
  EXPECT_EQ(tasks[1].resources.cpus(), kDefaultCpus);
  EXPECT_EQ(tasks[1].resources.memory_bytes(), kDefaultMemoryBytes);
  EXPECT_EQ(tasks[1].max_attempts, 5);
  EXPECT_EQ(tasks[2].step, "own");
  EXPECT_THAT(tasks[2].dependencies, ElementsAre("other", "train"));
  EXPECT_THAT(tasks[2].tables, ElementsAre("a", "b"));
  ASSERT_EQ(tasks[2].artifacts.size(), 1);
  EXPECT_EQ(tasks[2].artifacts[0].key(), "train/model");
  EXPECT_EQ(tasks[2].resources.memory_bytes(), 64 << 20);
  EXPECT_EQ(tasks[2].max_attempts, 2);
  EXPECT_EQ(tasks[2].timeout_seconds, 3600);
  EXPECT_EQ(tasks[3].step, "publish");
  EXPECT_THAT(tasks[3].dependencies, ElementsAre("own", "train"));
  EXPECT_THAT(tasks[3].evaluations, ElementsAre("own"));
}

TEST(Expand, AStepThatNamesAGpuInAnyWayAsksForOne) {
  const auto resources = [](const char* text) {
    const ParsedDefinition parsed =
        ParseDefinition(absl::StrCat("steps: [{name: a, resources: ", text, ", train: {}}]"));
    EXPECT_TRUE(parsed.violations.empty()) << FormatViolations(parsed.violations, "");
    const v1::Resources made = Expand(parsed.definition)[0].resources;
    return absl::StrCat(v1::DeviceKind_Name(made.device()), " ", made.gpus());
  };
  EXPECT_EQ(resources("{cpus: 2}"), "DEVICE_KIND_CPU 0");
  EXPECT_EQ(resources("{gpus: 1}"), "DEVICE_KIND_CUDA 1");
  EXPECT_EQ(resources("{device: cuda}"), "DEVICE_KIND_CUDA 1");
  EXPECT_EQ(resources("{device: any, gpus: 1}"), "DEVICE_KIND_ANY 1");
  EXPECT_EQ(resources("{device: any}"), "DEVICE_KIND_ANY 0");
}

TEST(DefinitionDigest, DependsOnMeaningOnly) {
  v1::PipelineDefinition a = ParseDefinition(kDefinition).definition;
  v1::PipelineDefinition b = a;
  b.set_description("words");
  EXPECT_EQ(DefinitionDigest(a), DefinitionDigest(b));
  b.set_seed(3);
  EXPECT_NE(DefinitionDigest(a), DefinitionDigest(b));
}

TEST(Resolve, GoesFromTextToARunnableDefinition) {
  v1::DefinitionSource source;
  source.set_yaml(
      "name: p\n"
      "inputs: {a: {file: a.csv}}\n"
      "steps:\n"
      "- {name: t, train: {data: {input: a, target: y}, network: {layers: [{dense: {}}]}}}\n");
  v1::Dataset dataset;
  for (const char* name : {"x", "y"}) {
    dataset.add_columns()->set_name(name);
    dataset.mutable_columns(dataset.columns_size() - 1)->set_type(v1::COLUMN_TYPE_FLOAT64);
  }
  const DatasetLookup lookup = [&](std::string_view name) {
    return name == "d" ? &dataset : nullptr;
  };
  EXPECT_TRUE(ResolveDefinition(source, lookup).verdict.ok());
  Resolved run = ResolveRun(source, {}, {}, lookup);
  EXPECT_EQ(run.verdict.violations.size(), 1);
  google::protobuf::Map<std::string, std::string> inputs;
  inputs["a"] = "d";
  google::protobuf::Map<std::string, google::protobuf::Value> parameters;
  parameters["seed"].set_number_value(9);
  run = ResolveRun(source, parameters, inputs, lookup);
  EXPECT_EQ(FormatViolations(run.verdict.violations, ""), "");
  EXPECT_EQ(run.definition.seed(), 9);
  parameters["sed"].set_number_value(9);
  EXPECT_FALSE(ResolveRun(source, parameters, inputs, lookup).verdict.ok());
  EXPECT_FALSE(ResolveDefinition({}, lookup).verdict.ok());
}

}  // namespace
}  // namespace beamline::pipeline
