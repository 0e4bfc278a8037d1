// What the steps share while they run. Only for the files execute*.cc.
#pragma once

#include <exception>
#include <optional>
#include <string>

#include "beamline/v1/task.pb.h"
#include "engine/data/columnar.h"
#include "google/protobuf/struct.pb.h"
#include "pipeline/executor.h"
#include "pipeline/measure.h"
#include "pipeline/model_file.h"
#include "pipeline/program_host.h"
#include "pipeline/row_source.h"

namespace beamline::pipeline::execution {

inline constexpr char kEngineVersion[] = "0.1.0";
// Of an event or a result: the service takes messages of twice as many, with others around them.
inline constexpr size_t kMostMessageBytes = size_t{2} << 20;

// Ends the attempt as FAILED. Thrown by the steps, caught in Execute.
class TaskFailure : public std::exception {
 public:
  TaskFailure(v1::FailureKind kind, std::string message, std::string field = "");
  const v1::Failure& failure() const { return failure_; }
  const char* what() const noexcept override { return failure_.message().c_str(); }

 private:
  v1::Failure failure_;
};

// The attempt under way. Not thread-safe.
class Task {
 public:
  // Throws TaskFailure if the attempt names a step that the definition does not have.
  Task(const v1::TaskStart& start, TaskSink& sink, const StopToken& stop, const Clock& clock,
       ProgramHost* programs);

  const v1::Attempt& attempt() const { return start_.attempt(); }
  const v1::PipelineDefinition& definition() const { return attempt().definition(); }
  const v1::Step& step() const { return *step_; }
  // Field path of the step: "steps.train".
  const std::string& path() const { return path_; }
  int threads() const { return start_.threads() > 0 ? start_.threads() : 1; }
  const std::string& work_folder() const { return start_.work_folder(); }
  StopToken::Request stop() const { return stop_.request(); }
  int64_t Millis() const { return clock_.MonotonicMillis(); }
  // What computes: "cuda" if the attempt has a GPU ("cuda/tf32" if it may be `fast`), else "cpu".
  // TaskFailure (INFRASTRUCTURE) if this machine cannot: another one may.
  std::string Backend(bool fast) const;
  // As a lineage names it: "NVIDIA H100 (gpu0), 2 processor threads".
  std::string Hardware() const;
  // Half of the step's memory is for features, the rest for everything else. Unit: bytes.
  int64_t FeatureBytes() const;
  // Where those of a training lie: half of that in memory, for those that learn and for those that
  // validate; what is larger in the work folder.
  FeatureRoom RoomForFeatures() const;

  // Where programs run. TaskFailure (INFRASTRUCTURE) if this process was given no such place.
  ProgramHost& Programs() const;

  // Completes the event with time, step and attempt, and hands it on.
  void Emit(v1::Event event);
  void Log(const std::string& text);
  void EmitCheckpoint(const std::string& path, int64_t step);

  // The file of an input or artifact by its key. TaskFailure (INFRASTRUCTURE) if there is none.
  const std::string& InputPath(const std::string& key) const;
  // Whether it was given the table.
  bool HasTable(const std::string& input) const;
  // Opens the table of an input, or of a step before this one. TaskFailure (INFRASTRUCTURE) if it
  // is damaged.
  engine::data::Dataset OpenTable(const std::string& input) const;
  // Reads the model under that key.
  ModelFile OpenModel(const std::string& key) const;

 private:
  std::string TableKey(const std::string& input) const;

  const v1::TaskStart& start_;
  TaskSink& sink_;
  const StopToken& stop_;
  const Clock& clock_;
  ProgramHost* const programs_;
  const v1::Step* step_ = nullptr;
  std::string path_;
};

// Key of a model among the inputs of an attempt: that of a train step, or a registered one.
std::string ModelKey(const std::string& model);

// Each runs a step to its end and fills in `end`. They throw TaskFailure and engine::Error.
void RunPrepare(Task& task, v1::TaskEnd* end);
void RunTrain(Task& task, v1::TaskEnd* end);
void RunEvaluate(Task& task, v1::TaskEnd* end);
void RunPredict(Task& task, v1::TaskEnd* end);
void RunPublish(Task& task, v1::TaskEnd* end);
void RunCommand(Task& task, v1::TaskEnd* end);
// RunTrain of a learner that is a program.
void RunProgramTraining(Task& task, v1::TaskEnd* end);
// What such a model, the archive under that key, says of rows. Nothing if the task was asked to
// stop: `end` has the outcome then.
std::optional<Said> AskProgram(Task& task, const std::string& key, const v1::ModelCard& card,
                               const engine::BatchSource& source, v1::TaskEnd* end);

// What every program finds in parameters.json beside its own numbers and texts.
google::protobuf::Struct ProgramFacts(const Task& task);

}  // namespace beamline::pipeline::execution
