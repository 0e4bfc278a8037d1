#include "server/api/auth_api.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "auth/secret.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "server/api/answer.h"
#include "server/api/token_rules.h"
#include "server/coordinator.h"
#include "server/errors.h"
#include "server/idempotency.h"
#include "server/names.h"
#include "server/paging.h"
#include "store/identity.h"
#include "store/time.h"

namespace beamline::server {
namespace {

constexpr size_t kMaxDescriptionLength = 1'000;
constexpr int32_t kMaxJoinUses = 100'000;
constexpr absl::Duration kJoinTokenLifetime = absl::Hours(24);

v1::Token ToMessage(const store::StoredToken& stored) {
  v1::Token token;
  token.set_name(absl::StrCat("users/", stored.user, "/tokens/", stored.id));
  token.set_description(stored.description);
  *token.mutable_create_time() = store::ToProto(stored.create_time);
  if (stored.expire_time != absl::InfiniteFuture()) {
    *token.mutable_expire_time() = store::ToProto(stored.expire_time);
  }
  if (stored.last_use_time != absl::InfinitePast()) {
    *token.mutable_last_use_time() = store::ToProto(stored.last_use_time);
  }
  token.set_revoked(stored.revoked);
  for (const std::string& project : stored.projects) token.add_projects(ProjectName(project));
  token.set_max_role(stored.max_role);
  return token;
}

// The user that a request is about: the one it names, or else the caller.
absl::StatusOr<std::string> UserOf(const auth::Principal& caller, std::string_view named) {
  if (caller.kind != auth::Principal::kUser) {
    return absl::PermissionDeniedError("only users have tokens");
  }
  if (named.empty() || named == caller.name) return std::string(store::IdOf(caller.name));
  if (!caller.is_operator) {
    return absl::PermissionDeniedError("only operators may act for another user");
  }
  return ParseUserName("user", named);
}

// Whether a call about tokens is about those of a caller whose tokens others make.
bool IsAboutOutside(const auth::Principal& caller, std::string_view named) {
  return caller.outside != nullptr && (named.empty() || named == caller.name);
}

// What somebody else vouches for is nowhere but in the caller.
v1::WhoAmIResponse DescribeOutside(const auth::Principal& caller) {
  v1::WhoAmIResponse response;
  response.mutable_user()->set_name(caller.name);
  response.mutable_user()->set_operator_(caller.is_operator);
  for (const auto& [project, role] : caller.roles) {
    auto& membership = *response.add_memberships();
    membership.set_project(ProjectName(project));
    membership.set_role(role);
  }
  *response.mutable_token_expire_time() = store::ToProto(caller.outside->expire_time);
  return response;
}

// Changes what the mask names; all that may be changed if it names nothing.
absl::Status MergeUser(const v1::UpdateUserRequest& request, v1::User& user) {
  const bool everything = request.update_mask().paths().empty();
  if (everything) {
    user.set_operator_(request.user().operator_());
    user.set_disabled(request.user().disabled());
  }
  for (const std::string& path : request.update_mask().paths()) {
    if (path == "operator") {
      user.set_operator_(request.user().operator_());
    } else if (path == "disabled") {
      user.set_disabled(request.user().disabled());
    } else {
      return BadField("update_mask", absl::StrCat("\"", path.substr(0, 80),
                                                  "\" cannot be changed: name operator or "
                                                  "disabled"));
    }
  }
  return absl::OkStatus();
}

// When something that is made now ends. `field` absent: `otherwise`.
absl::StatusOr<absl::Time> ExpiryOf(bool given, const google::protobuf::Timestamp& time,
                                    absl::Time now, absl::Time otherwise) {
  if (!given) return otherwise;
  ASSIGN_OR_RETURN(const absl::Time expiry, ReadTime("expire_time", time));
  if (expiry <= now) return BadField("expire_time", "must lie in the future");
  return expiry;
}

}  // namespace

AuthApi::AuthApi(ApiContext context) : context_(context) {}
AuthApi::~AuthApi() = default;

void AuthApi::WhoAmI(const auth::Principal& caller, const v1::WhoAmIRequest&,
                     Done<v1::WhoAmIResponse> done) {
  done([&]() -> absl::StatusOr<v1::WhoAmIResponse> {
    v1::WhoAmIResponse response;
    if (caller.kind != auth::Principal::kUser) {
      response.mutable_user()->set_name(caller.name);
      return response;
    }
    if (caller.outside != nullptr) return DescribeOutside(caller);
    ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
    ASSIGN_OR_RETURN(const store::Identity identity,
                     store::GetIdentity(reader, store::IdOf(caller.name)));
    *response.mutable_user() = identity.user;
    const auth::Roles roles =
        auth::Limit(identity.roles, caller.token_projects, caller.token_max_role);
    for (const auto& [project, role] : roles) {
      auto& membership = *response.add_memberships();
      membership.set_project(ProjectName(project));
      membership.set_role(role);
    }
    for (const std::string& project : caller.token_projects) {
      response.add_token_projects(ProjectName(project));
    }
    response.set_token_max_role(caller.token_max_role);
    if (!caller.token_id.empty()) {
      ASSIGN_OR_RETURN(const store::StoredToken token, store::GetToken(reader, caller.token_id));
      if (token.expire_time != absl::InfiniteFuture()) {
        *response.mutable_token_expire_time() = store::ToProto(token.expire_time);
      }
    }
    return response;
  }());
}

void AuthApi::CreateUser(const auth::Principal& caller, const v1::CreateUserRequest& request,
                         Done<v1::User> done) {
  FieldErrors errors;
  errors.Check("user_id", CheckUserId(request.user_id()));
  if (absl::Status bad = errors.ToStatus(); !bad.ok()) return done(std::move(bad));
  context_.coordinator.Call<v1::User>(
      [caller, request](Transaction& tx) -> absl::StatusOr<v1::User> {
        const std::string name = absl::StrCat("users/", request.user_id());
        const Mutation mutation{.caller = caller,
                                .method = "AuthService.CreateUser",
                                .resource = name,
                                .request_id = request.request_id(),
                                .request = request};
        return Once<v1::User>(tx, mutation, [&]() -> absl::StatusOr<v1::User> {
          const absl::Status inserted =
              store::InsertUser(tx.store(), request.user_id(), request.user().operator_(), tx.now(),
                                request.user().service_account());
          if (absl::IsAlreadyExists(inserted)) {
            return absl::AlreadyExistsError(
                absl::StrCat("user \"", request.user_id(), "\" exists: choose another id"));
          }
          RETURN_IF_ERROR(inserted);
          ASSIGN_OR_RETURN(v1::User user, store::GetUser(tx.store(), request.user_id()));
          user.set_disabled(request.user().disabled());
          RETURN_IF_ERROR(store::UpdateUser(tx.store(), user));
          return user;
        });
      },
      ForgetThen(context_.authenticator, std::move(done)));
}

void AuthApi::UpdateUser(const auth::Principal& caller, const v1::UpdateUserRequest& request,
                         Done<v1::User> done) {
  const auto id = ParseUserName("user.name", request.user().name());
  if (!id.ok()) return done(id.status());
  context_.coordinator.Call<v1::User>(
      [caller, request, id = *id](Transaction& tx) -> absl::StatusOr<v1::User> {
        const Mutation mutation{.caller = caller,
                                .method = "AuthService.UpdateUser",
                                .resource = request.user().name(),
                                .request_id = request.request_id(),
                                .request = request};
        return Once<v1::User>(tx, mutation, [&]() -> absl::StatusOr<v1::User> {
          ASSIGN_OR_RETURN(v1::User user, store::GetUser(tx.store(), id));
          RETURN_IF_ERROR(MergeUser(request, user));
          RETURN_IF_ERROR(store::UpdateUser(tx.store(), user));
          ASSIGN_OR_RETURN(const int64_t operators, store::CountOperators(tx.store()));
          if (operators == 0) {
            return absl::FailedPreconditionError(
                "no operator would be left who is not disabled: make another user one first");
          }
          return user;
        });
      },
      ForgetThen(context_.authenticator, std::move(done)));
}

void AuthApi::ListUsers(const auth::Principal&, const v1::ListUsersRequest& request,
                        Done<v1::ListUsersResponse> done) {
  done([&]() -> absl::StatusOr<v1::ListUsersResponse> {
    ASSIGN_OR_RETURN(const int64_t size, PageSize(request.page_size(), 100, 1000));
    ASSIGN_OR_RETURN(const std::string after, ReadPageToken("users", request.page_token()));
    ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
    ASSIGN_OR_RETURN(auto users, store::ListUsers(reader, after, size + 1));
    return PageById<v1::ListUsersResponse>(std::move(users), size, "users",
                                           &v1::ListUsersResponse::mutable_users);
  }());
}

void AuthApi::CreateToken(const auth::Principal& caller, const v1::CreateTokenRequest& request,
                          Done<v1::CreateTokenResponse> done) {
  const absl::Time now = context_.clock.Now();
  const auto user = UserOf(caller, request.user());
  const auto expiry =
      ExpiryOf(request.has_expire_time(), request.expire_time(), now, absl::InfiniteFuture());
  auto limits = ReadTokenLimits(request);
  absl::Status bad = user.status();
  bad.Update(expiry.status());
  bad.Update(limits.status());
  if (IsAboutOutside(caller, request.user())) {
    bad = absl::PermissionDeniedError("your tokens are made by their issuer, not by this server");
  }
  if (request.description().size() > kMaxDescriptionLength) {
    bad.Update(BadField("description", "must have at most 1000 characters"));
  }
  if (!bad.ok()) return done(std::move(bad));
  limits->expire_time = *expiry;
  const auth::NewSecret secret = auth::MakeSecret(auth::SecretKind::kToken, context_.random);
  context_.coordinator.Call<v1::CreateTokenResponse>(
      [caller, request, secret, user = *user,
       limits = *std::move(limits)](Transaction& tx) -> absl::StatusOr<v1::CreateTokenResponse> {
        const std::string resource = absl::StrCat("users/", user);
        const Mutation mutation{.caller = caller,
                                .method = "AuthService.CreateToken",
                                .resource = resource,
                                .request_id = request.request_id(),
                                .request = request};
        bool fresh = false;
        // The answer that is kept has no secret.
        auto answer = Once<v1::CreateTokenResponse>(
            tx, mutation, [&]() -> absl::StatusOr<v1::CreateTokenResponse> {
              RETURN_IF_ERROR(store::GetUser(tx.store(), user).status());
              RETURN_IF_ERROR(CheckTokenLimits(tx, caller, user, limits));
              RETURN_IF_ERROR(MakeRoomForToken(tx, user));
              const store::StoredToken token{
                  .id = secret.id,
                  .user = user,
                  .secret_hash = secret.hash,
                  .description = request.description(),
                  .create_time = tx.now(),
                  .expire_time = limits.expire_time,
                  .projects = {limits.projects.begin(), limits.projects.end()},
                  .max_role = limits.max_role};
              RETURN_IF_ERROR(store::InsertToken(tx.store(), token));
              fresh = true;
              v1::CreateTokenResponse response;
              *response.mutable_token() = ToMessage(token);
              return response;
            });
        if (answer.ok() && fresh) answer->set_secret(secret.text);
        return answer;
      },
      std::move(done));
}

void AuthApi::ListTokens(const auth::Principal& caller, const v1::ListTokensRequest& request,
                         Done<v1::ListTokensResponse> done) {
  done([&]() -> absl::StatusOr<v1::ListTokensResponse> {
    ASSIGN_OR_RETURN(const std::string user, UserOf(caller, request.user()));
    ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
    if (IsAboutOutside(caller, request.user())) return v1::ListTokensResponse();
    RETURN_IF_ERROR(store::GetUser(reader, user).status());
    ASSIGN_OR_RETURN(const auto tokens, store::ListTokens(reader, user));
    v1::ListTokensResponse response;
    for (const store::StoredToken& token : tokens) {
      if (caller.limited && token.id != caller.token_id) continue;
      *response.add_tokens() = ToMessage(token);
    }
    return response;
  }());
}

void AuthApi::RevokeToken(const auth::Principal& caller, const v1::RevokeTokenRequest& request,
                          Done<v1::Token> done) {
  const auto name = ParseTokenName("name", request.name());
  if (caller.limited && (!name.ok() || name->id != caller.token_id)) {
    return done(
        absl::PermissionDeniedError("your token is limited: it can revoke itself and no other"));
  }
  if (!name.ok()) return done(name.status());
  const auto user = UserOf(caller, absl::StrCat("users/", name->project));
  if (!user.ok()) return done(user.status());
  context_.coordinator.Call<v1::Token>(
      [caller, request, user = *user,
       token_id = name->id](Transaction& tx) -> absl::StatusOr<v1::Token> {
        const Mutation mutation{.caller = caller,
                                .method = "AuthService.RevokeToken",
                                .resource = request.name(),
                                .request_id = request.request_id(),
                                .request = request};
        return Once<v1::Token>(tx, mutation, [&]() -> absl::StatusOr<v1::Token> {
          ASSIGN_OR_RETURN(const store::StoredToken token, store::GetToken(tx.store(), token_id));
          if (token.user != user) return absl::NotFoundError("token does not exist");
          RETURN_IF_ERROR(store::RevokeToken(tx.store(), token_id));
          ASSIGN_OR_RETURN(const store::StoredToken revoked, store::GetToken(tx.store(), token_id));
          return ToMessage(revoked);
        });
      },
      ForgetThen(context_.authenticator, std::move(done)));
}

void AuthApi::CreateJoinToken(const auth::Principal& caller,
                              const v1::CreateJoinTokenRequest& request,
                              Done<v1::CreateJoinTokenResponse> done) {
  const absl::Time now = context_.clock.Now();
  const auto expiry =
      ExpiryOf(request.has_expire_time(), request.expire_time(), now, now + kJoinTokenLifetime);
  FieldErrors errors;
  if (request.uses() < 0 || request.uses() > kMaxJoinUses) {
    errors.Add("uses", absl::StrCat("must be from 1 to ", kMaxJoinUses));
  }
  if (!request.pool().empty()) errors.Check("pool", CheckUserId(request.pool()));
  absl::Status bad = errors.ToStatus();
  bad.Update(expiry.status());
  if (!bad.ok()) return done(std::move(bad));
  const auth::NewSecret secret = auth::MakeSecret(auth::SecretKind::kJoinToken, context_.random);
  context_.coordinator.Call<v1::CreateJoinTokenResponse>(
      [caller, request, secret,
       expiry = *expiry](Transaction& tx) -> absl::StatusOr<v1::CreateJoinTokenResponse> {
        const Mutation mutation{.caller = caller,
                                .method = "AuthService.CreateJoinToken",
                                .resource = "workers",
                                .request_id = "",
                                .request = request};
        v1::CreateJoinTokenResponse response;
        *response.mutable_expire_time() = store::ToProto(expiry);
        RETURN_IF_ERROR(
            store::InsertJoinToken(tx.store(), {.id = secret.id,
                                                .secret_hash = secret.hash,
                                                .uses_left = std::max(1, request.uses()),
                                                .expire_time = expiry,
                                                .pool = request.pool()}));
        RETURN_IF_ERROR(KeepAnswer(tx, mutation, response));
        response.set_secret(secret.text);
        return response;
      },
      std::move(done));
}

}  // namespace beamline::server
