// What steps leave. Only for the files execute*.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "engine/data/columnar.h"
#include "pipeline/execute_internal.h"
#include "pipeline/measure.h"

namespace beamline::pipeline::execution {

// TaskFailure (INFRASTRUCTURE) unless OK.
void Check(const absl::Status& status);

// The outcome of a task that was asked to stop: CANCELLED, or RELEASED.
void EndStopped(StopToken::Request request, v1::TaskEnd* end);

// Tells how far a step is.
class ProgressTeller {
 public:
  // `task` must outlive it.
  ProgressTeller(Task& task, std::string activity) : task_(task), activity_(std::move(activity)) {}
  // Tells it if nothing is done yet, and from then on a few times a second.
  void Tell(int64_t done, int64_t total);

 private:
  Task& task_;
  const std::string activity_;
  int64_t last_ms_ = 0;
};

// Writes the columnar file. `between`: called between pieces of some MiB; may throw. TaskFailure
// (INFRASTRUCTURE) if it cannot be written.
std::vector<engine::data::ColumnStatistics> WriteTable(const Task& task,
                                                       const engine::data::Table& table,
                                                       const std::string& path,
                                                       const std::function<void()>& between = {});

// The predictions of a fold's rows, as the artifact "predictions". `rows`: that of the table for
// each.
void WriteHeldOut(Task& task, const Said& said, const std::vector<int64_t>& rows,
                  const v1::ModelCard& card, v1::TaskEnd* end);

// What the folds left, as a dataset.
void WriteOutOfFold(Task& task, v1::TaskEnd* end);

// What the result says of a table that the step made for later ones: without statistics if that
// would be much.
void DescribeMadeTable(const engine::data::Table& table,
                       const std::vector<engine::data::ColumnStatistics>& statistics,
                       v1::TaskEnd* end);

// TaskFailure (USER), naming what is too large, if the result has more than kMostMessageBytes.
void CheckSize(const Task& task, const v1::AttemptResult& result);

// Of a task that began at `started_ms` and trained with `backend`.
void FillLineage(const Task& task, const std::string& backend, int64_t started_ms,
                 v1::Lineage* lineage);

}  // namespace beamline::pipeline::execution
