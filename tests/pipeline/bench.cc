#include "tests/pipeline/bench.h"

#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/data/columnar.h"
#include "pipeline/import.h"
#include "pipeline/validate.h"

namespace beamline::pipeline::testing {

void RecordingSink::OnEvent(const v1::Event& event) {
  events.push_back(event);
  if (on_event) on_event(event);
}

void RecordingSink::OnCheckpoint(const v1::CheckpointFile& checkpoint) {
  checkpoints.push_back(checkpoint);
}

Bench::Bench(std::string_view yaml) {
  ParsedDefinition parsed = ParseDefinition(yaml);
  EXPECT_EQ(FormatViolations(parsed.violations, ""), "");
  definition_ = std::move(parsed.definition);
  const Verdict verdict = Validate(definition_);
  EXPECT_EQ(FormatViolations(verdict.violations, ""), "");
}

void Bench::AddTable(const std::string& input, const engine::data::Table& table) {
  const std::string path = folder_.path() + "/" + input + ".table";
  std::ofstream out(path, std::ios::binary);
  engine::data::WriteColumnar(table, [&](std::string_view bytes) {
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  });
  files_[input] = path;
}

void Bench::AddFiles(const std::string& input, const std::vector<std::string>& paths) {
  std::string path = paths[0];
  if (paths.size() > 1) {
    path = folder_.path() + "/" + input + ".joined";
    std::ofstream joined(path, std::ios::binary);
    for (const std::string& part : paths) joined << std::ifstream(part, std::ios::binary).rdbuf();
  }
  const std::string table = folder_.path() + "/" + input + ".table";
  const absl::StatusOr<v1::Dataset> imported =
      ImportFile(path, path, definition_.inputs().at(input).options(), /*threads=*/2,
                 /*max_bytes=*/int64_t{1} << 32, table, static_cast<int>(paths.size()));
  ASSERT_TRUE(imported.ok()) << imported.status();
  files_[input] = table;
}

v1::TaskStart Bench::Start(const std::string& step) {
  v1::TaskStart start;
  v1::Attempt& attempt = *start.mutable_attempt();
  attempt.set_task("projects/p/runs/r/tasks/" + step);
  attempt.set_number(1);
  *attempt.mutable_definition() = definition_;
  attempt.set_step(step);
  for (const auto& [key, path] : files_) {
    (*attempt.mutable_inputs())[key].set_digest(std::string(64, 'a'));
    (*start.mutable_input_paths())[key] = path;
  }
  for (const auto& [name, evaluation] : evaluations_) {
    (*attempt.mutable_evaluations())[name] = evaluation;
  }
  const std::string work = folder_.path() + "/work" + std::to_string(folders_++);
  std::filesystem::create_directory(work);
  start.set_work_folder(work);
  start.set_threads(threads);
  return start;
}

v1::TaskEnd Bench::Run(const std::string& step) { return Run(step, Start(step)); }

v1::TaskEnd Bench::Run(const std::string& step, const v1::TaskStart& start) {
  v1::TaskEnd end = Execute(start, sink_, *stop_, clock_);
  for (const auto& [name, path] : end.artifact_paths()) files_[step + "/" + name] = path;
  if (end.result().result().has_evaluation()) {
    evaluations_[step] = end.result().result().evaluation();
  }
  return end;
}

v1::TaskEnd Bench::RunAll() {
  v1::TaskEnd end;
  for (const v1::Step& step : definition_.steps()) {
    end = Run(step.name());
    if (end.result().outcome() != v1::AttemptResult::OUTCOME_SUCCEEDED) break;
  }
  return end;
}

std::string Bench::ModelBytes(const std::string& step) const {
  return ReadFile(files_.at(step + "/model")).value();
}

google::protobuf::RepeatedPtrField<google::protobuf::Struct> Rows(const std::string& json) {
  google::protobuf::ListValue list;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(json, &list).ok()) << json;
  google::protobuf::RepeatedPtrField<google::protobuf::Struct> rows;
  for (const auto& value : list.values()) *rows.Add() = value.struct_value();
  return rows;
}

double Metric(const v1::TaskEnd& end, const std::string& name) {
  EXPECT_EQ(end.result().failure().message(), "");
  const auto& metrics = end.result().result().evaluation().metrics();
  return metrics.contains(name) ? metrics.at(name) : std::nan("");
}

std::string DatasetFolder(const std::string& name) {
  const char* given = std::getenv("BEAMLINE_DATASETS");
  const std::string root = given != nullptr
                               ? std::string(given)
                               : std::string(BEAMLINE_SOURCE_DIR) + "/../shared/datasets";
  const std::string folder = root + "/" + name;
  return std::filesystem::is_directory(folder) ? folder : "";
}

std::string SourceFile(const std::string& path) {
  return std::string(BEAMLINE_SOURCE_DIR) + "/" + path;
}

}  // namespace beamline::pipeline::testing
