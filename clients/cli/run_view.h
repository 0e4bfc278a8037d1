// What a watcher of a run sees while it goes on: the events, told as lines or as progress bars.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "beamline/v1/pipeline.pb.h"
#include "beamline/v1/run.pb.h"
#include "clients/cli/repetition_view.h"
#include "clients/cli/terminal.h"

namespace beamline::cli {

bool IsTerminal(v1::RunState state);

// Not thread-safe.
class RunView {
 public:
  // Steps are shown in the order of the definition.
  RunView(const v1::PipelineDefinition& definition, const TerminalTraits& traits);

  // Takes the next event and returns lines that tell it, without ends; none for most progress.
  // Events that were seen before (by sequence) change nothing.
  // `with_progress`: also a line of progress at most every two seconds of the run, for when there
  // are no bars.
  std::vector<std::string> Apply(const v1::Event& event, bool with_progress);

  // What the server says of a task, as it is now: for a watch that begins in the middle.
  void Know(const v1::Task& task);

  // One line a step: state, bar, epoch, loss, validation, speed, time to go; of one that is
  // repeated how many trials or folds have ended, how many run, and the best.
  std::vector<std::string> Bars() const;

  // Of the newest event seen; 0 before.
  int64_t last_sequence() const { return last_sequence_; }
  v1::RunState state() const { return state_; }

 private:
  struct Step {
    std::string name;
    v1::TaskState state = v1::TASK_STATE_BLOCKED;
    std::string worker;
    std::string reason;
    v1::Progress progress;
    // Of a prepare step that has ended: the size of its table.
    std::string made;
    // The validation metric that is shown: "validation_auc" and its newest value.
    std::string validation_name;
    double validation = 0;
    absl::Time start_time;
    absl::Time end_time;
    // Where the attempt's progress began, for the time to go.
    absl::Time first_progress_time;
    int64_t first_progress_step = 0;
    absl::Time last_progress_time;
    absl::Time last_told_time;
    // Of a step with a search or cross-validation, or a scaling study.
    std::optional<RepetitionView> repetition;
    // A study repeats it: it is not shown before it trains itself, which it may never do.
    bool studied = false;
    // It trains once more, with what the search has found.
    bool trains_once = false;
  };

  Step& Find(const std::string& name);
  // Also makes it a repeated one.
  RepetitionView& FindRepetition(const std::string& name);
  // Of the step's own task, or of the run.
  std::string ApplyOwn(const v1::Event& event, bool with_progress);
  std::string Told(const v1::Event& event, const std::string& text) const;
  std::string ApplyRunState(const v1::RunStateChanged& change);
  std::string ApplyTaskState(Step& step, const v1::Event& event);
  void ApplyProgress(Step& step, const v1::Progress& progress, absl::Time time);
  std::string ProgressText(const Step& step) const;
  std::string Bar(const Step& step, size_t name_width) const;

  const TerminalTraits traits_;
  std::vector<Step> steps_;
  size_t name_width_ = 3;
  int64_t last_sequence_ = 0;
  absl::Time start_time_ = absl::InfinitePast();
  v1::RunState state_ = v1::RUN_STATE_UNSPECIFIED;
};

}  // namespace beamline::cli
