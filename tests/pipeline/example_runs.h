// The examples on real data, run as the service would: for tests.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "pipeline/parameters.h"
#include "pipeline/violation.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline::testing {

// An example, with its input files from `folder`.
inline std::unique_ptr<Bench> Open(const std::string& name, const std::string& folder,
                                   const std::map<std::string, double>& parameters = {}) {
  auto opened =
      std::make_unique<Bench>(ReadFile(SourceFile("examples/" + name + "/pipeline.yaml")).value());
  Bench& bench = *opened;
  bench.threads = 2;
  google::protobuf::Map<std::string, google::protobuf::Value> values;
  for (const auto& [parameter, value] : parameters) values[parameter].set_number_value(value);
  EXPECT_EQ(FormatViolations(ApplyParameters(values, &bench.definition()), ""), "");
  for (const auto& [input, source] : bench.definition().inputs()) {
    std::vector<std::string> paths;
    for (const std::string& file : source.files()) paths.push_back(folder + "/" + file);
    if (paths.empty()) paths.push_back(folder + "/" + source.file());
    bench.AddFiles(input, paths);
  }
  return opened;
}

// The evaluation of an example. With other parameters than its own nothing is published.
inline v1::Evaluation Evaluate(const std::string& name, const std::string& folder,
                               const std::map<std::string, double>& parameters = {}) {
  const std::unique_ptr<Bench> opened = Open(name, folder, parameters);
  Bench& bench = *opened;
  v1::TaskEnd end = bench.Run("train");
  EXPECT_EQ(end.result().failure().message(), "");
  end = bench.Run("evaluate");
  EXPECT_EQ(end.result().failure().message(), "");
  const v1::Evaluation evaluation = end.result().result().evaluation();
  for (const auto& [metric, value] : evaluation.metrics()) {
    ::testing::Test::RecordProperty(metric, std::to_string(value));
  }
  if (!parameters.empty()) return evaluation;
  end = bench.Run("publish");
  EXPECT_EQ(end.result().failure().message(), "");
  return evaluation;
}

}  // namespace beamline::pipeline::testing

// The folder of a data set; the test is skipped without.
#define REQUIRE_DATASET(folder, name)                                                         \
  const std::string folder = ::beamline::pipeline::testing::DatasetFolder(name);              \
  if (folder.empty()) {                                                                       \
    GTEST_SKIP() << "data set " << name << " not found: set BEAMLINE_DATASETS to the folder " \
                 << "that holds it";                                                          \
  }
