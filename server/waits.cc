#include "server/waits.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "server/repetition.h"
#include "server/states.h"
#include "store/events.h"
#include "store/identity.h"
#include "store/time.h"

namespace beamline::server {
namespace {

constexpr int kMaxWaiting = 1'000;
// Running tasks that a forecast looks at, and progress events of each: some ten seconds of them.
constexpr size_t kMaxForeseen = 200;
constexpr int64_t kRecent = 50;

v1::WaitReason ReasonOf(scheduler::PendingCode code) {
  switch (code) {
    case scheduler::PendingCode::kWaitingForCapacity:
      return v1::WAIT_REASON_CAPACITY;
    case scheduler::PendingCode::kBackOff:
      return v1::WAIT_REASON_BACK_OFF;
    case scheduler::PendingCode::kNoWorkers:
      return v1::WAIT_REASON_NO_WORKERS;
    case scheduler::PendingCode::kAllWorkersDraining:
      return v1::WAIT_REASON_DRAINING;
    case scheduler::PendingCode::kNoWorkerInPool:
      return v1::WAIT_REASON_POOL;
    case scheduler::PendingCode::kTooLarge:
    case scheduler::PendingCode::kGangsUnsupported:
      return v1::WAIT_REASON_TOO_LARGE;
    case scheduler::PendingCode::kQuota:
      return v1::WAIT_REASON_QUOTA;
    case scheduler::PendingCode::kBehindOthers:
      return v1::WAIT_REASON_ORDER;
    case scheduler::PendingCode::kReserved:
      return v1::WAIT_REASON_RESERVED;
    case scheduler::PendingCode::kFairShare:
      return v1::WAIT_REASON_FAIR_SHARE;
    case scheduler::PendingCode::kFragmented:
      return v1::WAIT_REASON_FRAGMENTED;
  }
  return v1::WAIT_REASON_UNSPECIFIED;
}

// When the attempt ends, if it goes on as its newest events say. nullopt: they do not say.
std::optional<absl::Time> EndOf(const std::vector<v1::Event>& newest_first, int32_t attempt) {
  const auto fraction = [](const v1::Event& event) {
    const v1::Progress& progress = event.progress();
    return progress.total_steps() > 0
               ? static_cast<double>(progress.step()) / static_cast<double>(progress.total_steps())
               : 0.0;
  };
  const v1::Event* last = nullptr;
  const v1::Event* first = nullptr;
  for (const v1::Event& event : newest_first) {
    if (event.attempt() != attempt) break;
    if (last == nullptr) last = &event;
    first = &event;
  }
  if (last == nullptr) return std::nullopt;
  const double done = fraction(*last) - fraction(*first);
  const absl::Duration took = store::FromProto(last->time()) - store::FromProto(first->time());
  if (done <= 0 || took <= absl::ZeroDuration()) return std::nullopt;
  return store::FromProto(last->time()) + took * ((1 - fraction(*last)) / done);
}

v1::Wait Simple(v1::WaitReason reason, std::string text, std::string remedy) {
  v1::Wait wait;
  wait.set_reason(reason);
  wait.set_text(std::move(text));
  wait.set_remedy(std::move(remedy));
  return wait;
}

void SetEarliest(const Transaction& transaction, int64_t at_ms, v1::Wait& wait) {
  const int64_t wait_ms = std::max<int64_t>(at_ms - transaction.now_ms(), 0);
  *wait.mutable_earliest_start_time() =
      store::ToProto(transaction.now() + absl::Milliseconds(wait_ms));
}

// Explains the tasks of one run. What costs a look at everything is found out once for all tasks
// that ask for the same.
class Explainer {
 public:
  Explainer(const Transaction& transaction, const Forecast& forecast)
      : transaction_(transaction), forecast_(forecast) {}

  // nullopt: it does not wait.
  std::optional<v1::Wait> WaitOf(const store::StoredTask& task) {
    switch (task.message.state()) {
      case v1::TASK_STATE_BLOCKED:
        return Simple(v1::WAIT_REASON_STEPS,
                      absl::StrCat("waits for ", absl::StrJoin(task.message.dependencies(), ", ")),
                      "");
      case v1::TASK_STATE_PAUSED:
        return Simple(v1::WAIT_REASON_PAUSED, "its run is paused", "beamline run resume");
      case v1::TASK_STATE_RUNNING:
        if (!IsRepeating(task)) return std::nullopt;
        return Simple(v1::WAIT_REASON_TRIALS, "its trials or folds are under way", "");
      case v1::TASK_STATE_QUEUED:
        return Queued(task);
      default:
        return std::nullopt;
    }
  }

