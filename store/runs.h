// Runs, their tasks, and the attempts at them. A run's id is unique in the whole store.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "beamline/v1/run.pb.h"
#include "beamline/v1/worker.pb.h"
#include "store/datasets.h"
#include "store/identity.h"
#include "store/store.h"

namespace beamline::store {

struct StoredRun {
  std::string project;
  // Complete: with definition and last_sequence.
  v1::Run message;
};

struct RunFilter {
  // RUN_STATE_UNSPECIFIED: any.
  v1::RunState state = v1::RUN_STATE_UNSPECIFIED;
  // Id of a pipeline; empty: any.
  std::string pipeline;
};

// Why a task that runs is to stop. The numbers are those of the database.
enum class Stopping {
  kNo = 0,
  kCancelled = 1,
  kMakesRoom = 2,  // at a checkpoint; it goes on later
  kPaused = 3,     // at a checkpoint; it goes on when its run does
};

// A task, and what the scheduler has to be told about it again after a restart.
struct StoredTask {
  std::string run;
  // Its place in the run, from 0.
  int64_t position = 0;
  int32_t failures = 0;
  int32_t losses = 0;
  // InfinitePast: at once.
  absl::Time not_before = absl::InfinitePast();
  absl::Time queued_at;
  // It was told to stop and has not ended yet.
  Stopping stopping = Stopping::kNo;
  // See scheduler::TaskQueued.
  int64_t attained = 0;
  v1::Task message;

  // "T" of "projects/P/runs/R/tasks/T"; unique in the run.
  std::string id() const { return std::string(IdOf(message.name())); }
};

struct StoredAttempt {
  std::string run;
  // "W" of "workers/W".
  std::string worker;
  // It holds the lease of its task.
  bool live = true;
  // Number of its last durable report.
  int64_t acknowledged = 0;
  int64_t cpu_millis = 0;
  int64_t memory_bytes = 0;
  // InfinitePast: unknown.
  absl::Time start_time = absl::InfinitePast();
  v1::Attempt message;
  // How it ended, if it has said so.
  std::optional<v1::AttemptResult> result = std::nullopt;
};

// NotFound if the project has no such run.
absl::StatusOr<StoredRun> GetRun(const View& view, std::string_view project, std::string_view run);
// Of any project.
absl::StatusOr<StoredRun> GetRun(const View& view, std::string_view run);
// Newest first, serials below `before`, without definitions.
absl::StatusOr<std::vector<Listed<v1::Run>>> ListRuns(const View& view, std::string_view project,
                                                      const RunFilter& filter, int64_t before,
                                                      int64_t limit);
absl::StatusOr<int64_t> CountRuns(const View& view, std::string_view project, v1::RunState state);
// True if a run of the project that has not ended reads the dataset.
absl::StatusOr<bool> IsDatasetInUse(const View& view, std::string_view project,
                                    std::string_view dataset);
absl::Status InsertRun(Writer& writer, std::string_view project, const v1::Run& run);
// Everything but definition, pipeline and last_sequence. NotFound if there is no such run.
absl::Status UpdateRun(Writer& writer, const v1::Run& run);

// NotFound if the run has no such task.
absl::StatusOr<StoredTask> GetTask(const View& view, std::string_view run, std::string_view task);
// By position; trials and folds behind those of their step.
absl::StatusOr<std::vector<StoredTask>> ListTasks(const View& view, std::string_view run);
// One for each step, by position: without trials and folds.
absl::StatusOr<std::vector<StoredTask>> ListStepTasks(const View& view, std::string_view run);
// Trials and folds of a step, by serial, those behind `after`.
absl::StatusOr<std::vector<Listed<StoredTask>>> ListRepetitions(const View& view,
                                                                std::string_view run,
                                                                std::string_view step,
                                                                int64_t after, int64_t limit);
// How many have not ended.
absl::StatusOr<int64_t> CountLiveTasks(const View& view, std::string_view run);
// Of all runs.
absl::StatusOr<std::vector<StoredTask>> ListTasksInState(const View& view, v1::TaskState state);
absl::Status InsertTask(Writer& writer, const StoredTask& task);
absl::Status UpdateTask(Writer& writer, const StoredTask& task);

// NotFound if there is no such attempt.
absl::StatusOr<StoredAttempt> GetAttempt(const View& view, std::string_view run,
                                         std::string_view task, int32_t number);
// Of all workers if `worker` is empty.
absl::StatusOr<std::vector<StoredAttempt>> ListLiveAttempts(const View& view,
                                                            std::string_view worker);
// FailedPrecondition or AlreadyExists if the task has a live attempt.
absl::Status InsertAttempt(Writer& writer, const StoredAttempt& attempt);
// Liveness, `acknowledged` and result.
absl::Status UpdateAttempt(Writer& writer, const StoredAttempt& attempt);

}  // namespace beamline::store
