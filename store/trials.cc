#include "store/trials.h"

#include "absl/strings/str_cat.h"
#include "store/rows.h"

namespace beamline::store {

absl::StatusOr<std::vector<StoredTrial>> ListTrials(const View& view, std::string_view run,
                                                    std::string_view step) {
  return Many<StoredTrial>(
      view,
      "SELECT run, step, task, state, value, seconds, message FROM trials "
      "WHERE run = ?1 AND step = ?2 ORDER BY number, epochs, fold",
      [](const Row& row) -> absl::StatusOr<StoredTrial> {
        StoredTrial trial{.run = std::string(row.Text(0)),
                          .step = std::string(row.Text(1)),
                          .task = std::string(row.Text(2)),
                          .state = static_cast<v1::TaskState>(row.Int(3)),
                          .value = std::nullopt,
                          .seconds = row.Real(5),
                          .message = {}};
        if (!row.IsNull(4)) trial.value = row.Real(4);
        RETURN_IF_ERROR(ParseMessage(row.Text(6), trial.message));
        return trial;
      },
      run, step);
}

absl::Status InsertTrial(Writer& writer, const StoredTrial& trial) {
  return writer.connection()
      .Execute(
          "INSERT INTO trials (run, step, number, epochs, fold, task, state, message) "
          "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
          trial.run, trial.step, trial.message.number(), trial.message.epochs(),
          trial.message.fold(), trial.task, static_cast<int64_t>(trial.state),
          Bytes{trial.message.SerializeAsString()})
      .status();
}

absl::Status UpdateTrial(Writer& writer, const StoredTrial& trial) {
  return Changed(writer, absl::StrCat("trial ", trial.task),
                 "UPDATE trials SET state = ?6, value = ?7, seconds = ?8 WHERE run = ?1 AND "
                 "step = ?2 AND number = ?3 AND epochs = ?4 AND fold = ?5",
                 trial.run, trial.step, trial.message.number(), trial.message.epochs(),
                 trial.message.fold(), static_cast<int64_t>(trial.state), trial.value,
                 trial.seconds);
}

}  // namespace beamline::store
