// Prepare steps.
#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/strings.h"
#include "engine/data/checksum.h"
#include "pipeline/execute_internal.h"
#include "pipeline/execute_results.h"
#include "pipeline/expand.h"
#include "pipeline/prepare/operations.h"
#include "pipeline/training.h"

namespace beamline::pipeline::execution {
namespace {

using engine::data::Table;

constexpr int64_t kProgressMillis = 200;
// Of the step's memory, for tables; beyond it they lie in files of the work folder, together at
// most so many times the step's memory.
constexpr int64_t kMemoryShare = 2;
constexpr int64_t kDiskShare = 16;

// Thrown out of an operation when the task is asked to stop, caught in RunPrepare.
struct Stopped {};

// "3.1 M": rows as people say them.
std::string RowsText(int64_t rows) {
  const auto count = static_cast<double>(rows);
  if (rows >= 10'000'000) return absl::StrFormat("%.0f M", count / 1e6);
  if (rows >= 1'000'000) return absl::StrFormat("%.1f M", count / 1e6);
  if (rows >= 10'000) return absl::StrFormat("%.0f k", count / 1e3);
  return absl::StrCat(rows);
}

std::string SizeText(const Table& table) {
  return absl::StrCat(table.rows(), " rows x ", table.columns().size(), " columns");
}

// The same for every run of the pipeline, and another for each step and operation.
uint64_t StreamOf(const std::string& step, int operation) {
  const std::string name = absl::StrCat("prepare/", step, "/", operation);
  return engine::data::Xxh64(std::as_bytes(std::span(name)));
}

class PrepareRun {
 public:
  explicit PrepareRun(Task& task)
      : task_(task),
        step_(task.step().prepare()),
        path_(task.path() + ".prepare"),
        operations_(step_.operations_size()),
        workspace_(Options()) {}

  void Run(v1::TaskEnd* end) {
    for (const std::string& name : TablesOf(step_)) {
      if (!tables_.contains(name)) tables_.emplace(name, task_.OpenTable(name).table);
    }
    CheckColumns();
    Table table = tables_.at(step_.input());
    for (at_ = 0; at_ < operations_; ++at_) table = ApplyOne(table);
    Report("writing", 0, table.rows());
    Write(table, end);
    end->mutable_result()->mutable_result()->set_seconds(
        static_cast<double>(task_.Millis() - started_ms_) / 1000);
    end->mutable_result()->set_outcome(v1::AttemptResult::OUTCOME_SUCCEEDED);
  }

 private:
  engine::data::Workspace::Options Options() {
    const int64_t given = task_.attempt().resources().memory_bytes();
    const int64_t memory = given > 0 ? given : kDefaultMemoryBytes;
    return {.threads = task_.threads(),
            .memory_bytes = memory / kMemoryShare,
            .folder = task_.work_folder(),
            .disk_bytes = memory * kDiskShare,
            .progress = [this](int64_t done, int64_t rows) { Tell(done, rows); }};
  }

  // Again, because the validation did not know the columns if the inputs were files then.
  void CheckColumns() const {
    std::map<std::string, Schema> schemas;
    for (const auto& [name, table] : tables_) schemas[name] = SchemaOf(table);
    Violations violations;
    PreparedSchema(
        step_, path_, [&](const std::string& name) { return &schemas.at(name); }, &violations);
    if (violations.empty()) return;
    const v1::Violation& first = violations.list().front();
    throw TaskFailure(v1::FAILURE_KIND_USER, first.description(), first.field());
  }

  Table ApplyOne(const Table& table) {
    const v1::TableOperation& operation = step_.operations(at_);
    const std::string name = OperationName(operation);
    const std::string at = absl::StrCat(path_, ".operations.", at_, ".", name);
    const TableLookup lookup = [&](const std::string& other) -> const Table& {
      return tables_.at(other);
    };
    return At(at, [&] {
      Table made = Apply(operation, table,
                         {.tables = lookup,
                          .workspace = workspace_,
                          .input = step_.input(),
                          .seed = task_.definition().seed(),
                          .stream = StreamOf(task_.step().name(), at_)});
      task_.Log(absl::StrCat(name, ": ", SizeText(table), " -> ", SizeText(made)));
      if (made.rows() == 0) engine::Fail("leaves no row of ", table.rows());
      return made;
    });
  }

  void Tell(int64_t done, int64_t rows) {
    if (task_.stop() != StopToken::Request::kNone) throw Stopped();
    if (task_.Millis() - last_progress_ms_ < kProgressMillis) return;
    Report(OperationName(step_.operations(at_)), done, rows);
  }

  void Report(const std::string& what, int64_t done, int64_t rows) {
    last_progress_ms_ = task_.Millis();
    v1::Event event;
    v1::Progress& progress = *event.mutable_progress();
    progress.set_step(at_);
    progress.set_total_steps(operations_ + 1);
    progress.set_activity(
        absl::StrCat(what, ": ", RowsText(done), " of ", RowsText(rows), " rows"));
    task_.Emit(std::move(event));
  }

  void Write(const Table& table, v1::TaskEnd* end) {
    const std::string path = task_.work_folder() + "/prepared.table";
    const auto statistics = WriteTable(task_, table, path, [this] {
      if (task_.stop() != StopToken::Request::kNone) throw Stopped();
    });
    DescribeMadeTable(table, statistics, end);
    (*end->mutable_artifact_paths())["table"] = path;
  }

  Task& task_;
  const v1::PrepareStep& step_;
  const std::string path_;
  const int operations_;
  const int64_t started_ms_ = task_.Millis();
  int64_t last_progress_ms_ = 0;
  int at_ = 0;  // the operation under way
  engine::data::Workspace workspace_;
  std::map<std::string, Table> tables_;  // After the workspace: no array may outlive it.
};

}  // namespace

void RunPrepare(Task& task, v1::TaskEnd* end) {
  try {
    PrepareRun(task).Run(end);
  } catch (const Stopped&) {
    *end = {};
    EndStopped(task.stop(), end);
  }
}

}  // namespace beamline::pipeline::execution
