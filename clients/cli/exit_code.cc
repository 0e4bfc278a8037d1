#include "clients/cli/exit_code.h"

#include <array>

#include "absl/strings/cord.h"
#include "base/strings.h"

namespace beamline::cli {
namespace {

constexpr char kUsagePayload[] = "beamline.cli/usage";

constexpr std::array<ExitCodeInfo, 11> kExitCodes = {{
    {ExitCode::kOk, "done"},
    {ExitCode::kWorkFailed, "the run failed or was cancelled"},
    {ExitCode::kUsage, "the command line is wrong"},
    {ExitCode::kRefused, "the server refused what was sent; the message says what to change"},
    {ExitCode::kNotFound, "there is no such thing"},
    {ExitCode::kDenied, "not logged in, or not permitted"},
    {ExitCode::kUnreachable, "the server cannot be reached; try again"},
    {ExitCode::kBusy, "the server has too much to do; try again later"},
    {ExitCode::kUnimplemented, "this version does not have that yet"},
    {ExitCode::kInternal, "an error inside Beamline or of this machine"},
    {ExitCode::kInterrupted, "interrupted (Ctrl-C)"},
}};

}  // namespace

std::span<const ExitCodeInfo> ExitCodes() { return kExitCodes; }

absl::Status UsageError(std::string_view message) {
  absl::Status status = absl::InvalidArgumentError(A(message));
  status.SetPayload(kUsagePayload, absl::Cord());
  return status;
}

bool IsUsageError(const absl::Status& status) {
  return status.GetPayload(kUsagePayload).has_value();
}

ExitCode ExitCodeOf(const absl::Status& status) {
  if (IsUsageError(status)) return ExitCode::kUsage;
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ExitCode::kOk;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kDataLoss:
      return ExitCode::kRefused;
    case absl::StatusCode::kNotFound:
      return ExitCode::kNotFound;
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return ExitCode::kDenied;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return ExitCode::kUnreachable;
    case absl::StatusCode::kResourceExhausted:
      return ExitCode::kBusy;
    case absl::StatusCode::kUnimplemented:
      return ExitCode::kUnimplemented;
    case absl::StatusCode::kCancelled:
      return ExitCode::kInterrupted;
    default:
      return ExitCode::kInternal;
  }
}

}  // namespace beamline::cli
