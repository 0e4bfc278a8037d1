#include <new>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/file.h"
#include "base/strings.h"
#include "engine/backend/backend.h"
#include "engine/core/error.h"
#include "pipeline/dependencies.h"
#include "pipeline/execute_internal.h"
#include "pipeline/execute_made_tables.h"
#include "pipeline/execute_results.h"
#include "pipeline/executor.h"
#include "pipeline/program_learner.h"
#include "pipeline/training.h"
#include "pipeline/trial.h"
#include "pipeline/utf8.h"

namespace beamline::pipeline {
namespace execution {

TaskFailure::TaskFailure(v1::FailureKind kind, std::string message, std::string field) {
  failure_.set_kind(kind);
  // It may name what the data holds, of any length.
  constexpr size_t kMostBytes = 16 << 10;
  failure_.set_message(std::string(CutUtf8(message, kMostBytes)));
  failure_.set_field(std::move(field));
}

Task::Task(const v1::TaskStart& start, TaskSink& sink, const StopToken& stop, const Clock& clock,
           ProgramHost* programs)
    : start_(start), sink_(sink), stop_(stop), clock_(clock), programs_(programs) {
  for (const v1::Step& step : definition().steps()) {
    if (step.name() == attempt().step()) step_ = &step;
  }
  if (step_ == nullptr) {
    throw TaskFailure(v1::FAILURE_KIND_USER,
                      absl::StrCat("the definition has no step \"", attempt().step(), "\""));
  }
  path_ = absl::StrCat("steps.", step_->name());
}

int64_t Task::FeatureBytes() const {
  constexpr int64_t kDefault = int64_t{512} << 20;
  const int64_t memory = attempt().resources().memory_bytes();
  return memory > 0 ? memory / 2 : kDefault;
}

FeatureRoom Task::RoomForFeatures() const { return RoomOf(2 * FeatureBytes(), work_folder()); }

std::string Task::Backend(bool fast) const {
  const std::string& device = attempt().devices_size() > 0 ? attempt().devices(0) : "cpu";
  if (device == "cpu") return "cpu";
  try {
    return std::string(engine::FindBackend(fast ? "cuda/tf32" : "cuda").name);
  } catch (const engine::Error& error) {
    throw TaskFailure(v1::FAILURE_KIND_INFRASTRUCTURE,
                      absl::StrCat("device ", device, " cannot be used: ", error.what()),
                      path_ + ".resources");
  }
}

std::string Task::Hardware() const {
  std::string text;
  for (const v1::Device& gpu : start_.gpus()) {
    absl::StrAppend(&text, gpu.model(), " (", gpu.id(), "), ");
  }
  return absl::StrCat(text, threads(), threads() == 1 ? " processor thread" : " processor threads");
}

ProgramHost& Task::Programs() const {
  if (programs_ != nullptr) return *programs_;
  throw TaskFailure(v1::FAILURE_KIND_INFRASTRUCTURE, "this process cannot start programs", path_);
}

void Task::Emit(v1::Event event) {
  const absl::Time now = clock_.Now();
  const int64_t seconds = absl::ToUnixSeconds(now);
  event.mutable_time()->set_seconds(seconds);
  event.mutable_time()->set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(now - absl::FromUnixSeconds(seconds))));
  event.set_step(attempt().step());
  event.set_attempt(attempt().number());
  if (event.ByteSizeLong() > kMostMessageBytes) {
    throw TaskFailure(v1::FAILURE_KIND_USER,
                      absl::StrCat("an event of the step takes ", event.ByteSizeLong(),
                                   " bytes, of which at most ", kMostMessageBytes,
                                   " are possible: use shorter names of classes, or fewer"),
                      path_);
  }
  sink_.OnEvent(event);
}

void Task::Log(const std::string& text) {
  v1::Event event;
  event.mutable_log()->set_stream(v1::LogLine::STREAM_ENGINE);
  event.mutable_log()->set_text(text);
  Emit(std::move(event));
}

void Task::EmitCheckpoint(const std::string& path, int64_t step) {
  v1::CheckpointFile checkpoint;
  checkpoint.set_path(path);
  checkpoint.set_step(step);
  sink_.OnCheckpoint(checkpoint);
}

const std::string& Task::InputPath(const std::string& key) const {
  const auto found = start_.input_paths().find(key);
  if (found == start_.input_paths().end()) {
    throw TaskFailure(v1::FAILURE_KIND_INFRASTRUCTURE,
                      absl::StrCat("the worker gave no file for \"", key, "\""));
  }
  return found->second;
}

