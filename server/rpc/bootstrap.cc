#include "server/rpc/bootstrap.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <filesystem>
#include <future>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "auth/principal.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "server/api/auth_api.h"
#include "server/api/project_api.h"

namespace beamline::server::rpc {
namespace {

constexpr char kAdmin[] = "admin";
constexpr char kProject[] = "default";
// The most that the API gives.
constexpr int32_t kJoinTokenUses = 100'000;

// The answer of an API's method, waited for.
template <typename Api, typename Request, typename Response>
absl::StatusOr<Response> Ask(Api& api,
                             void (Api::*call)(const auth::Principal&, const Request&,
                                               Done<Response>),
                             const Request& request) {
  auth::Principal caller;
  caller.kind = auth::Principal::kUser;
  caller.name = absl::StrCat("users/", kAdmin);
  caller.is_operator = true;
  std::promise<absl::StatusOr<Response>> promise;
  (api.*call)(caller, request, [&promise](absl::StatusOr<Response> answer) {
    promise.set_value(std::move(answer));
  });
  return promise.get_future().get();
}

absl::Status UnlessThere(const absl::Status& status) {
  return absl::IsAlreadyExists(status) ? absl::OkStatus() : status;
}

}  // namespace

absl::Status InitAdmin(AuthApi& auth, ProjectApi& projects, const std::string& token_file) {
  v1::CreateUserRequest user;
  user.set_user_id(kAdmin);
  user.mutable_user()->set_operator_(true);
  RETURN_IF_ERROR(UnlessThere(Ask(auth, &AuthApi::CreateUser, user).status()));
  v1::CreateProjectRequest project;
  project.set_project_id(kProject);
  RETURN_IF_ERROR(UnlessThere(Ask(projects, &ProjectApi::CreateProject, project).status()));
  if (std::filesystem::exists(token_file)) {
    log::Info("%s exists: no token of admin is made", token_file);
    return absl::OkStatus();
  }
  v1::CreateTokenRequest token;
  token.set_description("made at start of the server");
  ASSIGN_OR_RETURN(const v1::CreateTokenResponse made, Ask(auth, &AuthApi::CreateToken, token));
  RETURN_IF_ERROR(WriteFileAtomically(token_file, absl::StrCat(made.secret(), "\n"), 0600));
  log::Info("wrote a token of admin to %s", token_file);
  return absl::OkStatus();
}

absl::Status AllowPrograms(ProjectApi& projects) {
  v1::UpdateProjectRequest request;
  request.mutable_project()->set_name(absl::StrCat("projects/", kProject));
  request.mutable_project()->set_commands_allowed(true);
  request.mutable_update_mask()->add_paths("commands_allowed");
  return Ask(projects, &ProjectApi::UpdateProject, request).status();
}

absl::Status WriteJoinToken(AuthApi& auth, const std::string& file) {
  v1::CreateJoinTokenRequest request;
  request.set_uses(kJoinTokenUses);
  ASSIGN_OR_RETURN(const v1::CreateJoinTokenResponse made,
                   Ask(auth, &AuthApi::CreateJoinToken, request));
  return WriteFileAtomically(file, absl::StrCat(made.secret(), "\n"), 0600);
}

absl::Status WriteReadyFile(const std::string& file, const std::string& address,
                            const std::string& ca_file) {
  std::string dialled = address;
  for (const auto& [wildcard, loopback] :
       {std::pair<std::string, std::string>{"0.0.0.0:", "127.0.0.1:"}, {"[::]:", "[::1]:"}}) {
    if (absl::StartsWith(address, wildcard)) dialled = loopback + address.substr(wildcard.size());
  }
  google::protobuf::Struct ready;
  auto& fields = *ready.mutable_fields();
  fields["address"].set_string_value(dialled);
  fields["ca"].set_string_value(ca_file);
  fields["pid"].set_number_value(getpid());
  std::string json;
  if (const auto status = google::protobuf::util::MessageToJsonString(ready, &json); !status.ok()) {
    return absl::InternalError(absl::StrCat("cannot write ", file, ": ca's path is not UTF-8"));
  }
  return WriteFileAtomically(file, absl::StrCat(json, "\n"));
}

}  // namespace beamline::server::rpc
