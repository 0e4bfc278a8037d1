#include "store/step_results.h"

#include "store/rows.h"

namespace beamline::store {

absl::StatusOr<StepResult> FindStepResult(const View& view, std::string_view project,
                                          std::string_view key) {
  return One<StepResult>(
      view, "result", "SELECT run, task FROM step_results WHERE project = ?1 AND key = ?2",
      [](const Row& row) {
        return StepResult{.run = std::string(row.Text(0)), .task = std::string(row.Text(1))};
      },
      project, key);
}

absl::Status KeepStepResult(Writer& writer, std::string_view project, std::string_view key,
                            const StepResult& result, bool replace) {
  return writer.connection()
      .Execute(
          "INSERT INTO step_results (project, key, run, task) VALUES (?1, ?2, ?3, ?4) "
          "ON CONFLICT (project, key) DO UPDATE SET run = excluded.run, task = excluded.task "
          "WHERE ?5",
          project, key, result.run, result.task, replace)
      .status();
}

}  // namespace beamline::store
