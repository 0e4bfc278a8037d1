#include "clients/cli/run_summary.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "clients/cli/format.h"
#include "clients/cli/json.h"
#include "clients/cli/leaderboard.h"
#include "clients/cli/scaling.h"
#include "clients/cli/table.h"

namespace beamline::cli {
namespace {

absl::Duration Between(const google::protobuf::Timestamp& from,
                       const google::protobuf::Timestamp& to) {
  return absl::Seconds(to.seconds() - from.seconds()) +
         absl::Nanoseconds(to.nanos() - from.nanos());
}

std::string StateLine(const v1::Run& run, const TerminalTraits& traits) {
  const std::string word = EnumWord(v1::RunState_Name(run.state()), "RUN_STATE_");
  const bool good = run.state() == v1::RUN_STATE_SUCCEEDED;
  std::string line = absl::StrCat("run ", LastPart(run.name()), " ",
                                  Colored(traits, good ? Color::kGreen : Color::kRed, word));
  if (run.has_end_time()) {
    absl::StrAppend(&line, " after ", HumanDuration(Between(run.create_time(), run.end_time())));
  }
  if (!run.failure().message().empty()) {
    absl::StrAppend(&line, "\n  ",
                    run.failure().field().empty() ? "" : Printable(run.failure().field()) + ": ",
                    Printable(run.failure().message()));
  }
  return line + "\n";
}

}  // namespace

std::string IntervalText(const v1::Evaluation& evaluation, const std::string& metric) {
  const auto found = evaluation.intervals().find(metric);
  if (found == evaluation.intervals().end()) return "";
  return absl::StrFormat("%.5f to %.5f (%s%%)", found->second.low(), found->second.high(),
                         HumanNumber(100 * evaluation.confidence(), 6));
}

std::vector<RocPoint> RocOf(const std::vector<v1::Task>& tasks) {
  std::vector<RocPoint> points;
  for (const v1::Task& task : tasks) {
    if (task.result().evaluation().roc_size() < 2) continue;
    for (const v1::CurvePoint& point : task.result().evaluation().roc()) {
      points.push_back({point.x(), point.y()});
    }
    break;
  }
  return points;
}

std::string RunSummary(const v1::Run& run, const std::vector<v1::Task>& tasks,
                       const std::vector<v1::ListTrialsResponse>& searches,
                       const std::vector<v1::Model>& models, const TerminalTraits& traits) {
  std::string text = StateLine(run, traits);
  for (const v1::ListTrialsResponse& search : searches) {
    if (HasTrials(search)) absl::StrAppend(&text, "\n", SearchSummary(search, traits));
  }
  if (const std::string folds = FoldTable(tasks); !folds.empty()) {
    absl::StrAppend(&text, "\n", folds);
  }
  for (const v1::Task& task : tasks) {
    if (!task.result().has_out_of_fold()) continue;
    const v1::Dataset& rows = task.result().out_of_fold();
    absl::StrAppend(&text, "rows held out of ", Printable(task.step()),
                    ", with predictions: dataset ", Printable(rows.display_name()), " (",
                    LastPart(rows.name()).substr(0, 12), ")\n");
  }
  for (const v1::Task& task : tasks) {
    if (const std::string study = StudyTable(task); !study.empty()) {
      absl::StrAppend(&text, "\n", study);
    }
  }
  for (const v1::Task& task : tasks) {
    if (!task.result().has_table()) continue;
    const v1::Dataset& table = task.result().table();
    absl::StrAppend(&text, "table of ", Printable(task.step()), ": ",
                    TableSize(table.row_count(), table.columns_size()));
    if (!table.name().empty()) {
      absl::StrAppend(&text, ", dataset ", Printable(table.display_name()), " (",
                      LastPart(table.name()).substr(0, 12), ")");
    }
    text += "\n";
  }
  const bool has_intervals = std::ranges::any_of(
      tasks, [](const v1::Task& task) { return task.result().evaluation().intervals_size() > 0; });
  std::vector<Table::Column> columns = {{"STEP"}, {"METRIC"}, {"VALUE", Table::Align::kRight}};
  if (has_intervals) columns.push_back({"INTERVAL"});
  columns.push_back({"ON"});
  Table metrics(std::move(columns));
  for (const v1::Task& task : tasks) {
    const v1::Evaluation& evaluation = task.result().evaluation();
    const std::string rows =
        evaluation.row_count() == 0
            ? ""
            : absl::StrFormat("%s (%s rows)", evaluation.rows_of(),
                              HumanCount(static_cast<double>(evaluation.row_count())));
    for (const auto& [name, value] :
         std::map<std::string, double>(evaluation.metrics().begin(), evaluation.metrics().end())) {
      std::vector<std::string> cells = {task.step(), name, absl::StrFormat("%.5f", value)};
      if (has_intervals) cells.push_back(IntervalText(evaluation, name));
      cells.push_back(rows);
      metrics.Add(std::move(cells));
    }
  }
  if (!metrics.empty()) absl::StrAppend(&text, "\n", metrics.Render());
  if (const std::vector<RocPoint> roc = RocOf(tasks); !roc.empty()) {
    absl::StrAppend(&text, "\n",
                    RocPicture(roc, traits.utf8 ? 40 : 50, traits.utf8 ? 12 : 16, traits.utf8));
  }
  for (const v1::Model& model : models) {
    absl::StrAppendFormat(&text, "\nmodel %s  (%s parameters, %s)\n  digest sha256:%s\n",
                          model.name(),
                          HumanCount(static_cast<double>(model.card().parameter_count())),
                          HumanBytes(model.file().size_bytes()), model.file().digest());
  }
  return text;
}

}  // namespace beamline::cli
