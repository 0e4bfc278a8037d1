#include "worker/process_execution.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "google/protobuf/timestamp.pb.h"
#include "worker/remove_tree.h"

namespace beamline::worker {
namespace {

constexpr int64_t kDefaultMemoryBytes = int64_t{1} << 30;
// Longest sleep while a process runs, for a kernel without pidfd. Unit: milliseconds.
constexpr int64_t kPollMillis = 200;

bool Wins(Execution::StopReason reason, int current) { return static_cast<int>(reason) > current; }

// A failure that is not the task's: another try may succeed.
v1::AttemptResult Infrastructure(const std::string& what, const absl::Status& status) {
  return Failed(v1::FAILURE_KIND_INFRASTRUCTURE,
                absl::StrCat(what, ": ", std::string(status.message())));
}

}  // namespace

ProcessExecution::ProcessExecution(ExecutionContext context,
                                   std::shared_ptr<const v1::Attempt> attempt,
                                   std::shared_ptr<ExecutionListener> listener)
    : context_(context),
      attempt_(std::move(attempt)),
      listener_(std::move(listener)),
      id_{attempt_->task(), attempt_->number()},
      memory_bytes_(attempt_->resources().memory_bytes() > 0 ? attempt_->resources().memory_bytes()
                                                             : kDefaultMemoryBytes),
      blobs_(context_.blobs),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      log_budget_(context_.options.log),
      thread_([this] { Run(); }) {}

ProcessExecution::~ProcessExecution() {
  Stop(StopReason::kForget);
  thread_.join();
}

void ProcessExecution::Stop(StopReason reason) {
  int current = stop_.load();
  while (Wins(reason, current) && !stop_.compare_exchange_weak(current, static_cast<int>(reason))) {
  }
  fetching_.Cancel();
  if (reason != StopReason::kRelease) {
    uploading_.Cancel();
    checkpoint_uploads_.Cancel();
  }
  Wake();
}

void ProcessExecution::SetPaused(bool paused) {
  paused_ = paused;
  Wake();
}

void ProcessExecution::Wake() const {
  const uint64_t one = 1;
  // A full counter is a wake-up, too.
  [[maybe_unused]] const ssize_t ignored = write(wake_.get(), &one, sizeof one);
}

std::optional<Execution::StopReason> ProcessExecution::Reason() const {
  const int reason = stop_.load();
  if (reason < 0) return std::nullopt;
  return static_cast<StopReason>(reason);
}

void ProcessExecution::Run() {
  v1::AttemptResult result = Work();
  process_.reset();
  inputs_.clear();
  if (!folder_.empty()) {
    const absl::Status removed = RemoveTree(folder_);
    if (!removed.ok()) log::Warning("%s", std::string(removed.message()));
  }
  listener_->OnEnd(std::move(result));
}

v1::AttemptResult ProcessExecution::Work() {
  folder_ = absl::StrCat(context_.options.work_folder, "/", Sha256Hex(id_.task).substr(0, 16), "-",
                         id_.number);
  std::error_code error;
  std::filesystem::create_directory(folder_, error);
  std::filesystem::permissions(folder_, std::filesystem::perms::owner_all, error);
  if (error) {
    return Failed(v1::FAILURE_KIND_INFRASTRUCTURE,
                  absl::StrCat("cannot make the folder ", folder_, ": ", error.message()));
  }
  v1::TaskCommand command;
  v1::TaskStart& start = *command.mutable_start();
  *start.mutable_attempt() = *attempt_;
  start.set_work_folder(folder_);
  start.set_threads(std::max(1, static_cast<int>(std::lround(attempt_->resources().cpus()))));
  if (const absl::Status named = NameGpus(start); !named.ok()) {
    return Infrastructure("cannot start the task", named);
  }
  if (auto failed = FetchInputs(start)) return *std::move(failed);

  auto process = context_.starter.Take();
  if (!process.ok()) return Infrastructure("cannot start a process", process.status());
  process_ = *std::move(process);
  if (const absl::Status sent = process_->Send(command); !sent.ok()) {
    return Infrastructure("cannot start the task", sent);
  }
  checkpoints_.emplace(id_, blobs_, checkpoint_uploads_, [this](v1::CheckpointTaken taken) {
    v1::Event event;
    *event.mutable_checkpoint() = std::move(taken);
    Emit(std::move(event));
  });
  return Supervise();
}

absl::Status ProcessExecution::NameGpus(v1::TaskStart& start) const {
  for (const std::string& id : attempt_->devices()) {
    if (id == "cpu") continue;
    const auto& gpus = context_.options.gpus;
    const auto found = std::find_if(gpus.begin(), gpus.end(),
                                    [&](const v1::Device& gpu) { return gpu.id() == id; });
    if (found == gpus.end()) {
      return absl::InternalError(absl::StrCat("this worker has no device ", id));
    }
    *start.add_gpus() = *found;
  }
  return absl::OkStatus();
}

// ---- Inputs ----

std::optional<v1::AttemptResult> ProcessExecution::FetchInputs(v1::TaskStart& start) {
  std::map<std::string, v1::Blob> wanted(attempt_->inputs().begin(), attempt_->inputs().end());
  if (attempt_->has_checkpoint()) wanted["checkpoint"] = attempt_->checkpoint();
  for (const auto& [name, blob] : wanted) {
    const absl::Status status = FetchOne(name, blob, start);
    if (const auto reason = Reason()) return Stopped(*reason);
    if (!status.ok()) return Infrastructure(absl::StrCat("cannot get input ", name), status);
  }
  return std::nullopt;
}

absl::Status ProcessExecution::FetchOne(const std::string& name, const v1::Blob& blob,
                                        v1::TaskStart& start) {
  const auto fetch = [&](const BlobCache::Sink& sink) {
    v1::Event event;
    event.mutable_progress()->set_activity("fetching " + name);
    Emit(std::move(event));
    return blobs_.ReadBlob(id_, blob.digest(), 0, sink, fetching_);
  };
  ASSIGN_OR_RETURN(BlobCache::Pin pin, context_.cache.Get(blob.digest(), blob.size_bytes(), fetch));
  (*start.mutable_input_paths())[name] = pin.path();
  inputs_.push_back(std::move(pin));
  return absl::OkStatus();
}

// ---- While the process runs ----

v1::AttemptResult ProcessExecution::Supervise() {
  ProcessExit exit;
  int64_t ended_ms = 0;
  while (true) {
    const int64_t now_ms = context_.clock.MonotonicMillis();
    ObeyStop(now_ms);
    const bool ended = process_->Reap(exit);
    if (ended && ended_ms == 0) ended_ms = now_ms;
    ReadStreams(now_ms);
    const bool drained =
        process_->message_fd() < 0 && process_->error_fd() < 0 && process_->output_fd() < 0;
    // What it left in its pipes is read to the end, unless somebody else holds them open.
    const bool enough = now_ms - ended_ms > context_.options.kill_grace_ms && !paused_;
    if (ended && (drained || enough || !protocol_.ok() || Reason() == StopReason::kForget)) break;
    Wait(now_ms, ended);
  }
  return Finish(exit);
}

void ProcessExecution::Wait(int64_t now_ms, bool ended) const {
  int64_t wait_ms = kPollMillis;
  for (const int64_t due_ms : {terminate_at_ms_, kill_at_ms_}) {
    if (due_ms > 0) wait_ms = std::min(wait_ms, std::max<int64_t>(due_ms - now_ms, 0) + 1);
  }
  // Negative descriptors are skipped by poll.
  pollfd ready[] = {{.fd = wake_.get(), .events = POLLIN, .revents = 0},
                    {.fd = ended ? -1 : process_->exit_fd(), .events = POLLIN, .revents = 0},
                    {.fd = process_->output_fd(), .events = POLLIN, .revents = 0},
                    {.fd = process_->error_fd(), .events = POLLIN, .revents = 0},
                    {.fd = paused_ ? -1 : process_->message_fd(), .events = POLLIN, .revents = 0}};
  poll(ready, std::size(ready), static_cast<int>(wait_ms));
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t ignored = read(wake_.get(), &count, sizeof count);
}

void ProcessExecution::ObeyStop(int64_t now_ms) {
  const auto& options = context_.options;
  const int reason = stop_.load();
  if (reason != told_stop_) {
    told_stop_ = reason;
    const bool release = reason == static_cast<int>(StopReason::kRelease);
    if (reason == static_cast<int>(StopReason::kForget)) {
      process_->Signal(SIGKILL);
      return;
    }
    v1::TaskCommand command;
    command.mutable_stop()->set_checkpoint(release);
    // One that does not listen is stopped by signals.
    const bool heard = process_->Send(command).ok();
    terminate_at_ms_ = now_ms + (!heard    ? 0
                                 : release ? options.release_grace_ms
                                           : options.cancel_grace_ms);
    kill_at_ms_ = terminate_at_ms_ + options.kill_grace_ms;
  }
  if (terminate_at_ms_ > 0 && now_ms >= terminate_at_ms_) {
    terminate_at_ms_ = 0;
    process_->Signal(SIGTERM);
  }
  if (kill_at_ms_ > 0 && now_ms >= kill_at_ms_) process_->Signal(SIGKILL);
}

void ProcessExecution::ReadStreams(int64_t now_ms) {
  std::vector<std::string> lines;
  if (process_->error_fd() >= 0) process_->ReadError(lines);
  OnLines(lines, v1::LogLine::STREAM_STDERR, now_ms);
  lines.clear();
  if (process_->output_fd() >= 0) process_->ReadOutput(lines);
  OnLines(lines, v1::LogLine::STREAM_STDOUT, now_ms);
  if (process_->message_fd() < 0 || paused_) return;
  std::vector<v1::TaskMessage> messages;
  if (absl::Status status = process_->ReadMessages(messages); !status.ok()) {
    protocol_ = std::move(status);
    process_->Signal(SIGKILL);
  }
  for (v1::TaskMessage& message : messages) OnMessage(std::move(message), now_ms);
}

void ProcessExecution::OnMessage(v1::TaskMessage message, int64_t now_ms) {
  // TaskEnd is the last word.
  if (end_.has_value()) return;
  switch (message.kind_case()) {
    case v1::TaskMessage::kEvent:
      if (message.event().has_log()) {
        EmitLog(message.event().log().stream(), message.event().log().text(), now_ms);
      } else {
        Emit(std::move(*message.mutable_event()));
      }
      return;
    case v1::TaskMessage::kCheckpoint: {
      auto file = OpenWorkFile(folder_, message.checkpoint().path());
      if (!file.ok()) {
        EmitLog(v1::LogLine::STREAM_ENGINE,
                absl::StrCat("a checkpoint was not kept: ", std::string(file.status().message())),
                now_ms);
        return;
      }
      checkpoints_->Offer(*std::move(file), message.checkpoint().step());
      return;
    }
    case v1::TaskMessage::kEnd:
      end_ = std::move(*message.mutable_end());
      // It has nothing more to do.
      if (kill_at_ms_ == 0) kill_at_ms_ = now_ms + context_.options.kill_grace_ms;
      return;
    case v1::TaskMessage::KIND_NOT_SET:
      return;
  }
}

void ProcessExecution::OnLines(const std::vector<std::string>& lines, v1::LogLine::Stream stream,
                               int64_t now_ms) {
  for (const std::string& line : lines) {
    if (stream == v1::LogLine::STREAM_STDERR) last_words_.Add(line);
    EmitLog(stream, line, now_ms);
  }
}

void ProcessExecution::EmitLog(v1::LogLine::Stream stream, const std::string& text,
                               int64_t now_ms) {
  if (!log_budget_.Take(text.size(), now_ms)) return;
  EmitDropped();
  v1::Event event;
  event.mutable_log()->set_stream(stream);
  // A cut may fall into a character.
  event.mutable_log()->set_text(
      text.size() <= kMaxLineBytes ? text : CleanText(text.substr(0, kMaxLineBytes - 2)));
  Emit(std::move(event));
}

void ProcessExecution::EmitDropped() {
  const int64_t dropped = log_budget_.TakeDropped();
  if (dropped == 0) return;
  v1::Event event;
  event.mutable_log()->set_stream(v1::LogLine::STREAM_ENGINE);
  event.mutable_log()->set_text(
      absl::StrCat("(", dropped, " lines left out: the task wrote faster than is kept)"));
  Emit(std::move(event));
}

void ProcessExecution::Emit(v1::Event event) {
  if (!event.has_time()) {
    const absl::Time now = context_.clock.Now();
    event.mutable_time()->set_seconds(absl::ToUnixSeconds(now));
    event.mutable_time()->set_nanos(static_cast<int32_t>(
        absl::ToInt64Nanoseconds(now - absl::FromUnixSeconds(absl::ToUnixSeconds(now)))));
  }
  event.clear_sequence();
  event.set_step(attempt_->step());
  event.set_attempt(attempt_->number());
  std::lock_guard lock(emit_mutex_);
  listener_->OnEvent(std::move(event));
}

// ---- After its end ----

v1::AttemptResult ProcessExecution::Finish(const ProcessExit& exit) {
  EmitDropped();
  v1::AttemptResult result;
  if (end_.has_value()) {
    result = std::move(*end_->mutable_result());
    if (result.outcome() == v1::AttemptResult::OUTCOME_UNSPECIFIED) {
      result = Failed(v1::FAILURE_KIND_CRASH, "the task ended without an outcome");
    }
  } else if (!protocol_.ok() && !Reason().has_value()) {
    result = Failed(v1::FAILURE_KIND_CRASH, std::string(protocol_.message()));
  } else {
    result = Classify(exit, Reason(), memory_bytes_, last_words_.Text());
  }
  const auto outcome = result.outcome();
  // Only who goes on elsewhere or tries again needs the newest checkpoint.
  if (outcome == v1::AttemptResult::OUTCOME_SUCCEEDED ||
      outcome == v1::AttemptResult::OUTCOME_CANCELLED) {
    checkpoint_uploads_.Cancel();
  }
  checkpoints_->Finish();
  if (outcome == v1::AttemptResult::OUTCOME_SUCCEEDED) {
    if (auto failed = UploadArtifacts(result)) return *std::move(failed);
  }
  return result;
}

std::optional<v1::AttemptResult> ProcessExecution::UploadArtifacts(v1::AttemptResult& result) {
  for (const auto& [name, path] : end_->artifact_paths()) {
    auto file = OpenWorkFile(folder_, path);
    if (!file.ok()) return Infrastructure(absl::StrCat("no artifact ", name), file.status());
    auto blob = DescribeFile(file->fd.get());
    if (!blob.ok()) return Infrastructure(absl::StrCat("no artifact ", name), blob.status());
    const absl::Status status = blobs_.WriteBlob(id_, *blob, file->fd.get(), uploading_);
    if (const auto reason = Reason(); reason.has_value() && !status.ok()) return Stopped(*reason);
    if (!status.ok()) return Infrastructure(absl::StrCat("cannot upload ", name), status);
    // The step after this one may well run here.
    context_.cache.Adopt(file->path, blob->digest(), blob->size_bytes());
    (*result.mutable_result()->mutable_artifacts())[name] = *std::move(blob);
  }
  return std::nullopt;
}

}  // namespace beamline::worker
