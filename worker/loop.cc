#include "worker/loop.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/log.h"

namespace beamline::worker {

// What the loop knows of one attempt.
struct WorkerLoop::Attempt {
  Attempt(AttemptId id, SpoolLimits limits) : id(std::move(id)), spool(limits) {}

  const AttemptId id;
  // Absent if it came when the worker was leaving.
  std::unique_ptr<Execution> execution;
  ReportSpool spool;
  BackOff back_off;
  // A call is under way, or the pause after a failed one.
  bool reporting = false;
  bool stopping = false;
  // It stops at a checkpoint, and may yet be told to stop without.
  bool releasing = false;
  // Its result is in the spool.
  bool ended = false;
  bool paused = false;
};

// Brings what an execution says onto the strand.
class WorkerLoop::Listener : public ExecutionListener {
 public:
  Listener(WorkerLoop& loop, AttemptId id) : loop_(loop), id_(std::move(id)) {}
  void OnEvent(v1::Event event) override {
    loop_.strand_.Post([&loop = loop_, id = id_, event = std::move(event)]() mutable {
      loop.OnEvent(id, std::move(event));
    });
  }
  void OnEnd(v1::AttemptResult result) override {
    loop_.strand_.Post([&loop = loop_, id = id_, result = std::move(result)]() mutable {
      loop.OnEnd(id, std::move(result));
    });
  }

