#include "worker/retrying_blobs.h"

#include <algorithm>
#include <string>

#include "base/log.h"

namespace beamline::worker {
namespace {

// Counts failures in a row and waits between them.
class Patience {
 public:
  Patience(const RetryingBlobs::Options& options, Cancellation& cancellation)
      : options_(options), cancellation_(cancellation), pause_ms_(options.pause_min_ms) {}

  // True if, after a pause, another try makes sense.
  bool TryAgainAfter(const absl::Status& status, const char* what) {
    const bool away = absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
    if (!away && !IsTransient(status) && !absl::IsDataLoss(status)) return false;
    if (!away && ++failures_ >= options_.max_failures) return false;
    log::Debug("%s failed: %s; again in %d ms", what, status.ToString(), pause_ms_);
    const int64_t pause_ms = pause_ms_;
    pause_ms_ = std::min(2 * pause_ms_, options_.pause_max_ms);
    return !cancellation_.WaitFor(pause_ms);
  }
  void Progress() {
    failures_ = 0;
    pause_ms_ = options_.pause_min_ms;
  }

 private:
  const RetryingBlobs::Options& options_;
  Cancellation& cancellation_;
  int64_t pause_ms_;
  int failures_ = 0;
};

}  // namespace

absl::Status RetryingBlobs::ReadBlob(const AttemptId& attempt, const std::string& digest,
                                     int64_t offset, const Sink& sink, Cancellation& cancellation) {
  Patience patience(options_, cancellation);
  absl::Status sink_status;
  const Sink counting = [&](std::string_view bytes) {
    sink_status = sink(bytes);
    if (sink_status.ok() && !bytes.empty()) {
      offset += static_cast<int64_t>(bytes.size());
      patience.Progress();
    }
    return sink_status;
  };
  while (true) {
    const absl::Status status = inner_.ReadBlob(attempt, digest, offset, counting, cancellation);
    if (status.ok() || !sink_status.ok()) return status;
    if (cancellation.cancelled()) return absl::CancelledError("the attempt was stopped");
    if (!patience.TryAgainAfter(status, "reading a blob")) return status;
  }
}

absl::Status RetryingBlobs::WriteBlob(const AttemptId& attempt, const v1::Blob& blob, int fd,
                                      Cancellation& cancellation) {
  Patience patience(options_, cancellation);
  while (true) {
    const absl::Status status = inner_.WriteBlob(attempt, blob, fd, cancellation);
    if (status.ok()) return status;
    if (cancellation.cancelled()) return absl::CancelledError("the attempt was stopped");
    if (!patience.TryAgainAfter(status, "writing a blob")) return status;
  }
}

}  // namespace beamline::worker
