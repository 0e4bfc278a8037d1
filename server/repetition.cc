#include "server/repetition.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "pipeline/learners/registry.h"
#include "pipeline/search/search.h"
#include "pipeline/trial.h"
#include "server/names.h"
#include "server/repetition_tasks.h"
#include "server/run_progress.h"
#include "server/states.h"
#include "server/study.h"
#include "server/trials.h"
#include "store/datasets.h"
#include "store/identity.h"
#include "store/time.h"
#include "store/trials.h"

namespace beamline::server {
namespace {

using pipeline::search::Outcome;

constexpr int kDefaultParallel = 16;
// A search whose first trials all fail is given up: the definition is to blame.
constexpr int kHopeless = 10;

absl::Status Unknown(std::string_view step) {
  return absl::InternalError(absl::StrCat("the definition has no step ", A(step)));
}

// The trials of one step and what follows from them.
class Repeater {
 public:
  Repeater(Transaction& transaction, const store::StoredRun& run, const v1::Step& step,
           store::StoredTask& task)
      : transaction_(transaction), run_(run), step_(step), task_(task) {}

  absl::StatusOr<Repetition> Advance() {
    RETURN_IF_ERROR(Read());
    if (std::string why = Hopeless(); !why.empty())
      return FailRepeated(transaction_, task_, std::move(why));
    pipeline::search::Plan plan;
    if (step_.has_search()) {
      const int room = TimeIsUp() ? 0 : std::max(0, MostAtOnce() - Live());
      plan = pipeline::search::MakePlan(setting_, outcomes_, room);
      for (const pipeline::search::Suggestion& next : plan.due) RETURN_IF_ERROR(Make(next));
    } else if (parts_.empty()) {
      RETURN_IF_ERROR(Make({}));
      return Repetition::kGoesOn;
    }
    if (!plan.due.empty() || Live() > 0) return Repetition::kGoesOn;
    return Conclude();
  }

  // Says how the part went that `ended` belongs to, if that is known only now; stops what is left
  // of a part that failed.
  absl::Status Announce(const store::StoredTask& ended) {
    if (!step_.has_search()) return absl::OkStatus();
    RETURN_IF_ERROR(Read());
    const TrialPart* part = FindPart(ended.message.trial());
    if (part == nullptr || part->state == Outcome::State::kUnknown) return absl::OkStatus();
    if (part->state == Outcome::State::kFailed) {
      if (!IsFirstFailure(*part, ended.id())) return absl::OkStatus();
      StopRest(*part);
    }
    v1::Event event;
    event.set_step(step_.name());
    event.set_task(pipeline::TaskIdOf(step_.name(), part->trial));
    v1::TrialEnded& what = *event.mutable_trial_ended();
    *what.mutable_trial() = part->trial;
    if (part->state == Outcome::State::kSucceeded) {
      what.set_value(part->value.mean());
      what.set_standard_error(part->value.standard_error());
    } else if (ended.message.has_failure()) {
      *what.mutable_failure() = ended.message.failure();
    }
    what.set_ended(
        static_cast<int32_t>(std::count_if(parts_.begin(), parts_.end(), [](const TrialPart& one) {
          return one.state != Outcome::State::kUnknown;
        })));
    what.set_planned(pipeline::search::MakePlan(setting_, outcomes_, 0).planned);
    if (const TrialPart* best = Best(); best != nullptr) {
      what.set_best(best->trial.number());
      what.set_best_value(best->value.mean());
    }
    return transaction_.Append(run_id(), std::move(event));
  }

 private:
  std::string run_id() const { return task_.run; }
  int MostAtOnce() const {
    return step_.search().max_parallel() > 0 ? step_.search().max_parallel() : kDefaultParallel;
  }
  int Live() const {
    return made_ +
           static_cast<int>(std::count_if(parts_.begin(), parts_.end(), [](const TrialPart& part) {
             return part.state == Outcome::State::kUnknown;
           }));
  }
  bool TimeIsUp() const {
    const int64_t most = step_.search().max_seconds();
    return most > 0 &&
           transaction_.now() - store::FromProto(task_.message.start_time()) > absl::Seconds(most);
  }

  absl::Status Read() {
    ASSIGN_OR_RETURN(trials_, store::ListTrials(transaction_.store(), run_id(), step_.name()));
    parts_ = PartsOf(trials_);
    outcomes_.clear();
    for (const TrialPart& part : parts_) outcomes_.push_back(OutcomeOf(part));
    return absl::OkStatus();
  }

  const TrialPart* FindPart(const v1::Trial& trial) const {
    for (const TrialPart& part : parts_) {
      if (part.trial.number() == trial.number() && part.trial.epochs() == trial.epochs()) {
        return &part;
      }
    }
    return nullptr;
  }