 private:
  std::optional<v1::Wait> Queued(const store::StoredTask& task) {
    const bool backs_off = task.not_before > transaction_.now();
    const std::string alike =
        absl::StrCat(backs_off ? task.id() : "", "|", task.message.resources().SerializeAsString());
    v1::Wait wait;
    if (const auto known = known_.find(alike); known != known_.end()) {
      wait = known->second;
      wait.clear_ahead();
    } else {
      const scheduler::TaskId id(task.message.name());
      const auto why = transaction_.scheduler().Why(id);
      if (!why.has_value()) return std::nullopt;
      wait = server::WaitOf(transaction_, *why);
      AddEarliestStart(transaction_, forecast_, id, *why, wait);
      if (const auto ahead = transaction_.scheduler().Ahead(id)) wait.set_ahead(*ahead);
      known_[alike] = wait;
    }
    *wait.mutable_since_time() = store::ToProto(task.queued_at);
    return wait;
  }

  const Transaction& transaction_;
  const Forecast& forecast_;
  std::map<std::string, v1::Wait> known_;
};

}  // namespace

absl::StatusOr<Forecast> Forecast::Make(const Transaction& transaction, store::View& view) {
  Forecast forecast;
  size_t looked_at = 0;
  for (const scheduler::WorkerEntry& worker : transaction.scheduler().Workers()) {
    for (const scheduler::AttemptEntry& attempt : worker.attempts) {
      if (++looked_at > kMaxForeseen) return forecast;
      ASSIGN_OR_RETURN(const TaskName name, ParseTaskName("task", attempt.task.value));
      ASSIGN_OR_RETURN(const auto events,
                       store::LastEvents(
                           view, name.run,
                           {.kind = v1::Event::kProgress, .task = name.task, .name = ""}, kRecent));
      const std::optional<absl::Time> end = EndOf(events, attempt.attempt);
      if (!end.has_value()) continue;
      forecast.ends_ms_[attempt.task] =
          transaction.now_ms() + absl::ToInt64Milliseconds(*end - transaction.now());
    }
  }
  return forecast;
}

v1::Wait WaitOf(const Transaction& transaction, const scheduler::PendingReason& reason) {
  v1::Wait wait = Simple(ReasonOf(reason.code), reason.text, reason.remedy);
  if (reason.until_ms > 0) SetEarliest(transaction, reason.until_ms, wait);
  return wait;
}

void AddEarliestStart(const Transaction& transaction, const Forecast& forecast,
                      const scheduler::TaskId& task, const scheduler::PendingReason& reason,
                      v1::Wait& wait) {
  // The end of a quota is no matter of room.
  if (reason.until_ms > 0 || reason.code == scheduler::PendingCode::kQuota) return;
  const auto at_ms = transaction.scheduler().EarliestFit(task, forecast.ends_ms());
  if (at_ms.has_value()) SetEarliest(transaction, *at_ms, wait);
}

absl::StatusOr<v1::ExplainRunResponse> ExplainRun(Transaction& transaction, const ChildName& run) {
  store::View& view = transaction.store();
  RETURN_IF_ERROR(store::GetRun(view, run.project, run.id).status());
  ASSIGN_OR_RETURN(const auto tasks, store::ListTasks(view, run.id));
  ASSIGN_OR_RETURN(const Forecast forecast, Forecast::Make(transaction, view));
  v1::ExplainRunResponse response;
  int64_t running = 0;
  Explainer explainer(transaction, forecast);
  for (const store::StoredTask& task : tasks) {
    if (response.tasks_size() >= kMaxWaiting) break;
    const std::optional<v1::Wait> wait = explainer.WaitOf(task);
    if (!wait.has_value()) {
      running += IsTerminal(task.message.state()) ? 0 : 1;
    } else {
      auto& waiting = *response.add_tasks();
      waiting.set_task(task.message.name());
      waiting.set_step(task.message.step());
      waiting.set_state(task.message.state());
      *waiting.mutable_wait() = *wait;
    }
  }
  response.set_running_tasks(running);
  return response;
}

}  // namespace beamline::server
