// From a task's folder to the server.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "beamline/v1/common.pb.h"
#include "beamline/v1/task.pb.h"
#include "worker/server_link.h"

namespace beamline::worker {

// A file that a task made. A task may name any path: only regular files that lie directly in its
// own folder are taken, and no link is followed.
struct WorkFile {
  UniqueFd fd;
  std::string path;
};
// `path` is a name in `folder`, alone or with the folder before it. InvalidArgument if it is
// anything else, NotFound if it does not exist.
absl::StatusOr<WorkFile> OpenWorkFile(const std::string& folder, const std::string& path);

// Digest and size of the bytes behind `fd`. Internal if they cannot be read.
absl::StatusOr<v1::Blob> DescribeFile(int fd);

// Uploads checkpoints on a thread of its own, so that the task goes on meanwhile. Of those that
// wait only the newest is kept. Thread-safe.
class CheckpointUploader {
 public:
  // `uploaded` is called on the uploader's thread when the server has the blob. Owns nothing.
  CheckpointUploader(AttemptId attempt, BlobLink& blobs, Cancellation& cancellation,
                     std::function<void(v1::CheckpointTaken)> uploaded);
  // As Finish.
  ~CheckpointUploader();

  // Takes a checkpoint, instead of the one that waits; removes its name from the folder.
  void Offer(WorkFile file, int64_t step);
  // Waits until what was offered is uploaded or has failed; cancel to make that short.
  void Finish();

 private:
  struct Pending {
    WorkFile file;
    int64_t step = 0;
  };
  void Run();
  void Upload(Pending checkpoint);

  const AttemptId attempt_;
  BlobLink& blobs_;
  Cancellation& cancellation_;
  const std::function<void(v1::CheckpointTaken)> uploaded_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::optional<Pending> pending_;
  bool finishing_ = false;
  // Starts with the first checkpoint.
  std::thread thread_;
};

}  // namespace beamline::worker