  // The folds of a trial that failed in one of them.
  void StopRest(const TrialPart& part) {
    for (const store::StoredTrial* trial : part.tasks) {
      if (IsTerminal(trial->state)) continue;
      transaction_.Schedule(scheduler::TaskCancelled{
          .task = scheduler::TaskId(TaskNameOf(run_.message.name(), trial->task))});
    }
  }

  static bool IsFirstFailure(const TrialPart& part, const std::string& task) {
    int failed = 0;
    bool this_one = false;
    for (const store::StoredTrial* trial : part.tasks) {
      failed += HasFailed(*trial) ? 1 : 0;
      this_one = this_one || (HasFailed(*trial) && trial->task == task);
    }
    return this_one && failed == 1;
  }

  // The part that wins; null if none has succeeded.
  const TrialPart* Best() const {
    const int number = step_.has_search() ? pipeline::search::BestTrial(setting_, outcomes_) : 0;
    const TrialPart* best = nullptr;
    for (const TrialPart& part : parts_) {
      if (part.trial.number() == number && part.state == Outcome::State::kSucceeded) best = &part;
    }
    return best;
  }

  // Why the step cannot succeed any more; empty if it can.
  std::string Hopeless() const {
    int failed = 0;
    for (const TrialPart& part : parts_) {
      if (part.state != Outcome::State::kFailed) break;
      ++failed;
    }
    const std::string first = failed > 0 ? FirstFailure() : "";
    if (failed > 0 && !step_.has_search()) return first;
    if (failed < kHopeless) return "";
    return absl::StrCat("the first ", failed, " trials all failed, the first of them: ", first);
  }

  std::string FirstFailure() const {
    for (const TrialPart& part : parts_) {
      for (const store::StoredTrial* trial : part.tasks) {
        if (!HasFailed(*trial)) continue;
        const auto task = store::GetTask(transaction_.store(), run_id(), trial->task);
        if (!task.ok() || !task->message.has_failure()) continue;
        return absl::StrCat(trial->task, ": ", task->message.failure().message());
      }
    }
    return "none could measure its objective on the validation rows";
  }

  // Makes the tasks of a part, and queues them.
  absl::Status Make(const pipeline::search::Suggestion& next) {
    v1::Trial trial;
    trial.set_number(next.number);
    trial.set_epochs(next.epochs);
    trial.set_after_epochs(next.after_epochs);
    trial.set_after_trial(next.after_trial);
    for (const auto& [key, value] : next.values) (*trial.mutable_parameters())[key] = value;
    const int folds = pipeline::CountFolds(step_.cross_validation());
    for (int fold = folds > 0 ? 1 : 0; fold <= folds; ++fold) {
      trial.set_fold(fold);
      RETURN_IF_ERROR(MakeRepetition(transaction_, run_, step_, task_, trial));
    }
    ++made_;
    return absl::OkStatus();
  }

  // Nothing runs and nothing is to come.
  absl::StatusOr<Repetition> Conclude() {
    const TrialPart* best = Best();
    if (best == nullptr) {
      return FailRepeated(
          transaction_, task_,
          absl::StrCat("no trial succeeded, of ", parts_.size(), "; ", FirstFailure()));
    }
    v1::Trial& trial = *task_.message.mutable_trial() = best->trial;
    trial.clear_after_epochs();
    trial.clear_after_trial();
    const bool has_model = best->trial.epochs() == 0 && !step_.has_cross_validation();
    if (!has_model && !step_.has_cross_validation()) {
      // Its time was up: the best trial goes on to the end.
      trial.set_after_epochs(best->trial.epochs());
      trial.clear_epochs();
    }
    if (!has_model) return Repetition::kTrainsOnce;
    ASSIGN_OR_RETURN(const store::StoredTask winner,
                     store::GetTask(transaction_.store(), run_id(), best->tasks.front()->task));
    *task_.message.mutable_result() = winner.message.result();
    // Other trials' files go with the run's end; this one's stay.
    for (const auto& [name, blob] : winner.message.result().artifacts()) {
      RETURN_IF_ERROR(store::AddBlobReference(transaction_.store(), run_.project, blob,
                                              absl::StrCat("runs/", run_id())));
    }
    task_.message.set_state(v1::TASK_STATE_SUCCEEDED);
    return EndRepeated(transaction_, task_);
  }

