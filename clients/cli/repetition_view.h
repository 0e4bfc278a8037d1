// What a watcher knows of a step that is repeated: the trials of a search, the folds of
// cross-validation, the trainings of a scaling study.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "beamline/v1/pipeline.pb.h"
#include "beamline/v1/run.pb.h"
#include "clients/cli/trial_text.h"

namespace beamline::cli {

// It has a search or cross-validation, or is a scaling study.
bool IsRepeated(const v1::Step& step);

// Not thread-safe.
class RepetitionView {
 public:
  explicit RepetitionView(const v1::Step& step);

  // What is said when the step begins.
  std::string Beginning() const;

  // Takes an event of one of the trials or folds; returns what there is to tell of it: how a trial
  // went, or a fold or training if there is no search, and why an attempt has failed. Mostly
  // nothing.
  std::string Apply(const v1::Event& event);

  // What the server says of one of the tasks, as it is now. For a watch that does not see all
  // events; those that are older may still come.
  void Know(const v1::Task& task);

  // Share that is done, in [0, 1].
  double Fraction() const;
  // "12/30 trials  4 running  best auc 0.95300 (trial 2)", "3/5 folds  2 running",
  // "3/8 trainings  1 running".
  std::string Text() const;
  // "best auc 0.95300 (trial 2)"; empty as long as there is none.
  std::string BestText() const;

 private:
  // The folds of one trial, to one epoch.
  struct Part {
    int made = 0;
    int running = 0;
    int ended = 0;
  };

  void Learn(const std::string& task, v1::TaskState state);
  std::string ApplyTaskState(const v1::Event& event);
  std::string FoldText(const v1::Event& event) const;
  std::string TrainingText(const v1::Event& event) const;
  std::string ApplyTrialEnded(const v1::TrialEnded& trial);
  int Ended() const;

  const bool searches_;
  const bool studies_;
  // Trials are compared on the way, and some go on.
  bool halves_ = false;
  std::string objective_;
  ShortNames names_;
  // Of each task that is known of.
  std::map<std::string, v1::TaskState> tasks_;
  std::map<std::string, Part> parts_;
  // What trainings of a study were given, by task.
  std::map<std::string, std::string> values_;
  int succeeded_ = 0;
  // The newest words about the whole search; `ended_` is negative before there are any.
  int ended_ = -1;
  int planned_ = 0;
  int best_ = 0;
  double best_value_ = 0;
};

}  // namespace beamline::cli
