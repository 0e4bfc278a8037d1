#include "clients/cli/watch.h"

#include <unistd.h>

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "clients/cli/format.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/json.h"
#include "clients/cli/patience.h"
#include "clients/cli/run_summary.h"
#include "clients/cli/run_view.h"
#include "clients/cli/searches.h"
#include "clients/cli/trial_text.h"

namespace beamline::cli {
namespace {

constexpr int64_t kRedrawMs = 100;
constexpr int64_t kLongestDelayMs = 5'000;

// A stream that may go on after it broke for this reason.
bool IsCut(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsCancelled(status) || absl::IsAborted(status);
}

class Watcher {
 public:
  Watcher(Invocation& invocation, const v1::Run& run, const WatchOptions& options)
      : invocation_(invocation),
        name_(run.name()),
        definition_(run.definition()),
        options_(options),
        bars_(invocation.err().is_terminal && !invocation.json() && !invocation.quiet() &&
              !options.logs_only),
        view_(definition_, invocation.err()),
        area_(STDERR_FILENO, bars_ ? invocation.err() : TerminalTraits()),
        seen_(options.after_sequence) {}

  // Until the event of the terminal state was seen.
  absl::Status Follow() {
    ASSIGN_OR_RETURN(Connection* const server, invocation_.Server());
    if (seen_ > 0) RETURN_IF_ERROR(CatchUp());
    int64_t delay_ms = kFirstDelayMs;
    int64_t last_success_ms = invocation_.clock().MonotonicMillis();
    while (true) {
      const int64_t seen_before = seen_;
      const absl::Status status = FollowOnce(*server);
      if (InterruptCount() > 0) return InterruptedError();
      if (status.ok() && ended_) return absl::OkStatus();
      if (!status.ok() && !IsCut(status)) return status;
      const int64_t now_ms = invocation_.clock().MonotonicMillis();
      if (seen_ > seen_before) {
        delay_ms = kFirstDelayMs;
        last_success_ms = now_ms;
      }
      if (now_ms - last_success_ms > kGiveUpAfterMs) return status;
      area_.Clear();
      invocation_.Note("the connection was cut; trying again\n");
      if (WaitUnlessInterrupted(delay_ms)) return InterruptedError();
      delay_ms = std::min(2 * delay_ms, kLongestDelayMs);
    }
  }

  // For good: what was drawn is removed.
  void Close() { area_.Clear(); }

 private:
  // Asks for what the events told that are not seen.
  absl::Status CatchUp() {
    v1::ListTasksRequest request;
    request.set_parent(name_);
    ASSIGN_OR_RETURN(const v1::ListTasksResponse own, invocation_.Call(kListTasks, request));
    for (const v1::Task& task : own.tasks()) view_.Know(task);
    for (const v1::Step& step : definition_.steps()) {
      if (!IsRepeated(step)) continue;
      request.set_step(step.name());
      RETURN_IF_ERROR(invocation_.ForEachPage(kListTasks, request, INT64_MAX,
                                              [&](const v1::ListTasksResponse& page) {
                                                for (const v1::Task& task : page.tasks())
                                                  view_.Know(task);
                                                return page.tasks_size();
                                              }));
    }
    return absl::OkStatus();
  }

  absl::Status FollowOnce(Connection& server) {
    const std::unique_ptr<Stream> stream = server.Open(kWatchRun.path);
    v1::WatchRunRequest request;
    request.set_name(name_);
    request.set_after_sequence(seen_);
    if (stream->Write(request)) stream->WritesDone();
    v1::Event event;
    while (stream->Read(&event)) Take(event);
    return stream->Finish();
  }

  void Take(const v1::Event& event) {
    if (event.sequence() <= seen_) return;
    seen_ = event.sequence();
    if (event.has_run_state()) ended_ = IsTerminal(event.run_state().state());
    const std::vector<std::string> lines = view_.Apply(event, !bars_);
    if (options_.logs_only) {
      const bool wanted = options_.step.empty() || options_.step == event.task() ||
                          (event.task().empty() && options_.step == event.step());
      if (event.has_log() && wanted) PrintLog(event);
      return;
    }
    if (invocation_.json()) {
      invocation_.PrintJsonLine(event);
      return;
    }
    if (bars_) {
      const bool worth_a_line = event.has_log() || event.task_state().has_failure() ||
                                !event.task_state().reason().empty() ||
                                event.trial_ended().has_failure();
      if (worth_a_line && !lines.empty()) {
        area_.Clear();
        drawn_ms_ = 0;
        invocation_.Note(lines[0] + "\n");
      }
      DrawBars(event.has_task_state() || event.has_run_state());
      return;
    }
    for (const std::string& line : lines) invocation_.Note(line + "\n");
  }

