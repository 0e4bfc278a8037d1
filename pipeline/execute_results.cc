#include "pipeline/execute_results.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/digest.h"
#include "base/file.h"
#include "pipeline/csv_writer.h"
#include "pipeline/dependencies.h"
#include "pipeline/fitted.h"
#include "pipeline/out_of_fold.h"
#include "pipeline/trial.h"

namespace beamline::pipeline::execution {
namespace {

// Results of tables with more columns have no statistics of them, nor of those whose statistics
// take more. Unit: columns, bytes.
constexpr int kMaxDescribed = 500;
constexpr size_t kMaxDescription = size_t{1} << 20;

// It goes through every event and answer that has the result.
void Describe(const engine::data::Table& table,
              const std::vector<engine::data::ColumnStatistics>& statistics,
              v1::Dataset* described) {
  DescribeTable(table, statistics, described);
  if (described->columns_size() <= kMaxDescribed && described->ByteSizeLong() <= kMaxDescription) {
    return;
  }
  for (v1::Column& column : *described->mutable_columns()) column.clear_statistics();
}

}  // namespace

void Check(const absl::Status& status) {
  if (!status.ok()) {
    throw TaskFailure(v1::FAILURE_KIND_INFRASTRUCTURE, std::string(status.message()));
  }
}

void EndStopped(StopToken::Request request, v1::TaskEnd* end) {
  end->mutable_result()->set_outcome(request == StopToken::Request::kStop
                                         ? v1::AttemptResult::OUTCOME_CANCELLED
                                         : v1::AttemptResult::OUTCOME_RELEASED);
}

void ProgressTeller::Tell(int64_t done, int64_t total) {
  constexpr int64_t kMillis = 200;
  const int64_t now_ms = task_.Millis();
  if (done > 0 && now_ms - last_ms_ < kMillis) return;
  last_ms_ = now_ms;
  v1::Event event;
  event.mutable_progress()->set_step(done);
  event.mutable_progress()->set_total_steps(total);
  event.mutable_progress()->set_activity(activity_);
  task_.Emit(std::move(event));
}

std::vector<engine::data::ColumnStatistics> WriteTable(const Task& task,
                                                       const engine::data::Table& table,
                                                       const std::string& path,
                                                       const std::function<void()>& between) {
  const auto error = [&](const char* what) {
    return TaskFailure(v1::FAILURE_KIND_INFRASTRUCTURE,
                       absl::StrCat("cannot ", what, " ", path, ": ", std::strerror(errno)));
  };
  const UniqueFd fd(open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd) throw error("create");
  auto statistics = engine::data::WriteColumnar(
      table,
      [&](std::string_view bytes) {
        constexpr size_t kPiece = size_t{16} << 20;
        for (; !bytes.empty(); bytes.remove_prefix(std::min(kPiece, bytes.size()))) {
          if (between) between();
          Check(WriteFully(fd.get(), bytes.substr(0, kPiece)));
        }
      },
      task.threads());
  if (fsync(fd.get()) != 0) throw error("write");
  return statistics;
}

void WriteHeldOut(Task& task, const Said& said, const std::vector<int64_t>& rows,
                  const v1::ModelCard& card, v1::TaskEnd* end) {
  const std::string path = task.work_folder() + "/predictions.table";
  WriteTable(task, HeldOut(said, rows, card), path);
  (*end->mutable_artifact_paths())["predictions"] = path;
}

void WriteOutOfFold(Task& task, v1::TaskEnd* end) {
  std::vector<engine::data::Table> folds;
  v1::Trial fold = task.attempt().trial();
  for (int i = 1; i <= CountFolds(task.step().cross_validation()); ++i) {
    fold.set_fold(i);
    folds.push_back(task.OpenTable(TaskIdOf(task.step().name(), fold) + "/predictions").table);
  }
  const engine::data::Table table =
      OutOfFold(task.OpenTable(task.step().train().data().input()).table, folds);
  const std::string path = task.work_folder() + "/out_of_fold";
  v1::Dataset& dataset = *end->mutable_result()->mutable_result()->mutable_out_of_fold();
  Describe(table, WriteTable(task, table, path + ".table"), &dataset);
  Check(WriteFileAtomically(path + ".csv", ToCsv(table)));
  (*end->mutable_artifact_paths())["out_of_fold"] = path + ".csv";
  (*end->mutable_artifact_paths())["out_of_fold_table"] = path + ".table";
}

void DescribeMadeTable(const engine::data::Table& table,
                       const std::vector<engine::data::ColumnStatistics>& statistics,
                       v1::TaskEnd* end) {
  Describe(table, statistics, end->mutable_result()->mutable_result()->mutable_table());
}

void CheckSize(const Task& task, const v1::AttemptResult& result) {
  const size_t bytes = result.ByteSizeLong();
  if (bytes <= kMostMessageBytes) return;
  const v1::TaskResult& of_task = result.result();
  const std::pair<size_t, std::string> parts[] = {
      {of_task.table().ByteSizeLong(),
       absl::StrCat("the names of the table's ", of_task.table().columns_size(),
                    " columns: make fewer, or give them shorter names")},
      {of_task.out_of_fold().ByteSizeLong(),
       absl::StrCat("the names of the ", of_task.out_of_fold().columns_size(),
                    " columns of the held-out rows: give them shorter names")},
      {of_task.evaluation().ByteSizeLong(),
       "the evaluation: use shorter names of classes, or fewer classes"},
      {result.card().ByteSizeLong(),
       "what the model keeps of its columns and classes: use shorter texts, or fewer"},
  };
  const auto& [most, what] = *std::max_element(std::begin(parts), std::end(parts));
  throw TaskFailure(v1::FAILURE_KIND_USER,
                    absl::StrCat("the result takes ", bytes, " bytes, of which at most ",
                                 kMostMessageBytes, " are possible; ", most, " of them are ", what),
                    task.path());
}

void FillLineage(const Task& task, const std::string& backend, int64_t started_ms,
                 v1::Lineage* lineage) {
  const std::string& name = task.attempt().task();
  const v1::TrainingData& data = task.step().train().data();
  const std::vector<std::string> tables =
      task.step().has_command() ? TablesRead(task.definition(), task.step())
                                : std::vector<std::string>{data.input(), data.graph().arcs()};
  lineage->set_run(name.substr(0, name.find("/tasks/")));
  lineage->set_step(task.step().name());
  lineage->set_pipeline(task.definition().name());
  const auto& inputs = task.definition().inputs();
  for (const std::string& input : TablesBehind(task.definition(), tables)) {
    const auto made = task.attempt().inputs().find(absl::StrCat(input, "/table"));
    if (made != task.attempt().inputs().end()) {
      (*lineage->mutable_data_digests())[input] = made->second.digest();
    }
    const auto found = inputs.find(input);
    if (found == inputs.end()) continue;
    const v1::Input& source = found->second;
    // A dataset's id begins with the digest of the bytes as they were uploaded.
    const std::vector<std::string> parts = absl::StrSplit(source.dataset(), '/');
    const std::string digest = parts.back().substr(0, 64);
    if (IsSha256Hex(digest)) (*lineage->mutable_data_digests())[input] = digest;
  }
  lineage->set_seed(task.definition().seed());
  lineage->set_engine_version(kEngineVersion);
  lineage->set_backend(backend);
  lineage->set_hardware(task.Hardware());
  lineage->set_training_seconds(static_cast<double>(task.Millis() - started_ms) / 1000);
}

}  // namespace beamline::pipeline::execution
