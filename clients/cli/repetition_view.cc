#include "clients/cli/repetition_view.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "clients/cli/format.h"
#include "clients/cli/json.h"

namespace beamline::cli {
namespace {

bool IsEnd(v1::TaskState state) {
  return state == v1::TASK_STATE_SUCCEEDED || state == v1::TASK_STATE_FAILED ||
         state == v1::TASK_STATE_CANCELLED;
}

// "tune.3.e9.f2" -> "tune.3.e9".
std::string WithoutFold(const std::string& task) {
  const size_t dot = task.rfind('.');
  const bool has_fold = dot != std::string::npos && dot + 1 < task.size() && task[dot + 1] == 'f';
  return has_fold ? task.substr(0, dot) : task;
}

// The first numbers of these; failed ones are not repeated.
int PlannedTrainings(const v1::ScalingStudyStep& study) {
  int trainings = study.vary().empty() ? 0 : std::max(1, study.repeats());
  for (const auto& [key, values] : study.vary()) trainings *= values.values_size();
  return trainings;
}

// As far as the definition says it; the first trial that ends tells for sure.
int PlannedTrials(const v1::Search& search) {
  return std::max({search.random().trials(), search.sobol().trials(), search.tpe().trials()});
}

}  // namespace

bool IsRepeated(const v1::Step& step) {
  return step.has_search() || step.has_cross_validation() || step.has_scaling_study();
}

RepetitionView::RepetitionView(const v1::Step& step)
    : searches_(step.has_search()),
      studies_(step.has_scaling_study()),
      halves_(step.search().has_successive_halving() || step.search().has_hyperband()),
      objective_(step.search().objective().empty() ? "loss" : step.search().objective()),
      planned_(studies_ ? PlannedTrainings(step.scaling_study()) : PlannedTrials(step.search())) {
  std::vector<std::string> keys;
  for (const auto& [key, values] : step.scaling_study().vary()) keys.push_back(key);
  for (const auto& [key, space] : step.search().space()) keys.push_back(key);
  names_ = ShortNamesOf(keys);
}

std::string RepetitionView::Apply(const v1::Event& event) {
  if (event.has_task_state()) return ApplyTaskState(event);
  if (event.has_trial_ended()) return ApplyTrialEnded(event.trial_ended());
  // Whatever reports something runs.
  Learn(event.task(), v1::TASK_STATE_RUNNING);
  return "";
}

std::string RepetitionView::Beginning() const {
  return searches_ ? "searching" : studies_ ? "studying" : "cross-validating";
}

void RepetitionView::Know(const v1::Task& task) { Learn(LastPart(task.name()), task.state()); }

void RepetitionView::Learn(const std::string& task, v1::TaskState state) {
  const auto [known, is_new] = tasks_.try_emplace(task, v1::TASK_STATE_UNSPECIFIED);
  Part& part = parts_[WithoutFold(task)];
  if (is_new) ++part.made;
  if (IsEnd(known->second)) return;
  part.running +=
      (state == v1::TASK_STATE_RUNNING ? 1 : 0) - (known->second == v1::TASK_STATE_RUNNING ? 1 : 0);
  known->second = state;
  if (!IsEnd(state)) return;
  ++part.ended;
  succeeded_ += state == v1::TASK_STATE_SUCCEEDED ? 1 : 0;
}

std::string RepetitionView::ApplyTaskState(const v1::Event& event) {
  const v1::TaskStateChanged& change = event.task_state();
  Learn(event.task(), change.state());
  if (studies_ && change.has_trial()) {
    values_[event.task()] = ParametersText(change.trial().parameters(), names_);
  }
  if (studies_ && IsEnd(change.state())) return TrainingText(event);
  if (!searches_ && change.state() == v1::TASK_STATE_SUCCEEDED) return FoldText(event);
  std::string why = FailureText(change.failure());
  if (why.empty()) why = change.reason();
  // Of a failed trial its end tells.
  if (why.empty() || (searches_ && IsEnd(change.state()))) return "";
  return absl::StrCat(event.task(), " ",
                      EnumWord(v1::TaskState_Name(change.state()), "TASK_STATE_"), ": ", why);
}

std::string RepetitionView::TrainingText(const v1::Event& event) const {
  const v1::TaskStateChanged& change = event.task_state();
  const std::string number = event.task().substr(event.task().rfind('.') + 1);
  const auto values = values_.find(event.task());
  const std::string text =
      absl::StrCat("training ", number, " of ", planned_,
                   values == values_.end() ? "" : absl::StrCat(" (", values->second, ")"));
  if (change.result().scaling().points_size() == 1) {
    const v1::ScalingStudy::Point& point = change.result().scaling().points(0);
    return absl::StrCat(text, ": ", ObjectiveText(point.seconds()), " s");
  }
  const std::string why = FailureText(change.failure());
  return absl::StrCat(text, " failed", why.empty() ? "" : ": ", why);
}

std::string RepetitionView::FoldText(const v1::Event& event) const {
  std::string text = absl::StrCat("fold ", event.task().substr(event.task().rfind('f') + 1));
  const auto& metrics = event.task_state().result().metrics();
  if (const auto value = metrics.find("validation_" + objective_); value != metrics.end()) {
    absl::StrAppend(&text, ": ", objective_, " ", ObjectiveText(value->second));
  }
  return absl::StrCat(text, "; ", succeeded_, " of ", tasks_.size(), " folds");
}

std::string RepetitionView::ApplyTrialEnded(const v1::TrialEnded& trial) {
  ended_ = trial.ended();
  planned_ = trial.planned();
  best_ = trial.best();
  best_value_ = trial.best_value();
  std::string text = absl::StrCat("trial ", trial.trial().number());
  if (trial.trial().epochs() > 0) {
    absl::StrAppend(&text, " to epoch ", trial.trial().epochs());
  } else if (!halves_) {
    absl::StrAppend(&text, " of ", planned_);
  }
  const std::string parameters = ParametersText(trial.trial().parameters(), names_);
  const std::string values = parameters.empty() ? "" : absl::StrCat(" (", parameters, ")");
  if (trial.has_value()) {
    absl::StrAppend(&text, ": ", objective_, " ",
                    trial.standard_error() > 0
                        ? UncertainText(trial.value(), trial.standard_error())
                        : ObjectiveText(trial.value()),
                    values);
  } else {
    const std::string why = FailureText(trial.failure());
    absl::StrAppend(&text, " failed", values, ": ",
                    why.empty() ? "its objective is not known" : why);
  }
  if (best_ > 0) absl::StrAppend(&text, "; best trial ", best_, ", ", ObjectiveText(best_value_));
  return text;
}

int RepetitionView::Ended() const {
  if (ended_ >= 0) return ended_;
  return static_cast<int>(std::ranges::count_if(
      parts_, [](const auto& entry) { return entry.second.ended == entry.second.made; }));
}

double RepetitionView::Fraction() const {
  const auto all = static_cast<double>(searches_ || studies_ ? planned_ : tasks_.size());
  return all > 0 ? std::min(1.0, (searches_ || studies_ ? Ended() : succeeded_) / all) : 0;
}

std::string RepetitionView::BestText() const {
  if (best_ == 0) return "";
  return absl::StrCat("best ", objective_, " ", ObjectiveText(best_value_), " (trial ", best_, ")");
}

std::string RepetitionView::Text() const {
  std::string text;
  int running = 0;
  if (searches_ || studies_) {
    absl::StrAppend(&text, Ended());
    if (planned_ > 0) absl::StrAppend(&text, "/", planned_);
    // Of those that are compared on the way, each part is one.
    absl::StrAppend(&text, halves_ || studies_ ? " trainings" : " trials");
    for (const auto& [name, part] : parts_) running += part.running > 0 ? 1 : 0;
  } else {
    absl::StrAppend(&text, succeeded_, "/", tasks_.size(), " folds");
    for (const auto& [name, part] : parts_) running += part.running;
  }
  if (running > 0) absl::StrAppend(&text, "  ", running, " running");
  if (const std::string best = BestText(); !best.empty()) absl::StrAppend(&text, "  ", best);
  return text;
}

}  // namespace beamline::cli
