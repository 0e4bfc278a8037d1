#include "clients/cli/trial_files.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/strings.h"
#include "clients/cli/csv.h"
#include "clients/cli/json.h"
#include "clients/cli/leaderboard.h"
#include "clients/cli/svg.h"
#include "clients/cli/trial_text.h"

namespace beamline::cli {
namespace {

using google::protobuf::Value;

constexpr size_t kKeysShown = 6;
// Of the panels in the picture and the way from one to the next.
constexpr double kWidth = 360;
constexpr double kHeight = 220;
constexpr double kAcross = 460;
constexpr double kDown = 310;
constexpr double kLeft = 80;
constexpr double kTop = 80;

std::string CellOf(const Value& value) {
  if (value.kind_case() == Value::kNumberValue) return ExactNumber(value.number_value());
  if (value.kind_case() == Value::kStringValue) return CsvCell(value.string_value());
  return CsvCell(JsonLine(value));
}

bool IsShown(const v1::TrialSummary& trial) {
  return trial.has_value() && trial.state() != v1::TASK_STATE_FAILED;
}

// Those that trained to the end stand out from those that did not.
Emphasis EmphasisOf(const v1::TrialSummary& trial) {
  return trial.epochs() > 0 ? Emphasis::kFaint : Emphasis::kPlain;
}

// Marks of both kinds.
std::vector<Series> MarksOf(const std::vector<std::pair<Emphasis, PlotPoint>>& marks) {
  std::vector<Series> series;
  for (const Emphasis emphasis : {Emphasis::kFaint, Emphasis::kPlain}) {
    Series& one = series.emplace_back();
    one.emphasis = emphasis;
    for (const auto& [of, point] : marks) {
      if (of == emphasis) one.points.push_back(point);
    }
  }
  return series;
}

Plot HistoryPlot(const v1::ListTrialsResponse& search) {
  std::vector<const v1::TrialSummary*> trials;
  for (const v1::TrialSummary& trial : search.trials()) {
    if (IsShown(trial)) trials.push_back(&trial);
  }
  std::ranges::sort(trials, {}, [](const v1::TrialSummary* trial) { return trial->number(); });
  std::vector<double> numbers;
  std::vector<std::pair<Emphasis, PlotPoint>> marks;
  Series best{.emphasis = Emphasis::kStrong, .joined = true};
  for (const v1::TrialSummary* trial : trials) {
    const auto number = static_cast<double>(trial->number());
    numbers.push_back(number);
    marks.push_back({EmphasisOf(*trial), {number, trial->value()}});
    if (trial->epochs() > 0) continue;
    double so_far = trial->value();
    if (!best.points.empty()) {
      const double before = best.points.back().y;
      so_far = search.maximize() ? std::max(before, so_far) : std::min(before, so_far);
      best.points.push_back({number, before});
    }
    best.points.push_back({number, so_far});
  }
  Plot plot;
  plot.title = absl::StrCat(search.objective(), " of each trial, and the best so far");
  plot.x = AxisOver("trial", numbers, false);
  plot.y = ObjectiveAxis(search);
  plot.series = MarksOf(marks);
  plot.series.push_back(std::move(best));
  return plot;
}

// The objective over the values of one key.
Plot KeyPlot(const v1::ListTrialsResponse& search, const std::string& key,
             const std::string& name) {
  std::vector<const v1::TrialSummary*> trials;
  std::set<std::string> labels;
  std::vector<double> numbers;
  for (const v1::TrialSummary& trial : search.trials()) {
    if (!IsShown(trial) || !trial.parameters().contains(key)) continue;
    const Value& value = trial.parameters().at(key);
    trials.push_back(&trial);
    labels.insert(ValueText(value));
    if (value.kind_case() == Value::kNumberValue) numbers.push_back(value.number_value());
  }
  const bool numeric = numbers.size() == trials.size();
  Plot plot;
  plot.title = name;
  plot.x = numeric ? AxisOver(key, numbers, true) : AxisOf(key, {labels.begin(), labels.end()});
  plot.y = ObjectiveAxis(search);
  std::vector<std::pair<Emphasis, PlotPoint>> marks;
  for (const v1::TrialSummary* trial : trials) {
    const Value& value = trial->parameters().at(key);
    const auto place = std::distance(labels.begin(), labels.find(ValueText(value)));
    marks.push_back(
        {EmphasisOf(*trial),
         {numeric ? value.number_value() : static_cast<double>(place), trial->value()}});
  }
  plot.series = MarksOf(marks);
  return plot;
}

// The most important first; those of which nothing is known behind, by name.
std::vector<std::string> KeysByImportance(const v1::ListTrialsResponse& search) {
  std::vector<std::string> keys;
  for (const v1::ParameterImportance& one : search.importance()) keys.push_back(one.parameter());
  for (const std::string& key : KeysOf(search)) {
    if (std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
  }
  return keys;
}

}  // namespace

std::string TrialsCsv(const v1::ListTrialsResponse& search) {
  const std::vector<std::string> keys = KeysOf(search);
  std::vector<std::string> cells = {"number", "state"};
  for (const std::string& key : keys) cells.push_back(CsvCell("parameters." + key));
  cells.insert(cells.end(), {"value", "standard_error", "folds", "epochs", "seconds"});
  std::string text = CsvLine(cells);
  for (const v1::TrialSummary& trial : search.trials()) {
    const bool has_folds = trial.fold_values_size() > 1;
    cells = {absl::StrCat(trial.number()),
             EnumWord(v1::TaskState_Name(trial.state()), "TASK_STATE_")};
    for (const std::string& key : keys) {
      const auto found = trial.parameters().find(key);
      cells.push_back(found == trial.parameters().end() ? "" : CellOf(found->second));
    }
    cells.push_back(trial.has_value() ? ExactNumber(trial.value()) : "");
    cells.push_back(has_folds ? ExactNumber(trial.standard_error()) : "");
    cells.push_back(has_folds ? absl::StrCat(trial.fold_values_size()) : "");
    cells.push_back(trial.epochs() > 0 ? absl::StrCat(trial.epochs()) : "");
    cells.push_back(ExactNumber(trial.seconds()));
    text += CsvLine(cells);
  }
  return text;
}

std::string TrialsSvg(const v1::ListTrialsResponse& search, std::string_view title) {
  std::vector<std::string> keys = KeysByImportance(search);
  const ShortNames names = ShortNamesOf(KeysOf(search));
  const auto name_of = [&](const std::string& key) {
    const auto found = names.find(key);
    return found == names.end() ? key : found->second;
  };
  int panels = 0;
  const auto next_box = [&] {
    const Box box{kLeft + kAcross * (panels % 2), kTop + kDown * (panels / 2), kWidth, kHeight};
    ++panels;
    return box;
  };
  std::string body = SvgPlot(HistoryPlot(search), next_box());
  body += SvgPlot(ParetoPlot(search), next_box());
  if (!search.importance().empty()) {
    std::vector<std::pair<std::string, double>> shares;
    for (const v1::ParameterImportance& one : search.importance()) {
      shares.emplace_back(name_of(one.parameter()), one.importance());
    }
    body += SvgBars("importance", shares, next_box());
  }
  keys.resize(std::min(keys.size(), kKeysShown));
  for (const std::string& key : keys) {
    body += SvgPlot(KeyPlot(search, key, name_of(key)), next_box());
  }
  const int rows = (panels + 1) / 2;
  return SvgDocument(static_cast<int>(2 * kAcross), static_cast<int>(kTop + kDown * rows), title,
                     body);
}

}  // namespace beamline::cli
