#include "clients/cli/error_text.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "clients/cli/exit_code.h"
#include "clients/cli/format.h"
#include "clients/cli/json.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/time_util.h"
#include "google/rpc/error_details.pb.h"

namespace beamline::cli {
namespace {

constexpr char kBadRequest[] = "type.googleapis.com/google.rpc.BadRequest";
constexpr char kRetryInfo[] = "type.googleapis.com/google.rpc.RetryInfo";

// 0 if the server named no delay.
int64_t RetryAfterMs(const absl::Status& status) {
  google::rpc::RetryInfo info;
  const auto payload = status.GetPayload(kRetryInfo);
  if (!payload || !info.ParseFromString(std::string(*payload))) return 0;
  return google::protobuf::util::TimeUtil::DurationToMilliseconds(info.retry_delay());
}

std::string Advice(const absl::Status& status) {
  if (IsUsageError(status)) return "";
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:
      return "log in again: beamline login HOST:PORT --ca FILE";
    case absl::StatusCode::kPermissionDenied:
      return "ask an admin of the project for a higher role: beamline project members";
    case absl::StatusCode::kResourceExhausted:
      if (const int64_t delay_ms = RetryAfterMs(status); delay_ms > 0) {
        return "try again in " + HumanDuration(absl::Milliseconds(delay_ms));
      }
      return "";
    default:
      return "";
  }
}

// Takes "line 3, column 7: " off the front of the description: google.rpc has no field for it.
void TakePosition(v1::Violation& violation) {
  int line = 0;
  int column = 0;
  int length = 0;
  if (std::sscanf(violation.description().c_str(), "line %d, column %d: %n", &line, &column,
                  &length) != 2 ||
      length == 0) {
    return;
  }
  violation.set_line(line);
  violation.set_column(column);
  violation.mutable_description()->erase(0, static_cast<size_t>(length));
}

}  // namespace

std::vector<v1::Violation> ViolationsOf(const absl::Status& status) {
  std::vector<v1::Violation> violations;
  google::rpc::BadRequest details;
  const auto payload = status.GetPayload(kBadRequest);
  if (!payload || !details.ParseFromString(std::string(*payload))) return violations;
  for (const auto& field : details.field_violations()) {
    v1::Violation& violation = violations.emplace_back();
    violation.set_field(field.field());
    violation.set_description(field.description());
    TakePosition(violation);
  }
  return violations;
}

std::string ViolationLine(std::string_view file, const v1::Violation& violation) {
  std::string line(file);
  if (violation.line() > 0) absl::StrAppend(&line, line.empty() ? "" : ":", violation.line());
  if (violation.line() > 0 && violation.column() > 0) {
    absl::StrAppend(&line, ":", violation.column());
  }
  for (const std::string& part : {violation.field(), violation.description()}) {
    if (!part.empty()) absl::StrAppend(&line, line.empty() ? "" : ": ", part);
  }
  return Printable(line);
}

std::string ErrorText(const absl::Status& status) {
  std::string text = absl::StrFormat("error: %s\n", S(status.message()));
  for (const v1::Violation& violation : ViolationsOf(status)) {
    // One violation is often the message itself.
    const std::string line = ViolationLine("", violation);
    if (text.find(violation.description()) == std::string::npos ||
        text.find(violation.field()) == std::string::npos) {
      absl::StrAppend(&text, "  ", line, "\n");
    }
  }
  if (const std::string advice = Advice(status); !advice.empty()) {
    absl::StrAppend(&text, "  ", advice, "\n");
  }
  return text;
}

std::string ErrorJson(const absl::Status& status) {
  google::protobuf::Struct root;
  auto* error = (*root.mutable_fields())["error"].mutable_struct_value()->mutable_fields();
  (*error)["code"].set_string_value(IsUsageError(status) ? "USAGE"
                                                         : absl::StatusCodeToString(status.code()));
  (*error)["message"].set_string_value(std::string(S(status.message())));
  if (const int64_t delay_ms = RetryAfterMs(status); delay_ms > 0) {
    (*error)["retry_after_ms"].set_number_value(static_cast<double>(delay_ms));
  }
  for (const v1::Violation& violation : ViolationsOf(status)) {
    auto* entry = (*error)["violations"].mutable_list_value()->add_values();
    auto* fields = entry->mutable_struct_value()->mutable_fields();
    (*fields)["field"].set_string_value(violation.field());
    (*fields)["description"].set_string_value(violation.description());
  }
  return JsonLine(root) + "\n";
}

}  // namespace beamline::cli