  Transaction& transaction_;
  const store::StoredRun& run_;
  const v1::Step& step_;
  store::StoredTask& task_;
  const pipeline::search::Setting setting_ = {.search = step_.search(),
                                              .step_epochs = pipeline::EpochsOf(step_.train()),
                                              .maximize = pipeline::ObjectiveOf(step_).maximize,
                                              .seed = run_.message.definition().seed()};
  std::vector<store::StoredTrial> trials_;
  std::vector<TrialPart> parts_;
  std::vector<Outcome> outcomes_;
  int made_ = 0;
};

}  // namespace

bool IsRepetition(const store::StoredTask& task) { return absl::StrContains(task.id(), '.'); }

bool IsRepeating(const store::StoredTask& task) {
  return task.message.state() == v1::TASK_STATE_RUNNING && task.message.attempt() == 0;
}

absl::StatusOr<Repetition> StartRepetition(Transaction& transaction, const store::StoredRun& run,
                                           store::StoredTask& task) {
  const v1::Step* step = pipeline::FindStep(run.message.definition(), task.message.step());
  if (step == nullptr) return Unknown(task.message.step());
  task.message.set_state(v1::TASK_STATE_RUNNING);
  *task.message.mutable_start_time() = store::ToProto(transaction.now());
  RETURN_IF_ERROR(store::UpdateTask(transaction.store(), task));
  RETURN_IF_ERROR(transaction.Append(task.run, TaskEvent(task, 0, "")));
  if (step->has_scaling_study()) return AdvanceStudy(transaction, run, *step, task);
  return Repeater(transaction, run, *step, task).Advance();
}

absl::Status KeepRepetition(Transaction& transaction, const store::StoredRun& run,
                            const store::StoredTask& ended) {
  const v1::Step* step = pipeline::FindStep(run.message.definition(), ended.message.step());
  if (step == nullptr) return Unknown(ended.message.step());
  store::StoredTrial trial{.run = ended.run,
                           .step = ended.message.step(),
                           .task = ended.id(),
                           .state = ended.message.state(),
                           .value = std::nullopt,
                           .seconds = ended.message.result().seconds(),
                           .message = ended.message.trial()};
  const auto& metrics = ended.message.result().metrics();
  const auto found = metrics.find(pipeline::ObjectiveOf(*step).metric());
  if (found != metrics.end() && std::isfinite(found->second)) trial.value = found->second;
  return store::UpdateTrial(transaction.store(), trial);
}

absl::StatusOr<Repetition> AfterRepetition(Transaction& transaction, const store::StoredRun& run,
                                           const store::StoredTask& ended,
                                           store::StoredTask& task) {
  const v1::Step* step = pipeline::FindStep(run.message.definition(), task.message.step());
  if (step == nullptr) return Unknown(task.message.step());
  RETURN_IF_ERROR(KeepRepetition(transaction, run, ended));
  // The last folds of a search that was given up.
  if (!IsRepeating(task)) return Repetition::kGoesOn;
  if (step->has_scaling_study()) return AdvanceStudy(transaction, run, *step, task);
  Repeater repeater(transaction, run, *step, task);
  RETURN_IF_ERROR(repeater.Announce(ended));
  return repeater.Advance();
}

absl::Status AddFoldStatistics(const store::View& view, const store::StoredRun& run,
                               const store::StoredTask& task, v1::TaskResult& result) {
  const v1::Step* step = pipeline::FindStep(run.message.definition(), task.message.step());
  if (step == nullptr) return Unknown(task.message.step());
  std::map<std::string, std::vector<double>> metrics;
  const int folds = pipeline::CountFolds(step->cross_validation());
  v1::Trial trial = task.message.trial();
  for (int fold = 1; fold <= folds; ++fold) {
    trial.set_fold(fold);
    ASSIGN_OR_RETURN(
        const store::StoredTask measured,
        store::GetTask(view, task.run, pipeline::TaskIdOf(task.message.step(), trial)));
    for (const auto& [name, value] : measured.message.result().metrics()) {
      metrics[name].push_back(value);
    }
  }
  for (auto& [name, values] : metrics) {
    const bool everywhere = values.size() == static_cast<size_t>(folds);
    if (!everywhere || !absl::StartsWith(name, "validation_")) continue;
    (*result.mutable_cross_validation())[name.substr(sizeof("validation_") - 1)] =
        StatisticsOf(std::move(values));
  }
  return absl::OkStatus();
}

absl::StatusOr<store::StoredTask> TrainedTask(const store::View& view, std::string_view run,
                                              std::string_view step) {
  ASSIGN_OR_RETURN(store::StoredTask task, store::GetTask(view, run, step));
  if (const std::string& from = task.message.result().taken_from(); !from.empty()) {
    ASSIGN_OR_RETURN(const TaskName origin, ParseTaskName("taken_from", from));
    ASSIGN_OR_RETURN(task, store::GetTask(view, origin.run, origin.task));
  }
  if (task.message.attempt() > 0) return task;
  return store::GetTask(view, task.run,
                        pipeline::TaskIdOf(task.message.step(), task.message.trial()));
}

}  // namespace beamline::server
