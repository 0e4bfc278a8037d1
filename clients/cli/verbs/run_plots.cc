// run plots.

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "clients/cli/figures.h"
#include "clients/cli/format.h"
#include "clients/cli/invocation.h"
#include "clients/cli/references.h"
#include "clients/cli/run_summary.h"
#include "clients/cli/scaling.h"
#include "clients/cli/table.h"
#include "clients/cli/trial_text.h"
#include "clients/cli/verbs/verbs.h"

namespace beamline::cli {
namespace {

// Where the pictures of a run go: files in a folder, or the terminal.
class Plots {
 public:
  Plots(Invocation& invocation, std::string folder)
      : invocation_(invocation), folder_(std::move(folder)) {}

  absl::Status AddEvaluation(const v1::Task& task) {
    const v1::Evaluation& evaluation = task.result().evaluation();
    if (folder_.empty()) {
      Print(absl::StrCat(task.step(), ": ", HumanCount(static_cast<double>(evaluation.row_count())),
                         " rows of ", Printable(evaluation.rows_of()), "\n",
                         MetricTable(evaluation)));
    } else {
      RETURN_IF_ERROR(Write(absl::StrCat(task.step(), ".metrics.csv"), MetricsCsv(evaluation)));
    }
    return Add(task.step(), EvaluationFigures(evaluation, invocation_.out()));
  }

  absl::Status AddStudy(const v1::Task& task) {
    if (folder_.empty()) Print(StudyTable(task));
    return Add(task.step(), StudyFigures(task.result().scaling(), invocation_.out()));
  }

  absl::Status Add(const std::string& task, const std::vector<Figure>& figures) {
    std::set<std::string> names;
    for (const Figure& figure : figures) {
      if (folder_.empty()) {
        if (figure.text.empty()) continue;
        Print(absl::StrCat(task, ": ", Printable(figure.title), "\n", figure.text));
        continue;
      }
      // Columns whose names differ in characters that no file has.
      std::string name = figure.name;
      for (int i = 2; !names.insert(name).second; ++i) name = absl::StrCat(figure.name, ".", i);
      RETURN_IF_ERROR(Write(absl::StrCat(task, ".", name, ".csv"), figure.csv));
      if (figure.svg.empty()) continue;
      RETURN_IF_ERROR(Write(absl::StrCat(task, ".", name, ".svg"), figure.svg));
    }
    return absl::OkStatus();
  }

  bool empty() const { return empty_; }

 private:
  static std::string MetricTable(const v1::Evaluation& evaluation) {
    Table table({{"METRIC"}, {"VALUE", Table::Align::kRight}, {"INTERVAL"}});
    for (const auto& [name, value] :
         std::map<std::string, double>(evaluation.metrics().begin(), evaluation.metrics().end())) {
      table.Add({name, absl::StrFormat("%.5f", value), IntervalText(evaluation, name)});
    }
    return table.Render();
  }

  void Print(const std::string& text) {
    invocation_.Print(absl::StrCat(empty_ ? "" : "\n", text));
    empty_ = false;
  }

  absl::Status Write(const std::string& name, const std::string& bytes) {
    const std::string path = absl::StrCat(folder_, "/", name);
    RETURN_IF_ERROR(WriteFileAtomically(path, bytes));
    if (!invocation_.json()) invocation_.Print(path + "\n");
    empty_ = false;
    return absl::OkStatus();
  }

  Invocation& invocation_;
  const std::string folder_;
  bool empty_ = true;
};

absl::Status MakeFolder(const std::string& folder) {
  if (mkdir(folder.c_str(), 0777) == 0 || errno == EEXIST) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("cannot make the folder ", folder, ": ", std::strerror(errno)));
}

// Metrics over time by task: of the steps themselves, or of the trial or fold that was asked for.
absl::StatusOr<std::map<std::string, std::vector<v1::Event>>> MetricsOf(Invocation& invocation,
                                                                        const std::string& run,
                                                                        const std::string& step) {
  v1::ListMetricsRequest request;
  request.set_name(run);
  request.set_step(step);
  std::map<std::string, std::vector<v1::Event>> tasks;
  RETURN_IF_ERROR(invocation.ForEachPage(kListMetrics, request, INT64_MAX,
                                         [&](const v1::ListMetricsResponse& page) {
                                           for (const v1::Event& event : page.events()) {
                                             if (!event.task().empty() && event.task() != step)
                                               continue;
                                             tasks[TaskLabel(event)].push_back(event);
                                           }
                                           return page.events_size();
                                         }));
  return tasks;
}

absl::StatusOr<ExitCode> DrawPlots(Invocation& invocation) {
  v1::ListTasksRequest request;
  ASSIGN_OR_RETURN(const std::string run, ResolveRun(invocation, invocation.args().Positional(0)));
  request.set_parent(run);
  const std::string step = invocation.args().Get("step");
  const std::string folder = invocation.args().Get("out");
  ASSIGN_OR_RETURN(const v1::ListTasksResponse response, invocation.Call(kListTasks, request));
  ASSIGN_OR_RETURN(const auto metrics, MetricsOf(invocation, run, step));
  if (!folder.empty()) RETURN_IF_ERROR(MakeFolder(folder));
  Plots plots(invocation, folder);
  for (const v1::Task& task : response.tasks()) {
    const bool studies = task.result().has_scaling();
    if (!step.empty() && step != task.step()) continue;
    if (!studies && !task.result().has_evaluation()) continue;
    if (invocation.json()) invocation.PrintJsonLine(task);
    if (invocation.json() && folder.empty()) continue;
    RETURN_IF_ERROR(studies ? plots.AddStudy(task) : plots.AddEvaluation(task));
  }
  for (const auto& [task, events] : metrics) {
    if (invocation.json()) {
      for (const v1::Event& event : events) invocation.PrintJsonLine(event);
      if (folder.empty()) continue;
    }
    RETURN_IF_ERROR(plots.Add(task, LearningCurves(events, invocation.out())));
  }
  if (plots.empty())
    invocation.Note("there is nothing to draw: no metric, no evaluation, no study\n");
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> RunPlotsCommands() {
  return {
      {.path = "run plots",
       .summary = "Draw what a run has found: curves, histograms, importance, learning, scaling",
       .positionals = {{.name = "RUN", .optional = true}},
       .flags = {{"step", "STEP", "Only of this step, or of one trial or fold: tune.3, tune.3.f2"},
                 {"out", "FOLDER", "Write SVG pictures and CSV tables there, and print their names",
                  Completion::kFolder}},
       .details = "RUN is a run's id; default: the newest. With --json: the steps with their\n"
                  "evaluations and studies, then the metrics over time, one a line.",
       .run = DrawPlots},
  };
}

}  // namespace beamline::cli