  void PrintLog(const v1::Event& event) {
    if (invocation_.json()) {
      invocation_.PrintJsonLine(event);
    } else {
      invocation_.Print(absl::StrCat(TaskLabel(event), "  ", Printable(event.log().text()), "\n"));
    }
  }

  void DrawBars(bool at_once) {
    const int64_t now_ms = invocation_.clock().MonotonicMillis();
    if (!at_once && now_ms - drawn_ms_ < kRedrawMs) return;
    drawn_ms_ = now_ms;
    area_.Draw(view_.Bars());
  }

  Invocation& invocation_;
  const std::string name_;
  const v1::PipelineDefinition definition_;
  const WatchOptions options_;
  const bool bars_;
  RunView view_;
  LiveArea area_;
  // Number of the newest event that was taken.
  int64_t seen_;
  int64_t drawn_ms_ = 0;
  bool ended_ = false;
};

absl::StatusOr<std::vector<v1::Model>> ModelsOf(Invocation& invocation, const v1::Run& run) {
  std::vector<v1::Model> models;
  for (const std::string& name : run.models()) {
    v1::GetModelRequest request;
    request.set_name(name);
    ASSIGN_OR_RETURN(v1::Model model, CallPatiently(invocation, kGetModel, request));
    models.push_back(std::move(model));
  }
  return models;
}

absl::Status WriteSvg(Invocation& invocation, const std::vector<v1::Task>& tasks,
                      const v1::Run& run, const std::string& path) {
  const std::vector<RocPoint> roc = RocOf(tasks);
  if (roc.empty()) {
    invocation.Note("no ROC curve to draw: no step evaluated a model of two classes\n");
    return absl::OkStatus();
  }
  const std::string title =
      absl::StrCat(LastPart(run.pipeline().empty() ? run.definition().name() : run.pipeline()),
                   ", run ", LastPart(run.name()));
  RETURN_IF_ERROR(WriteFileAtomically(path, RocSvg(roc, title)));
  invocation.Note(absl::StrCat("ROC curve: ", path, "\n"));
  return absl::OkStatus();
}

// What came of it, for a run that has ended.
absl::StatusOr<ExitCode> Conclude(Invocation& invocation, const std::string& name,
                                  const WatchOptions& options) {
  v1::GetRunRequest get;
  get.set_name(name);
  ASSIGN_OR_RETURN(const v1::Run run, CallPatiently(invocation, kGetRun, get));
  const ExitCode code =
      run.state() == v1::RUN_STATE_SUCCEEDED ? ExitCode::kOk : ExitCode::kWorkFailed;
  if (options.logs_only) return code;
  v1::ListTasksRequest request;
  request.set_parent(name);
  ASSIGN_OR_RETURN(const v1::ListTasksResponse response,
                   CallPatiently(invocation, kListTasks, request));
  const std::vector<v1::Task> tasks(response.tasks().begin(), response.tasks().end());
  if (!invocation.json()) {
    ASSIGN_OR_RETURN(const std::vector<v1::Model> models, ModelsOf(invocation, run));
    ASSIGN_OR_RETURN(const std::vector<v1::ListTrialsResponse> searches,
                     SearchesOf(invocation, run));
    invocation.Print(RunSummary(run, tasks, searches, models, invocation.out()));
  }
  if (!options.svg_path.empty()) {
    RETURN_IF_ERROR(WriteSvg(invocation, tasks, run, options.svg_path));
  }
  return code;
}

}  // namespace

absl::StatusOr<ExitCode> WatchUntilEnd(Invocation& invocation, const std::string& run_name,
                                       const WatchOptions& options) {
  v1::GetRunRequest request;
  request.set_name(run_name);
  ASSIGN_OR_RETURN(const v1::Run run, invocation.Call(kGetRun, request));
  Watcher watcher(invocation, run, options);
  const absl::Status status = watcher.Follow();
  watcher.Close();
  if (absl::IsCancelled(status)) {
    const std::string id = LastPart(run_name);
    invocation.Note(absl::StrFormat(
        "\ndetached; the run goes on\n  watch it again: beamline run watch %s\n  stop it:        "
        "beamline run cancel %s\n",
        id, id));
    return ExitCode::kInterrupted;
  }
  RETURN_IF_ERROR(status);
  return Conclude(invocation, run_name, options);
}

}  // namespace beamline::cli
