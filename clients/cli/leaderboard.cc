#include "clients/cli/leaderboard.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/strings.h"
#include "clients/cli/format.h"
#include "clients/cli/json.h"
#include "clients/cli/progress.h"
#include "clients/cli/table.h"
#include "clients/cli/trial_text.h"

namespace beamline::cli {
namespace {

constexpr size_t kShown = 10;
constexpr int kImportanceWidth = 20;
constexpr size_t kFewestForPlot = 2;
constexpr size_t kFewestForFence = 8;

bool IsRanked(const v1::TrialSummary& trial) {
  return trial.has_value() && trial.state() != v1::TASK_STATE_FAILED;
}

std::string StateWord(v1::TaskState state) {
  return EnumWord(v1::TaskState_Name(state), "TASK_STATE_");
}

int Count(const v1::ListTrialsResponse& search, v1::TaskState state) {
  return static_cast<int>(std::ranges::count_if(
      search.trials(), [&](const v1::TrialSummary& trial) { return trial.state() == state; }));
}

// What the trials of a table differ in, which decides on its columns.
struct Columns {
  std::vector<std::string> keys;
  ShortNames names;
  bool errors = false;
  bool epochs = false;
  bool states = false;
  // One column for all values that were tried.
  bool together = false;
};

Columns ColumnsOf(const v1::ListTrialsResponse& search,
                  const std::vector<const v1::TrialSummary*>& trials) {
  Columns columns;
  columns.keys = KeysOf(search);
  columns.names = ShortNamesOf(columns.keys);
  for (const v1::TrialSummary* trial : trials) {
    columns.errors = columns.errors || trial->fold_values_size() > 1;
    columns.epochs = columns.epochs || trial->epochs() > 0;
    columns.states = columns.states || trial->state() != v1::TASK_STATE_SUCCEEDED;
  }
  return columns;
}

std::string ValueOfTrial(const v1::TrialSummary& trial, bool with_error) {
  if (!trial.has_value()) return "-";
  return with_error ? UncertainText(trial.value(), trial.standard_error())
                    : ObjectiveText(trial.value());
}

std::string Render(const v1::ListTrialsResponse& search,
                   const std::vector<const v1::TrialSummary*>& trials, const Columns& columns) {
  std::vector<Table::Column> headers = {{"TRIAL", Table::Align::kRight},
                                        {Printable(search.objective()), Table::Align::kRight}};
  if (columns.together) headers.push_back({"VALUES"});
  for (const std::string& key : columns.keys) {
    if (columns.together) break;
    headers.push_back({Printable(columns.names.at(key)), Table::Align::kRight});
  }
  if (columns.epochs) headers.push_back({"EPOCHS", Table::Align::kRight});
  headers.push_back({"TIME", Table::Align::kRight});
  headers.push_back({"FRONT"});
  if (columns.states) headers.insert(headers.end(), {{"STATE"}, {"FAILURE"}});
  Table table(std::move(headers));
  for (const v1::TrialSummary* trial : trials) {
    std::vector<std::string> cells = {absl::StrCat(trial->number()),
                                      ValueOfTrial(*trial, columns.errors)};
    if (columns.together) cells.push_back(ParametersText(trial->parameters(), columns.names));
    for (const std::string& key : columns.keys) {
      if (columns.together) break;
      const auto found = trial->parameters().find(key);
      cells.push_back(found == trial->parameters().end() ? "-" : ValueText(found->second));
    }
    if (columns.epochs) cells.push_back(trial->epochs() > 0 ? absl::StrCat(trial->epochs()) : "");
    cells.push_back(trial->seconds() > 0 ? HumanDuration(absl::Seconds(trial->seconds())) : "-");
    cells.push_back(trial->pareto() ? "*" : "");
    if (columns.states) {
      cells.insert(cells.end(), {StateWord(trial->state()), FailureText(trial->failure())});
    }
    table.Add(std::move(cells));
  }
  return table.Render();
}

size_t WidthOf(const std::string& text) {
  size_t widest = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    widest = std::max(widest, DisplayWidth(S(line)));
  }
  return widest;
}

}  // namespace

bool HasTrials(const v1::ListTrialsResponse& search) {
  return search.trials_size() > 0 && search.trials(0).number() > 0;
}

std::string SearchHeadline(const v1::ListTrialsResponse& search) {
  std::string text = absl::StrFormat("%s: %d trial%s", search.step(), search.trials_size(),
                                     search.trials_size() == 1 ? "" : "s");
  const std::pair<v1::TaskState, const char*> told[] = {{v1::TASK_STATE_FAILED, "failed"},
                                                        {v1::TASK_STATE_CANCELLED, "cancelled"},
                                                        {v1::TASK_STATE_RUNNING, "not ended"}};
  for (const auto& [state, word] : told) {
    if (const int count = Count(search, state); count > 0) {
      absl::StrAppend(&text, ", ", count, " ", word);
    }
  }
  return Printable(absl::StrCat(text, "; ", search.objective(), ", ",
                                search.maximize() ? "more" : "less", " is better")) +
         "\n";
}

