// What the worker asks of the server: proto in, proto out, no word about the wire. worker/rpc
// implements it with gRPC; tests and the simulation implement it in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "beamline/v1/worker.pb.h"
#include "worker/cancellation.h"

namespace beamline::worker {

// Called exactly once, on any thread, possibly before the call that took it returns.
template <class Response>
using Done = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

// The conversation about attempts. Asynchronous; thread-safe.
// Status codes are those of the RPCs; Unavailable, DeadlineExceeded and Cancelled mean that the
// server may or may not have acted.
class ServerLink {
 public:
  virtual ~ServerLink() = default;
  // At most one is outstanding. DeadlineExceeded after `timeout_ms` milliseconds.
  virtual void Synchronize(const v1::SynchronizeRequest& request, int64_t timeout_ms,
                           Done<v1::SynchronizeResponse> done) = 0;
  // Ends the outstanding Synchronize, if any, with Cancelled: the worker has something new to say.
  virtual void CancelSynchronize() = 0;
  virtual void ReportAttempt(const v1::ReportAttemptRequest& request,
                             Done<v1::ReportAttemptResponse> done) = 0;
};

// The conversation about the worker itself. Asynchronous; thread-safe.
class CertificateLink {
 public:
  virtual ~CertificateLink() = default;
  virtual void RenewCertificate(const v1::RenewCertificateRequest& request,
                                Done<v1::RenewCertificateResponse> done) = 0;
};

// The attempt on whose behalf bytes move.
struct AttemptId {
  // "projects/P/runs/R/tasks/T".
  std::string task;
  int32_t number = 0;
  auto operator<=>(const AttemptId&) const = default;
};

// Bytes to and from the server. Blocks; every method is thread-safe and returns Cancelled soon
// after `cancellation`.
class BlobLink {
 public:
  // Takes the next bytes; a failure ends the transfer and is returned from it.
  using Sink = std::function<absl::Status(std::string_view bytes)>;

  virtual ~BlobLink() = default;
  // Hands the blob's bytes from `offset` on to `sink`, in order. A failure may come after bytes
  // were handed over. NotFound: the attempt is not this worker's, or no such blob.
  virtual absl::Status ReadBlob(const AttemptId& attempt, const std::string& digest, int64_t offset,
                                const Sink& sink, Cancellation& cancellation) = 0;
  // Sends the file behind descriptor `fd` from its start. OK: the server has it for good.
  // DataLoss: what arrived is not `blob`. NotFound: the attempt is not this worker's.
  virtual absl::Status WriteBlob(const AttemptId& attempt, const v1::Blob& blob, int fd,
                                 Cancellation& cancellation) = 0;
};

// True for codes after which the same call may succeed later.
inline bool IsTransient(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status) || absl::IsAborted(status) || absl::IsInternal(status) ||
         absl::IsUnknown(status);
}

}  // namespace beamline::worker
