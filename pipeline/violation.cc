#include "pipeline/violation.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/edit_distance.h"
#include "base/strings.h"
#include "google/rpc/error_details.pb.h"

namespace beamline::pipeline {
namespace {

constexpr char kBadRequestUrl[] = "type.googleapis.com/google.rpc.BadRequest";
// Violations beyond this are counted, not printed, in a status message.
constexpr size_t kMaxInMessage = 20;

absl::Status WithDetails(absl::StatusCode code, const std::vector<v1::Violation>& violations) {
  if (violations.empty()) return absl::OkStatus();
  std::string message;
  google::rpc::BadRequest details;
  for (size_t i = 0; i < violations.size(); ++i) {
    const v1::Violation& violation = violations[i];
    if (i < kMaxInMessage) {
      absl::StrAppend(&message, i == 0 ? "" : "\n", FormatViolations({violation}, ""));
      message.pop_back();
    }
    auto* field = details.add_field_violations();
    field->set_field(violation.field());
    field->set_description(violation.line() > 0
                               ? absl::StrCat("line ", violation.line(), ", column ",
                                              violation.column(), ": ", violation.description())
                               : violation.description());
  }
  if (violations.size() > kMaxInMessage) {
    absl::StrAppend(&message, "\n... and ", violations.size() - kMaxInMessage, " more");
  }
  absl::Status status(code, message);
  status.SetPayload(kBadRequestUrl, absl::Cord(details.SerializeAsString()));
  return status;
}

}  // namespace

void Violations::Add(std::string_view field, std::string_view description) {
  Position position;
  for (std::string_view at = field; positions_ != nullptr;) {
    if (const auto found = positions_->find(at); found != positions_->end()) {
      position = found->second;
      break;
    }
    const size_t dot = at.rfind('.');
    if (dot == std::string_view::npos) break;
    at = at.substr(0, dot);
  }
  AddAt(field, description, position);
}

void Violations::AddAt(std::string_view field, std::string_view description, Position position) {
  v1::Violation& violation = list_.emplace_back();
  violation.set_field(std::string(field));
  violation.set_description(std::string(description));
  violation.set_line(position.line);
  violation.set_column(position.column);
}

std::string FormatViolations(const std::vector<v1::Violation>& violations, std::string_view file) {
  std::string text;
  for (const v1::Violation& violation : violations) {
    absl::StrAppend(&text, A(file));
    if (violation.line() > 0) {
      absl::StrAppend(&text, file.empty() ? "" : ":", violation.line(), ":", violation.column());
    }
    if (!file.empty() || violation.line() > 0) absl::StrAppend(&text, ": ");
    if (!violation.field().empty()) absl::StrAppend(&text, violation.field(), ": ");
    absl::StrAppend(&text, violation.description(), "\n");
  }
  return text;
}

absl::Status ToInvalidArgument(const std::vector<v1::Violation>& violations) {
  return WithDetails(absl::StatusCode::kInvalidArgument, violations);
}

absl::Status ToUnimplemented(const std::vector<v1::Violation>& violations) {
  return WithDetails(absl::StatusCode::kUnimplemented, violations);
}

std::string Hint(std::string_view word, const std::vector<std::string>& known) {
  const std::string nearest = DidYouMean(word, known);
  return nearest.empty() || nearest == word ? ""
                                            : absl::StrCat(" (did you mean \"", nearest, "\"?)");
}

}  // namespace beamline::pipeline
