#include "clients/cli/invocation.h"

#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "clients/cli/json.h"

namespace beamline::cli {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

Invocation::Invocation(Arguments arguments, const Clock& clock)
    : arguments_(std::move(arguments)),
      clock_(clock),
      out_(TraitsOf(STDOUT_FILENO)),
      err_(TraitsOf(STDERR_FILENO)) {}

void Invocation::Print(std::string_view text) {
  if (!WriteFully(STDOUT_FILENO, text).ok()) std::_Exit(0);
}

void Invocation::PrintJson(const google::protobuf::Message& message) { Print(PrettyJson(message)); }

void Invocation::PrintJsonLine(const google::protobuf::Message& message) {
  Print(JsonLine(message) + "\n");
}

void Invocation::Note(std::string_view text) {
  if (quiet() || json()) return;
  // Nobody can be told that standard error is closed.
  WriteFully(STDERR_FILENO, text).IgnoreError();
}

absl::StatusOr<Context> Invocation::CurrentContext() {
  ASSIGN_OR_RETURN(const Config config, LoadConfig(ConfigPath()));
  ASSIGN_OR_RETURN(Context context,
                   FindContext(config, args().Get("context", Environment("BEAMLINE_CONTEXT"))));
  if (const std::string token = Environment("BEAMLINE_TOKEN"); !token.empty()) {
    context.token = token;
  }
  return context;
}

absl::StatusOr<Connection*> Invocation::Server() {
  if (connection_ == nullptr) {
    ASSIGN_OR_RETURN(const Context context, CurrentContext());
    ASSIGN_OR_RETURN(connection_, Connect(context));
  }
  return connection_.get();
}

absl::StatusOr<std::string> Invocation::Project() {
  std::string project = args().Get("project", Environment("BEAMLINE_PROJECT"));
  if (project.empty()) {
    ASSIGN_OR_RETURN(const Context context, CurrentContext());
    project = context.project;
  }
  return project.starts_with("projects/") ? project : "projects/" + project;
}

absl::StatusOr<std::string> Invocation::Name(std::string_view collection, std::string_view id) {
  if (id.starts_with("projects/")) return std::string(id);
  if (id.empty() || id.find("..") != std::string_view::npos) {
    return UsageError(absl::StrCat("\"", A(id), "\" names nothing"));
  }
  ASSIGN_OR_RETURN(const std::string project, Project());
  return absl::StrCat(project, "/", A(collection), "/", A(id));
}

std::string Invocation::NewRequestId() { return NewId("q", Now(), random_); }

absl::Time TimeOf(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}

google::protobuf::Timestamp TimestampOf(absl::Time time) {
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(absl::ToUnixSeconds(time));
  timestamp.set_nanos(static_cast<int32_t>((time - absl::FromUnixSeconds(timestamp.seconds())) /
                                           absl::Nanoseconds(1)));
  return timestamp;
}

}  // namespace beamline::cli
