#include "worker/uploads.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace beamline::worker {

absl::StatusOr<WorkFile> OpenWorkFile(const std::string& folder, const std::string& path) {
  std::string name = path;
  if (absl::StartsWith(name, folder + "/")) name.erase(0, folder.size() + 1);
  if (name.empty() || name == "." || name == ".." || absl::StrContains(name, '/') ||
      absl::StrContains(name, '\0')) {
    return absl::InvalidArgumentError(
        absl::StrCat("the task names \"", name, "\", which is no file in its own folder"));
  }
  WorkFile file;
  file.path = absl::StrCat(folder, "/", name);
  file.fd = UniqueFd(open(file.path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info;
  if (!file.fd || fstat(file.fd.get(), &info) != 0) {
    return absl::NotFoundError(absl::StrCat("cannot open ", name, ": ", std::strerror(errno)));
  }
  if (!S_ISREG(info.st_mode) || info.st_nlink != 1) {
    return absl::InvalidArgumentError(absl::StrCat(name, " is no regular file of the task's own"));
  }
  return file;
}

absl::StatusOr<v1::Blob> DescribeFile(int fd) {
  Sha256 hash;
  int64_t size_bytes = 0;
  std::vector<char> buffer(1 << 20);
  while (true) {
    const ssize_t got = pread(fd, buffer.data(), buffer.size(), size_bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::InternalError(absl::StrCat("cannot read: ", std::strerror(errno)));
    if (got == 0) break;
    hash.Update({buffer.data(), static_cast<size_t>(got)});
    size_bytes += got;
  }
  v1::Blob blob;
  blob.set_digest(hash.Hex());
  blob.set_size_bytes(size_bytes);
  return blob;
}

CheckpointUploader::CheckpointUploader(AttemptId attempt, BlobLink& blobs,
                                       Cancellation& cancellation,
                                       std::function<void(v1::CheckpointTaken)> uploaded)
    : attempt_(std::move(attempt)),
      blobs_(blobs),
      cancellation_(cancellation),
      uploaded_(std::move(uploaded)) {}

CheckpointUploader::~CheckpointUploader() { Finish(); }

void CheckpointUploader::Offer(WorkFile file, int64_t step) {
  std::lock_guard lock(mutex_);
  if (finishing_) return;
  // The descriptor keeps the bytes; the disk is free again when it is closed.
  unlink(file.path.c_str());
  pending_ = Pending{std::move(file), step};
  changed_.notify_all();
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
}

void CheckpointUploader::Finish() {
  {
    std::lock_guard lock(mutex_);
    finishing_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void CheckpointUploader::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return finishing_ || pending_.has_value(); });
    if (!pending_.has_value()) return;
    Pending checkpoint = *std::exchange(pending_, std::nullopt);
    lock.unlock();
    Upload(std::move(checkpoint));
    lock.lock();
  }
}

void CheckpointUploader::Upload(Pending checkpoint) {
  if (cancellation_.cancelled()) return;
  absl::StatusOr<v1::Blob> blob = DescribeFile(checkpoint.file.fd.get());
  absl::Status status = blob.status();
  if (status.ok()) {
    status = blobs_.WriteBlob(attempt_, *blob, checkpoint.file.fd.get(), cancellation_);
  }
  if (!status.ok()) {
    if (!cancellation_.cancelled()) {
      log::Warning("%s attempt %d: a checkpoint was lost: %s", attempt_.task, attempt_.number,
                   status.ToString());
    }
    return;
  }
  v1::CheckpointTaken taken;
  *taken.mutable_blob() = *std::move(blob);
  taken.set_step(checkpoint.step);
  uploaded_(std::move(taken));
}

}  // namespace beamline::worker