 private:
  WorkerLoop& loop_;
  const AttemptId id_;
};

int64_t WorkerLoop::BackOff::Next(const LoopOptions& options) {
  delay_ms =
      delay_ms == 0 ? options.back_off_min_ms : std::min(2 * delay_ms, options.back_off_max_ms);
  return delay_ms;
}

WorkerLoop::WorkerLoop(Strand& strand, ServerLink& link, Executor& executor, v1::Worker description,
                       std::string session, std::function<std::vector<std::string>()> cached,
                       LoopOptions options)
    : strand_(strand),
      link_(link),
      executor_(executor),
      description_(std::move(description)),
      session_(std::move(session)),
      cached_(std::move(cached)),
      options_(options) {
  description_.set_state(v1::WORKER_STATE_READY);
}

WorkerLoop::~WorkerLoop() = default;

void WorkerLoop::Start(std::function<void()> on_ready) {
  strand_.Post([this, on_ready = std::move(on_ready)]() mutable {
    on_ready_ = std::move(on_ready);
    SendSynchronize();
  });
}

void WorkerLoop::Drain() {
  strand_.Post([this] { BeginDrain(); });
}

// ---- What the server wants ----

v1::SynchronizeRequest WorkerLoop::Statement() const {
  v1::SynchronizeRequest request;
  *request.mutable_worker() = description_;
  request.set_session(session_);
  for (const auto& [id, attempt] : attempts_) {
    v1::SynchronizeRequest::Held& held = *request.add_held();
    held.set_task(id.task);
    held.set_number(id.number);
    held.set_stopping(attempt->stopping);
    held.set_checkpoint(attempt->releasing);
  }
  for (std::string& digest : cached_()) {
    request.add_cached(std::move(digest));
  }
  // The first answer tells that the server knows this worker, the last one that it may leave.
  if (lease_ms_ != 0 && !leaving_) request.set_hold_ms(options_.hold_ms);
  return request;
}

void WorkerLoop::Read() {
  const int64_t now_ms = strand_.NowMillis();
  if (!read_ || (readings_at_ms_ && now_ms - *readings_at_ms_ < options_.readings_ms)) return;
  readings_at_ms_ = now_ms;
  read_(description_);
}

void WorkerLoop::SendSynchronize() {
  if (left_) return;
  Read();
  const uint64_t round = ++synchronize_round_;
  const int64_t sent_ms = strand_.NowMillis();
  synchronizing_ = true;
  goodbye_sent_ = leaving_;
  link_.Synchronize(
      Statement(), options_.hold_ms + options_.answer_ms,
      [this, round, sent_ms](absl::StatusOr<v1::SynchronizeResponse> response) {
        strand_.Post([this, round, sent_ms, response = std::move(response)]() mutable {
          if (round == synchronize_round_) {
            OnSynchronized(std::move(response), sent_ms);
          }
        });
      });
}

void WorkerLoop::OnSynchronized(absl::StatusOr<v1::SynchronizeResponse> response, int64_t sent_ms) {
  synchronizing_ = false;
  if (left_) return;
  if (absl::IsCancelled(response.status()) && std::exchange(restating_, false)) {
    SendSynchronize();
    return;
  }
  restating_ = false;
  if (goodbye_sent_) {
    Leave();
    return;
  }
  if (!response.ok()) {
    if (!server_away_) {
      log::Warning("the server does not answer: %s; tasks go on, trying again",
                   response.status().ToString());
    }
    server_away_ = true;
    WarnOfLease();
    if (draining_ && strand_.NowMillis() - answered_ms_ > options_.drain_away_ms) {
      Leave();
      return;
    }
    strand_.After(synchronize_back_off_.Next(options_), [this] { SendSynchronize(); });
    return;
  }
  if (std::exchange(server_away_, false)) log::Info("the server answers again");
  synchronize_back_off_.Reset();
  answered_ms_ = strand_.NowMillis();
  lease_ms_ = std::max<int64_t>(response->lease_ms(), 1);
  lease_lost_ = false;
  const bool changed = Apply(*response);
  if (on_ready_) std::exchange(on_ready_, nullptr)();
  if (response->drain()) BeginDrain();
  const bool at_once = strand_.NowMillis() - sent_ms < options_.idle_pause_ms;
  const bool first = synchronize_round_ == 1;
  strand_.After(at_once && !changed && !first ? options_.idle_pause_ms : 0,
                [this] { SendSynchronize(); });
}

void WorkerLoop::WarnOfLease() {
  if (lease_ms_ == 0 || strand_.NowMillis() - answered_ms_ <= lease_ms_) return;
  if (std::exchange(lease_lost_, true) || attempts_.empty()) return;
  log::Warning("no answer for %d ms: the server may give the %d attempts here to other workers",
               lease_ms_, attempts_.size());
}

bool WorkerLoop::Apply(v1::SynchronizeResponse& response) {
  bool changed = false;
  for (const v1::SynchronizeResponse::Stop& stop : response.stop()) {
    changed |= StopOne({stop.task(), stop.number()}, stop.forget(), stop.checkpoint());
  }
  for (v1::Attempt& attempt : *response.mutable_start()) {
    changed |= Assign(std::move(attempt));
  }
  return changed;
}

bool WorkerLoop::Assign(v1::Attempt message) {
  AttemptId id{message.task(), message.number()};
  // A repeated assignment; or one of an attempt whose process must first be gone.
  if (attempts_.contains(id) || dying_.contains(id)) return false;
  // Of one task only the newest attempt matters, and the server never goes back.
  std::vector<AttemptId> older;
  for (const auto& [other, attempt] : attempts_) {
    if (other.task == id.task && other.number > id.number) return false;
    if (other.task == id.task) older.push_back(other);
  }
  for (const AttemptId& other : older) Forget(other);
  auto attempt = std::make_unique<Attempt>(id, options_.spool);
  if (draining_) {
    Release(*attempt);
  } else {
    attempt->execution = executor_.Start(std::make_shared<const v1::Attempt>(std::move(message)),
                                         std::make_shared<Listener>(*this, id));
  }
  SendReports(*attempts_.emplace(std::move(id), std::move(attempt)).first->second);
  return true;
}

void WorkerLoop::Release(Attempt& attempt) {
  attempt.stopping = true;
  attempt.releasing = true;
  if (attempt.execution != nullptr) {
    attempt.execution->Stop(Execution::StopReason::kRelease);
    return;
  }
  v1::AttemptResult result;
  result.set_outcome(v1::AttemptResult::OUTCOME_RELEASED);
  attempt.spool.AddResult(std::move(result));
}

bool WorkerLoop::StopOne(const AttemptId& id, bool forget, bool checkpoint) {
  const auto found = attempts_.find(id);
  if (found == attempts_.end()) return false;
  if (forget) {
    Forget(id);
    return true;
  }
  Attempt& attempt = *found->second;
  if (attempt.execution == nullptr) return false;
  if (attempt.stopping && (checkpoint || !attempt.releasing)) return false;
  if (checkpoint) {
    Release(attempt);
    return true;
  }
  attempt.stopping = true;
  attempt.releasing = false;
  attempt.execution->Stop(Execution::StopReason::kCancel);
  return true;
}

void WorkerLoop::Forget(const AttemptId& id) {
  auto node = attempts_.extract(id);
  if (node.empty()) return;
  Attempt& attempt = *node.mapped();
  if (attempt.execution != nullptr && !attempt.ended) {
    log::Info("%s attempt %d: the server wants it no more", id.task, id.number);
    attempt.execution->Stop(Execution::StopReason::kForget);
    dying_.insert(std::move(node));
  }
  LeaveIfDone();
}

// ---- What attempts say ----

void WorkerLoop::OnEvent(const AttemptId& id, v1::Event event) {
  const auto found = attempts_.find(id);
  if (found == attempts_.end()) return;
  Attempt& attempt = *found->second;
  attempt.spool.Add(std::move(event));
  if (attempt.spool.full() && !std::exchange(attempt.paused, true)) {
    log::Warning("%s attempt %d waits: the server has not taken its reports", id.task, id.number);
    attempt.execution->SetPaused(true);
  }
  SendReports(attempt);
}

void WorkerLoop::OnEnd(const AttemptId& id, v1::AttemptResult result) {
  if (dying_.erase(id) > 0) {
    LeaveIfDone();
    return;
  }
  const auto found = attempts_.find(id);
  if (found == attempts_.end()) return;
  found->second->ended = true;
  found->second->spool.AddResult(std::move(result));
  SendReports(*found->second);
}

void WorkerLoop::SendReports(Attempt& attempt) {
  if (attempt.reporting || attempt.spool.empty()) return;
  attempt.reporting = true;
  v1::ReportAttemptRequest request;
  request.set_task(attempt.id.task);
  request.set_number(attempt.id.number);
  attempt.spool.FillBatch(request);
  link_.ReportAttempt(request,
                      [this, id = attempt.id](absl::StatusOr<v1::ReportAttemptResponse> response) {
                        strand_.Post([this, id, response = std::move(response)]() mutable {
                          OnReported(id, std::move(response));
                        });
                      });
}

void WorkerLoop::OnReported(const AttemptId& id,
                            absl::StatusOr<v1::ReportAttemptResponse> response) {
  const auto found = attempts_.find(id);
  if (found == attempts_.end()) return;
  Attempt& attempt = *found->second;
  if (absl::IsNotFound(response.status())) {
    Forget(id);
    return;
  }
  if (absl::IsFailedPrecondition(response.status()) || absl::IsInvalidArgument(response.status())) {
    // Saying it again cannot help: a file that it names has been lost, for example. The server sees
    // that the attempt is gone, and begins another.
    log::Error("%s attempt %d is given up: its reports are refused: %s", id.task, id.number,
               response.status().ToString());
    Forget(id);
    Restate();
    return;
  }
  if (!response.ok()) {
    const int64_t pause_ms = attempt.back_off.Next(options_);
    const bool away =
        absl::IsUnavailable(response.status()) || absl::IsDeadlineExceeded(response.status());
    log::Write(away ? log::Level::kDebug : log::Level::kWarning,
               absl::StrFormat("%s attempt %d: reports not taken: %s; again in %d ms", id.task,
                               id.number, response.status().ToString(), pause_ms));
    strand_.After(pause_ms, [this, id] {
      const auto found = attempts_.find(id);
      if (found == attempts_.end()) return;
      found->second->reporting = false;
      SendReports(*found->second);
    });
    return;
  }
  attempt.back_off.Reset();
  attempt.reporting = false;
  attempt.spool.Acknowledge(response->acknowledged());
  if (attempt.spool.finished()) {
    attempts_.erase(found);
    LeaveIfDone();
    return;
  }
  if (attempt.paused && !attempt.spool.full()) {
    attempt.paused = false;
    attempt.execution->SetPaused(false);
  }
  SendReports(attempt);
}

// ---- Leaving ----

void WorkerLoop::Restate() {
  if (!synchronizing_) return;
  restating_ = true;
  link_.CancelSynchronize();
}

void WorkerLoop::BeginDrain() {
  if (std::exchange(draining_, true)) return;
  log::Info("draining: %d attempts to release", attempts_.size());
  description_.set_state(v1::WORKER_STATE_DRAINING);
  for (auto& [id, attempt] : attempts_) {
    if (!attempt->stopping) Release(*attempt);
    SendReports(*attempt);
  }
  Restate();
  strand_.After(options_.drain_ms, [this] { Leave(); });
  LeaveIfDone();
}

void WorkerLoop::LeaveIfDone() {
  if (!draining_ || leaving_ || !attempts_.empty() || !dying_.empty()) return;
  leaving_ = true;
  Restate();
  strand_.After(options_.goodbye_ms, [this] { Leave(); });
}

void WorkerLoop::Leave() {
  if (std::exchange(left_, true)) return;
  if (!attempts_.empty()) {
    log::Warning("leaving with %d attempts that the server knows nothing newer of",
                 attempts_.size());
  }
  if (on_left_) on_left_();
}

}  // namespace beamline::worker
