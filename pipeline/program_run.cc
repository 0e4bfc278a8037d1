#include "pipeline/program_run.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "pipeline/archive.h"
#include "pipeline/program_folder.h"
#include "pipeline/training.h"

namespace beamline::pipeline::execution {
namespace {

namespace fs = std::filesystem;

// How soon what a program says is heard. Unit: milliseconds.
constexpr int64_t kHearMillis = 50;
// Of metrics.jsonl in that time. Unit: bytes.
constexpr int64_t kHearBytes = 4 << 10;
// From SIGTERM to SIGKILL: of a run that is cancelled, and of one that may keep a checkpoint. Unit:
// milliseconds.
constexpr int64_t kCancelMillis = 1'000;
constexpr int64_t kReleaseMillis = 30'000;
constexpr size_t kMaxMetrics = 100;
constexpr int kMaxWrongLines = 10;
constexpr int64_t kProgressParts = 1'000;
constexpr ArchiveLimits kCheckpointLimits = {};
constexpr char kCheckpoint[] = "checkpoint";

bool LackedMemory(const ProgramOutcome& outcome) {
  if (outcome.kind == ProgramOutcome::kMemory) return true;
  for (const char* word : {"MemoryError", "bad_alloc", "Cannot allocate memory"}) {
    if (absl::StrContains(outcome.last_words, word)) return true;
  }
  return false;
}

}  // namespace

ProgramRun::ProgramRun(Task& task, ProgramHost& host, const v1::Program& program, std::string path)
    : task_(task),
      host_(host),
      program_(program),
      path_(std::move(path)),
      words_(host.folder() + "/metrics.jsonl") {
  for (const char* name : {"inputs", "outputs", "model", kCheckpoint, "tmp"}) {
    std::error_code error;
    fs::create_directory(fs::path(folder()) / name, error);
    if (error) {
      throw TaskFailure(v1::FAILURE_KIND_INFRASTRUCTURE,
                        absl::StrCat("cannot make ", name, "/: ", error.message()));
    }
  }
  WriteProgramFiles(program_, folder());
}

ProgramRun::~ProgramRun() {
  if (running_) host_.Kill();
}

void ProgramRun::Restore() {
  if (!task_.attempt().has_checkpoint()) return;
  UnpackFolder(task_.InputPath(kCheckpoint), kCheckpoint, absl::StrCat(folder(), "/", kCheckpoint));
  task_.Log("goes on from the files in checkpoint/");
}

bool ProgramRun::Run(const std::vector<std::string>& more, v1::TaskEnd* end) {
  std::vector<std::string> arguments = ArgumentsOf(program_, host_.name());
  arguments.insert(arguments.end(), more.begin(), more.end());
  running_ = true;
  host_.Start(arguments);
  const ProgramOutcome outcome = Follow();
  running_ = false;
  Hear(true);
  if (words_.TooLong()) {
    task_.Log(absl::StrCat("metrics.jsonl is longer than ", MetricFile::kMaxBytes >> 20,
                           " MiB: the rest of it is not read"));
  }
  if (stopped_ms_ < 0) {
    if (outcome.kind != ProgramOutcome::kExited || outcome.exit_code != 0) Fail(outcome);
    return true;
  }
  const bool keep = task_.stop() == StopToken::Request::kCheckpointAndStop;
  if (keep) Checkpoint(checkpoint_step_);
  end->mutable_result()->set_outcome(keep ? v1::AttemptResult::OUTCOME_RELEASED
                                          : v1::AttemptResult::OUTCOME_CANCELLED);
  return false;
}

ProgramOutcome ProgramRun::Follow() {
  while (true) {
    if (auto outcome = host_.Wait(kHearMillis)) return *std::move(outcome);
    Hear(false);
    if (!Stopping() || killed_) continue;
    const bool keep = task_.stop() == StopToken::Request::kCheckpointAndStop;
    if (task_.Millis() - stopped_ms_ < (keep ? kReleaseMillis : kCancelMillis)) continue;
    killed_ = true;
    host_.Kill();
  }
}

// Whether the program is to end; asks it to, once.
bool ProgramRun::Stopping() {
  if (task_.stop() == StopToken::Request::kNone) return false;
  if (stopped_ms_ < 0) {
    stopped_ms_ = task_.Millis();
    host_.Terminate();
  }
  return true;
}

void ProgramRun::Hear(bool last) {
  for (const ProgramWord& word : words_.Read(last ? MetricFile::kMaxBytes : kHearBytes, last)) {
    Obey(word);
  }
}

void ProgramRun::Obey(const ProgramWord& word) {
  v1::Event event;
  switch (word.kind) {
    case ProgramWord::kMetric:
      if (metrics_.size() >= kMaxMetrics && !metrics_.contains(word.metric.name())) return;
      metrics_[word.metric.name()] = word.metric.value();
      *event.mutable_metric() = word.metric;
      task_.Emit(std::move(event));
      return;
    case ProgramWord::kProgress:
      event.mutable_progress()->set_step(
          static_cast<int64_t>(std::lround(word.progress * kProgressParts)));
      event.mutable_progress()->set_total_steps(kProgressParts);
      event.mutable_progress()->set_activity(word.activity.empty() ? "running" : word.activity);
      task_.Emit(std::move(event));
      return;
    case ProgramWord::kCheckpoint:
      checkpoint_step_ = std::max(checkpoint_step_, word.step);
      if (running_) Checkpoint(word.step);
      return;
    case ProgramWord::kWrong:
      if (++wrong_lines_ > kMaxWrongLines) return;
      task_.Log(absl::StrCat("a line in metrics.jsonl is not understood: ", word.why,
                             wrong_lines_ == kMaxWrongLines ? " (more are not told)" : ""));
      return;
  }
}

// The program is held meanwhile, so that the files belong together.
void ProgramRun::Checkpoint(int64_t step) {
  const std::string folder = absl::StrCat(host_.folder(), "/", kCheckpoint);
  const std::string path =
      absl::StrCat(task_.work_folder(), "/checkpoint-", ++checkpoints_, ".tar");
  const bool held = !running_ || host_.Hold();
  try {
    if (!held) engine::Fail("the program could not be held while its files are packed");
    if (PackFolder(folder, kCheckpoint, path, kCheckpointLimits) > 0) {
      task_.EmitCheckpoint(path, step);
    }
  } catch (const engine::Error& error) {
    task_.Log(absl::StrCat("a checkpoint was not kept: ", error.what()));
  }
  if (running_) host_.GoOn();
}

void ProgramRun::Fail(const ProgramOutcome& outcome) const {
  // A worker that cannot confine is not to blame on the program: another one may.
  if (outcome.kind == ProgramOutcome::kUnconfined) {
    throw TaskFailure(v1::FAILURE_KIND_INFRASTRUCTURE, outcome.last_words);
  }
  if (LackedMemory(outcome)) {
    throw TaskFailure(v1::FAILURE_KIND_OUT_OF_MEMORY,
                      absl::StrCat("the program needed more memory than the ",
                                   task_.attempt().resources().memory_bytes() >> 20,
                                   " MiB that the step may use: raise resources.memory_bytes"),
                      task_.path() + ".resources.memory_bytes");
  }
  if (outcome.kind == ProgramOutcome::kLost) {
    throw TaskFailure(v1::FAILURE_KIND_CRASH, "what runs the program is gone");
  }
  const std::string words =
      outcome.last_words.empty() ? "" : absl::StrCat("; it last wrote: ", outcome.last_words);
  if (outcome.kind == ProgramOutcome::kProcesses) {
    throw TaskFailure(v1::FAILURE_KIND_USER,
                      absl::StrCat("the program made more processes or threads than it may", words),
                      path_);
  }
  throw TaskFailure(
      v1::FAILURE_KIND_USER,
      outcome.kind == ProgramOutcome::kKilled
          ? absl::StrCat("the program was killed by ", outcome.signal, words)
          : absl::StrCat("the program ended with exit code ", outcome.exit_code, words),
      path_);
}

}  // namespace beamline::pipeline::execution
