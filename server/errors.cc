#include "server/errors.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "google/rpc/error_details.pb.h"
#include "store/time.h"

namespace beamline::server {

absl::Status BadField(std::string_view field, std::string_view description) {
  FieldErrors errors;
  errors.Add(field, description);
  return errors.ToStatus();
}

absl::StatusOr<absl::Time> ReadTime(std::string_view field,
                                    const google::protobuf::Timestamp& time) {
  constexpr int64_t kLastSecond = 253'402'300'799;  // the end of the year 9999
  if (time.seconds() < 0 || time.seconds() > kLastSecond || time.nanos() < 0 ||
      time.nanos() > 999'999'999) {
    return BadField(field, "is no valid time");
  }
  return store::FromProto(time);
}

void FieldErrors::Add(std::string_view field, std::string_view description) {
  errors_.emplace_back(field, description);
}

void FieldErrors::Check(std::string_view field, const absl::Status& status) {
  if (!status.ok()) Add(field, S(status.message()));
}

absl::Status FieldErrors::ToStatus() const {
  if (errors_.empty()) return absl::OkStatus();
  std::string message;
  google::rpc::BadRequest details;
  for (const auto& [field, description] : errors_) {
    absl::StrAppend(&message, message.empty() ? "" : "\n", field, ": ", description);
    auto* violation = details.add_field_violations();
    violation->set_field(field);
    violation->set_description(description);
  }
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload("type.googleapis.com/google.rpc.BadRequest",
                    absl::Cord(details.SerializeAsString()));
  return status;
}

absl::Status Overloaded(std::string_view message, int64_t retry_ms) {
  google::rpc::RetryInfo details;
  details.mutable_retry_delay()->set_seconds(retry_ms / 1000);
  details.mutable_retry_delay()->set_nanos(static_cast<int32_t>(retry_ms % 1000) * 1'000'000);
  absl::Status status = absl::ResourceExhaustedError(A(message));
  status.SetPayload("type.googleapis.com/google.rpc.RetryInfo",
                    absl::Cord(details.SerializeAsString()));
  return status;
}

absl::Status NotBuiltYet(std::string_view what, std::string_view instead) {
  return absl::UnimplementedError(
      absl::StrCat(A(what), " is not part of this version yet: ", A(instead)));
}

}  // namespace beamline::server
