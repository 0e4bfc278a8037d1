#include "server/rpc/gate.h"

#include <algorithm>
#include <chrono>

#include <grpc/grpc_security_constants.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/x509.h"
#include "server/rpc/status.h"

namespace beamline::server::rpc {
namespace {

std::string_view View(grpc::string_ref text) { return {text.data(), text.size()}; }

// The token of "Bearer <token>"; the scheme's case does not matter (RFC 9110, section 11.1).
absl::StatusOr<std::string_view> BearerToken(std::string_view header) {
  constexpr std::string_view kScheme = "bearer ";
  if (header.size() < kScheme.size() ||
      !absl::EqualsIgnoreCase({header.data(), kScheme.size()}, {kScheme.data(), kScheme.size()})) {
    return absl::UnauthenticatedError(
        "the authorization metadata must be \"Bearer <token>\": log in again");
  }
  return header.substr(kScheme.size());
}

}  // namespace

absl::Status Gate::Identify(const grpc::CallbackServerContext& context, auth::Principal* caller) {
  const auto [begin, end] = context.client_metadata().equal_range("authorization");
  if (begin != end) {
    if (std::next(begin) != end) {
      return absl::UnauthenticatedError("more than one authorization was sent: log in again");
    }
    ASSIGN_OR_RETURN(const std::string_view token, BearerToken(View(begin->second)));
    ASSIGN_OR_RETURN(*caller, authenticator_.Authenticate(token, caller->peer));
    return absl::OkStatus();
  }
  const auto uris = context.auth_context()->FindPropertyValues(GRPC_PEER_URI_PROPERTY_NAME);
  if (uris.size() != 1) return absl::OkStatus();
  const auto certificates =
      context.auth_context()->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  if (certificates.size() != 1) return absl::InternalError("the certificate is not at hand");
  ASSIGN_OR_RETURN(const Validity validity, ValidityOf(View(certificates.front())));
  ASSIGN_OR_RETURN(
      *caller, authenticator_.AuthenticateWorker(View(uris.front()), validity.end, caller->peer));
  return absl::OkStatus();
}

absl::Status Gate::Check(const grpc::CallbackServerContext& context, std::string_view method,
                         const google::protobuf::Message& request, auth::Principal* caller) {
  if (context.deadline() < std::chrono::system_clock::now()) {
    return absl::DeadlineExceededError("the call's deadline had passed when it arrived");
  }
  // What is public is answered also to those whose token has expired.
  const auto rule = policy_.rules().find(method);
  const bool is_public =
      rule != policy_.rules().end() && rule->second.permission == v1::PERMISSION_PUBLIC;
  if (!is_public) RETURN_IF_ERROR(Identify(context, caller));
  return policy_.Allow(*caller, method, request);
}

void Gate::Note(std::string_view method, const google::protobuf::Message& request,
                const absl::Status& outcome, auth::Principal* caller) {
  const auto rule = policy_.rules().find(method);
  if (rule == policy_.rules().end() || !rule->second.changes) return;
  constexpr std::string_view kPackage = "/beamline.v1.";
  std::string name(method.substr(kPackage.size()));
  std::replace(name.begin(), name.end(), '/', '.');
  if (!outcome.ok()) {
    calls_->Refuse(*caller, name, request, outcome);
  } else if (!rule->second.routine) {
    caller->call = calls_->Begin(name, request);
  }
}

grpc::Status Gate::Admit(const grpc::CallbackServerContext& context, std::string_view method,
                         const google::protobuf::Message& request, auth::Principal* caller) {
  *caller = auth::Principal();
  caller->peer = context.peer();
  const absl::Status outcome = Check(context, method, request, caller);
  if (calls_ != nullptr) Note(method, request, outcome, caller);
  return ToGrpc(outcome, method, caller->name, caller->peer);
}

std::string Gate::LaneOf(std::string_view method, const google::protobuf::Message& request,
                         const auth::Principal& caller) const {
  if (caller.kind == auth::Principal::kWorker) return "";
  const auto rule = policy_.rules().find(method);
  if (rule == policy_.rules().end() || rule->second.resource == nullptr) {
    return caller.name.empty() ? caller.peer : caller.name;
  }
  const auto project =
      auth::ProjectOf(request.GetReflection()->GetString(request, rule->second.resource));
  return project.ok() ? absl::StrCat("projects/", *project) : caller.name;
}

grpc::Status Gate::Conclude(const absl::Status& outcome, std::string_view method,
                            const auth::Principal& caller) {
  if (caller.call != nullptr) caller.call->End(caller, outcome);
  return ToGrpc(outcome, method, caller.name, caller.peer);
}

}  // namespace beamline::server::rpc