std::string Task::TableKey(const std::string& input) const {
  const bool made =
      !definition().inputs().contains(input) && FindStep(definition(), input) != nullptr;
  return made ? absl::StrCat(input, "/table") : input;
}

bool Task::HasTable(const std::string& input) const {
  return start_.input_paths().contains(TableKey(input));
}

engine::data::Dataset Task::OpenTable(const std::string& input) const {
  const std::string& path = InputPath(TableKey(input));
  try {
    return engine::data::OpenColumnar(path, {.verify = true, .threads = threads()});
  } catch (const engine::Error& error) {
    throw TaskFailure(v1::FAILURE_KIND_INFRASTRUCTURE,
                      absl::StrCat("input \"", input, "\": ", error.what()));
  }
}

std::string ModelKey(const std::string& model) {
  return IsRegisteredModel(model) ? model : absl::StrCat(model, "/model");
}

ModelFile Task::OpenModel(const std::string& key) const {
  const absl::StatusOr<std::string> bytes = ReadFile(InputPath(key), size_t{1} << 36);
  if (!bytes.ok()) {
    throw TaskFailure(v1::FAILURE_KIND_INFRASTRUCTURE, std::string(bytes.status().message()));
  }
  if (IsProgramModel(*bytes)) return {.card = ReadProgramCard(InputPath(key)), .tensors = {}};
  absl::StatusOr<ModelFile> model = DecodeModel(*bytes);
  if (!model.ok()) {
    throw TaskFailure(v1::FAILURE_KIND_INFRASTRUCTURE,
                      absl::StrCat("\"", key, "\": ", model.status().message()));
  }
  return *std::move(model);
}

namespace {

v1::TaskEnd Failed(v1::FailureKind kind, const std::string& message, const std::string& field) {
  v1::TaskEnd end;
  end.mutable_result()->set_outcome(v1::AttemptResult::OUTCOME_FAILED);
  *end.mutable_result()->mutable_failure() = TaskFailure(kind, message, field).failure();
  return end;
}

void RunStep(Task& task, v1::TaskEnd* end) {
  CheckMadeTables(task);
  switch (task.step().kind_case()) {
    case v1::Step::kPrepare:
      return RunPrepare(task, end);
    case v1::Step::kTrain:
      return RunTrain(task, end);
    case v1::Step::kEvaluate:
      return RunEvaluate(task, end);
    case v1::Step::kPredict:
      return RunPredict(task, end);
    case v1::Step::kPublish:
      return RunPublish(task, end);
    case v1::Step::kCommand:
      return RunCommand(task, end);
    default:
      throw TaskFailure(v1::FAILURE_KIND_UNIMPLEMENTED,
                        "this version does not run steps of this kind", task.path());
  }
}

}  // namespace
}  // namespace execution

void StopToken::Ask(Request request) {
  int before = request_.load(std::memory_order_acquire);
  while (before != static_cast<int>(Request::kStop) &&
         !request_.compare_exchange_weak(before, static_cast<int>(request),
                                         std::memory_order_acq_rel)) {
  }
}

v1::TaskEnd Execute(const v1::TaskStart& start, TaskSink& sink, const StopToken& stop,
                    const Clock& clock, ProgramHost* programs) {
  using execution::Failed;
  try {
    execution::Task task(start, sink, stop, clock, programs);
    v1::TaskEnd end;
    if (task.stop() == StopToken::Request::kNone) {
      execution::RunStep(task, &end);
      execution::CheckSize(task, end.result());
    } else {
      end.mutable_result()->set_outcome(task.stop() == StopToken::Request::kStop
                                            ? v1::AttemptResult::OUTCOME_CANCELLED
                                            : v1::AttemptResult::OUTCOME_RELEASED);
    }
    return end;
  } catch (const execution::TaskFailure& error) {
    v1::TaskEnd end;
    end.mutable_result()->set_outcome(v1::AttemptResult::OUTCOME_FAILED);
    *end.mutable_result()->mutable_failure() = error.failure();
    return end;
  } catch (const PlacedError& error) {
    return Failed(v1::FAILURE_KIND_USER, error.what(), error.field());
  } catch (const engine::Error& error) {
    return Failed(v1::FAILURE_KIND_USER, error.what(),
                  absl::StrCat("steps.", start.attempt().step()));
  } catch (const std::bad_alloc&) {
    return Failed(v1::FAILURE_KIND_OUT_OF_MEMORY,
                  "memory could not be had: raise resources.memory_bytes, or use smaller batches",
                  absl::StrCat("steps.", start.attempt().step(), ".resources.memory_bytes"));
  } catch (const std::exception& error) {
    return Failed(v1::FAILURE_KIND_CRASH, error.what(), "");
  }
}

}  // namespace beamline::pipeline
