#include "server/api/token_rules.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/errors.h"
#include "server/names.h"
#include "store/identity.h"

namespace beamline::server {
namespace {

constexpr int kMaxProjects = 100;
// Of one user: of those that are good, and of those that are not and still listed.
constexpr size_t kMaxTokens = 1'000;
constexpr absl::Duration kDeadTokensKept = absl::Hours(90 * 24);

// Whether a token that is good no more has been so for long. When one was revoked is not kept; it
// was not before its last use.
bool DiedLongAgo(const store::StoredToken& token, absl::Time now) {
  const absl::Time revoked =
      token.revoked ? std::max(token.create_time, token.last_use_time) : absl::InfiniteFuture();
  return std::min(revoked, token.expire_time) <= now - kDeadTokensKept;
}

absl::Status Exceeds(const std::string& what) {
  return absl::PermissionDeniedError(
      absl::StrCat("your token is limited, and a token that it makes must be too: ", what));
}

// The new token of a caller whose own is limited.
absl::Status CheckWithin(Transaction& transaction, const auth::Principal& caller,
                         const TokenLimits& limits) {
  if (!caller.token_projects.empty() &&
      (limits.projects.empty() ||
       !std::includes(caller.token_projects.begin(), caller.token_projects.end(),
                      limits.projects.begin(), limits.projects.end()))) {
    return Exceeds("name only projects that yours is for");
  }
  if (caller.token_max_role != v1::ROLE_UNSPECIFIED &&
      (limits.max_role == v1::ROLE_UNSPECIFIED || limits.max_role > caller.token_max_role)) {
    return Exceeds("name no higher role than yours has");
  }
  if (limits.projects.empty() && limits.max_role == v1::ROLE_UNSPECIFIED) {
    return Exceeds("name projects or a role");
  }
  ASSIGN_OR_RETURN(const store::StoredToken own,
                   store::GetToken(transaction.store(), caller.token_id));
  if (limits.expire_time > own.expire_time) {
    return Exceeds("let it expire no later than yours does");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TokenLimits> ReadTokenLimits(const v1::CreateTokenRequest& request) {
  TokenLimits limits;
  FieldErrors errors;
  if (request.projects_size() > kMaxProjects) {
    errors.Add("projects", absl::StrCat("has more than ", kMaxProjects, " entries"));
  }
  for (int i = 0; i < request.projects_size(); ++i) {
    const std::string field = absl::StrCat("projects[", i, "]");
    ASSIGN_OR_RETURN(std::string project, ParseProjectName(field, request.projects(i)));
    limits.projects.insert(std::move(project));
  }
  if (!v1::Role_IsValid(request.max_role())) errors.Add("max_role", "is no role");
  limits.max_role = request.max_role();
  RETURN_IF_ERROR(errors.ToStatus());
  return limits;
}

absl::Status CheckTokenLimits(Transaction& transaction, const auth::Principal& caller,
                              const std::string& user, const TokenLimits& limits) {
  if (!caller.token_id.empty()) {
    ASSIGN_OR_RETURN(const v1::User maker,
                     store::GetUser(transaction.store(), store::IdOf(caller.name)));
    if (maker.service_account()) {
      return absl::PermissionDeniedError(
          "tokens of service accounts are made by operators, not by the accounts themselves");
    }
  }
  if (caller.limited) RETURN_IF_ERROR(CheckWithin(transaction, caller, limits));
  for (const std::string& project : limits.projects) {
    ASSIGN_OR_RETURN(const v1::Role role, store::GetRole(transaction.store(), project, user));
    if (role != v1::ROLE_UNSPECIFIED) continue;
    return BadField("projects", absl::StrCat("projects/", project, " does not exist, or users/",
                                             user, " is not a member of it"));
  }
  return absl::OkStatus();
}

absl::Status MakeRoomForToken(Transaction& transaction, const std::string& user) {
  const absl::Time now = transaction.now();
  ASSIGN_OR_RETURN(auto tokens, store::ListTokens(transaction.store(), user));
  const auto dead = std::partition(
      tokens.begin(), tokens.end(),
      [&](const store::StoredToken& token) { return !token.revoked && token.expire_time > now; });
  if (std::distance(tokens.begin(), dead) >= static_cast<ptrdiff_t>(kMaxTokens)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("users/", user, " has ", kMaxTokens,
                     " tokens that are good: revoke those that are not used any more"));
  }
  std::sort(dead, tokens.end(), [](const store::StoredToken& a, const store::StoredToken& b) {
    return a.create_time > b.create_time;
  });
  size_t kept = 0;
  for (auto token = dead; token != tokens.end(); ++token) {
    if (kept < kMaxTokens && !DiedLongAgo(*token, now)) {
      ++kept;
      continue;
    }
    RETURN_IF_ERROR(store::DeleteToken(transaction.store(), token->id));
  }
  return absl::OkStatus();
}

}  // namespace beamline::server
