// First answers to calls that carried a request_id.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "store/store.h"

namespace beamline::store {

struct StoredRequest {
  std::string principal;
  std::string request_id;
  std::string method;
  // SHA-256 of the request.
  std::string digest;
  // The serialised answer.
  std::string response;
  absl::Time create_time;
};

// NotFound if the principal has not used the id, or it was forgotten.
absl::StatusOr<StoredRequest> GetRequest(const View& view, std::string_view principal,
                                         std::string_view request_id);
// AlreadyExists if the principal has used the id.
absl::Status InsertRequest(Writer& writer, const StoredRequest& request);
// Forgets what is older than `before`; at most 1000 at once. Returns how many.
absl::StatusOr<int64_t> DeleteRequestsBefore(Writer& writer, absl::Time before);

}  // namespace beamline::store