std::string TrialTable(const v1::ListTrialsResponse& search, size_t limit, bool with_all,
                       const TerminalTraits& traits) {
  std::vector<const v1::TrialSummary*> trials;
  bool front = false;
  for (const v1::TrialSummary& trial : search.trials()) {
    if (trials.size() == limit) break;
    if (!with_all && !IsRanked(trial)) continue;
    trials.push_back(&trial);
    front = front || trial.pareto();
  }
  if (trials.empty()) return "";
  Columns columns = ColumnsOf(search, trials);
  std::string text = Render(search, trials, columns);
  if (WidthOf(text) > static_cast<size_t>(traits.width)) {
    columns.together = true;
    const std::string narrow = Render(search, trials, columns);
    if (WidthOf(narrow) < WidthOf(text)) text = narrow;
  }
  if (front) absl::StrAppend(&text, "* no other trial is both better and faster\n");
  return text;
}

std::string ImportanceBars(const v1::ListTrialsResponse& search, const TerminalTraits& traits) {
  if (search.importance().empty()) return "";
  const ShortNames names = ShortNamesOf(KeysOf(search));
  Table table({{"IMPORTANCE"}, {""}, {"", Table::Align::kRight}});
  for (const v1::ParameterImportance& one : search.importance()) {
    const auto name = names.find(one.parameter());
    table.Add({name == names.end() ? one.parameter() : name->second,
               Bar(one.importance(), kImportanceWidth, traits.utf8),
               absl::StrFormat("%.0f%%", 100 * one.importance())});
  }
  return table.Render();
}

Axis ObjectiveAxis(const v1::ListTrialsResponse& search) {
  // Costs: less is better.
  const double sign = search.maximize() ? -1 : 1;
  std::vector<double> costs;
  for (const v1::TrialSummary& trial : search.trials()) {
    if (IsRanked(trial)) costs.push_back(sign * trial.value());
  }
  std::ranges::sort(costs);
  if (costs.size() >= kFewestForFence) {
    const double first = costs[costs.size() / 4];
    const double third = costs[costs.size() * 3 / 4];
    const double fence = third + 1.5 * (third - first);
    while (costs.back() > fence) costs.pop_back();
  }
  for (double& cost : costs) cost *= sign;
  return AxisOver(search.objective(), costs, false);
}

Plot ParetoPlot(const v1::ListTrialsResponse& search) {
  Series others;
  Series front{.emphasis = Emphasis::kStrong};
  std::vector<double> times;
  for (const v1::TrialSummary& trial : search.trials()) {
    if (!IsRanked(trial) || trial.epochs() > 0) continue;
    (trial.pareto() ? front : others).points.push_back({trial.seconds(), trial.value()});
    times.push_back(trial.seconds());
  }
  Plot plot;
  plot.title = absl::StrCat(search.objective(), " against training time");
  plot.x = AxisOver("training time, s", times, true);
  plot.y = ObjectiveAxis(search);
  if (times.size() < kFewestForPlot) return plot;
  // As steps: up to the next one's time the last one is the best.
  std::ranges::sort(front.points, {}, &PlotPoint::x);
  Series steps{.emphasis = Emphasis::kFaint, .joined = true};
  for (const PlotPoint& point : front.points) {
    if (!steps.points.empty()) steps.points.push_back({point.x, steps.points.back().y});
    steps.points.push_back(point);
  }
  plot.series = {std::move(steps), std::move(others), std::move(front)};
  return plot;
}

std::string SearchSummary(const v1::ListTrialsResponse& search, const TerminalTraits& traits) {
  if (!HasTrials(search)) return "";
  std::string text = SearchHeadline(search);
  text += TrialTable(search, kShown, false, traits);
  if (const std::string bars = ImportanceBars(search, traits); !bars.empty()) {
    absl::StrAppend(&text, "\n", bars);
  }
  if (const Plot plot = ParetoPlot(search); !plot.series.empty()) {
    absl::StrAppend(&text, "\n",
                    Picture(plot, traits.utf8 ? 40 : 50, traits.utf8 ? 12 : 16, traits.utf8));
  }
  return text;
}

std::string FoldTable(const std::vector<v1::Task>& tasks) {
  Table table({{"STEP"},
               {"METRIC"},
               {"OVER THE FOLDS", Table::Align::kRight},
               {"FROM", Table::Align::kRight},
               {"TO", Table::Align::kRight},
               {"FOLDS", Table::Align::kRight}});
  for (const v1::Task& task : tasks) {
    const auto& metrics = task.result().cross_validation();
    for (const auto& [name, folds] :
         std::map<std::string, v1::FoldStatistics>(metrics.begin(), metrics.end())) {
      if (folds.values().empty()) continue;
      const auto [least, most] = std::ranges::minmax(folds.values());
      table.Add({task.step(), name, UncertainText(folds.mean(), folds.standard_error()),
                 ObjectiveText(least), ObjectiveText(most), absl::StrCat(folds.values_size())});
    }
  }
  return table.empty() ? "" : table.Render();
}

}  // namespace beamline::cli
