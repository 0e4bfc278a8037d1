// A BlobLink that tries again.
#pragma once

#include <cstdint>

#include "worker/server_link.h"

namespace beamline::worker {

// Repeats transfers that failed for a reason that may pass, with growing pauses, until cancelled: a
// server that restarts costs a task nothing. A download goes on where it broke off. Failures other
// than those of a server that is away are repeated only a few times. Thread-safe. Does not own
// `inner`.
class RetryingBlobs : public BlobLink {
 public:
  struct Options {
    // Pause after the first failure, and the longest. Unit: milliseconds.
    int64_t pause_min_ms = 100;
    int64_t pause_max_ms = 5'000;
    // Failures in a row, without a byte in between, of a server that is there.
    int max_failures = 5;
  };
  explicit RetryingBlobs(BlobLink& inner) : RetryingBlobs(inner, Options{}) {}
  RetryingBlobs(BlobLink& inner, Options options) : inner_(inner), options_(options) {}

  absl::Status ReadBlob(const AttemptId& attempt, const std::string& digest, int64_t offset,
                        const Sink& sink, Cancellation& cancellation) override;
  absl::Status WriteBlob(const AttemptId& attempt, const v1::Blob& blob, int fd,
                         Cancellation& cancellation) override;

 private:
  BlobLink& inner_;
  const Options options_;
};

}  // namespace beamline::worker
