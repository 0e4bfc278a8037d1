#include "store/runs.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "store/identity.h"
#include "store/rows.h"
#include "store/time.h"

namespace beamline::store {
namespace {

constexpr char kRunColumns[] = "project, message, definition, last_sequence";

absl::StatusOr<StoredRun> ReadRun(const Row& row) {
  StoredRun run{.project = std::string(row.Text(0)), .message = {}};
  RETURN_IF_ERROR(ParseMessage(row.Text(1), run.message));
  RETURN_IF_ERROR(ParseMessage(row.Text(2), *run.message.mutable_definition()));
  run.message.set_last_sequence(row.Int(3));
  return run;
}

std::optional<Bytes> OptionalBytes(const std::optional<std::string>& bytes) {
  if (!bytes.has_value()) return std::nullopt;
  return Bytes{*bytes};
}

// Of an attempt's result; NULL if it has none.
std::optional<std::string> ResultBytes(const StoredAttempt& attempt) {
  if (!attempt.result.has_value()) return std::nullopt;
  return attempt.result->SerializeAsString();
}

std::string WithoutDefinition(const v1::Run& run) {
  v1::Run slim = run;
  slim.clear_definition();
  slim.clear_last_sequence();
  return slim.SerializeAsString();
}

constexpr char kTaskColumns[] =
    "run, position, failures, losses, not_before, queued_at, stopping, attained, message, id, "
    "state";

absl::StatusOr<StoredTask> ReadTask(const Row& row) {
  StoredTask task{
      .run = std::string(row.Text(0)),
      .position = row.Int(1),
      .failures = static_cast<int32_t>(row.Int(2)),
      .losses = static_cast<int32_t>(row.Int(3)),
      .not_before = row.IsNull(4) ? absl::InfinitePast() : absl::FromUnixMicros(row.Int(4)),
      .queued_at = absl::FromUnixMicros(row.Int(5)),
      .stopping = static_cast<Stopping>(row.Int(6)),
      .attained = row.Int(7),
      .message = {}};
  RETURN_IF_ERROR(ParseMessage(row.Text(8), task.message));
  return task;
}

constexpr char kAttemptColumns[] =
    "run, worker, live, acknowledged, cpu_millis, memory_bytes, start_time, message, result, task, "
    "number";

absl::StatusOr<StoredAttempt> ReadAttempt(const Row& row) {
  StoredAttempt attempt{.run = std::string(row.Text(0)),
                        .worker = std::string(row.Text(1)),
                        .live = row.Int(2) != 0,
                        .acknowledged = row.Int(3),
                        .cpu_millis = row.Int(4),
                        .memory_bytes = row.Int(5),
                        .message = {}};
  if (row.Int(6) != 0) attempt.start_time = absl::FromUnixMicros(row.Int(6));
  RETURN_IF_ERROR(ParseMessage(row.Text(7), attempt.message));
  if (!row.IsNull(8)) RETURN_IF_ERROR(ParseMessage(row.Text(8), attempt.result.emplace()));
  return attempt;
}

}  // namespace

absl::StatusOr<StoredRun> GetRun(const View& view, std::string_view project, std::string_view run) {
  return One<StoredRun>(
      view, absl::StrCat("run ", A(run)),
      absl::StrCat("SELECT ", kRunColumns, " FROM runs WHERE id = ?1 AND project = ?2"), ReadRun,
      run, project);
}

absl::StatusOr<StoredRun> GetRun(const View& view, std::string_view run) {
  return One<StoredRun>(view, absl::StrCat("run ", A(run)),
                        absl::StrCat("SELECT ", kRunColumns, " FROM runs WHERE id = ?1"), ReadRun,
                        run);
}

absl::StatusOr<std::vector<Listed<v1::Run>>> ListRuns(const View& view, std::string_view project,
                                                      const RunFilter& filter, int64_t before,
                                                      int64_t limit) {
  return Many<Listed<v1::Run>>(
      view,
      "SELECT message, serial, last_sequence FROM runs WHERE project = ?1 AND serial < ?2 AND "
      "(?3 = 0 OR state = ?3) AND (?4 = '' OR pipeline = ?4) ORDER BY serial DESC LIMIT ?5",
      [](const Row& row) -> absl::StatusOr<Listed<v1::Run>> {
        ASSIGN_OR_RETURN(v1::Run run, ReadMessage<v1::Run>(row));
        run.set_last_sequence(row.Int(2));
        return Listed<v1::Run>(row.Int(1), std::move(run));
      },
      project, before, static_cast<int64_t>(filter.state), filter.pipeline, limit);
}

absl::StatusOr<int64_t> CountRuns(const View& view, std::string_view project, v1::RunState state) {
  return One<int64_t>(
      view, "count",
      "SELECT ifnull(sum(runs), 0) FROM run_counts WHERE project = ?1 AND state = ?2",
      [](const Row& row) { return row.Int(0); }, project, static_cast<int64_t>(state));
}

absl::StatusOr<bool> IsDatasetInUse(const View& view, std::string_view project,
                                    std::string_view dataset) {
  bool in_use = false;
  absl::Status status;
  RETURN_IF_ERROR(view.connection().Query(
      "SELECT definition FROM runs WHERE project = ?1 AND state < ?2",
      [&](const Row& row) {
        const auto definition = ReadMessage<v1::PipelineDefinition>(row);
        status.Update(definition.status());
        if (!definition.ok()) return;
        for (const auto& [name, input] : definition->inputs()) {
          in_use = in_use || IdOf(input.dataset()) == dataset;
        }
      },
      project, static_cast<int64_t>(v1::RUN_STATE_SUCCEEDED)));
  RETURN_IF_ERROR(status);
  return in_use;
}

absl::Status InsertRun(Writer& writer, std::string_view project, const v1::Run& run) {
  return writer.connection()
      .Execute(
          "INSERT INTO runs (id, project, pipeline, state, last_sequence, message, definition) "
          "VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6)",
          IdOf(run.name()), project, IdOf(run.pipeline()), static_cast<int64_t>(run.state()),
          Bytes{WithoutDefinition(run)}, Bytes{run.definition().SerializeAsString()})
      .status();
}

absl::Status UpdateRun(Writer& writer, const v1::Run& run) {
  return Changed(writer, run.name(), "UPDATE runs SET state = ?2, message = ?3 WHERE id = ?1",
                 IdOf(run.name()), static_cast<int64_t>(run.state()),
                 Bytes{WithoutDefinition(run)});
}

absl::StatusOr<StoredTask> GetTask(const View& view, std::string_view run, std::string_view task) {
  return One<StoredTask>(
      view, absl::StrCat("task ", A(task)),
      absl::StrCat("SELECT ", kTaskColumns, " FROM tasks WHERE run = ?1 AND id = ?2"), ReadTask,
      run, task);
}

absl::StatusOr<std::vector<StoredTask>> ListTasks(const View& view, std::string_view run) {
  return Many<StoredTask>(
      view,
      absl::StrCat("SELECT ", kTaskColumns, " FROM tasks WHERE run = ?1 ORDER BY position, rowid"),
      ReadTask, run);
}

absl::StatusOr<std::vector<StoredTask>> ListStepTasks(const View& view, std::string_view run) {
  return Many<StoredTask>(view,
                          absl::StrCat("SELECT ", kTaskColumns,
                                       " FROM tasks WHERE run = ?1 AND instr(id, '.') = 0 "
                                       "ORDER BY position"),
                          ReadTask, run);
}

absl::StatusOr<std::vector<Listed<StoredTask>>> ListRepetitions(const View& view,
                                                                std::string_view run,
                                                                std::string_view step,
                                                                int64_t after, int64_t limit) {
  // "/" follows ".": between them are the ids that begin with the step's name and a dot.
  return Many<Listed<StoredTask>>(
      view,
      absl::StrCat("SELECT ", kTaskColumns,
                   ", rowid FROM tasks WHERE run = ?1 AND id > ?2 AND id < ?3 AND rowid > ?4 "
                   "ORDER BY rowid LIMIT ?5"),
      [](const Row& row) -> absl::StatusOr<Listed<StoredTask>> {
        ASSIGN_OR_RETURN(StoredTask task, ReadTask(row));
        return Listed<StoredTask>(row.Int(11), std::move(task));
      },
      run, absl::StrCat(A(step), "."), absl::StrCat(A(step), "/"), after, limit);
}

absl::StatusOr<int64_t> CountLiveTasks(const View& view, std::string_view run) {
  return One<int64_t>(
      view, "count", "SELECT count(*) FROM tasks WHERE run = ?1 AND (state < ?2 OR state = ?3)",
      [](const Row& row) { return row.Int(0); }, run,
      static_cast<int64_t>(v1::TASK_STATE_SUCCEEDED), static_cast<int64_t>(v1::TASK_STATE_PAUSED));
}

absl::StatusOr<std::vector<StoredTask>> ListTasksInState(const View& view, v1::TaskState state) {
  return Many<StoredTask>(
      view,
      absl::StrCat("SELECT ", kTaskColumns,
                   " FROM tasks WHERE state = ?1 ORDER BY queued_at, run, position, rowid"),
      ReadTask, static_cast<int64_t>(state));
}

absl::Status InsertTask(Writer& writer, const StoredTask& task) {
  return writer.connection()
      .Execute(absl::StrCat("INSERT INTO tasks (", kTaskColumns,
                            ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"),
               task.run, task.position, task.failures, task.losses, ToMicros(task.not_before),
               absl::ToUnixMicros(task.queued_at), static_cast<int64_t>(task.stopping),
               task.attained, Bytes{task.message.SerializeAsString()}, task.id(),
               static_cast<int64_t>(task.message.state()))
      .status();
}

absl::Status UpdateTask(Writer& writer, const StoredTask& task) {
  return Changed(writer, task.message.name(),
                 "UPDATE tasks SET failures = ?3, losses = ?4, not_before = ?5, queued_at = ?6, "
                 "stopping = ?7, attained = ?8, message = ?9, state = ?10 "
                 "WHERE run = ?1 AND id = ?2",
                 task.run, task.id(), task.failures, task.losses, ToMicros(task.not_before),
                 absl::ToUnixMicros(task.queued_at), static_cast<int64_t>(task.stopping),
                 task.attained, Bytes{task.message.SerializeAsString()},
                 static_cast<int64_t>(task.message.state()));
}

absl::StatusOr<StoredAttempt> GetAttempt(const View& view, std::string_view run,
                                         std::string_view task, int32_t number) {
  return One<StoredAttempt>(view, absl::StrCat("attempt ", number, " at ", A(task)),
                            absl::StrCat("SELECT ", kAttemptColumns,
                                         " FROM attempts WHERE run = ?1 AND task = ?2 AND "
                                         "number = ?3"),
                            ReadAttempt, run, task, number);
}

absl::StatusOr<std::vector<StoredAttempt>> ListLiveAttempts(const View& view,
                                                            std::string_view worker) {
  if (worker.empty()) {
    return Many<StoredAttempt>(view,
                               absl::StrCat("SELECT ", kAttemptColumns,
                                            " FROM attempts WHERE live = 1 ORDER BY run, task"),
                               ReadAttempt);
  }
  return Many<StoredAttempt>(
      view,
      absl::StrCat("SELECT ", kAttemptColumns,
                   " FROM attempts WHERE live = 1 AND worker = ?1 ORDER BY run, task"),
      ReadAttempt, worker);
}

absl::Status InsertAttempt(Writer& writer, const StoredAttempt& attempt) {
  const std::optional<std::string> result = ResultBytes(attempt);
  return writer.connection()
      .Execute(
          absl::StrCat("INSERT INTO attempts (", kAttemptColumns,
                       ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"),
          attempt.run, attempt.worker, attempt.live, attempt.acknowledged, attempt.cpu_millis,
          attempt.memory_bytes,
          attempt.start_time == absl::InfinitePast() ? 0 : absl::ToUnixMicros(attempt.start_time),
          Bytes{attempt.message.SerializeAsString()}, OptionalBytes(result),
          IdOf(attempt.message.task()), attempt.message.number())
      .status();
}

absl::Status UpdateAttempt(Writer& writer, const StoredAttempt& attempt) {
  const std::optional<std::string> result = ResultBytes(attempt);
  return Changed(writer, attempt.message.task(),
                 "UPDATE attempts SET live = ?4, acknowledged = ?5, result = ?6 "
                 "WHERE run = ?1 AND task = ?2 AND number = ?3",
                 attempt.run, IdOf(attempt.message.task()), attempt.message.number(), attempt.live,
                 attempt.acknowledged, OptionalBytes(result));
}

}  // namespace beamline::store
