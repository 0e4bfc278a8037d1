#include "server/reports.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "server/errors.h"
#include "server/names.h"
#include "server/publish.h"
#include "server/repetition.h"
#include "server/run_progress.h"
#include "store/datasets.h"
#include "store/identity.h"
#include "store/runs.h"

namespace beamline::server {
namespace {

constexpr int kMaxReports = 1000;
constexpr size_t kMaxLogBytes = 16 << 10;
constexpr size_t kMaxFailureBytes = 4 << 10;

bool IsReportable(const v1::Event& event) {
  switch (event.kind_case()) {
    case v1::Event::kProgress:
    case v1::Event::kMetric:
    case v1::Event::kLog:
    case v1::Event::kCheckpoint:
    case v1::Event::kEvaluation:
      return true;
    default:
      return false;
  }
}

// An attempt that was asked to make room gives itself back as any other: the scheduler knows why.
scheduler::Outcome OutcomeOf(const v1::AttemptResult& result) {
  switch (result.outcome()) {
    case v1::AttemptResult::OUTCOME_SUCCEEDED:
      return scheduler::Outcome::kSucceeded;
    case v1::AttemptResult::OUTCOME_CANCELLED:
      return scheduler::Outcome::kCancelled;
    case v1::AttemptResult::OUTCOME_RELEASED:
      return scheduler::Outcome::kReleased;
    default:
      break;
  }
  switch (result.failure().kind()) {
    case v1::FAILURE_KIND_USER:
    case v1::FAILURE_KIND_DEPENDENCY:
    case v1::FAILURE_KIND_TIMEOUT:
    case v1::FAILURE_KIND_UNIMPLEMENTED:
      return scheduler::Outcome::kFailedPermanent;
    // The worker's own loss of the process is none of the task's failures.
    case v1::FAILURE_KIND_LOST_WORKER:
      return scheduler::Outcome::kReleased;
    default:
      return scheduler::Outcome::kFailedRetryable;
  }
}

// Keeps what the result says with the attempt and the task, for the scheduler's decision to find.
absl::Status TakeResult(Transaction& transaction, const store::StoredRun& run,
                        store::StoredTask& task, store::StoredAttempt& attempt,
                        const v1::AttemptResult& result) {
  scheduler::Outcome outcome = OutcomeOf(result);
  attempt.result = result;
  task.message.clear_failure();
  if (outcome == scheduler::Outcome::kSucceeded) {
    v1::TaskResult& taken = *task.message.mutable_result();
    taken = result.result();
    // These are the server's to say.
    taken.clear_model();
    taken.clear_taken_from();
    taken.clear_cross_validation();
    const std::string owner =
        absl::StrCat("runs/", attempt.run, IsRepetition(task) ? "/trials" : "");
    for (const auto& [name, blob] : result.result().artifacts()) {
      RETURN_IF_ERROR(store::AddBlobReference(transaction.store(), run.project, blob, owner));
    }
    if (task.message.has_trial() && !IsRepetition(task)) {
      RETURN_IF_ERROR(AddFoldStatistics(transaction.store(), run, task, taken));
    }
    RETURN_IF_ERROR(KeepMadeDatasets(transaction, run, task));
    if (absl::Status published = PublishIfAsked(transaction, run, task); !published.ok()) {
      if (transaction.store().broken()) return published;
      outcome = scheduler::Outcome::kFailedPermanent;
      task.message.mutable_failure()->set_kind(v1::FAILURE_KIND_INFRASTRUCTURE);
      task.message.mutable_failure()->set_message(std::string(published.message()));
    }
  } else if (result.has_failure()) {
    *task.message.mutable_failure() = result.failure();
    std::string& message = *task.message.mutable_failure()->mutable_message();
    if (message.size() > kMaxFailureBytes) message.resize(kMaxFailureBytes);
  } else if (result.outcome() == v1::AttemptResult::OUTCOME_FAILED) {
    task.message.mutable_failure()->set_kind(v1::FAILURE_KIND_CRASH);
    task.message.mutable_failure()->set_message("the task's process ended without saying why");
  }
  transaction.Schedule(scheduler::AttemptFinished{.task = scheduler::TaskId(task.message.name()),
                                                  .attempt = attempt.message.number(),
                                                  .outcome = outcome});
  return absl::OkStatus();
}

absl::Status TakeCheckpoint(Transaction& transaction, const store::StoredRun& run,
                            store::StoredTask& task, const v1::Blob& blob) {
  const std::string owner = absl::StrCat("runs/", task.run, "/checkpoints/", task.id());
  RETURN_IF_ERROR(store::DropBlobReferences(transaction.store(), run.project, owner));
  RETURN_IF_ERROR(store::AddBlobReference(transaction.store(), run.project, blob, owner));
  *task.message.mutable_checkpoint() = blob;
  transaction.Schedule(scheduler::AttemptCheckpointed{
      .task = scheduler::TaskId(task.message.name()), .attempt = task.message.attempt()});
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckReports(const v1::ReportAttemptRequest& request) {
  if (request.reports_size() > kMaxReports) {
    return BadField("reports", absl::StrCat("must be at most ", kMaxReports));
  }
  for (int i = 0; i < request.reports_size(); ++i) {
    const v1::AttemptReport& report = request.reports(i);
    const std::string field = absl::StrCat("reports[", i, "]");
    if (report.number() < 1 || report.number() != request.reports(0).number() + i) {
      return BadField(field + ".number", "must be one more than that of the report before, from 1");
    }
    if (report.has_result()) {
      if (report.result().outcome() == v1::AttemptResult::OUTCOME_UNSPECIFIED) {
        return BadField(field + ".result.outcome", "must be given");
      }
      if (i + 1 != request.reports_size()) return BadField(field, "a result must come last");
    } else if (!report.has_event() || !IsReportable(report.event())) {
      return BadField(field,
                      "must be progress, a metric, a log line, a checkpoint, an evaluation "
                      "or a result");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> TakeReports(Transaction& transaction, std::string_view worker,
                                    const v1::ReportAttemptRequest& request) {
  ASSIGN_OR_RETURN(const TaskName name, ParseTaskName("task", request.task()));
  auto attempt = store::GetAttempt(transaction.store(), name.run, name.task, request.number());
  if (!absl::IsNotFound(attempt.status())) RETURN_IF_ERROR(attempt.status());
  const int64_t last = request.reports().empty() ? 0 : request.reports().rbegin()->number();
  const bool known = attempt.ok() && attempt->worker == store::IdOf(worker);
  // An ended attempt's last reports may be repeated, because the answer to them was lost.
  if (known && !attempt->live && last <= attempt->acknowledged) return attempt->acknowledged;
  if (!known || !attempt->live) {
    return absl::NotFoundError(absl::StrCat("attempt ", request.number(), " at ", request.task(),
                                            " is not held by ", A(worker)));
  }
  if (!request.reports().empty() && request.reports(0).number() > attempt->acknowledged + 1) {
    return BadField("reports[0].number", absl::StrCat("must be at most ", attempt->acknowledged + 1,
                                                      ": the reports before it are missing"));
  }
  if (last <= attempt->acknowledged) return attempt->acknowledged;
  ASSIGN_OR_RETURN(store::StoredTask task,
                   store::GetTask(transaction.store(), name.run, name.task));
  ASSIGN_OR_RETURN(const store::StoredRun run, store::GetRun(transaction.store(), name.run));
  std::vector<v1::Event> events;
  bool task_changed = false;
  for (const v1::AttemptReport& report : request.reports()) {
    if (report.number() <= attempt->acknowledged) continue;
    if (report.has_result()) {
      RETURN_IF_ERROR(TakeResult(transaction, run, task, *attempt, report.result()));
      task_changed = true;
      continue;
    }
    v1::Event& event = events.emplace_back(report.event());
    event.set_step(task.message.step());
    if (IsRepetition(task)) event.set_task(name.task);
    event.set_attempt(request.number());
    if (event.has_log() && event.log().text().size() > kMaxLogBytes) {
      event.mutable_log()->mutable_text()->resize(kMaxLogBytes);
    }
    if (event.has_checkpoint()) {
      RETURN_IF_ERROR(TakeCheckpoint(transaction, run, task, event.checkpoint().blob()));
      task_changed = true;
    }
  }
  attempt->acknowledged = last;
  RETURN_IF_ERROR(store::UpdateAttempt(transaction.store(), *attempt));
  if (task_changed) RETURN_IF_ERROR(store::UpdateTask(transaction.store(), task));
  if (!events.empty()) RETURN_IF_ERROR(transaction.Append(name.run, std::move(events)));
  return last;
}

}  // namespace beamline::server
