#include "clients/cli/run_view.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "clients/cli/format.h"
#include "clients/cli/json.h"
#include "clients/cli/progress.h"
#include "clients/cli/trial_text.h"

namespace beamline::cli {
namespace {

constexpr absl::Duration kBetweenProgressLines = absl::Seconds(2);

absl::Time TimeOf(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

absl::Time EventTime(const v1::Event& event) { return TimeOf(event.time()); }

std::string StateWord(v1::TaskState state) {
  return EnumWord(v1::TaskState_Name(state), "TASK_STATE_");
}

bool IsEnd(v1::TaskState state) {
  return state == v1::TASK_STATE_SUCCEEDED || state == v1::TASK_STATE_FAILED ||
         state == v1::TASK_STATE_CANCELLED;
}

// Which validation metric is shown, if there are several: the lowest.
size_t Rank(std::string_view name) {
  static constexpr std::string_view kShown[] = {"validation_auc", "validation_accuracy",
                                                "validation_rmse", "validation_loss"};
  return static_cast<size_t>(std::ranges::find(kShown, name) - std::begin(kShown));
}

Color ColorOf(v1::TaskState state) {
  switch (state) {
    case v1::TASK_STATE_SUCCEEDED:
      return Color::kGreen;
    case v1::TASK_STATE_FAILED:
      return Color::kRed;
    case v1::TASK_STATE_RUNNING:
      return Color::kBlue;
    case v1::TASK_STATE_CANCELLED:
      return Color::kYellow;
    default:
      return Color::kDim;
  }
}

}  // namespace

bool IsTerminal(v1::RunState state) {
  return state == v1::RUN_STATE_SUCCEEDED || state == v1::RUN_STATE_FAILED ||
         state == v1::RUN_STATE_CANCELLED;
}

RunView::RunView(const v1::PipelineDefinition& definition, const TerminalTraits& traits)
    : traits_(traits) {
  for (const v1::Step& step : definition.steps()) {
    Step& shown = Find(step.name());
    if (IsRepeated(step)) shown.repetition.emplace(step);
    shown.studied = std::ranges::any_of(definition.steps(), [&](const v1::Step& other) {
      return other.has_scaling_study() && other.scaling_study().step() == step.name();
    });
  }
}

RunView::Step& RunView::Find(const std::string& name) {
  const auto found = std::ranges::find(steps_, name, &Step::name);
  if (found != steps_.end()) return *found;
  name_width_ = std::max(name_width_, name.size());
  Step& step = steps_.emplace_back();
  step.name = name;
  return step;
}

RepetitionView& RunView::FindRepetition(const std::string& name) {
  Step& step = Find(name);
  if (!step.repetition.has_value()) step.repetition.emplace(v1::Step());
  return *step.repetition;
}

void RunView::Know(const v1::Task& task) {
  if (LastPart(task.name()) != task.step()) return FindRepetition(task.step()).Know(task);
  Step& step = Find(task.step());
  step.state = task.state();
  step.start_time = TimeOf(task.start_time());
  step.end_time = TimeOf(task.end_time());
  step.trains_once = step.repetition.has_value() && task.attempt() > 0;
}

std::string RunView::Told(const v1::Event& event, const std::string& text) const {
  const double seconds = absl::ToDoubleSeconds(EventTime(event) - start_time_);
  return Printable(absl::StrFormat("%8.2f s  %-*s  %s", std::max(seconds, 0.0),
                                   static_cast<int>(name_width_),
                                   event.step().empty() ? "run" : event.step(), text));
}

std::vector<std::string> RunView::Apply(const v1::Event& event, bool with_progress) {
  if (event.sequence() <= last_sequence_) return {};
  last_sequence_ = event.sequence();
  if (start_time_ == absl::InfinitePast()) start_time_ = EventTime(event);
  const std::string text = event.task().empty() ? ApplyOwn(event, with_progress)
                                                : FindRepetition(event.step()).Apply(event);
  if (text.empty()) return {};
  return {Told(event, text)};
}

std::string RunView::ApplyOwn(const v1::Event& event, bool with_progress) {
  switch (event.kind_case()) {
    case v1::Event::kRunState:
      return ApplyRunState(event.run_state());
    case v1::Event::kTaskState:
      return ApplyTaskState(Find(event.step()), event);
    case v1::Event::kProgress: {
      Step& step = Find(event.step());
      ApplyProgress(step, event.progress(), EventTime(event));
      if (with_progress && EventTime(event) - step.last_told_time >= kBetweenProgressLines) {
        step.last_told_time = EventTime(event);
        return ProgressText(step);
      }
      return "";
    }
    case v1::Event::kMetric:
      if (event.metric().name().starts_with("validation")) {
        Step& step = Find(event.step());
        if (Rank(event.metric().name()) <= Rank(step.validation_name)) {
          step.validation_name = event.metric().name();
          step.validation = event.metric().value();
        }
      }
      return "";
    case v1::Event::kLog:
      return event.log().text();
    case v1::Event::kEvaluation:
      return absl::StrFormat("evaluated on %s (%s rows)", event.evaluation().rows_of(),
                             HumanCount(static_cast<double>(event.evaluation().row_count())));
    default:
      return "";
  }
}

std::string RunView::ApplyRunState(const v1::RunStateChanged& change) {
  state_ = change.state();
  std::string text = EnumWord(v1::RunState_Name(change.state()), "RUN_STATE_");
  if (const std::string why = FailureText(change.failure()); !why.empty()) {
    absl::StrAppend(&text, ": ", why);
  }
  return text;
}

std::string RunView::ApplyTaskState(Step& step, const v1::Event& event) {
  const v1::TaskStateChanged& change = event.task_state();
  step.state = change.state();
  step.reason = change.reason();
  std::string text = StateWord(change.state());
  if (change.state() == v1::TASK_STATE_RUNNING) {
    step.worker = change.worker();
    step.start_time = EventTime(event);
    step.first_progress_time = absl::Time();
    if (step.repetition.has_value() && event.attempt() == 0) return step.repetition->Beginning();
    step.trains_once = step.repetition.has_value();
    absl::StrAppend(&text, " on ", LastPart(change.worker()));
    if (event.attempt() > 1) absl::StrAppend(&text, ", attempt ", event.attempt());
  }
  if (IsEnd(change.state())) step.end_time = EventTime(event);
  if (change.result().has_table()) {
    const v1::Dataset& table = change.result().table();
    step.made = TableSize(table.row_count(), table.columns_size());
    absl::StrAppend(&text, ": ", step.made);
  }
  if (!change.reason().empty()) absl::StrAppend(&text, ": ", change.reason());
  if (const std::string why = FailureText(change.failure()); !why.empty()) {
    step.reason = why;
    absl::StrAppend(&text, ": ", why);
  }
  return text;
}

void RunView::ApplyProgress(Step& step, const v1::Progress& progress, absl::Time time) {
  if (step.first_progress_time == absl::Time()) {
    step.first_progress_time = time;
    step.first_progress_step = progress.step();
  }
  step.last_progress_time = time;
  step.progress = progress;
  step.trains_once = step.repetition.has_value();
}

std::string RunView::ProgressText(const Step& step) const {
  const v1::Progress& progress = step.progress;
  // A step that does not train says what it does; its operations tell nothing of the time left.
  if (progress.total_epochs() == 0 && progress.loss() == 0 && !progress.activity().empty()) {
    return progress.activity();
  }
  std::string text;
  if (progress.total_epochs() > 0) {
    absl::StrAppendFormat(&text, "epoch %d/%d  loss %s", progress.epoch(), progress.total_epochs(),
                          HumanNumber(progress.loss()));
  }
  if (!step.validation_name.empty()) {
    constexpr size_t kPrefix = sizeof("validation_") - 1;
    const std::string name = step.validation_name.size() > kPrefix
                                 ? step.validation_name.substr(kPrefix)
                                 : step.validation_name;
    absl::StrAppend(&text, "  val ", name, " ", HumanNumber(step.validation));
  }
  const int64_t done = progress.step() - step.first_progress_step;
  const int64_t left = progress.total_steps() - progress.step();
  if (done > 0 && left > 0) {
    const absl::Duration elapsed = step.last_progress_time - step.first_progress_time;
    absl::StrAppend(&text, "  ETA ", HumanDuration(elapsed / done * left));
  }
  if (progress.examples_per_second() > 0) {
    absl::StrAppend(&text, "  ", HumanCount(progress.examples_per_second()), " ex/s");
  }
  if (text.empty()) text = progress.activity();
  return text;
}

std::string RunView::Bar(const Step& step, size_t name_width) const {
  std::string line = absl::StrFormat("%-*s  ", static_cast<int>(name_width), step.name);
  const bool ended = IsEnd(step.state);
  const bool repeats = step.repetition.has_value() && !step.trains_once;
  if (step.state == v1::TASK_STATE_RUNNING || (ended && (repeats || step.progress.step() > 0))) {
    double fraction = 0;
    if (repeats) {
      fraction = step.repetition->Fraction();
    } else if (step.progress.total_steps() > 0) {
      fraction = static_cast<double>(step.progress.step()) /
                 static_cast<double>(step.progress.total_steps());
    }
    if (step.state == v1::TASK_STATE_SUCCEEDED) fraction = 1;
    const int width = traits_.width < 100 ? 10 : 24;
    absl::StrAppend(&line,
                    Colored(traits_, ColorOf(step.state), cli::Bar(fraction, width, traits_.utf8)),
                    absl::StrFormat(" %3d%%  ", static_cast<int>(100 * fraction)),
                    repeats ? Printable(step.repetition->Text()) : ProgressText(step));
  } else {
    absl::StrAppend(&line, Colored(traits_, ColorOf(step.state), StateWord(step.state)));
    if (ended && step.start_time > absl::UnixEpoch()) {
      absl::StrAppend(&line, "  ", HumanDuration(step.end_time - step.start_time));
    }
  }
  if (step.trains_once && !step.repetition->BestText().empty()) {
    absl::StrAppend(&line, "  ", Printable(step.repetition->BestText()));
  }
  if (!step.made.empty()) absl::StrAppend(&line, "  ", step.made);
  if (!step.reason.empty()) absl::StrAppend(&line, "  ", Printable(step.reason));
  return line;
}

std::vector<std::string> RunView::Bars() const {
  std::vector<std::string> lines;
  for (const Step& step : steps_) {
    if (step.studied && step.state == v1::TASK_STATE_BLOCKED) continue;
    lines.push_back(Bar(step, name_width_));
  }
  return lines;
}

}  // namespace beamline::cli
