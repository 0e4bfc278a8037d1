// Tables that programs make: taken from what the program left, and checked where a step reads them.
#include "pipeline/execute_made_tables.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "engine/core/error.h"
#include "pipeline/dependencies.h"
#include "pipeline/execute_results.h"
#include "pipeline/fitted.h"
#include "pipeline/ingest/ingest.h"
#include "pipeline/trial.h"
#include "pipeline/validate.h"

namespace beamline::pipeline::execution {
namespace {

// No link is followed: where one leads to, the program may not have been able to read.
UniqueFd OpenMade(const std::string& folder, const std::string& file) {
  const UniqueFd outputs(
      open((folder + "/outputs").c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!outputs) engine::Fail("outputs/ cannot be read: ", std::strerror(errno));
  UniqueFd fd(openat(outputs.get(), file.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd && errno == ENOENT) {
    engine::Fail("the program left no outputs/", file,
                 ": write the table there, or remove \"table\"");
  }
  if (!fd && errno == ELOOP) engine::Fail("outputs/", file, " is a link: leave a file");
  if (!fd) engine::Fail("outputs/", file, " cannot be read: ", std::strerror(errno));
  struct stat info;
  if (fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    engine::Fail("outputs/", file, " is no file");
  }
  return fd;
}

bool ReadsMadeTables(const v1::PipelineDefinition& definition, const v1::Step& step) {
  const std::vector<std::string> behind = TablesBehind(definition, TablesRead(definition, step));
  return std::any_of(behind.begin(), behind.end(), [&](const std::string& table) {
    const v1::Step* made_by = FindStep(definition, table);
    return made_by != nullptr && (made_by->has_command() || made_by->has_predict());
  });
}

}  // namespace

void TakeTable(Task& task, const std::string& folder, v1::TaskEnd* end) {
  const std::string file = task.step().command().table() + ".csv";
  const UniqueFd fd = OpenMade(folder, file);
  IngestOptions options;
  options.format = FileFormat::kCsv;
  options.csv.header = engine::data::CsvHeader::kPresent;
  options.csv.delimiter = ',';
  options.threads = task.threads();
  const std::string path = task.work_folder() + "/made.table";
  const auto made =
      Ingest(absl::StrCat("/proc/self/fd/", fd.get()), "outputs/" + file, path, options);
  if (absl::IsInvalidArgument(made.status())) engine::Fail(std::string(made.status().message()));
  if (absl::IsResourceExhausted(made.status())) {
    throw TaskFailure(v1::FAILURE_KIND_OUT_OF_MEMORY,
                      absl::StrCat("there is no room for the table: ", made.status().message()),
                      task.path());
  }
  if (!made.ok()) {
    throw TaskFailure(v1::FAILURE_KIND_INFRASTRUCTURE, std::string(made.status().message()));
  }
  DescribeMadeTable(made->dataset.table, made->dataset.statistics, end);
  (*end->mutable_artifact_paths())["table"] = path;
  task.Log(absl::StrCat("made a table of ", made->dataset.table.rows(), " rows x ",
                        made->dataset.table.columns().size(), " columns"));
}

void CheckMadeTables(const Task& task) {
  const v1::Step& step = task.step();
  // A prepare step checks its columns always; to a program they are all the same.
  if (!step.has_train() && ModelUseOf(step).model.empty()) return;
  if (!ReadsMadeTables(task.definition(), step)) return;
  ValidateOptions options;
  options.for_run = true;
  for (const std::string& table : TablesRead(task.definition(), step)) {
    if (!task.HasTable(table)) continue;
    const engine::data::Dataset dataset = task.OpenTable(table);
    DescribeTable(dataset.table, dataset.statistics, &options.tables[table]);
  }
  v1::PipelineDefinition definition = task.definition();
  // The values of a trial are in the definition.
  for (v1::Step& other : *definition.mutable_steps()) other.clear_search();
  for (const v1::Violation& violation : Validate(definition, options).violations) {
    if (!absl::StartsWith(violation.field(), task.path() + ".")) continue;
    throw TaskFailure(v1::FAILURE_KIND_USER, violation.description(), violation.field());
  }
}

}  // namespace beamline::pipeline::execution
