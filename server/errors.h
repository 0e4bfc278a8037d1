// Refusals with the details that clients act on (google.rpc messages as status payloads).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"

namespace beamline::server {

// InvalidArgument: `field` is the path of a request's field ("source.size_bytes").
absl::Status BadField(std::string_view field, std::string_view description);

// The time that `field` of a request holds. InvalidArgument if it is none between 1970 and 9999.
absl::StatusOr<absl::Time> ReadTime(std::string_view field,
                                    const google::protobuf::Timestamp& time);

// Collects all that is wrong with a request, so that the caller hears it at once. Not thread-safe.
class FieldErrors {
 public:
  void Add(std::string_view field, std::string_view description);
  // Adds `status` as what is wrong with `field`, unless it is OK.
  void Check(std::string_view field, const absl::Status& status);
  // OK if nothing was added; InvalidArgument with google.rpc.BadRequest otherwise.
  absl::Status ToStatus() const;

 private:
  std::vector<std::pair<std::string, std::string>> errors_;
};

// ResourceExhausted with google.rpc.RetryInfo. Unit: milliseconds.
absl::Status Overloaded(std::string_view message, int64_t retry_ms);

// What the proto marks so: "UNIMPLEMENTED so far".
absl::Status NotBuiltYet(std::string_view what, std::string_view instead);

}  // namespace beamline::server
