// One attempt as the process executor runs it. Internal to process_executor.cc.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "worker/outcome.h"
#include "worker/process_executor.h"
#include "worker/retrying_blobs.h"
#include "worker/task_process.h"
#include "worker/uploads.h"

namespace beamline::worker {

// What an execution borrows; all of it lives longer.
struct ExecutionContext {
  const ProcessExecutorOptions& options;
  TaskStarter& starter;
  BlobCache& cache;
  BlobLink& blobs;
  const Clock& clock;
};

// Blocking code on a thread of its own: fetch, start, supervise, upload, end.
class ProcessExecution : public Execution {
 public:
  ProcessExecution(ExecutionContext context, std::shared_ptr<const v1::Attempt> attempt,
                   std::shared_ptr<ExecutionListener> listener);
  ~ProcessExecution() override;

  void Stop(StopReason reason) override;
  void SetPaused(bool paused) override;

 private:
  // ---- On the thread, in this order ----
  void Run();
  v1::AttemptResult Work();
  // Names the GPUs of the attempt's devices in the start message. Internal: the worker has no such
  // device.
  absl::Status NameGpus(v1::TaskStart& start) const;
  // Fills inputs_ and the start message. On failure the result.
  std::optional<v1::AttemptResult> FetchInputs(v1::TaskStart& start);
  absl::Status FetchOne(const std::string& name, const v1::Blob& blob, v1::TaskStart& start);
  v1::AttemptResult Supervise();
  v1::AttemptResult Finish(const ProcessExit& exit);
  std::optional<v1::AttemptResult> UploadArtifacts(v1::AttemptResult& result);

  // ---- Parts of Supervise ----
  // Waits for something to read, for the end, or for the next step of the escalation.
  void Wait(int64_t now_ms, bool ended) const;
  void ObeyStop(int64_t now_ms);
  void ReadStreams(int64_t now_ms);
  void OnMessage(v1::TaskMessage message, int64_t now_ms);
  void OnLines(const std::vector<std::string>& lines, v1::LogLine::Stream stream, int64_t now_ms);
  void EmitLog(v1::LogLine::Stream stream, const std::string& text, int64_t now_ms);

  // Says how many lines were left out since the last time.
  void EmitDropped();
  // To the listener, with time, step and attempt filled in. Any thread.
  void Emit(v1::Event event);
  void Wake() const;
  std::optional<StopReason> Reason() const;

  const ExecutionContext context_;
  const std::shared_ptr<const v1::Attempt> attempt_;
  const std::shared_ptr<ExecutionListener> listener_;
  const AttemptId id_;
  const int64_t memory_bytes_;
  RetryingBlobs blobs_;

  // Between threads.
  UniqueFd wake_;
  std::atomic<int> stop_ = -1;
  std::atomic<bool> paused_ = false;
  Cancellation fetching_;
  Cancellation uploading_;
  Cancellation checkpoint_uploads_;
  std::mutex emit_mutex_;

  // The thread's own.
  std::string folder_;
  std::vector<BlobCache::Pin> inputs_;
  std::unique_ptr<TaskProcess> process_;
  std::optional<CheckpointUploader> checkpoints_;
  std::optional<v1::TaskEnd> end_;
  absl::Status protocol_;
  LogBudget log_budget_;
  LastLines last_words_;
  // What the process was told of a stop, and when SIGTERM and SIGKILL are due. Unit: milliseconds;
  // 0: not at all.
  int told_stop_ = -1;
  int64_t terminate_at_ms_ = 0;
  int64_t kill_at_ms_ = 0;

  std::thread thread_;
};

}  // namespace beamline::worker
