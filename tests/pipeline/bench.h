// Runs the steps of a definition one after the other, as the service would: for tests.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "beamline/v1/task.pb.h"
#include "engine/data/table.h"
#include "google/protobuf/struct.pb.h"
#include "pipeline/executor.h"
#include "pipeline/yaml.h"

namespace beamline::pipeline::testing {

// Keeps all that a task says. Calls `on_event` for each event.
class RecordingSink : public TaskSink {
 public:
  void OnEvent(const v1::Event& event) override;
  void OnCheckpoint(const v1::CheckpointFile& checkpoint) override;

  std::vector<v1::Event> events;
  std::vector<v1::CheckpointFile> checkpoints;
  std::function<void(const v1::Event&)> on_event;
};

// Not thread-safe.
class Bench {
 public:
  // A definition as YAML; its inputs are what AddTable and AddFile give under their names.
  explicit Bench(std::string_view yaml);

  void AddTable(const std::string& input, const engine::data::Table& table);
  // Reads a file, or several as one, by the input's options.
  void AddFile(const std::string& input, const std::string& path) { AddFiles(input, {path}); }
  void AddFiles(const std::string& input, const std::vector<std::string>& paths);

  // The attempt at a step, with results of those that ran before.
  v1::TaskStart Start(const std::string& step);
  // Runs it in a fresh folder and keeps its results for later steps.
  v1::TaskEnd Run(const std::string& step);
  v1::TaskEnd Run(const std::string& step, const v1::TaskStart& start);
  // Runs all steps in order; the last one's end, or the first that failed.
  v1::TaskEnd RunAll();

  // The model file of a train step that ran.
  std::string ModelBytes(const std::string& step) const;

  v1::PipelineDefinition& definition() { return definition_; }
  RecordingSink& sink() { return sink_; }
  StopToken& stop() { return *stop_; }
  // A fresh token for the next run.
  void ResetStop() { stop_ = std::make_unique<StopToken>(); }
  int threads = 1;

 private:
  v1::PipelineDefinition definition_;
  TemporaryDirectory folder_;
  int folders_ = 0;
  std::map<std::string, std::string> files_;
  std::map<std::string, v1::Evaluation> evaluations_;
  RecordingSink sink_;
  std::unique_ptr<StopToken> stop_ = std::make_unique<StopToken>();
  SystemClock clock_;
};

// Rows for predictions, from a list of objects in JSON.
google::protobuf::RepeatedPtrField<google::protobuf::Struct> Rows(const std::string& json);

// A metric of the evaluation that `end` brings; NaN if it is not among them. The step must have
// succeeded.
double Metric(const v1::TaskEnd& end, const std::string& name);

// Folder of a real data set, or "" if there is none: $BEAMLINE_DATASETS, else shared/datasets
// beside the source tree.
std::string DatasetFolder(const std::string& name);

// A file of the source tree.
std::string SourceFile(const std::string& path);

}  // namespace beamline::pipeline::testing
