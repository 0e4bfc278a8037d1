// Steps that are repeated: the trials of a search, the folds of cross-validation, the trainings of
// a scaling study.
//
// While they run, the step's own task is RUNNING without an attempt. What is tried next follows
// from the stored trials alone, so that nothing is lost or changed when the server ends at any
// point. All within a command of the coordinator.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "beamline/v1/run.pb.h"
#include "server/transaction.h"
#include "store/runs.h"

namespace beamline::server {

// It is one of several tasks of its step.
bool IsRepetition(const store::StoredTask& task);

// Its trials and folds are under way.
bool IsRepeating(const store::StoredTask& task);

// What the step's own task has come to.
enum class Repetition {
  kGoesOn,
  // It has reached its terminal state, and is stored so.
  kEnded,
  // The best values are known (task.trial); it is to train once more with them.
  kTrainsOnce,
};

// `task` is the own task of a repeated step, and what it waited for is there: makes the first
// trials or folds. They are queued.
absl::StatusOr<Repetition> StartRepetition(Transaction& transaction, const store::StoredRun& run,
                                           store::StoredTask& task);

// `ended`, a trial or fold, has just reached its terminal state; `task` is its step's own.
absl::StatusOr<Repetition> AfterRepetition(Transaction& transaction, const store::StoredRun& run,
                                           const store::StoredTask& ended, store::StoredTask& task);

// As AfterRepetition, if the run is stopping: only keeps what became of it.
absl::Status KeepRepetition(Transaction& transaction, const store::StoredRun& run,
                            const store::StoredTask& ended);

// Metrics over the folds of the trial that `task`, the own task of a step with cross-validation,
// trains with; for its result.
absl::Status AddFoldStatistics(const store::View& view, const store::StoredRun& run,
                               const store::StoredTask& task, v1::TaskResult& result);

// The task that trained the model of a step: its own, or that of the trial whose result it took;
// of an earlier run if the step's result is.
absl::StatusOr<store::StoredTask> TrainedTask(const store::View& view, std::string_view run,
                                              std::string_view step);

}  // namespace beamline::server
